/* A heap for tests of the store: what a made-up program does to its blocks, and whether a snapshot
 * and the tables tell the same. */
#ifndef RSPROF_TESTS_UNIT_STORE_HEAP_H
#define RSPROF_TESTS_UNIT_STORE_HEAP_H

#include "tests/unit/store_maker.h"

enum { STACKS = 8, SECOND_MS = 1000 };

static inline void append(struct maker *maker, const char *path)
{
	struct store_recording recording = maker_recording();
	struct err err = {0};

	maker_init(maker);
	if (store_append(path, &recording, &maker->store, &err) < 0)
		FAIL("store_append: %s", err.sentence);
}

/* Always the same ones, in the same order: their ids are 1 to STACKS in every recording. */
static inline void make_stacks(struct maker *maker)
{
	module_id app = maker_module(maker, "/usr/bin/burn", 0xab);

	for (uint64_t i = 1; i <= STACKS; i++) {
		stack_id id = maker_stack(maker, app, STACK_COMPLETE, 2,
					  (const uint64_t[]){0x1000 * i, 0x100});

		CHECK_EQ_U64(id.v, i);
	}
}

static inline struct heap_counts allocs(uint64_t blocks, uint64_t bytes)
{
	return (struct heap_counts){.allocs = blocks, .alloc_bytes = bytes};
}

static inline struct heap_counts frees(uint64_t blocks, uint64_t bytes)
{
	return (struct heap_counts){.frees = blocks, .free_bytes = bytes};
}

/* Blocks of a byte. */
static inline struct heap_counts churn(uint64_t new, uint64_t gone)
{
	return (struct heap_counts){
		.allocs = new, .alloc_bytes = new, .frees = gone, .free_bytes = gone};
}

/* What a program does to blocks of 16 bytes, 32 bytes … for stack 1, 2 … */
static inline void random_heap(struct maker *maker)
{
	for (uint32_t stack = 1; stack <= STACKS; stack++) {
		uint64_t size = 16 * stack, live = 0;
		struct heap_counts counts = {0};

		if (!maker_random(maker, 3))
			continue;
		if (stack < maker->heap_totals.count)
			live = heap_live_blocks(&maker->heap_totals.items[stack]);
		counts.allocs = maker_random(maker, 100);
		counts.untracked =
			maker_random(maker, 4) ? 0 : maker_random(maker, counts.allocs + 1);
		counts.frees = maker_random(maker, live + counts.allocs - counts.untracked + 1);
		counts.alloc_bytes = counts.allocs * size;
		counts.free_bytes = counts.frees * size;
		counts.untracked_bytes = counts.untracked * size;
		counts.temporary = maker_random(maker, counts.frees + 1);
		counts.reallocs = maker_random(maker, counts.allocs + 1);
		counts.growth_bytes = counts.reallocs * maker_random(maker, size);
		counts.estimated = maker_random(maker, 9) ? 0 : counts.allocs;
		maker_heap(maker, (stack_id){stack}, counts);
	}
	maker->heap.is_counted = true;
	maker->heap.unknown_frees += maker_random(maker, 3);
	maker->heap.mmap_count += maker_random(maker, 3);
	maker->heap.brk_bytes += (int64_t)maker_random(maker, 9) - 4;
	maker->heap.hits += maker_random(maker, 1000);
	maker->heap.cost_ns = maker->heap.hits * 700;
}

/* Many checkpoints in few transactions. */
static inline void record_random(struct maker *maker, uint32_t checkpoints)
{
	enum { BATCH = 100 };
	struct delta *deltas[BATCH];
	struct err err = {0};

	for (uint32_t done = 0; done < checkpoints;) {
		size_t count = 0;

		for (; count < BATCH && done < checkpoints; done++) {
			random_heap(maker);
			deltas[count++] = maker_delta(maker, (maker->checkpoint + 1) * SECOND_MS);
		}
		if (store_commit(maker->store, deltas, count, NULL, &err) < 0)
			FAIL("store_commit: %s", err.sentence);
		for (size_t i = 0; i < count; i++)
			delta_release(deltas[i]);
	}
}

static inline void check_counts(const struct heap_counts *got, const struct heap_counts *want,
				size_t poll, size_t stack)
{
	if (memcmp(got, want, sizeof(*want)))
		FAIL("poll %zu, stack %zu: %" PRIu64 " allocations, not %" PRIu64, poll, stack,
		     got->allocs, want->allocs);
}

static inline void check_live(const struct snapshot_heap_poll *poll, const struct heap_counts *sums)
{
	uint64_t bytes = 0, blocks = 0;

	for (size_t stack = 0; stack < STACKS; stack++) {
		bytes += heap_live_bytes(&sums[stack]);
		blocks += heap_live_blocks(&sums[stack]);
	}
	CHECK(poll->state.is_counted || !bytes);
	CHECK_EQ_U64(poll->state.live_bytes, bytes);
	CHECK_EQ_U64(poll->state.live_blocks, blocks);
}

/* Each poll has what the rows made between the one before and it, from recorded time begin_ms on.
 */
static inline void check_polls(const struct snapshot *snapshot, const struct maker *maker,
			       uint64_t begin_ms)
{
	struct heap_counts sums[STACKS] = {0};
	size_t row = 0, made = 0;

	for (size_t poll = 0; poll < snapshot->heap_poll_count; poll++) {
		uint64_t end = snapshot->heap_polls[poll].time_ns / MS - begin_ms;
		struct heap_counts want[STACKS] = {0}, got[STACKS] = {0};
		uint32_t last = SNAPSHOT_NONE;

		for (; made < maker->all_heap.count &&
		       maker->all_heap.items[made].checkpoint * SECOND_MS <= end;
		     made++) {
			const struct delta_heap_row *one = &maker->all_heap.items[made].row;

			heap_counts_add(&want[one->stack.v - 1], &one->counts);
			heap_counts_add(&sums[one->stack.v - 1], &one->counts);
		}
		for (; row < snapshot->heap_row_count && snapshot->heap_rows[row].poll == poll;
		     row++) {
			const struct snapshot_heap_row *one = &snapshot->heap_rows[row];

			CHECK(one->stack < STACKS);
			CHECK(last == SNAPSHOT_NONE || one->stack > last);
			last = one->stack;
			got[one->stack] = one->counts;
		}
		for (size_t stack = 0; stack < STACKS; stack++)
			check_counts(&got[stack], &want[stack], poll, stack);
		check_live(&snapshot->heap_polls[poll], sums);
	}
	CHECK_EQ_U64(row, snapshot->heap_row_count);
}

static inline struct snapshot *read_seconds(const char *path, uint32_t first, uint32_t last)
{
	return read_snapshot(
		path, (struct store_window){(first - 1) * SECOND_MS * MS, last * SECOND_MS * MS});
}

/* Of each span and each stack, all columns. */
static const char rollup_differences[] =
	"SELECT COUNT(*) FROM (SELECT s.id, c.stack_id, SUM(allocs), SUM(alloc_bytes), SUM(frees), "
	"SUM(free_bytes), SUM(untracked), SUM(untracked_bytes), SUM(temporary), SUM(reallocs), "
	"SUM(growth_bytes), SUM(estimated) FROM rollup_spans s JOIN heap_changes c ON "
	"c.checkpoint_id BETWEEN s.first_checkpoint_id AND s.last_checkpoint_id "
	"GROUP BY s.id, c.stack_id EXCEPT SELECT * FROM heap_rollups)";
/* The totals of the file, and what is live of the last recording. */
static const char stack_differences[] =
	"SELECT COUNT(*) FROM (SELECT stack_id, SUM(allocs), SUM(alloc_bytes), SUM(frees), "
	"SUM(free_bytes), SUM(untracked), SUM(untracked_bytes), SUM(temporary), SUM(reallocs), "
	"SUM(growth_bytes), SUM(estimated) FROM heap_changes GROUP BY stack_id EXCEPT SELECT "
	"stack_id, total_allocs, total_alloc_bytes, total_frees, total_free_bytes, untracked, "
	"untracked_bytes, temporary, reallocs, growth_bytes, estimated FROM heap_stacks)";
static const char live_differences[] =
	"SELECT COUNT(*) FROM (SELECT stack_id, SUM(alloc_bytes - free_bytes - untracked_bytes), "
	"SUM(allocs - frees - untracked) FROM heap_changes h JOIN checkpoints c ON c.id = "
	"h.checkpoint_id WHERE c.recording_id = (SELECT MAX(id) FROM recordings) GROUP BY stack_id "
	"EXCEPT SELECT stack_id, live_bytes, live_blocks FROM heap_stacks)";

static inline void check_tables_agree(const char *path)
{
	CHECK_EQ_STR(plain_sqlite(path, rollup_differences), "0\n");
	CHECK_EQ_STR(plain_sqlite(path, stack_differences), "0\n");
	CHECK_EQ_STR(plain_sqlite(path, live_differences), "0\n");
	CHECK_EQ_STR(plain_sqlite(path,
				  "SELECT SUM(live_bytes) - (SELECT live_bytes FROM "
				  "heap_checkpoints ORDER BY checkpoint_id DESC LIMIT 1) FROM "
				  "heap_stacks"),
		     "0\n");
}

#endif
