#include "reader/core/heap.h"

#include <string.h>

const char *const heap_mode_names[HEAP_MODES] = {
	[HEAP_MODE_OFF] = "off",	 [HEAP_MODE_EXACT] = "exact",
	[HEAP_MODE_SAMPLED] = "sampled", [HEAP_MODE_ALLOCS] = "allocations only",
	[HEAP_MODE_TRACE] = "trace",
};

enum heap_mode heap_mode_by_name(const char *name)
{
	int mode = 0;

	while (mode < HEAP_MODES && strcmp(heap_mode_names[mode], name))
		mode++;
	return mode;
}

enum heap_mode heap_mode_by_step(const char *words)
{
	static const char separator[] = ", ";
	const char *name = strstr(words, separator);

	return heap_mode_by_name(name ? name + strlen(separator) : words);
}

bool heap_mode_sees_frees(enum heap_mode mode)
{
	return mode == HEAP_MODE_EXACT || mode == HEAP_MODE_SAMPLED || mode == HEAP_MODE_TRACE;
}

void heap_counts_add(struct heap_counts *counts, const struct heap_counts *more)
{
	counts->allocs += more->allocs;
	counts->alloc_bytes += more->alloc_bytes;
	counts->frees += more->frees;
	counts->free_bytes += more->free_bytes;
	counts->untracked += more->untracked;
	counts->untracked_bytes += more->untracked_bytes;
	counts->temporary += more->temporary;
	counts->reallocs += more->reallocs;
	counts->growth_bytes += more->growth_bytes;
	counts->estimated += more->estimated;
}

static uint64_t rest(uint64_t all, uint64_t gone, uint64_t unknown)
{
	return gone < all && unknown < all - gone ? all - gone - unknown : 0;
}

uint64_t heap_live_bytes(const struct heap_counts *counts)
{
	return rest(counts->alloc_bytes, counts->free_bytes, counts->untracked_bytes);
}

uint64_t heap_live_blocks(const struct heap_counts *counts)
{
	return rest(counts->allocs, counts->frees, counts->untracked);
}
