/* What the terminal shows of a snapshot and a timeline, on a profile that can be added up by hand.
 */
#include <errno.h>
#include <stdlib.h>

#include "reader/util/mem.h"
#include "reader/view/model.h"
#include "tests/lib/kit.h"
#include "tests/lib/sample_profile.h"
#include "tests/unit/heap_profile.h"

/* A snapshot and a timeline that a model may own, out of a builder's. */
static struct snapshot *own_snapshot(struct snapshot_builder *builder)
{
	struct snapshot *own = mem_copy(builder_snapshot(builder), sizeof(*own));

	memset(&own->arena, 0, sizeof(own->arena));
	return own;
}

static struct timeline *new_timeline(size_t buckets, const struct timeline_row *rows, size_t count)
{
	struct timeline *timeline = mem_zalloc(sizeof(*timeline));
	struct timeline_bucket *made = arena_zalloc(&timeline->arena, buckets * sizeof(*made));

	for (size_t i = 0; i < buckets; i++)
		made[i].end_ns = (i + 1) * SECOND;
	timeline->buckets = made;
	timeline->bucket_count = buckets;
	timeline->rows = arena_copy(&timeline->arena, rows, count * sizeof(*rows));
	timeline->row_count = count;
	return timeline;
}

static struct model *build(struct snapshot_builder *builder, struct timeline *tail,
			   const struct model_request *request)
{
	struct model *model;
	struct err err = {0};

	if (model_build(own_snapshot(builder), tail, NULL, request, &model, &err) < 0)
		FAIL("model_build: %s", err.sentence);
	return model;
}

static uint32_t find(const struct view *view, const char *function)
{
	for (size_t i = 0; i < view->row_count; i++) {
		if (strcmp(view->rows[i].function, function) == 0)
			return (uint32_t)i;
	}
	FAIL("no row of %s", function);
}

static uint32_t find_heap(const struct heap_view *view, const char *function)
{
	for (size_t i = 0; i < view->row_count; i++) {
		if (strcmp(view->rows[i].function, function) == 0)
			return (uint32_t)i;
	}
	FAIL("no row of %s", function);
}

static uint64_t trend(const struct model *model, enum model_table table, uint32_t row, size_t back)
{
	return model->tables[table].trends[row].values[MODEL_TREND - 1 - back];
}

static const struct model_request everything = {.to_ns = UINT64_MAX, .chart_to_ns = UINT64_MAX};

/* The stacks of sample_profile, in its order. */
enum { IN_PARSE, IN_TOKENIZE, IN_READ, IN_FILL, IN_WALK, NO_STACK };

TEST(stacks_lead_to_the_rows_that_they_are_charged_to)
{
	struct snapshot_builder *builder = sample_profile();
	struct model *model = build(builder, new_timeline(0, NULL, 0), &everything);
	const struct model_rows *rows = &model->tables[MODEL_CPU];
	uint64_t *self = mem_array(model->cpu->row_count, sizeof(*self));

	CHECK(rows->is_there && !model->tables[MODEL_WAIT].is_there && !model->wait);
	CHECK(!model->tables[MODEL_HEAP].is_there && !model->heap);
	CHECK_EQ_U64(rows->row_count, model->cpu->row_count);
	/* Adding samples up by row gives what rows have. */
	for (size_t i = 0; i < model->snapshot->row_count; i++) {
		const struct snapshot_row *row = &model->snapshot->rows[i];

		if (row->event == 0)
			self[rows->row_of_stack[row->stack]] += row->count;
	}
	for (size_t i = 0; i < model->cpu->row_count; i++)
		CHECK_EQ_U64(self[i], model->cpu->rows[i].self);
	CHECK_EQ_U64(model->cpu->rows[find(model->cpu, "parse_header")].self, 50);
	free(self);
	model_release(model);
	builder_free(builder);
}

TEST(a_stack_that_is_not_in_the_range_has_its_row_too)
{
	struct snapshot_builder *builder = sample_profile();
	const struct snapshot *whole = builder_snapshot(builder);
	uint32_t again = builder_stack_at(builder, whole->stacks[IN_PARSE].node, STACK_BROKEN,
					  whole->stacks[IN_PARSE].charged_location,
					  whole->stacks[IN_PARSE].raw_location);
	struct model *model = build(builder, new_timeline(0, NULL, 0), &everything);
	const uint32_t *row_of = model->tables[MODEL_CPU].row_of_stack;

	CHECK_EQ_U64(row_of[again], row_of[IN_PARSE]);
	CHECK_EQ_U64(row_of[again], find(model->cpu, "parse_header"));
	model_release(model);
	builder_free(builder);
}

TEST(trends_are_of_the_last_checkpoints)
{
	struct snapshot_builder *builder = sample_profile();
	const struct timeline_row rows[] = {
		{0, 0, 0, IN_PARSE, 7, 7},    {1, 0, 0, IN_PARSE, 5, 5},
		{1, 0, 0, IN_READ, 2, 2},     {1, 0, 1, IN_TOKENIZE, 4, 4},
		{1, 1, 1, IN_PARSE, 99, 99},  {2, 0, 0, IN_PARSE, 3, 3},
		{2, 0, 1, IN_TOKENIZE, 1, 1},
	};
	struct model_request request = everything;
	struct model *model =
		build(builder, new_timeline(3, rows, sizeof(rows) / sizeof(*rows)), &request);
	uint32_t parse = find(model->cpu, "parse_header"), tokenize = find(model->cpu, "tokenize");

	/* read in libc is charged to parse_header; page faults are another event. */
	CHECK_EQ_U64(trend(model, MODEL_CPU, parse, 0), 3);
	CHECK_EQ_U64(trend(model, MODEL_CPU, parse, 1), 7);
	CHECK_EQ_U64(trend(model, MODEL_CPU, parse, 2), 7);
	CHECK_EQ_U64(trend(model, MODEL_CPU, parse, 3), 0);
	CHECK_EQ_U64(trend(model, MODEL_CPU, tokenize, 1), 4);
	CHECK_EQ_U64(model->tables[MODEL_CPU].trend_total[MODEL_TREND - 2], 11);
	CHECK_BETWEEN(model->tables[MODEL_CPU].live_pct[parse], 75, 75);
	CHECK_BETWEEN(model->tables[MODEL_CPU].live_pct[tokenize], 25, 25);
	model_release(model);

	/* Of one thread; shares stay those of all samples. */
	strcpy(request.thread, "12346");
	model = build(builder, new_timeline(3, rows, sizeof(rows) / sizeof(*rows)), &request);
	tokenize = find(model->cpu, "tokenize");
	CHECK_EQ_U64(trend(model, MODEL_CPU, tokenize, 0), 1);
	CHECK_EQ_U64(model->tables[MODEL_CPU].trend_total[MODEL_TREND - 1], 1);
	CHECK_BETWEEN(model->tables[MODEL_CPU].live_pct[tokenize], 25, 25);
	model_release(model);

	request.thread[0] = '\0';
	request.by_thread = true;
	model = build(builder, new_timeline(3, rows, sizeof(rows) / sizeof(*rows)), &request);
	CHECK(!model->tables[MODEL_CPU].row_of_stack);
	CHECK_EQ_U64(trend(model, MODEL_CPU, find(model->cpu, "my-app (12345)"), 1), 7);
	CHECK_EQ_U64(trend(model, MODEL_CPU, find(model->cpu, "worker (12346)"), 1), 4);
	model_release(model);
	builder_free(builder);
}

TEST(a_thread_that_is_not_there_is_refused)
{
	struct snapshot_builder *builder = sample_profile();
	struct model_request request = everything;
	struct model *model;
	struct err err = {0};

	strcpy(request.thread, "nobody");
	CHECK_EQ_I64(model_build(own_snapshot(builder), new_timeline(0, NULL, 0), NULL, &request,
				 &model, &err),
		     -EINVAL);
	CHECK_EQ_U64(err.kind, ERR_USAGE);
	builder_free(builder);
}

TEST(heap_rows_tell_what_is_held)
{
	struct snapshot_builder *builder = heap_program();
	struct timeline *tail = new_timeline(2, NULL, 0);
	const struct timeline_held held[] = {{HEAP_STACK_EXTEND, 100}, {HEAP_STACK_BOTH, 50}};
	const struct timeline_heap_row changes[] = {
		{0, HEAP_STACK_INSERT, 30, 30},
		{1, HEAP_STACK_BOTH, -50, 0},
		{1, HEAP_STACK_EXTEND, 20, 20},
	};
	struct model_request request = everything;
	struct model *model;
	uint32_t extend, insert;

	heap_poll_at(builder, 0, 1000, 500);
	heap_poll_at(builder, 2000, 1000, 500);
	builder_heap_row(builder, 1, HEAP_STACK_EXTEND,
			 (struct heap_counts){.allocs = 3, .alloc_bytes = 120});
	builder_heap_row(builder, 1, HEAP_STACK_INSERT,
			 (struct heap_counts){.allocs = 1, .alloc_bytes = 30});
	builder_heap_row(
		builder, 1, HEAP_STACK_BOTH,
		(struct heap_counts){.allocs = 1, .alloc_bytes = 50, .frees = 1, .free_bytes = 50});
	builder_heap_sum(builder);
	tail->held = arena_copy(&tail->arena, held, sizeof(held));
	tail->held_count = 2;
	tail->heap_rows = arena_copy(&tail->arena, changes, sizeof(changes));
	tail->heap_row_count = 3;
	/* Whatever is asked of threads, the heap is of all. */
	request.by_thread = true;
	model = build(builder, tail, &request);
	CHECK(model->tables[MODEL_HEAP].is_there);
	extend = find_heap(model->heap, "Buffer::extend");
	insert = find_heap(model->heap, "Cache::insert");
	CHECK_EQ_U64(model->tables[MODEL_HEAP].row_of_stack[HEAP_STACK_BOTH], extend);
	CHECK_EQ_U64(model->tables[MODEL_HEAP].row_of_stack[HEAP_STACK_INSERT], insert);
	CHECK_EQ_U64(trend(model, MODEL_HEAP, extend, 1), 150);
	CHECK_EQ_U64(trend(model, MODEL_HEAP, extend, 0), 120);
	CHECK_EQ_U64(trend(model, MODEL_HEAP, insert, 1), 30);
	CHECK_EQ_U64(trend(model, MODEL_HEAP, insert, 2), 0);
	CHECK_EQ_U64(model->tables[MODEL_HEAP].trend_total[MODEL_TREND - 1], 150);
	CHECK_BETWEEN(model->tables[MODEL_HEAP].live_pct[extend], 80, 80);
	model_release(model);
	builder_free(builder);
}

TEST(a_model_lives_as_long_as_somebody_holds_it)
{
	struct snapshot_builder *builder = sample_profile();
	struct model *base = build(builder, new_timeline(1, NULL, 0), &everything);
	struct model_request request = everything;
	struct model *first, *second;

	request.chart_last_ns = 60 * SECOND;
	first = model_with_chart(base, new_timeline(2, NULL, 0), &request);
	model_release(base);
	second = model_with_chart(first, NULL, &request);
	CHECK(first->cpu == second->cpu && first->snapshot == second->snapshot);
	CHECK_EQ_U64(first->chart->bucket_count, 2);
	CHECK_EQ_U64(first->request.chart_last_ns, 60 * SECOND);
	model_release(model_hold(first));
	model_release(first);
	CHECK_EQ_U64(second->cpu->rows[0].self, 50);
	CHECK(model_request_same_rows(&everything, &request));
	request.no_inline = true;
	CHECK(!model_request_same_rows(&everything, &request));
	model_release(second);
	model_release(NULL);
	builder_free(builder);
}

KIT_MAIN
