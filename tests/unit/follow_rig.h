/* A follow and a file that grows under it: whether it tells what reading anew tells, and whether
 * what happened when adds up to that. */
#ifndef RSPROF_TESTS_UNIT_FOLLOW_RIG_H
#define RSPROF_TESTS_UNIT_FOLLOW_RIG_H

#include "reader/store/follow.h"
#include "tests/unit/snapshot_same.h"
#include "tests/unit/store_heap.h"

static const struct store_window whole = {0, UINT64_MAX};

static inline struct store_follow *open_follow(const char *path)
{
	struct store_follow *follow;
	struct err err = {0};

	if (store_follow_open(path, &follow, &err) < 0)
		FAIL("store_follow_open: %s", err.sentence);
	return follow;
}

static inline bool update(struct store_follow *follow)
{
	struct err err = {0};
	bool is_changed;

	if (store_follow_update(follow, &is_changed, &err) < 0)
		FAIL("store_follow_update: %s", err.sentence);
	return is_changed;
}

static inline struct snapshot *take(struct store_follow *follow, struct store_window window)
{
	struct snapshot *snapshot;
	struct err err = {0};

	if (store_follow_snapshot(follow, window, &snapshot, &err) < 0)
		FAIL("store_follow_snapshot: %s", err.sentence);
	return snapshot;
}

static inline struct timeline *timeline_of(struct store_follow *follow, struct store_window window,
					   size_t bucket_max)
{
	struct timeline *timeline;
	struct err err = {0};

	if (store_follow_timeline(follow, window, bucket_max, &timeline, &err) < 0)
		FAIL("store_follow_timeline: %s", err.sentence);
	return timeline;
}

/* Rows of the timeline are those of the snapshot of the same window, and so is what is live. */
static inline void check_adds_up(struct store_follow *follow, struct store_window window,
				 size_t bucket_max)
{
	struct snapshot *snapshot = take(follow, window);
	struct timeline *timeline = timeline_of(follow, window, bucket_max);
	uint64_t *counts = mem_array(snapshot->stack_count + 1, sizeof(*counts));
	uint64_t *values = mem_array(snapshot->stack_count + 1, sizeof(*values));
	struct heap_counts *held = mem_array(snapshot->stack_count + 1, sizeof(*held));
	uint64_t *live = mem_array(snapshot->stack_count + 1, sizeof(*live));
	uint32_t last = 0;

	CHECK(timeline->bucket_count <= bucket_max);
	CHECK((timeline->bucket_count > 0) == (snapshot->checkpoint_count > 0));
	for (size_t i = 0; i < snapshot->row_count; i++) {
		counts[snapshot->rows[i].stack] += snapshot->rows[i].count;
		values[snapshot->rows[i].stack] += snapshot->rows[i].value;
	}
	for (size_t i = 0; i < timeline->row_count; i++) {
		const struct timeline_row *row = &timeline->rows[i];

		CHECK(row->bucket >= last && row->bucket < timeline->bucket_count);
		last = row->bucket;
		CHECK(row->event < snapshot->event_count && row->thread < snapshot->thread_count);
		counts[row->stack] -= row->count;
		values[row->stack] -= row->value;
	}
	for (size_t i = 0; i < snapshot->heap_row_count; i++)
		heap_counts_add(&held[snapshot->heap_rows[i].stack],
				&snapshot->heap_rows[i].counts);
	for (size_t i = 0; i < timeline->held_count; i++)
		live[timeline->held[i].stack] += timeline->held[i].live_bytes;
	for (size_t i = 0; i < timeline->heap_row_count; i++)
		live[timeline->heap_rows[i].stack] += (uint64_t)timeline->heap_rows[i].live_bytes;
	for (size_t i = 0; i < snapshot->stack_count; i++) {
		CHECK_EQ_U64(counts[i], 0);
		CHECK_EQ_U64(values[i], 0);
		CHECK_EQ_U64(live[i], heap_live_bytes(&held[i]));
	}
	for (size_t i = 1; i < timeline->bucket_count; i++)
		CHECK(timeline->buckets[i].end_ns >= timeline->buckets[i - 1].end_ns);
	if (snapshot->heap_poll_count) {
		const struct timeline_bucket *bucket =
			&timeline->buckets[timeline->bucket_count - 1];
		const struct snapshot_heap_poll *poll =
			&snapshot->heap_polls[snapshot->heap_poll_count - 1];

		CHECK_EQ_U64(bucket->end_ns, poll->time_ns);
		CHECK_EQ_U64(bucket->rss_bytes, poll->rss_bytes);
		CHECK_EQ_U64(bucket->heap_live_bytes, poll->state.live_bytes);
	}
	free(counts);
	free(values);
	free(held);
	free(live);
	timeline_free(timeline);
	snapshot_free(snapshot);
}

static inline void check_window(struct store_follow *follow, const char *path,
				struct store_window window)
{
	struct snapshot *followed = take(follow, window), *fresh = read_snapshot(path, window);

	check_same_snapshot(followed, fresh);
	snapshot_free(followed);
	snapshot_free(fresh);
}

static inline void check_all(struct store_follow *follow, const char *path, uint64_t seconds)
{
	const struct store_window windows[] = {
		whole,
		{0, seconds * 1000 * MS / 2},
		{seconds * 1000 * MS / 3, seconds * 1000 * MS},
		{seconds * 1000 * MS / 2, UINT64_MAX},
		{seconds * 3000 * MS, seconds * 4000 * MS},
	};

	for (size_t i = 0; i < sizeof(windows) / sizeof(*windows); i++) {
		check_window(follow, path, windows[i]);
		check_adds_up(follow, windows[i], 12);
	}
	check_adds_up(follow, store_follow_tail(follow, whole, 3), 12);
}

/* A recording whose frames are named a while after they are met, and whose stacks are charged later
 * still. */
struct growing {
	struct maker maker;
	module_id app, libc;
	thread_id threads[4];
	stack_id stacks[400];
	uint64_t vaddrs[400];
	size_t thread_count, stack_count, named, charged;
};

static inline void grow_names(struct growing *growing)
{
	struct maker *maker = &growing->maker;
	static const char *const internal = "core::iter::next";

	while (growing->named + 5 < growing->stack_count) {
		uint64_t vaddr = growing->vaddrs[growing->named++];
		char *name = arena_printf(&maker->arena, "function%d", (int)(vaddr % 97));
		struct source_line line = {name, "src/main.rs", vaddr % 2 ? "/src/main.rs" : NULL,
					   (uint32_t)(vaddr % 50)};
		struct source_line inner = {internal, "core/src/iter.rs", NULL, 7};

		/* Some never are. */
		if (growing->named % 13 == 0)
			continue;
		if (growing->named % 5 == 0)
			maker_resolve(maker, vaddr, inner, &line);
		else
			maker_resolve(maker, vaddr, line, NULL);
	}
	while (growing->charged + 10 < growing->stack_count) {
		size_t i = growing->charged++;

		if ((i + 1) % 13)
			maker_charge(maker, growing->stacks[i], growing->vaddrs[i],
				     (i + 1) % 5 == 0, STACK_COMPLETE);
	}
}

static inline void grow(struct growing *growing)
{
	struct maker *maker = &growing->maker;

	if (growing->thread_count < 4 && maker->checkpoint % 3 == 0) {
		char *comm = arena_printf(&maker->arena, "worker%zu", growing->thread_count);

		growing->threads[growing->thread_count] =
			maker_thread(maker, 4711 + (uint32_t)growing->thread_count, comm);
		growing->thread_count++;
	}
	for (int i = 0; i < 4 && growing->stack_count < 400; i++) {
		size_t index = growing->stack_count++;
		uint64_t frames[3] = {0x1000 + 16 * index, 0x100 + 16 * (index / 7), 0x10};
		size_t depth = index % 40 == 17 ? 0 : 1 + index % 3;

		growing->vaddrs[index] = frames[0];
		growing->stacks[index] = maker_stack(
			maker, index % 3 ? growing->app : growing->libc,
			depth ? (index % 2 ? STACK_COMPLETE : STACK_FRAME_POINTERS) : STACK_EMPTY,
			depth, frames);
	}
	for (int i = 0; i < 30; i++) {
		stack_id stack = growing->stacks[maker_random(maker, growing->stack_count)];
		thread_id thread = growing->threads[maker_random(maker, growing->thread_count)];
		bool is_there = false;

		for (size_t row = 0; row < maker->rows.count; row++)
			is_there |= maker->rows.items[row].stack.v == stack.v &&
				    maker->rows.items[row].thread.v == thread.v;
		if (!is_there)
			maker_row(maker, i % 2, thread, stack, 1 + maker_random(maker, 9), 1,
				  maker_random(maker, 1000));
	}
	for (size_t i = 0; i < 5; i++) {
		stack_id stack = growing->stacks[i * growing->stack_count / 5];
		uint64_t live = 0, gone;

		if (stack.v < maker->heap_totals.count)
			live = heap_live_blocks(&maker->heap_totals.items[stack.v]);
		gone = maker_random(maker, live + 1);
		maker_heap(maker, stack, churn(1 + maker_random(maker, 50), gone));
	}
	maker->losses.count[LOSS_RING_FULL] += maker_random(maker, 2);
	grow_names(growing);
	maker_commit(maker, (maker->checkpoint + 1) * SECOND_MS);
}

static inline void begin(struct growing *growing)
{
	growing->app = maker_module(&growing->maker, "/usr/bin/burn", 0xab);
	growing->libc = maker_module(&growing->maker, "/usr/lib/libc.so.6", 0xcd);
}

#endif
