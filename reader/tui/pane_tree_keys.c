/* How one moves in the tree of callers and callees. */
#include "reader/tui/pane_tree.h"

enum { WHEEL_LINES = 3 };

static struct pane_answer answer(enum pane_wish wish)
{
	return (struct pane_answer){.wish = wish};
}

static void select_row(struct pane_tree *pane, size_t index, struct area area)
{
	pane->selected = index < pane->rows.count ? index : pane->rows.count - 1;
	pane->top = pane_tree_top(pane, pane_tree_height(area));
}

static void move_by(struct pane_tree *pane, long by, struct area area)
{
	size_t back = (size_t)-by;

	if (by < 0)
		select_row(pane, pane->selected > back ? pane->selected - back : 0, area);
	else
		select_row(pane, pane->selected + (size_t)by, area);
}

static void choose(struct pane_tree *pane, bool is_open, struct area area)
{
	const struct tree_row *row = &pane->rows.items[pane->selected];

	if (!row->has_children || row->is_open == is_open)
		return;
	u64_map_put(&pane->choices, row->hash, is_open);
	pane_tree_flatten(pane);
	pane->top = pane_tree_top(pane, pane_tree_height(area));
}

static void toggle(struct pane_tree *pane, struct area area)
{
	choose(pane, !pane->rows.items[pane->selected].is_open, area);
}

static void move_left(struct pane_tree *pane, struct area area)
{
	size_t index = pane->selected;
	int depth = pane->rows.items[index].depth;

	if (pane->rows.items[index].is_open) {
		choose(pane, false, area);
		return;
	}
	while (index > 0 && pane->rows.items[index].depth >= depth)
		index--;
	if (pane->rows.items[index].depth < depth)
		select_row(pane, index, area);
}

static void move_right(struct pane_tree *pane, struct area area)
{
	const struct tree_row *row = &pane->rows.items[pane->selected];

	if (row->is_open)
		select_row(pane, pane->selected + 1, area);
	else
		choose(pane, true, area);
}

static void click(struct pane_tree *pane, const struct input *input, struct area area)
{
	struct area inside = area_inside(area);
	int x = input->x - inside.left, y = input->y - inside.top - 1;
	int height = pane_tree_height(area);
	size_t index = pane_tree_top(pane, height) + (size_t)(y > 0 ? y : 0);

	if (x < 0 || x >= inside.width || y < 0 || y >= height || index >= pane->rows.count)
		return;
	if (index == pane->selected)
		toggle(pane, area);
	else
		select_row(pane, index, area);
}

/* wish of the selected row, of the tree's own at the head of a section. */
static struct pane_answer wish_of(struct pane_tree *pane, enum pane_wish wish)
{
	const struct tree_row *row = &pane->rows.items[pane->selected];
	const struct snapshot_location *at = calls_location(&pane->callers.calls, row->node);
	struct pane_answer made = answer(PANE_NOTHING);

	if (!at || (!row->depth && wish == PANE_CALLERS))
		return made;
	row_key_set(&pane->key, at->function, at->file, at->path, at->line);
	made.wish = wish;
	made.key = pane->key;
	return made;
}

static bool move(struct pane_tree *pane, const struct input *input, struct area area)
{
	int page = pane_tree_height(area) > 1 ? pane_tree_height(area) - 1 : 1;

	switch (input->action) {
	case ACTION_UP:
		move_by(pane, -1, area);
		return true;
	case ACTION_DOWN:
		move_by(pane, 1, area);
		return true;
	case ACTION_WHEEL_UP:
		move_by(pane, -WHEEL_LINES, area);
		return true;
	case ACTION_WHEEL_DOWN:
		move_by(pane, WHEEL_LINES, area);
		return true;
	case ACTION_PAGE_UP:
		move_by(pane, -page, area);
		return true;
	case ACTION_PAGE_DOWN:
		move_by(pane, page, area);
		return true;
	case ACTION_FIRST:
		select_row(pane, 0, area);
		return true;
	case ACTION_LAST:
		select_row(pane, pane->rows.count, area);
		return true;
	case ACTION_LEFT:
		move_left(pane, area);
		return true;
	case ACTION_RIGHT:
		move_right(pane, area);
		return true;
	case ACTION_ENTER:
		toggle(pane, area);
		return true;
	case ACTION_CLICK:
		click(pane, input, area);
		return true;
	default:
		return false;
	}
}

struct pane_answer pane_tree_act(struct pane *base, const struct pane_context *context,
				 const struct input *input, struct area area)
{
	struct pane_tree *pane = (struct pane_tree *)base;

	pane_tree_refresh(pane, context);
	if (input->action == ACTION_BACK)
		return answer(PANE_CLOSE);
	if (input->action == ACTION_FLAME)
		return answer(PANE_FLAME);
	if (!pane_tree_total(pane))
		return answer(PANE_IGNORED);
	if (move(pane, input, area))
		return answer(PANE_NOTHING);
	switch (input->action) {
	case ACTION_SOURCE:
		return wish_of(pane, PANE_SOURCE);
	case ACTION_CALLERS:
		return wish_of(pane, PANE_CALLERS);
	case ACTION_SORT:
	case ACTION_SORT_BACK:
		if (pane->table != MODEL_HEAP)
			return answer(PANE_IGNORED);
		pane->wants_other = !pane->is_allocated;
		pane_tree_make(pane, context);
		return answer(PANE_NOTHING);
	default:
		return answer(PANE_IGNORED);
	}
}
