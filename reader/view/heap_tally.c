#include "reader/view/heap_tally.h"

#include <string.h>

#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/vec.h"
#include "reader/view/number.h"

/* As heap_counts_add, but saturating. */
static void counts_add(struct heap_counts *counts, const struct heap_counts *more)
{
	number_add(&counts->allocs, more->allocs);
	number_add(&counts->alloc_bytes, more->alloc_bytes);
	number_add(&counts->frees, more->frees);
	number_add(&counts->free_bytes, more->free_bytes);
	number_add(&counts->untracked, more->untracked);
	number_add(&counts->untracked_bytes, more->untracked_bytes);
	number_add(&counts->temporary, more->temporary);
	number_add(&counts->reallocs, more->reallocs);
	number_add(&counts->growth_bytes, more->growth_bytes);
	number_add(&counts->estimated, more->estimated);
}

static uint32_t stack_index(const struct snapshot *snapshot, const struct snapshot_heap_row *row)
{
	return row->stack < snapshot->stack_count ? row->stack : (uint32_t)snapshot->stack_count;
}

struct heap_stack *heap_stacks_new(const struct snapshot *snapshot)
{
	struct heap_stack *stacks = mem_array(snapshot->stack_count + 1, sizeof(*stacks));

	for (size_t i = 0; i < snapshot->heap_row_count; i++) {
		const struct snapshot_heap_row *row = &snapshot->heap_rows[i];
		struct heap_stack *stack = &stacks[stack_index(snapshot, row)];

		if (row->poll >= snapshot->heap_poll_count)
			continue;
		counts_add(&stack->held, &row->counts);
		if (row->poll)
			counts_add(&stack->totals, &row->counts);
	}
	return stacks;
}

bool heap_stack_is_used(const struct heap_stack *stack)
{
	static const struct heap_counts nothing;

	return memcmp(&stack->held, &nothing, sizeof(nothing)) != 0;
}

void heap_tally_add(struct heap_tally *tally, const struct heap_stack *stack)
{
	const struct heap_counts *totals = &stack->totals;
	uint64_t bytes = heap_live_bytes(&stack->held), blocks = heap_live_blocks(&stack->held);

	number_add(&tally->live_bytes, bytes);
	number_add(&tally->live_blocks, blocks);
	counts_add(&tally->totals, totals);
	number_add(&tally->untracked, stack->held.untracked);
	/* An estimate that was all gone before the window is in no number of it. */
	if (bytes || blocks || totals->allocs || totals->frees)
		number_add(&tally->estimated, stack->held.estimated);
}

/* Of a group, while its stacks' numbers are played back. */
struct held {
	/* The sum of what its stacks hold, each never negative: room for 2^32 of them. */
	unsigned __int128 live;
	bool is_touched; /* in this poll */
};

struct replay {
	const struct snapshot *snapshot;
	struct heap_tally *groups, *whole;
	struct held *held; /* by group */
	unsigned __int128 live;
	VEC(uint32_t) touched; /* groups whose numbers changed in this poll */
};

static void look(struct heap_tally *tally, unsigned __int128 live, uint64_t time_ns)
{
	uint64_t bytes = live < UINT64_MAX ? (uint64_t)live : UINT64_MAX;

	if (bytes <= tally->peak_bytes)
		return;
	tally->peak_bytes = bytes;
	tally->peak_ns = time_ns;
}

static void end_poll(struct replay *replay, uint32_t poll)
{
	uint64_t time_ns = replay->snapshot->heap_polls[poll].time_ns;

	for (size_t i = 0; i < replay->touched.count; i++) {
		uint32_t group = replay->touched.items[i];

		look(&replay->groups[group], replay->held[group].live, time_ns);
		replay->held[group].is_touched = false;
	}
	look(replay->whole, replay->live, time_ns);
	vec_clear(&replay->touched);
}

void heap_tally_peaks(const struct snapshot *snapshot, const uint32_t *group_of, size_t group_count,
		      struct heap_tally *groups, struct heap_tally *whole)
{
	OWN(own_free)
	struct heap_counts *sums = mem_array(snapshot->stack_count + 1, sizeof(*sums));
	OWN(own_free) struct held *held = mem_array(group_count, sizeof(*held));
	struct replay replay = {
		.snapshot = snapshot, .groups = groups, .whole = whole, .held = held};
	uint32_t poll = 0;

	for (size_t i = 0; i < snapshot->heap_row_count; i++) {
		const struct snapshot_heap_row *row = &snapshot->heap_rows[i];
		uint32_t stack = stack_index(snapshot, row), group = group_of[stack];
		uint64_t before = heap_live_bytes(&sums[stack]), after;

		if (row->poll >= snapshot->heap_poll_count)
			continue;
		/* Polls out of their order are of the latest. */
		if (row->poll > poll) {
			end_poll(&replay, poll);
			poll = row->poll;
		}
		counts_add(&sums[stack], &row->counts);
		after = heap_live_bytes(&sums[stack]);
		held[group].live += after;
		held[group].live -= before;
		replay.live += after;
		replay.live -= before;
		if (!held[group].is_touched)
			*vec_add(&replay.touched) = group;
		held[group].is_touched = true;
	}
	if (snapshot->heap_poll_count)
		end_poll(&replay, poll);
	vec_done(&replay.touched);
}
