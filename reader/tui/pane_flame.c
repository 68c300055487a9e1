/* A flame graph: the calls of the view's table, from the root down. Zoom and selection lie on one
 * path of names, which is looked up again in every new model. */
#include "reader/tui/pane_flame.h"

#include <stdlib.h>

static void drop(struct pane_flame *pane)
{
	if (pane->is_there)
		flame_done(&pane->flame);
	pane->is_there = false;
}

static void flame_free(struct pane *base)
{
	struct pane_flame *pane = (struct pane_flame *)base;

	drop(pane);
	flame_boxes_done(&pane->boxes);
	vec_done(&pane->names);
	vec_done(&pane->path);
	vec_done(&pane->zooms);
	row_key_done(&pane->key);
	free(pane);
}

bool pane_flame_is_empty(const struct pane_flame *pane)
{
	return !pane->is_there || !pane->flame.calls.weighing.total;
}

/* What is no longer there ends the path. */
static void walk_path(struct pane_flame *pane)
{
	size_t depth = 0;

	/* The path waits for a table that has something. */
	if (pane_flame_is_empty(pane))
		return;
	vec_clear(&pane->path);
	*vec_add(&pane->path) = FLAME_ROOT;
	for (; depth < pane->names.count; depth++) {
		uint32_t child = flame_child(&pane->flame, pane->path.items[depth],
					     pane->names.items[depth]);

		if (child == CALL_NONE)
			break;
		*vec_add(&pane->path) = child;
	}
	pane->names.count = depth;
	if (pane->zoomed > depth)
		pane->zoomed = depth;
	if (pane->selected > depth)
		pane->selected = depth;
	while (pane->zooms.count && pane->zooms.items[pane->zooms.count - 1] >= pane->zoomed)
		pane->zooms.count--;
}

void pane_flame_make(struct pane_flame *pane, const struct pane_context *context)
{
	const struct model *model = context->model;

	drop(pane);
	pane->model = model;
	pane->serial = model ? model->serial : 0;
	pane->table = context->table;
	if (!model)
		return;
	pane->is_allocated = pane->wants_other;
	flame_init(&pane->flame, model, context->table, pane->is_allocated);
	/* Where frees are not watched nothing is known to be live. */
	if (context->table == MODEL_HEAP && !pane->flame.calls.weighing.total) {
		flame_done(&pane->flame);
		pane->is_allocated = !pane->is_allocated;
		flame_init(&pane->flame, model, context->table, pane->is_allocated);
	}
	pane->is_there = true;
	walk_path(pane);
	flame_search(&pane->flame, context->filter);
}

bool pane_flame_refresh(struct pane_flame *pane, const struct pane_context *context)
{
	uint64_t serial = context->model ? context->model->serial : 0;

	if (pane->model == context->model && pane->serial == serial &&
	    pane->table == context->table)
		return false;
	pane_flame_make(pane, context);
	return true;
}

static void flame_update(struct pane *base, const struct pane_context *context)
{
	struct pane_flame *pane = (struct pane_flame *)base;

	if (!pane_flame_refresh(pane, context) && pane->is_there)
		flame_search(&pane->flame, context->filter);
}

int pane_flame_rows(struct area area)
{
	int rows = area_inside(area).height - 1;

	return rows > 0 ? rows : 0;
}

static int wanted_top(const struct pane_flame *pane, int rows)
{
	int selected = (int)pane->selected, top = pane->top;

	if (!pane->is_scrolled && selected < top)
		top = selected;
	if (!pane->is_scrolled && selected >= top + rows)
		top = selected - rows + 1;
	return top;
}

int pane_flame_lay(struct pane_flame *pane, struct area area)
{
	int rows = pane_flame_rows(area), top = wanted_top(pane, rows), levels = top + rows + 1;

	if (levels <= (int)pane->selected + 1)
		levels = (int)pane->selected + 2;
	flame_boxes_lay(&pane->boxes, &pane->flame, flame_zoomed(pane), area_inside(area).width,
			levels);
	levels = flame_boxes_levels(&pane->boxes);
	/* No room is left at the bottom while something is hidden at the top. */
	if (top > levels - rows)
		top = levels > rows ? levels - rows : 0;
	return top;
}

static const struct pane_ops flame_ops = {
	.name = "flame",
	.free = flame_free,
	.update = flame_update,
	.draw = pane_flame_draw,
	.act = pane_flame_act,
	.footer = "Enter zoom  o callers  a source",
	.has_search = true,
	.is_of_calls = true,
};

struct pane *pane_flame_new(void)
{
	struct pane_flame *pane = mem_zalloc(sizeof(*pane));

	pane->pane.ops = &flame_ops;
	return &pane->pane;
}
