#include <errno.h>

#include "reader/core/aggregate.h"
#include "reader/core/heap_aggregate.h"
#include "reader/core/stack_table.h"
#include "reader/core/thread_table.h"
#include "reader/record/delta_merge.h"
#include "tests/lib/kit.h"

static stack_id intern(struct stack_table *table, const uint64_t *vaddrs, size_t count,
		       enum stack_status status)
{
	struct place places[64];
	stack_id id = {0};

	for (size_t i = 0; i < count; i++)
		places[i] = (struct place){{1}, vaddrs[i]};
	CHECK_EQ_I64(stack_table_intern(table, places, count, status, &id), 0);
	return id;
}

TEST(stacks_share_their_outer_frames)
{
	struct stack_table *table = stack_table_new();
	const uint64_t a[] = {0x30, 0x20, 0x10}, b[] = {0x40, 0x20, 0x10};
	stack_id first = intern(table, a, 3, STACK_COMPLETE);
	stack_id second = intern(table, b, 3, STACK_COMPLETE);
	node_id node;

	CHECK(first.v != second.v);
	CHECK_EQ_U64(intern(table, a, 3, STACK_COMPLETE).v, first.v);
	CHECK(intern(table, a, 3, STACK_BROKEN).v != first.v);
	CHECK_EQ_U64(stack_table_frame_count(table), 4);
	CHECK_EQ_U64(stack_table_node_count(table), 4);
	CHECK_EQ_U64(stack_table_stack_count(table), 3);
	node = stack_table_stack(table, second)->node;
	CHECK_EQ_U64(stack_table_frame(table, stack_table_node(table, node)->frame)->place.vaddr,
		     0x40);
	node = stack_table_node(table, node)->parent;
	CHECK_EQ_U64(stack_table_frame(table, stack_table_node(table, node)->frame)->place.vaddr,
		     0x20);
	node = stack_table_node(table, node)->parent;
	node = stack_table_node(table, node)->parent;
	CHECK_EQ_U64(node.v, 0);
	stack_table_free(table);
}

TEST(an_empty_stack_is_a_stack)
{
	struct stack_table *table = stack_table_new();
	stack_id id = intern(table, NULL, 0, STACK_EMPTY);

	CHECK_EQ_U64(stack_table_stack(table, id)->node.v, 0);
	CHECK_EQ_U64(intern(table, NULL, 0, STACK_EMPTY).v, id.v);
	stack_table_free(table);
}

TEST(many_stacks_keep_their_ids)
{
	struct stack_table *table = stack_table_new();

	for (uint64_t round = 0; round < 2; round++) {
		for (uint64_t i = 0; i < 20000; i++) {
			uint64_t vaddrs[] = {i, i / 10, i / 100, 1};

			CHECK_EQ_U64(intern(table, vaddrs, 4, STACK_COMPLETE).v, i + 1);
		}
	}
	CHECK_EQ_U64(stack_table_frame_count(table), 20000);
	stack_table_free(table);
}

TEST(rows_with_the_same_key_add_up)
{
	struct aggregate *aggregate = aggregate_new();
	const struct delta_row *rows;
	size_t count;
	uint64_t total = 0;

	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 5000; i++) {
			struct delta_row row = {{i % 7 + 1}, {i + 1},	 i % 2, 0,
						1,	     round == 0, 10,	0};

			aggregate_add(aggregate, &row);
		}
	}
	rows = aggregate_rows(aggregate, &count);
	CHECK_EQ_U64(count, 5000);
	for (size_t i = 0; i < count; i++) {
		CHECK_EQ_U64(rows[i].count, 3);
		CHECK_EQ_U64(rows[i].kernel_count, 1);
		CHECK_EQ_U64(rows[i].value, 30);
		total += rows[i].count;
	}
	CHECK_EQ_U64(total, 15000);
	aggregate_clear(aggregate);
	aggregate_rows(aggregate, &count);
	CHECK_EQ_U64(count, 0);
	aggregate_free(aggregate);
}

static uint32_t row_of(struct thread_table *table, uint32_t tid)
{
	thread_id id = {0};

	CHECK_EQ_I64(thread_table_get(table, 100, tid, &id), 0);
	return id.v;
}

TEST(a_thread_that_changes_its_name_is_a_second_row)
{
	struct thread_table *table = thread_table_new();
	uint32_t first, second;

	thread_table_name(table, 101, "before");
	first = row_of(table, 101);
	CHECK_EQ_U64(row_of(table, 101), first);
	thread_table_name(table, 101, "before");
	CHECK_EQ_U64(row_of(table, 101), first);
	thread_table_name(table, 101, "after");
	second = row_of(table, 101);
	CHECK(second != first);
	CHECK_EQ_STR(thread_table_row(table, (thread_id){first})->comm, "before");
	CHECK_EQ_STR(thread_table_row(table, (thread_id){second})->comm, "after");
	thread_table_free(table);
}

TEST(a_reused_tid_is_somebody_new_under_its_parents_name)
{
	struct thread_table *table = thread_table_new();
	uint32_t first, second;

	thread_table_name(table, 100, "main");
	thread_table_fork(table, 105, 100);
	first = row_of(table, 105);
	CHECK_EQ_STR(thread_table_row(table, (thread_id){first})->comm, "main");
	thread_table_fork(table, 105, 100);
	second = row_of(table, 105);
	CHECK(first != second);
	CHECK_EQ_U64(thread_table_count(table), 2);
	thread_table_free(table);
}

TEST(merged_checkpoints_lose_nothing)
{
	struct delta *older = delta_new(), *younger = delta_new(), *merged;
	const struct delta_row older_rows[] = {{{1}, {1}, 0, 0, 5, 1, 5, 0},
					       {{1}, {2}, 0, 0, 7, 0, 7, 0}};
	const struct delta_row younger_rows[] = {{{1}, {1}, 0, 0, 2, 1, 2, 0}};
	const struct stack_frame frames[] = {{{{1}, 0x10}}, {{{1}, 0x20}}, {{{1}, 0x30}}};

	older->checkpoint = 4;
	older->rows = older_rows;
	older->row_count = 2;
	older->first_frame = 1;
	older->frames = frames;
	older->frame_count = 2;
	younger->checkpoint = 5;
	younger->end_ns = 99;
	younger->rows = younger_rows;
	younger->row_count = 1;
	younger->first_frame = 3;
	younger->frames = frames + 2;
	younger->frame_count = 1;
	merged = delta_merge(older, younger);
	CHECK_EQ_U64(merged->checkpoint, 5);
	CHECK_EQ_U64(merged->end_ns, 99);
	CHECK_EQ_U64(merged->row_count, 2);
	CHECK_EQ_U64(merged->rows[0].count, 7);
	CHECK_EQ_U64(merged->rows[0].kernel_count, 2);
	CHECK_EQ_U64(merged->rows[1].count, 7);
	CHECK_EQ_U64(merged->first_frame, 1);
	CHECK_EQ_U64(merged->frame_count, 3);
	CHECK_EQ_U64(merged->frames[2].place.vaddr, 0x30);
	delta_release(older);
	delta_release(younger);
	delta_release(merged);
}

TEST(merged_checkpoints_keep_the_heap)
{
	struct delta *older = delta_new(), *younger = delta_new(), *merged;
	const struct delta_heap_row older_rows[] = {
		{{1}, {.allocs = 5, .alloc_bytes = 50, .temporary = 2}, 70},
		{{2}, {.allocs = 1, .alloc_bytes = 10}, 0},
	};
	const struct delta_heap_row younger_rows[] = {
		{{3}, {.allocs = 7, .untracked = 7}, 5},
		{{1}, {.frees = 4, .free_bytes = 40, .estimated = 1}, 60},
	};

	older->checkpoint = 1;
	older->heap_rows = older_rows;
	older->heap_row_count = 2;
	older->heap = (struct heap_state){.is_counted = true, .live_bytes = 60, .hits = 12};
	older->process.rss_anonymous_bytes = 1000;
	younger->checkpoint = 2;
	younger->heap_rows = younger_rows;
	younger->heap_row_count = 2;
	younger->heap = (struct heap_state){.is_counted = true, .live_bytes = 20, .hits = 30};
	younger->process.rss_anonymous_bytes = 2000;
	merged = delta_merge(older, younger);
	CHECK_EQ_U64(merged->heap_row_count, 3);
	CHECK_EQ_U64(merged->heap_rows[0].stack.v, 1);
	CHECK_EQ_U64(merged->heap_rows[0].counts.allocs, 5);
	CHECK_EQ_U64(merged->heap_rows[0].counts.frees, 4);
	CHECK_EQ_U64(merged->heap_rows[0].counts.free_bytes, 40);
	CHECK_EQ_U64(merged->heap_rows[0].counts.temporary, 2);
	CHECK_EQ_U64(merged->heap_rows[0].counts.estimated, 1);
	CHECK_EQ_U64(merged->heap_rows[1].stack.v, 2);
	CHECK_EQ_U64(merged->heap_rows[1].counts.alloc_bytes, 10);
	CHECK_EQ_U64(merged->heap_rows[2].stack.v, 3);
	CHECK_EQ_U64(merged->heap_rows[2].counts.untracked, 7);
	CHECK_EQ_U64(merged->heap_rows[0].peak_bytes, 70);
	CHECK_EQ_U64(merged->heap_rows[1].peak_bytes, 0);
	CHECK_EQ_U64(merged->heap_rows[2].peak_bytes, 5);
	/* States are of the whole recording. */
	CHECK_EQ_U64(merged->heap.live_bytes, 20);
	CHECK_EQ_U64(merged->heap.hits, 30);
	CHECK_EQ_U64(merged->process.rss_anonymous_bytes, 2000);
	delta_release(older);
	delta_release(younger);
	delta_release(merged);
}

TEST(modes_of_the_heap_have_names)
{
	for (int mode = 0; mode < HEAP_MODES; mode++) {
		char step[64];

		snprintf(step, sizeof(step), "bpf, %s", heap_mode_names[mode]);
		CHECK_EQ_U64(heap_mode_by_name(heap_mode_names[mode]), mode);
		CHECK_EQ_U64(heap_mode_by_step(heap_mode_names[mode]), mode);
		CHECK_EQ_U64(heap_mode_by_step(step), mode);
	}
	CHECK_EQ_U64(heap_mode_by_name("bpf"), HEAP_MODES);
	CHECK_EQ_U64(heap_mode_by_step("bpf"), HEAP_MODES);
	CHECK_EQ_U64(heap_mode_by_step("totals"), HEAP_MODES);
	CHECK_EQ_U64(heap_mode_by_step("bpf, 1 of 4 stacks"), HEAP_MODES);
	CHECK(heap_mode_sees_frees(HEAP_MODE_EXACT) && heap_mode_sees_frees(HEAP_MODE_SAMPLED));
	CHECK(!heap_mode_sees_frees(HEAP_MODE_ALLOCS) && !heap_mode_sees_frees(HEAP_MODE_OFF));
}

TEST(what_is_live_is_never_less_than_nothing)
{
	struct heap_counts counts = {.allocs = 5, .alloc_bytes = 100, .frees = 2, .free_bytes = 40};

	counts.untracked = 1;
	counts.untracked_bytes = 10;
	CHECK_EQ_U64(heap_live_blocks(&counts), 2);
	CHECK_EQ_U64(heap_live_bytes(&counts), 50);
	counts.frees = 5;
	counts.free_bytes = 95;
	CHECK_EQ_U64(heap_live_blocks(&counts), 0);
	CHECK_EQ_U64(heap_live_bytes(&counts), 0);
	counts.free_bytes = UINT64_MAX;
	counts.untracked_bytes = UINT64_MAX;
	CHECK_EQ_U64(heap_live_bytes(&counts), 0);
}

TEST(a_heap_aggregate_begins_anew_after_a_checkpoint)
{
	struct heap_aggregate aggregate = {0};
	const struct heap_counts counts = {.allocs = 1, .alloc_bytes = 8};

	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 1000; i++)
			heap_aggregate_add(&aggregate, (stack_id){1 + i % 100}, &counts,
					   i < 500 ? i : 0);
		CHECK_EQ_U64(aggregate.rows.count, 100);
		for (size_t i = 0; i < 100; i++) {
			CHECK_EQ_U64(aggregate.rows.items[i].stack.v, i + 1);
			CHECK_EQ_U64(aggregate.rows.items[i].counts.allocs, 10);
			CHECK_EQ_U64(aggregate.rows.items[i].counts.alloc_bytes, 80);
			CHECK_EQ_U64(aggregate.rows.items[i].peak_bytes, 400 + i);
		}
		heap_aggregate_clear(&aggregate);
		CHECK_EQ_U64(aggregate.rows.count, 0);
	}
	heap_aggregate_done(&aggregate);
}

TEST(waits_of_two_kinds_are_two_rows)
{
	struct aggregate *aggregate = aggregate_new();
	const struct delta_row *rows;
	size_t count;

	for (uint64_t i = 0; i < 6; i++) {
		const struct delta_row row = {.thread = {1},
					      .stack = {2},
					      .event_index = 1,
					      .kind = i % 2 ? WAIT_LOCK : WAIT_SLEEP,
					      .count = i,
					      .value = 100,
					      .run_ns = 7};

		aggregate_add(aggregate, &row);
	}
	rows = aggregate_rows(aggregate, &count);
	CHECK_EQ_U64(count, 2);
	CHECK_EQ_U64(rows[0].kind, WAIT_SLEEP);
	CHECK_EQ_U64(rows[0].count, 6);
	CHECK_EQ_U64(rows[1].kind, WAIT_LOCK);
	CHECK_EQ_U64(rows[1].count, 9);
	CHECK_EQ_U64(rows[1].value, 300);
	CHECK_EQ_U64(rows[1].run_ns, 21);
	aggregate_free(aggregate);
}

TEST(merged_checkpoints_keep_waits_and_steps)
{
	struct delta *older = delta_new(), *younger = delta_new(), *merged;
	const struct delta_row older_rows[] = {{.thread = {1},
						.stack = {1},
						.kind = WAIT_LOCK,
						.count = 5,
						.value = 50,
						.run_ns = 3},
					       {.thread = {1},
						.stack = {1},
						.kind = WAIT_IO,
						.count = 1,
						.value = 9,
						.run_ns = 1}};
	const struct delta_row younger_rows[] = {{.thread = {1},
						  .stack = {1},
						  .kind = WAIT_LOCK,
						  .count = 2,
						  .value = 20,
						  .run_ns = 4}};
	const struct delta_step older_steps[] = {{10, "wait", "stacks of 1 of 2 waits", "cost"}};
	const struct delta_step younger_steps[] = {{20, "wait", "stacks of 1 of 4 waits", "more"}};

	older->checkpoint = 4;
	older->rows = older_rows;
	older->row_count = 2;
	older->steps = older_steps;
	older->step_count = 1;
	younger->checkpoint = 5;
	younger->rows = younger_rows;
	younger->row_count = 1;
	younger->steps = younger_steps;
	younger->step_count = 1;
	merged = delta_merge(older, younger);
	delta_release(older);
	delta_release(younger);
	CHECK_EQ_U64(merged->row_count, 2);
	CHECK_EQ_U64(merged->rows[0].kind, WAIT_LOCK);
	CHECK_EQ_U64(merged->rows[0].count, 7);
	CHECK_EQ_U64(merged->rows[0].value, 70);
	CHECK_EQ_U64(merged->rows[0].run_ns, 7);
	CHECK_EQ_U64(merged->rows[1].kind, WAIT_IO);
	CHECK_EQ_U64(merged->rows[1].run_ns, 1);
	CHECK_EQ_U64(merged->step_count, 2);
	CHECK_EQ_U64(merged->steps[0].time_ns, 10);
	CHECK_EQ_STR(merged->steps[0].mode, "stacks of 1 of 2 waits");
	CHECK_EQ_U64(merged->steps[1].time_ns, 20);
	CHECK_EQ_STR(merged->steps[1].signal, "wait");
	CHECK_EQ_STR(merged->steps[1].reason, "more");
	delta_release(merged);
}

KIT_MAIN
