#include "reader/view/grouping.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/hash.h"
#include "reader/util/mem.h"

/* What makes two locations one row. Unused members are zero. */
struct key {
	const char *function, *file, *path;
	uint32_t module, line;
};

/* A path tells two files apart that are shortened to the same text. A line, a function and a module
 * belong to one module; a file (a header, say) may be compiled into several. */
static struct key key_of(const struct snapshot_location *location, enum view_group group)
{
	struct key key = {0};

	switch (group) {
	case VIEW_BY_LINE:
		key.file = location->file;
		key.path = location->path;
		key.line = location->line;
		/* fall through */
	case VIEW_BY_FUNCTION:
		key.function = location->function;
		/* fall through */
	case VIEW_BY_MODULE:
		key.module = location->module;
		break;
	case VIEW_BY_FILE:
		key.file = location->file;
		key.path = location->path;
		break;
	case VIEW_BY_THREAD:
		break;
	}
	return key;
}

static uint64_t hash_text(const char *text)
{
	return text ? hash_bytes(text, strlen(text)) : 0;
}

static uint64_t hash_key(const struct key *key)
{
	uint64_t numbers = (uint64_t)key->module << 32 | key->line;

	return hash_two(hash_two(numbers, hash_text(key->function)),
			hash_two(hash_text(key->file), hash_text(key->path)));
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_key(const struct key *a, const struct key *b)
{
	return a->module == b->module && a->line == b->line &&
	       same_text(a->function, b->function) && same_text(a->file, b->file) &&
	       same_text(a->path, b->path);
}

void grouping_init(struct grouping *grouping, const struct snapshot *snapshot,
		   enum view_group group)
{
	size_t capacity = 16, count = snapshot->location_count;
	uint32_t *slots;
	uint64_t *hashes;

	while (capacity < count * 2)
		capacity *= 2;
	slots = mem_alloc(capacity * sizeof(*slots));
	memset(slots, 0xff, capacity * sizeof(*slots));
	hashes = mem_array(count, sizeof(*hashes));
	grouping->of = mem_array(count, sizeof(*grouping->of));
	grouping->member = mem_array(count, sizeof(*grouping->member));
	grouping->count = 0;
	for (size_t i = 0; i < count; i++) {
		struct key key = key_of(&snapshot->locations[i], group);
		uint64_t hash = hash_key(&key);
		size_t slot = hash & (capacity - 1);

		for (; slots[slot] != UINT32_MAX; slot = (slot + 1) & (capacity - 1)) {
			uint32_t member = grouping->member[slots[slot]];
			struct key other;

			if (hashes[slots[slot]] != hash)
				continue;
			other = key_of(&snapshot->locations[member], group);
			if (same_key(&key, &other))
				break;
		}
		if (slots[slot] == UINT32_MAX) {
			slots[slot] = (uint32_t)grouping->count;
			hashes[grouping->count] = hash;
			grouping->member[grouping->count++] = (uint32_t)i;
		}
		grouping->of[i] = slots[slot];
	}
	free(slots);
	free(hashes);
}

void grouping_done(struct grouping *grouping)
{
	free(grouping->of);
	free(grouping->member);
	memset(grouping, 0, sizeof(*grouping));
}
