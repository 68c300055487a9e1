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

static uint32_t stack_index(const struct snapshot *snapshot, uint32_t stack)
{
	return stack < snapshot->stack_count ? stack : (uint32_t)snapshot->stack_count;
}

struct heap_stack *heap_stacks_new(const struct snapshot *snapshot)
{
	struct heap_stack *stacks = mem_array(snapshot->stack_count + 1, sizeof(*stacks));

	for (size_t i = 0; i < snapshot->heap_row_count; i++) {
		const struct snapshot_heap_row *row = &snapshot->heap_rows[i];
		struct heap_stack *stack = &stacks[stack_index(snapshot, row->stack)];

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
	unsigned __int128 moved; /* of live: by stacks with a row in this poll */
	bool is_touched;	 /* in this poll */
};

struct replay {
	const struct snapshot *snapshot;
	const uint32_t *group_of;
	struct heap_tally *groups, *whole;
	struct heap_counts *sums; /* by stack */
	uint32_t *moved_in;	  /* by stack: the last poll with a row of it */
	struct held *held;	  /* by group */
	unsigned __int128 live, moved;
	uint32_t poll;
	size_t peak;	       /* the next of the snapshot's */
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

/* What a stack held at most since the poll before. What the group's others held just then is known
 * of those alone that did not change meanwhile. */
static void look_at_peak(struct replay *replay, const struct snapshot_heap_peak *peak,
			 uint64_t time_ns)
{
	uint32_t stack = stack_index(replay->snapshot, peak->stack), group;
	unsigned __int128 own = 0;

	group = replay->group_of[stack];
	if (replay->moved_in[stack] != replay->poll)
		own = heap_live_bytes(&replay->sums[stack]);
	look(&replay->groups[group],
	     replay->held[group].live - replay->held[group].moved - own + peak->bytes, time_ns);
	look(replay->whole, replay->live - replay->moved - own + peak->bytes, time_ns);
}

static void look_at_peaks(struct replay *replay, uint64_t time_ns)
{
	const struct snapshot *snapshot = replay->snapshot;

	for (; replay->peak < snapshot->heap_peak_count; replay->peak++) {
		const struct snapshot_heap_peak *peak = &snapshot->heap_peaks[replay->peak];

		if (peak->poll > replay->poll)
			return;
		if (peak->poll == replay->poll)
			look_at_peak(replay, peak, time_ns);
	}
}

static void end_poll(struct replay *replay)
{
	uint64_t time_ns = replay->snapshot->heap_polls[replay->poll].time_ns;

	look_at_peaks(replay, time_ns);
	for (size_t i = 0; i < replay->touched.count; i++) {
		uint32_t group = replay->touched.items[i];

		look(&replay->groups[group], replay->held[group].live, time_ns);
		replay->held[group].is_touched = false;
		replay->held[group].moved = 0;
	}
	look(replay->whole, replay->live, time_ns);
	replay->moved = 0;
	replay->poll++;
	vec_clear(&replay->touched);
}

static void move(struct replay *replay, const struct snapshot_heap_row *row)
{
	uint32_t stack = stack_index(replay->snapshot, row->stack);
	uint32_t group = replay->group_of[stack];
	struct held *held = &replay->held[group];
	uint64_t before = heap_live_bytes(&replay->sums[stack]), after;
	bool has_moved = replay->moved_in[stack] == replay->poll;

	counts_add(&replay->sums[stack], &row->counts);
	after = heap_live_bytes(&replay->sums[stack]);
	held->live += after;
	held->live -= before;
	replay->live += after;
	replay->live -= before;
	held->moved += after - (unsigned __int128)(has_moved ? before : 0);
	replay->moved += after - (unsigned __int128)(has_moved ? before : 0);
	replay->moved_in[stack] = replay->poll;
	if (!held->is_touched)
		*vec_add(&replay->touched) = group;
	held->is_touched = true;
}

void heap_tally_peaks(const struct snapshot *snapshot, const uint32_t *group_of, size_t group_count,
		      struct heap_tally *groups, struct heap_tally *whole)
{
	OWN(own_free)
	struct heap_counts *sums = mem_array(snapshot->stack_count + 1, sizeof(*sums));
	OWN(own_free)
	uint32_t *moved_in = mem_array(snapshot->stack_count + 1, sizeof(*moved_in));
	OWN(own_free) struct held *held = mem_array(group_count, sizeof(*held));
	struct replay replay = {.snapshot = snapshot,
				.group_of = group_of,
				.groups = groups,
				.whole = whole,
				.sums = sums,
				.moved_in = moved_in,
				.held = held};

	for (size_t i = 0; i < snapshot->heap_row_count; i++) {
		const struct snapshot_heap_row *row = &snapshot->heap_rows[i];

		if (row->poll >= snapshot->heap_poll_count)
			continue;
		/* Polls out of their order are of the latest. */
		while (row->poll > replay.poll)
			end_poll(&replay);
		move(&replay, row);
	}
	while (replay.poll < snapshot->heap_poll_count)
		end_poll(&replay);
	vec_done(&replay.touched);
}
