/* What sites of heap_rig.h are to have counted, each of which a child has run TIMES times. */
#ifndef RSPROF_TESTS_UNIT_HEAP_SITES_H
#define RSPROF_TESTS_UNIT_HEAP_SITES_H

#include <inttypes.h>

#include "tests/unit/heap_rig.h"

enum { TIMES = 100 };

/* Counts of one time, in calls and bytes. */
static inline void heap_check_site(struct heap_rig *heap, const char *name, const void *site,
				   const struct bpf_heap_site *once)
{
	static const char *const fields[] = {
		"allocs",	   "alloc_bytes", "frees",    "free_bytes",   "untracked",
		"untracked_bytes", "temporary",	  "reallocs", "growth_bytes", "estimated"};
	static const bool is_calls[] = {1, 0, 1, 0, 1, 0, 1, 1, 0, 1};
	struct bpf_heap_site sum = heap_rig_sum(heap, site);
	const __u64 *got = (const __u64 *)&sum, *want = (const __u64 *)once;

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		uint64_t wanted = want[i] * TIMES * (is_calls[i] ? HEAP_ONE : 1);

		if (got[i] != wanted)
			FAIL("%s of %s is %" PRIu64 ", not %" PRIu64, fields[i], name,
			     (uint64_t)got[i], wanted);
	}
}

#define CHECK_SITE(site, ...)                                                                      \
	heap_check_site(heap, #site, (const void *)site, &(const struct bpf_heap_site){__VA_ARGS__})

static inline void heap_check_stacks(struct heap_rig *heap)
{
	bpf_heap_site_rows rows = {0};

	bpf_read_heap_sites(&heap->loaded, &rows);
	for (size_t i = 0; i < rows.count; i++) {
		const struct bpf_sample *stack;

		if (rows.items[i].key < HEAP_SITES_FIRST) {
			CHECK_EQ_U64(rows.items[i].site.allocs, 0);
			continue;
		}
		stack = heap_rig_stack(&heap->rig, rows.items[i].key);
		CHECK(stack);
		CHECK_EQ_U64(stack->end, WALK_COMPLETE);
		rig_check_rooted(stack->pcs, stack->pc_count);
	}
	vec_done(&rows);
	CHECK_EQ_U64(heap->rig.control->heap_stacks_lost, 0);
	CHECK_EQ_U64(heap->rig.control->heap_sites_full, 0);
	CHECK_EQ_U64(heap->rig.control->heap_blocks_full, 0);
	CHECK_EQ_U64(heap->rig.control->heap_calls_missed, 0);
}

#endif
