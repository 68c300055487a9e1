#include "reader/record/delta_merge.h"

#include <assert.h>
#include <string.h>

#include "reader/core/aggregate.h"
#include "reader/core/heap_aggregate.h"

static void *join(struct arena *arena, const void *a, size_t a_count, const void *b, size_t b_count,
		  size_t size)
{
	char *joined = arena_alloc(arena, (a_count + b_count) * size);

	if (a_count)
		memcpy(joined, a, a_count * size);
	if (b_count)
		memcpy(joined + a_count * size, b, b_count * size);
	return joined;
}

#define JOIN(merged, member, member_count)                                                         \
	do {                                                                                       \
		(merged)->member =                                                                 \
			join(&(merged)->arena, older->member, older->member_count,                 \
			     younger->member, younger->member_count, sizeof(*older->member));      \
		(merged)->member_count = older->member_count + younger->member_count;              \
	} while (0)

static void join_rows(struct delta *merged, const struct delta *older, const struct delta *younger)
{
	struct aggregate *aggregate = aggregate_new();
	const struct delta_row *rows;

	for (size_t i = 0; i < older->row_count; i++)
		aggregate_add(aggregate, &older->rows[i]);
	for (size_t i = 0; i < younger->row_count; i++)
		aggregate_add(aggregate, &younger->rows[i]);
	rows = aggregate_rows(aggregate, &merged->row_count);
	merged->rows = arena_copy(&merged->arena, rows, merged->row_count * sizeof(*rows));
	aggregate_free(aggregate);
}

static void join_heap_rows(struct delta *merged, const struct delta *older,
			   const struct delta *younger)
{
	struct heap_aggregate aggregate = {0};

	for (size_t i = 0; i < older->heap_row_count; i++)
		heap_aggregate_add(&aggregate, older->heap_rows[i].stack,
				   &older->heap_rows[i].counts, older->heap_rows[i].peak_bytes);
	for (size_t i = 0; i < younger->heap_row_count; i++)
		heap_aggregate_add(&aggregate, younger->heap_rows[i].stack,
				   &younger->heap_rows[i].counts, younger->heap_rows[i].peak_bytes);
	merged->heap_row_count = aggregate.rows.count;
	merged->heap_rows = arena_copy(&merged->arena, aggregate.rows.items,
				       aggregate.rows.count * sizeof(*aggregate.rows.items));
	heap_aggregate_done(&aggregate);
}

static void join_threads(struct delta *merged, const struct delta *older,
			 const struct delta *younger)
{
	struct delta_thread *threads =
		join(&merged->arena, older->threads, older->thread_count, younger->threads,
		     younger->thread_count, sizeof(*threads));

	merged->thread_count = older->thread_count + younger->thread_count;
	for (size_t i = 0; i < merged->thread_count; i++)
		threads[i].comm = arena_strdup(&merged->arena, threads[i].comm);
	merged->threads = threads;
}

static void join_steps(struct delta *merged, const struct delta *older, const struct delta *younger)
{
	struct delta_step *steps = join(&merged->arena, older->steps, older->step_count,
					younger->steps, younger->step_count, sizeof(*steps));

	merged->step_count = older->step_count + younger->step_count;
	for (size_t i = 0; i < merged->step_count; i++) {
		steps[i].signal = arena_strdup(&merged->arena, steps[i].signal);
		steps[i].mode = arena_strdup(&merged->arena, steps[i].mode);
		steps[i].reason = arena_strdup(&merged->arena, steps[i].reason);
	}
	merged->steps = steps;
}

struct delta *delta_merge(const struct delta *older, const struct delta *younger)
{
	struct delta *merged = delta_new();

	assert(older->checkpoint < younger->checkpoint);
	merged->checkpoint = younger->checkpoint;
	merged->end_ns = younger->end_ns;
	merged->losses = younger->losses;
	merged->process = younger->process;
	merged->heap = younger->heap.is_counted ? younger->heap : older->heap;
	merged->first_frame = older->first_frame;
	merged->first_node = older->first_node;
	merged->first_stack = older->first_stack;
	join_rows(merged, older, younger);
	join_heap_rows(merged, older, younger);
	join_threads(merged, older, younger);
	join_steps(merged, older, younger);
	JOIN(merged, modules, module_count);
	JOIN(merged, frames, frame_count);
	JOIN(merged, nodes, node_count);
	JOIN(merged, stacks, stack_count);
	return merged;
}
