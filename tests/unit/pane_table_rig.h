/* Tables for tests of their pane: what was recorded, and what is asked of them. */
#ifndef RSPROF_TESTS_UNIT_PANE_TABLE_RIG_H
#define RSPROF_TESTS_UNIT_PANE_TABLE_RIG_H

#include "reader/tui/pane_table.h"

#include "reader/util/clock.h"
#include "tests/unit/pane_rig.h"

/* Twelve seconds of samples: one function grows and falls, one stays, one grows. */
static inline void record_cpu(struct rig *rig)
{
	rig_use_unicode();
	rig_init(rig);
	rig->cpu = builder_event(rig->snapshot, "cpu-clock", true);
	model_builder_from(rig->models, 311 * SECOND);
	for (uint32_t i = 0; i < 12; i++) {
		rig_bucket(rig, 312 + i, 900);
		rig_sample(rig, i, rig->main_thread, RIG_PARSE, i < 6 ? 8 * i : 8 * (12 - i));
		rig_sample(rig, i, rig->main_thread, RIG_TOKENIZE, 8);
		rig_sample(rig, i, rig->worker, RIG_EXTEND, i);
	}
}

static inline void start(struct rig *rig, enum model_table table, bool is_narrow)
{
	rig->pane = pane_table_new(table, is_narrow);
	rig->context.table = table;
	canvas_done(&rig->canvas);
	canvas_init(&rig->canvas, 80, 24, true);
}

static inline void start_cpu(struct rig *rig)
{
	record_cpu(rig);
	rig_build(rig, NULL);
	start(rig, MODEL_CPU, false);
}

/* A heap of two rows; is_sampled: estimates, and blocks that found no room. */
static inline void record_heap(struct rig *rig, bool is_sampled)
{
	struct snapshot_builder *b;
	uint32_t first, last;

	rig_use_unicode();
	rig_init(rig);
	b = rig->snapshot;
	builder_meta(b, "heap_source", "bpf");
	builder_meta(b, "heap_mode", is_sampled ? "sampled" : "exact");
	if (is_sampled)
		builder_loss(b, LOSS_HEAP_BLOCKS_FULL, 3);
	builder_heap_poll(b, (struct snapshot_heap_poll){0});
	first = builder_heap_poll(b, (struct snapshot_heap_poll){.time_ns = 322 * SECOND});
	last = builder_heap_poll(b, (struct snapshot_heap_poll){.time_ns = 323 * SECOND});
	builder_heap_row(b, first, RIG_EXTEND,
			 (struct heap_counts){
				 .allocs = 48211,
				 .alloc_bytes = 2100000000,
				 .frees = 48000,
				 .free_bytes = 2051700000,
				 .temporary = 6000,
				 .estimated = is_sampled ? 48211 : 0,
				 .untracked = is_sampled ? 2 : 0,
			 });
	builder_heap_row(b, last, RIG_INSERT,
			 (struct heap_counts){.allocs = 3125, .alloc_bytes = 12800000});
	builder_heap_sum(b);
	model_builder_from(rig->models, 321 * SECOND);
	rig_bucket(rig, 322, 0);
	rig_bucket(rig, 323, 0);
	model_builder_heap_row(rig->models,
			       (struct timeline_heap_row){0, RIG_EXTEND, 48300000, 2100000000});
	model_builder_heap_row(rig->models,
			       (struct timeline_heap_row){1, RIG_INSERT, 12800000, 12800000});
	rig_build(rig, NULL);
}

static inline void record_waits(struct rig *rig)
{
	rig_use_unicode();
	rig_init(rig);
	rig->wait = builder_event(rig->snapshot, "wait-time", false);
	rig_bucket(rig, 1, 0);
	rig_bucket(rig, 2, 0);
	rig_wait(rig, 0, RIG_PARSE, WAIT_RUN_QUEUE, 400, 900 * MS);
	rig_wait(rig, 1, RIG_TOKENIZE, WAIT_LOCK, 12, 100 * MS);
	rig_wait(rig, 1, RIG_PARSE, WAIT_RUN_QUEUE, 1, 600 * MS);
}

static inline void check_chosen(struct rig *rig, const char *function)
{
	const struct row_key *key = pane_table_selected(rig->pane);

	if (!function) {
		CHECK(!key);
		return;
	}
	CHECK(key);
	CHECK_EQ_STR(key->function, function);
}

static inline bool has_line(struct rig *rig, int width, int height, const char *words)
{
	char *text = rig_draw(rig, width, height, true);
	bool has = strstr(text, words);

	free(text);
	return has;
}

/* The function of the row that is drawn at that rank. */
static inline const char *function_at(struct rig *rig, size_t rank)
{
	struct pane_table *table = (struct pane_table *)rig->pane;
	struct table_source source;

	pane_table_refresh(table, &rig->context);
	CHECK(rank < table->order.count);
	table_source_init(&source, rig->model, table->table);
	return table_place(&source, table->order.rows[rank]).function;
}

#endif
