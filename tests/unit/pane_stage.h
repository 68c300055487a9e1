/* A pane under test: a model, a canvas, keys, and what is to be seen then. */
#ifndef RSPROF_TESTS_UNIT_PANE_STAGE_H
#define RSPROF_TESTS_UNIT_PANE_STAGE_H

#include <locale.h>
#include <stdlib.h>

#include "reader/tui/pane.h"
#include "reader/util/str.h"
#include "tests/lib/kit.h"
#include "tests/lib/model_builder.h"
#include "tests/lib/sample_profile.h"

struct pane_stage {
	struct pane *pane;
	struct snapshot_builder *profile;
	struct model_builder *models;
	struct feed_state state;
	struct pane_context context;
	struct canvas canvas;
	struct pane_answer answer; /* to the last key */
	struct str seen;
};

/* profile NULL: there is no model yet. It becomes the stage's. */
static inline void stage_init(struct pane_stage *stage, struct pane *pane,
			      struct snapshot_builder *profile, const struct model_request *request,
			      int width, int height)
{
	memset(stage, 0, sizeof(*stage));
	CHECK(setlocale(LC_ALL, "C.UTF-8"));
	stage->pane = pane;
	stage->profile = profile;
	stage->context = (struct pane_context){
		.state = &stage->state,
		.filter = "",
		.mark_ns = UINT64_MAX,
	};
	if (profile) {
		stage->models = model_builder_new(profile);
		stage->context.model = model_builder_build(stage->models, request);
	}
	canvas_init(&stage->canvas, width, height, true);
	pane->ops->update(pane, &stage->context);
}

static inline void stage_done(struct pane_stage *stage)
{
	stage->pane->ops->free(stage->pane);
	if (stage->models)
		model_builder_free(stage->models);
	builder_free(stage->profile);
	canvas_done(&stage->canvas);
	str_done(&stage->seen);
}

static inline const char *stage_see(struct pane_stage *stage)
{
	str_clear(&stage->seen);
	canvas_clear(&stage->canvas);
	stage->pane->ops->draw(stage->pane, &stage->context, &stage->canvas,
			       canvas_area(&stage->canvas));
	canvas_print(&stage->canvas, &stage->seen);
	return str_text(&stage->seen);
}

static inline void stage_check(struct pane_stage *stage, const char *want)
{
	if (strcmp(stage_see(stage), want))
		FAIL("seen is\n%snot\n%s", str_text(&stage->seen), want);
}

static inline void stage_check_line(struct pane_stage *stage, int line, const char *want)
{
	const char *at = stage_see(stage);

	while (line-- > 0)
		at = strchr(at, '\n') + 1;
	*(char *)strchr(at, '\n') = '\0';
	CHECK_EQ_STR(at, want);
}

static inline enum pane_wish stage_press(struct pane_stage *stage, enum action action)
{
	struct input input = {.action = action};

	stage->answer = stage->pane->ops->act(stage->pane, &stage->context, &input,
					      canvas_area(&stage->canvas));
	return stage->answer.wish;
}

static inline void stage_mouse(struct pane_stage *stage, enum action action, int x, int y)
{
	struct input input = {.action = action, .x = x, .y = y};

	stage->answer = stage->pane->ops->act(stage->pane, &stage->context, &input,
					      canvas_area(&stage->canvas));
	CHECK(stage->answer.wish == PANE_NOTHING);
}

static inline void stage_update(struct pane_stage *stage)
{
	stage->pane->ops->update(stage->pane, &stage->context);
}

/* The same profile again, as the next model. */
static inline void stage_next_model(struct pane_stage *stage, const struct model_request *request)
{
	stage->context.model = model_builder_build(stage->models, request);
	stage_update(stage);
}

#endif
