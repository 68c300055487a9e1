/* How one moves in a flame graph. */
#include "reader/tui/pane_flame.h"

enum { WHEEL_LINES = 3 };

static struct pane_answer answer(enum pane_wish wish)
{
	return (struct pane_answer){.wish = wish};
}

static void scroll_to_selected(struct pane_flame *pane, struct area area)
{
	pane->is_scrolled = false;
	pane->top = pane_flame_lay(pane, area);
}

/* A deeper path that leads elsewhere is forgotten, and zooms with it. */
static void select_child(struct pane_flame *pane, uint32_t child)
{
	size_t depth = pane->selected;

	if (depth + 1 >= pane->path.count || pane->path.items[depth + 1] != child) {
		pane->names.count = depth;
		pane->path.count = depth + 1;
		*vec_add(&pane->names) = calls_hash(&pane->flame.calls, child);
		*vec_add(&pane->path) = child;
	}
	pane->selected = depth + 1;
}

/* Any box of the layout: it is below the zoom, or one of its callers. */
static void select_node(struct pane_flame *pane, uint32_t node)
{
	VEC(uint32_t) steps = {0};
	size_t depth;

	for (depth = 0; depth <= pane->zoomed; depth++) {
		if (pane->path.items[depth] == node) {
			pane->selected = depth;
			return;
		}
	}
	while (node != flame_zoomed(pane)) {
		*vec_add(&steps) = node;
		node = calls_node(&pane->flame.calls, node)->parent;
	}
	pane->selected = pane->zoomed;
	while (steps.count)
		select_child(pane, steps.items[--steps.count]);
	vec_done(&steps);
}

static void move_up(struct pane_flame *pane)
{
	pane->selected -= pane->selected > 0;
}

/* To the child that was selected last, else to the widest. */
static void move_down(struct pane_flame *pane)
{
	int level = (int)pane->selected + 1;
	uint32_t node = flame_selected(pane);
	size_t end;

	if (pane->selected < pane->zoomed) {
		pane->selected++;
		return;
	}
	if (level >= flame_boxes_levels(&pane->boxes))
		return;
	if (pane->selected + 1 < pane->path.count &&
	    flame_boxes_find(&pane->boxes, level, pane->path.items[pane->selected + 1])) {
		pane->selected++;
		return;
	}
	end = pane->boxes.levels.items[level + 1];
	for (size_t i = pane->boxes.levels.items[level]; i < end; i++) {
		uint32_t child = pane->boxes.boxes.items[i].node;

		if (calls_node(&pane->flame.calls, child)->parent == node) {
			select_child(pane, child);
			return;
		}
	}
}

/* The box beside it, be it another's child. */
static void move_aside(struct pane_flame *pane, int by)
{
	int level = (int)pane->selected;
	const struct flame_box *box = flame_boxes_find(&pane->boxes, level, flame_selected(pane));
	const struct flame_box *first, *end;

	if (!box)
		return;
	first = &pane->boxes.boxes.items[pane->boxes.levels.items[level]];
	end = &pane->boxes.boxes.items[pane->boxes.levels.items[level + 1]];
	if (box + by >= first && box + by < end)
		select_node(pane, box[by].node);
}

static void move_pages(struct pane_flame *pane, struct area area, int by)
{
	int rows = pane_flame_rows(area);

	for (int i = 0; i < rows; i++) {
		if (by < 0)
			move_up(pane);
		else
			move_down(pane);
		if (by > 0)
			pane_flame_lay(pane, area);
	}
}

static void move_last(struct pane_flame *pane, struct area area)
{
	size_t before;

	do {
		before = pane->selected;
		move_down(pane);
		pane_flame_lay(pane, area);
	} while (pane->selected != before);
}

static void zoom(struct pane_flame *pane)
{
	if (pane->selected == pane->zoomed)
		return;
	while (pane->zooms.count && pane->zooms.items[pane->zooms.count - 1] >= pane->selected)
		pane->zooms.count--;
	if (pane->selected > pane->zoomed)
		*vec_add(&pane->zooms) = pane->zoomed;
	pane->zoomed = pane->selected;
}

static struct pane_answer go_back(struct pane_flame *pane)
{
	if (!pane->zoomed)
		return answer(PANE_CLOSE);
	pane->zoomed = pane->zooms.count ? pane->zooms.items[--pane->zooms.count] : 0;
	return answer(PANE_NOTHING);
}

static void click(struct pane_flame *pane, const struct input *input, struct area area)
{
	struct area inside = area_inside(area);
	int x = input->x - inside.left, y = input->y - inside.top, rows = pane_flame_rows(area);
	int level = pane_flame_lay(pane, area) + y;

	if (x < 0 || x >= inside.width || y < 0 || y >= rows ||
	    level >= flame_boxes_levels(&pane->boxes))
		return;
	for (size_t i = pane->boxes.levels.items[level]; i < pane->boxes.levels.items[level + 1];
	     i++) {
		const struct flame_box *box = &pane->boxes.boxes.items[i];

		if (x < box->left || x >= box->right)
			continue;
		if (box->node == flame_selected(pane))
			zoom(pane);
		else
			select_node(pane, box->node);
		return;
	}
}

static void wheel(struct pane_flame *pane, struct area area, int by)
{
	int rows = pane_flame_rows(area), top = pane_flame_lay(pane, area);

	pane->is_scrolled = true;
	for (int i = 0; i < WHEEL_LINES; i++) {
		pane->top = top;
		pane_flame_lay(pane, area);
		if (by < 0 ? top <= 0 : flame_boxes_levels(&pane->boxes) <= top + rows)
			break;
		top += by;
	}
	pane->top = top;
}

/* wish of the selected box, if it stands in a text. Its callers are those of the whole function. */
static struct pane_answer wish_of(struct pane_flame *pane, enum pane_wish wish)
{
	const struct snapshot_location *at =
		calls_location(&pane->flame.calls, flame_selected(pane));
	struct pane_answer made = answer(PANE_NOTHING);

	if (!at)
		return made;
	row_key_set(&pane->key, at->function, at->file, at->path,
		    wish == PANE_CALLERS ? 0 : at->line);
	made.wish = wish;
	made.key = pane->key;
	return made;
}

static bool scroll(struct pane_flame *pane, const struct input *input, struct area area)
{
	switch (input->action) {
	case ACTION_CLICK:
		click(pane, input, area);
		return true;
	case ACTION_WHEEL_UP:
		wheel(pane, area, -1);
		return true;
	case ACTION_WHEEL_DOWN:
		wheel(pane, area, 1);
		return true;
	default:
		return false;
	}
}

static bool move(struct pane_flame *pane, enum action action, struct area area)
{
	switch (action) {
	case ACTION_UP:
		move_up(pane);
		break;
	case ACTION_DOWN:
		move_down(pane);
		break;
	case ACTION_LEFT:
		move_aside(pane, -1);
		break;
	case ACTION_RIGHT:
		move_aside(pane, 1);
		break;
	case ACTION_PAGE_UP:
		move_pages(pane, area, -1);
		break;
	case ACTION_PAGE_DOWN:
		move_pages(pane, area, 1);
		break;
	case ACTION_FIRST:
		pane->selected = pane->selected > pane->zoomed ? pane->zoomed : 0;
		break;
	case ACTION_LAST:
		move_last(pane, area);
		break;
	case ACTION_ENTER:
		zoom(pane);
		break;
	default:
		return false;
	}
	scroll_to_selected(pane, area);
	return true;
}

/* Of the heap: what is live, or all that was allocated. */
static void change_measure(struct pane_flame *pane, const struct pane_context *context)
{
	pane->wants_other = !pane->is_allocated;
	pane_flame_make(pane, context);
}

struct pane_answer pane_flame_act(struct pane *base, const struct pane_context *context,
				  const struct input *input, struct area area)
{
	struct pane_flame *pane = (struct pane_flame *)base;

	pane_flame_refresh(pane, context);
	if (input->action == ACTION_FLAME)
		return answer(PANE_CLOSE);
	if (pane_flame_is_empty(pane))
		return answer(input->action == ACTION_BACK ? PANE_CLOSE : PANE_IGNORED);
	pane_flame_lay(pane, area);
	if (move(pane, input->action, area) || scroll(pane, input, area))
		return answer(PANE_NOTHING);
	switch (input->action) {
	case ACTION_BACK:
		return go_back(pane);
	case ACTION_SOURCE:
		return wish_of(pane, PANE_SOURCE);
	case ACTION_CALLERS:
		return wish_of(pane, PANE_CALLERS);
	case ACTION_SORT:
	case ACTION_SORT_BACK:
		if (pane->table != MODEL_HEAP)
			return answer(PANE_IGNORED);
		change_measure(pane, context);
		return answer(PANE_NOTHING);
	default:
		return answer(PANE_IGNORED);
	}
}
