/* A profile for tests of tables and charts, and what they draw as text. */
#ifndef RSPROF_TESTS_UNIT_PANE_RIG_H
#define RSPROF_TESTS_UNIT_PANE_RIG_H

#include <locale.h>
#include <stdlib.h>

#include "reader/tui/pane.h"
#include "tests/lib/kit.h"
#include "tests/lib/model_builder.h"

#define SECOND UINT64_C(1000000000)
#define MS UINT64_C(1000000)

/* Stacks of the rig, one frame each, charged to it. */
enum { RIG_PARSE, RIG_TOKENIZE, RIG_EXTEND, RIG_INSERT, RIG_STACKS };

struct rig {
	struct snapshot_builder *snapshot;
	struct model_builder *models;
	struct model *model;
	struct feed_state state;
	struct pane_context context;
	struct row_key selected;
	struct pane *pane;
	struct canvas canvas;
	uint32_t cpu, wait, main_thread, worker;
};

static inline void rig_use_unicode(void)
{
	if (!setlocale(LC_ALL, "C.UTF-8"))
		SKIP("no locale C.UTF-8");
}

/* The program: threads, events and stacks, nothing recorded. */
static inline void rig_init(struct rig *rig)
{
	static const struct {
		const char *function, *file;
		uint32_t line;
	} places[RIG_STACKS] = {
		[RIG_PARSE] = {"parse_header", "src/parser.rs", 142},
		[RIG_TOKENIZE] = {"tokenize", "src/parser.rs", 89},
		[RIG_EXTEND] = {"Buffer::extend", "src/buffer.rs", 34},
		[RIG_INSERT] = {"Cache::insert", "src/cache.rs", 201},
	};
	struct snapshot_builder *b = builder_new();
	uint32_t app = builder_module(b, "/usr/bin/my-app");

	*rig = (struct rig){.snapshot = b};
	rig->models = model_builder_new(b);
	rig->main_thread = builder_thread(b, 12345, "my-app");
	rig->worker = builder_thread(b, 12346, "worker");
	for (size_t i = 0; i < RIG_STACKS; i++) {
		uint32_t at = builder_location(b, app, places[i].function, places[i].file,
					       places[i].line);
		uint32_t frame = builder_frame_at(b, at);

		builder_stack(b, &frame, 1, STACK_COMPLETE, at);
	}
	rig->context.selected = &rig->selected;
	rig->context.state = &rig->state;
	rig->context.filter = "";
	rig->context.is_chart_from_zero = true;
	rig->context.is_focused = true;
	rig->context.mark_ns = UINT64_MAX;
}

static inline void rig_done(struct rig *rig)
{
	if (rig->pane)
		rig->pane->ops->free(rig->pane);
	canvas_done(&rig->canvas);
	row_key_done(&rig->selected);
	model_builder_free(rig->models);
	builder_free(rig->snapshot);
}

/* Samples of a stack in the newest bucket and in the whole. */
static inline void rig_sample(struct rig *rig, uint32_t bucket, uint32_t thread, uint32_t stack,
			      uint64_t count)
{
	builder_row(rig->snapshot, rig->cpu, thread, stack, count, 0, count);
	model_builder_row(rig->models, (struct timeline_row){.bucket = bucket,
							     .event = rig->cpu,
							     .thread = thread,
							     .stack = stack,
							     .count = count,
							     .value = count});
}

static inline void rig_wait(struct rig *rig, uint32_t bucket, uint32_t stack, enum wait_kind kind,
			    uint64_t waits, uint64_t wait_ns)
{
	builder_wait(rig->snapshot, rig->wait, rig->main_thread, stack, kind, waits, wait_ns, 0);
	model_builder_row(rig->models, (struct timeline_row){.bucket = bucket,
							     .event = rig->wait,
							     .thread = rig->main_thread,
							     .stack = stack,
							     .count = waits,
							     .value = wait_ns});
}

/* A second that ends so many seconds after the beginning. */
static inline void rig_bucket(struct rig *rig, uint64_t end_s, uint64_t cpu_ms)
{
	model_builder_bucket(rig->models, (struct timeline_bucket){.end_ns = end_s * SECOND,
								   .cpu_ns = cpu_ms * MS});
}

static inline void rig_build(struct rig *rig, const struct model_request *request)
{
	rig->model = model_builder_build(rig->models, request);
	rig->context.model = rig->model;
}

/* To be freed: the pane on a canvas of that size. */
static inline char *rig_draw(struct rig *rig, int width, int height, bool is_unicode)
{
	struct str text = {0};

	canvas_done(&rig->canvas);
	canvas_init(&rig->canvas, width, height, is_unicode);
	rig->pane->ops->draw(rig->pane, &rig->context, &rig->canvas, canvas_area(&rig->canvas));
	canvas_print(&rig->canvas, &text);
	return text.text;
}

static inline void rig_check(struct rig *rig, int width, int height, bool is_unicode,
			     const char *want)
{
	char *got = rig_draw(rig, width, height, is_unicode);

	if (strcmp(got, want))
		FAIL("drawn:\n%snot:\n%s", got, want);
	free(got);
}

static inline struct pane_answer rig_input(struct rig *rig, struct input input)
{
	return rig->pane->ops->act(rig->pane, &rig->context, &input, canvas_area(&rig->canvas));
}

static inline struct pane_answer rig_press(struct rig *rig, enum action action)
{
	return rig_input(rig, (struct input){.action = action});
}

#endif
