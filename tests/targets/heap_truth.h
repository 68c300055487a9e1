/* What a program knows of its own heap, site by site: a site is the line that allocates. It counts
 * as rsprof does: a realloc that succeeds frees the old block and allocates the whole new one; a
 * block is temporary if the thread that allocated it frees it before it allocates again. */
#ifndef RSPROF_TESTS_HEAP_TRUTH_H
#define RSPROF_TESTS_HEAP_TRUTH_H

#include "tests/targets/target.h"

struct site {
	const char *name;
	uint64_t allocs, alloc_bytes, frees, free_bytes, temporary, reallocs, growth_bytes;
};

/* The block that this thread allocated last, while nobody has freed it. */
static _Thread_local const void *last_block;

/* Keeps an allocation that nobody looks at: compilers leave out pairs of malloc and free. */
#define ESCAPE(pointer) __asm__ volatile("" : "+r"(pointer) : : "memory")

static inline void note_alloc(struct site *site, const void *block, size_t size)
{
	if (!block)
		return;
	site->allocs++;
	site->alloc_bytes += size;
	last_block = block;
}

/* Before the block is freed. */
static inline void note_free(struct site *site, const void *block, size_t size)
{
	if (!block)
		return;
	site->frees++;
	site->free_bytes += size;
	if (block == last_block) {
		site->temporary++;
		last_block = NULL;
	}
}

/* After it: old is only compared. */
static inline void note_realloc(struct site *old_site, size_t old_size, struct site *site,
				const void *block, size_t size)
{
	if (!block)
		return;
	old_site->frees++;
	old_site->free_bytes += old_size;
	note_alloc(site, block, size);
	site->reallocs++;
	if (size > old_size)
		site->growth_bytes += size - old_size;
}

/* "site NAME": a test asks for these by the name. */
static inline void print_site(const struct site *site)
{
	printf("site %s\n", site->name);
	printf("%s.total_allocs %" PRIu64 "\n%s.total_alloc_bytes %" PRIu64 "\n", site->name,
	       site->allocs, site->name, site->alloc_bytes);
	printf("%s.total_frees %" PRIu64 "\n%s.total_free_bytes %" PRIu64 "\n", site->name,
	       site->frees, site->name, site->free_bytes);
	printf("%s.bytes %" PRIu64 "\n%s.blocks %" PRIu64 "\n", site->name,
	       site->alloc_bytes - site->free_bytes, site->name, site->allocs - site->frees);
	printf("%s.temporary %" PRIu64 "\n%s.reallocs %" PRIu64 "\n%s.growth_bytes %" PRIu64 "\n",
	       site->name, site->temporary, site->name, site->reallocs, site->name,
	       site->growth_bytes);
}

#endif
