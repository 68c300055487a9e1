#include "reader/view/model.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/view/number.h"
#include "reader/view/row_map.h"
#include "reader/view/rows.h"

struct model *model_hold(struct model *model)
{
	atomic_fetch_add(&model->references, 1);
	return model;
}

void model_release(struct model *model)
{
	while (model && atomic_fetch_sub(&model->references, 1) == 1) {
		struct model *base = model->base;

		timeline_free(model->chart);
		if (!base) {
			view_free(model->cpu);
			view_free(model->wait);
			heap_view_free(model->heap);
			timeline_free(model->tail);
			snapshot_free(model->snapshot);
		}
		arena_done(&model->arena);
		free(model);
		model = base;
	}
}

static struct view_request view_request_of(const struct model_request *request)
{
	return (struct view_request){
		.group = request->by_thread ? VIEW_BY_THREAD : VIEW_BY_LINE,
		.thread = request->thread[0] ? request->thread : NULL,
		.include_internal = request->include_internal,
		.no_inline = request->no_inline,
	};
}

/* The tail's buckets are the last of a trend. */
static size_t trend_at(const struct model *model, uint32_t bucket)
{
	return MODEL_TREND - model->tail->bucket_count + bucket;
}

/* What trends are made of, of one table. */
struct trending {
	const struct model *model;
	const struct row_map *map;
	struct selection selection;
	bool by_thread;
	struct model_trend *trends;
	uint64_t *last; /* by row: of the last checkpoint, in what shares are of */
	uint64_t whole; /* of all threads */
};

static void add_tail_row(struct trending *trending, struct model_rows *rows,
			 const struct timeline_row *row)
{
	const struct selection *selection = &trending->selection;
	const struct timeline *tail = trending->model->tail;
	struct snapshot_row as_row = {.event = row->event, .thread = row->thread};
	uint64_t weight = selection->by_value ? row->value : row->count;
	uint64_t shown = selection->is_wait ? row->value : row->count;
	uint32_t key = trending->by_thread ? row->thread : row->stack, at;
	bool is_last = row->bucket + 1 == tail->bucket_count;

	if (!selection_has_event(selection, &as_row) || row->bucket >= tail->bucket_count)
		return;
	if (is_last)
		number_add(&trending->whole, weight);
	if (!selection_has_thread(selection, &as_row) || key >= trending->map->count)
		return;
	at = trending->map->of[key];
	if (at == SNAPSHOT_NONE)
		return;
	number_add(&trending->trends[at].values[trend_at(trending->model, row->bucket)], shown);
	number_add(&rows->trend_total[trend_at(trending->model, row->bucket)], shown);
	if (is_last)
		number_add(&trending->last[at], weight);
}

static double *new_shares(struct model *model, size_t count)
{
	return arena_zalloc(&model->arena, count * sizeof(double));
}

static void make_rows(struct model *model, struct model_rows *rows, const struct view *view,
		      const struct view_request *request, const struct row_map *map)
{
	struct trending trending = {
		.model = model, .map = map, .by_thread = model->request.by_thread};
	struct arena *arena = &model->arena;
	double *shares = new_shares(model, view->row_count);

	/* What was found for the view is found again. */
	if (selection_init(&trending.selection, model->snapshot, request, NULL) < 0)
		return;
	trending.trends = arena_zalloc(arena, view->row_count * sizeof(*trending.trends));
	trending.last = mem_array(view->row_count, sizeof(*trending.last));
	for (size_t i = 0; i < model->tail->row_count; i++)
		add_tail_row(&trending, rows, &model->tail->rows[i]);
	for (size_t i = 0; i < view->row_count; i++)
		shares[i] = number_share(trending.last[i], trending.whole);
	rows->is_there = true;
	rows->row_count = view->row_count;
	rows->trends = trending.trends;
	rows->live_pct = shares;
	if (!model->request.by_thread)
		rows->row_of_stack = arena_copy(arena, map->of, map->count * sizeof(*map->of));
	free(trending.last);
	selection_done(&trending.selection);
}

static uint32_t heap_row_of(const struct row_map *map, uint32_t stack)
{
	return stack < map->count ? map->of[stack] : SNAPSHOT_NONE;
}

/* What rows hold at the end of each checkpoint: what they held before, and its changes. */
static void make_heap_trends(const struct model *model, const struct row_map *map,
			     struct model_rows *rows, struct model_trend *trends)
{
	const struct timeline *tail = model->tail;
	OWN(own_free) int64_t *live = mem_array(model->heap->row_count, sizeof(*live));
	size_t change = 0;

	for (size_t i = 0; i < tail->held_count; i++) {
		uint32_t row = heap_row_of(map, tail->held[i].stack);

		if (row != SNAPSHOT_NONE)
			live[row] += (int64_t)tail->held[i].live_bytes;
	}
	for (uint32_t bucket = 0; bucket < tail->bucket_count; bucket++) {
		for (; change < tail->heap_row_count && tail->heap_rows[change].bucket <= bucket;
		     change++) {
			uint32_t row = heap_row_of(map, tail->heap_rows[change].stack);

			if (row != SNAPSHOT_NONE)
				live[row] += tail->heap_rows[change].live_bytes;
		}
		for (size_t i = 0; i < model->heap->row_count; i++) {
			uint64_t held = live[i] > 0 ? (uint64_t)live[i] : 0;

			trends[i].values[trend_at(model, bucket)] = held;
			number_add(&rows->trend_total[trend_at(model, bucket)], held);
		}
	}
}

static void make_heap_rows(struct model *model, const struct row_map *map)
{
	struct model_rows *rows = &model->tables[MODEL_HEAP];
	const struct heap_view *heap = model->heap;
	struct model_trend *trends = arena_zalloc(&model->arena, heap->row_count * sizeof(*trends));
	double *shares = new_shares(model, heap->row_count);

	for (size_t i = 0; i < heap->row_count; i++)
		shares[i] = number_share(heap->rows[i].live_bytes, heap->live_bytes);
	make_heap_trends(model, map, rows, trends);
	rows->is_there = !heap->is_totals_only;
	rows->row_count = heap->row_count;
	rows->trends = trends;
	rows->live_pct = shares;
	rows->row_of_stack = arena_copy(&model->arena, map->of, map->count * sizeof(*map->of));
}

static int build_samples(struct model *model, enum model_table table, const char *event,
			 struct view **ret_view, struct err *err)
{
	struct view_request request = view_request_of(&model->request);
	struct row_map map = {0};
	int ret;

	request.event = event;
	ret = view_build_mapped(model->snapshot, &request, ret_view, &map, err);
	if (ret == 0)
		make_rows(model, &model->tables[table], *ret_view, &request, &map);
	row_map_done(&map);
	return ret;
}

/* All of it, whatever the thread. */
static void build_heap(struct model *model)
{
	struct view_request request = view_request_of(&model->request);
	struct row_map map = {0};

	request.group = VIEW_BY_LINE;
	request.thread = NULL;
	/* Refused where the profile has none: that is no failure here. */
	if (heap_view_build_mapped(model->snapshot, &request, &model->heap, &map, NULL) == 0)
		make_heap_rows(model, &map);
	row_map_done(&map);
}

static int build_tables(struct model *model, struct err *err)
{
	const char *wait = view_wait_event(model->snapshot);
	int ret = 0;

	if (view_has_samples(model->snapshot))
		ret = build_samples(model, MODEL_CPU, NULL, &model->cpu, err);
	if (ret == 0 && wait)
		ret = build_samples(model, MODEL_WAIT, wait, &model->wait, err);
	if (ret == 0)
		build_heap(model);
	return ret;
}

static struct model *model_new(const struct model_request *request)
{
	struct model *model = mem_zalloc(sizeof(*model));

	atomic_init(&model->references, 1);
	model->request = *request;
	return model;
}

int model_build(struct snapshot *snapshot, struct timeline *tail, struct timeline *chart,
		const struct model_request *request, struct model **ret_model, struct err *err)
{
	struct model *model = model_new(request);
	int ret;

	model->snapshot = snapshot;
	model->tail = tail;
	model->chart = chart;
	/* A trend has no more. */
	if (tail->bucket_count > MODEL_TREND)
		tail->bucket_count = MODEL_TREND;
	ret = build_tables(model, err);
	if (ret < 0) {
		model_release(model);
		return ret;
	}
	*ret_model = model;
	return 0;
}

struct model *model_with_chart(struct model *model, struct timeline *chart,
			       const struct model_request *request)
{
	struct model *base = model->base ? model->base : model, *made = model_new(request);

	made->base = model_hold(base);
	made->snapshot = base->snapshot;
	made->cpu = base->cpu;
	made->wait = base->wait;
	made->heap = base->heap;
	memcpy(made->tables, base->tables, sizeof(made->tables));
	made->tail = base->tail;
	made->chart = chart;
	return made;
}

bool model_request_same_rows(const struct model_request *a, const struct model_request *b)
{
	return a->from_ns == b->from_ns && a->to_ns == b->to_ns && a->by_thread == b->by_thread &&
	       a->include_internal == b->include_internal && a->no_inline == b->no_inline &&
	       strncmp(a->thread, b->thread, sizeof(a->thread)) == 0;
}
