#include "tests/lib/model_builder.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/mem.h"
#include "reader/util/vec.h"
#include "tests/lib/kit.h"

struct model_builder {
	struct snapshot_builder *snapshot;
	uint64_t from_ns, serial;
	VEC(struct timeline_bucket) buckets;
	VEC(struct timeline_row) rows;
	VEC(struct timeline_heap_row) heap_rows;
	VEC(struct timeline_held) held;
	VEC(struct model *) models;
};

struct model_builder *model_builder_new(struct snapshot_builder *snapshot)
{
	struct model_builder *builder = mem_zalloc(sizeof(*builder));

	builder->snapshot = snapshot;
	return builder;
}

void model_builder_free(struct model_builder *builder)
{
	for (size_t i = 0; i < builder->models.count; i++)
		model_release(builder->models.items[i]);
	vec_done(&builder->models);
	vec_done(&builder->buckets);
	vec_done(&builder->rows);
	vec_done(&builder->heap_rows);
	vec_done(&builder->held);
	free(builder);
}

void model_builder_from(struct model_builder *builder, uint64_t from_ns)
{
	builder->from_ns = from_ns;
}

void model_builder_bucket(struct model_builder *builder, struct timeline_bucket bucket)
{
	*vec_add(&builder->buckets) = bucket;
}

void model_builder_row(struct model_builder *builder, struct timeline_row row)
{
	*vec_add(&builder->rows) = row;
}

void model_builder_heap_row(struct model_builder *builder, struct timeline_heap_row row)
{
	*vec_add(&builder->heap_rows) = row;
}

void model_builder_held(struct model_builder *builder, uint32_t stack, uint64_t live_bytes)
{
	*vec_add(&builder->held) = (struct timeline_held){stack, live_bytes};
}

/* Of the buckets from first on. */
static struct timeline *build_timeline(const struct model_builder *b, uint32_t first)
{
	struct timeline *timeline = mem_zalloc(sizeof(*timeline));
	struct arena *arena = &timeline->arena;
	struct timeline_row *rows;
	struct timeline_heap_row *heap_rows;
	struct timeline_held *held;

	timeline->from_ns = first ? b->buckets.items[first - 1].end_ns : b->from_ns;
	timeline->interval_ns = 1000000000;
	timeline->bucket_count = b->buckets.count - first;
	timeline->buckets = arena_copy(arena, b->buckets.items + first,
				       timeline->bucket_count * sizeof(*b->buckets.items));
	rows = arena_zalloc(arena, b->rows.count * sizeof(*rows));
	for (size_t i = 0; i < b->rows.count; i++) {
		if (b->rows.items[i].bucket < first)
			continue;
		rows[timeline->row_count] = b->rows.items[i];
		rows[timeline->row_count++].bucket -= first;
	}
	heap_rows = arena_zalloc(arena, b->heap_rows.count * sizeof(*heap_rows));
	held = arena_zalloc(arena, (b->held.count + b->heap_rows.count) * sizeof(*held));
	for (size_t i = 0; i < b->held.count; i++)
		held[timeline->held_count++] = b->held.items[i];
	for (size_t i = 0; i < b->heap_rows.count; i++) {
		const struct timeline_heap_row *row = &b->heap_rows.items[i];

		if (row->bucket < first) {
			held[timeline->held_count++] =
				(struct timeline_held){row->stack, (uint64_t)row->live_bytes};
			continue;
		}
		heap_rows[timeline->heap_row_count] = *row;
		heap_rows[timeline->heap_row_count++].bucket -= first;
	}
	timeline->rows = rows;
	timeline->heap_rows = heap_rows;
	timeline->held = held;
	return timeline;
}

/* A snapshot whose arrays are the builder's. */
static struct snapshot *share_snapshot(struct snapshot_builder *builder)
{
	struct snapshot *shared = mem_copy(builder_snapshot(builder), sizeof(*shared));

	memset(&shared->arena, 0, sizeof(shared->arena));
	return shared;
}

struct model *model_builder_build(struct model_builder *builder,
				  const struct model_request *request)
{
	static const struct model_request usual = {
		.to_ns = UINT64_MAX,
		.chart_to_ns = UINT64_MAX,
		.chart_last_ns = UINT64_C(60000000000),
	};
	size_t count = builder->buckets.count;
	struct model *model;
	struct err err = {0};

	if (model_build(share_snapshot(builder->snapshot),
			build_timeline(builder,
				       (uint32_t)(count > MODEL_TREND ? count - MODEL_TREND : 0)),
			build_timeline(builder, 0), request ? request : &usual, &model, &err) < 0)
		FAIL("model_build: %s", err.sentence);
	model->serial = ++builder->serial;
	*vec_add(&builder->models) = model;
	return model;
}
