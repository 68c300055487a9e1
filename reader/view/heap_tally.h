/* What stacks did to the heap in the window, and what groups of them held. A damaged file can hold
 * any numbers: sums stay at the largest value, what is live is never negative, and rows of polls
 * that do not exist are left out. */
#ifndef RSPROF_VIEW_HEAP_TALLY_H
#define RSPROF_VIEW_HEAP_TALLY_H

#include "reader/core/heap.h"
#include "reader/core/snapshot.h"

struct heap_stack {
	struct heap_counts totals; /* of the window */
	struct heap_counts held;   /* of it and of all before it */
};

struct heap_tally {
	uint64_t live_bytes, live_blocks;
	uint64_t peak_bytes, peak_ns; /* the first time that it was so high; recorded time */
	struct heap_counts totals;
	/* Of allocations before the window too: all, and those whose numbers are in what is live or
	 * in totals. */
	uint64_t untracked, estimated;
};

/* By stack; the last, at stack_count, is of rows whose stack does not exist. To be freed. */
struct heap_stack *heap_stacks_new(const struct snapshot *snapshot);
/* Has it any number, be it of before the window? */
bool heap_stack_is_used(const struct heap_stack *stack);

/* All but the peaks. */
void heap_tally_add(struct heap_tally *tally, const struct heap_stack *stack);
/* Writes the peaks of groups and of the whole: never more than they were. group_of is by stack,
 * stack_count included. */
void heap_tally_peaks(const struct snapshot *snapshot, const uint32_t *group_of, size_t group_count,
		      struct heap_tally *groups, struct heap_tally *whole);

#endif
