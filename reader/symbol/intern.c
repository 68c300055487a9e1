#include "reader/symbol/intern.h"

#include <string.h>

const char *intern(struct intern *table, const char *text)
{
	uint64_t hash = hash_bytes(text, strlen(text));
	const char *copy;
	uint32_t index;

	/* Two texts of one hash take neighbouring keys. */
	while ((index = u64_map_get(&table->by_hash, hash)) != UINT32_MAX) {
		if (strcmp(table->strings.items[index], text) == 0)
			return table->strings.items[index];
		hash++;
	}
	copy = arena_strdup(&table->arena, text);
	u64_map_put(&table->by_hash, hash, (uint32_t)table->strings.count);
	*vec_add(&table->strings) = copy;
	return copy;
}

void intern_done(struct intern *table)
{
	arena_done(&table->arena);
	u64_map_done(&table->by_hash);
	vec_done(&table->strings);
}
