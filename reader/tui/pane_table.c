/* The tables of samples, memory and waits: which row is chosen, what is scrolled, what keys do. */
#include "reader/tui/pane_table.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/mem.h"

enum { WHEEL_ROWS = 3 };

static const struct pane_answer nothing = {.wish = PANE_NOTHING};
static const struct pane_answer ignored = {.wish = PANE_IGNORED};

static struct pane_table *table_of(struct pane *pane)
{
	return (struct pane_table *)pane;
}

static void table_free(struct pane *pane)
{
	struct pane_table *table = table_of(pane);

	table_order_done(&table->order);
	row_key_done(&table->key);
	free(table->filter);
	free(table);
}

/* ---- the chosen row */

static void set_key(struct pane_table *table, const struct table_source *source, size_t rank)
{
	struct row_place place = table_place(source, table->order.rows[rank]);

	row_key_set(&table->key, place.function, place.file, place.path, place.line);
}

static void choose(struct pane_table *table, const struct table_source *source, size_t rank)
{
	if (!table->order.count)
		return;
	if (rank >= table->order.count)
		rank = table->order.count - 1;
	set_key(table, source, rank);
	table->selected = rank;
	table->is_chosen = true;
}

static void choose_none(struct pane_table *table)
{
	row_key_done(&table->key);
	table->is_chosen = false;
	table->selected = table->top = 0;
}

static size_t find_rank(const struct pane_table *table, const struct table_source *source)
{
	for (size_t i = 0; i < table->order.count; i++) {
		struct row_place place = table_place(source, table->order.rows[i]);

		if (row_key_is(&table->key, place.function, place.file, place.line))
			return i;
	}
	return SIZE_MAX;
}

void pane_table_scroll(struct pane_table *table, size_t visible)
{
	if (visible && table->is_chosen && table->is_kept_visible) {
		if (table->selected < table->top)
			table->top = table->selected;
		else if (table->selected >= table->top + visible)
			table->top = table->selected - visible + 1;
	}
	if (table->top + visible > table->order.count)
		table->top = table->order.count > visible ? table->order.count - visible : 0;
}

static bool is_same_filter(const struct pane_table *table, const char *filter)
{
	return !strcmp(table->filter ? table->filter : "", filter);
}

static void make_order(struct pane_table *table, const struct pane_context *context)
{
	const char *filter = context->filter ? context->filter : "";
	struct table_source source;
	size_t rank;

	table_source_init(&source, context->model, table->table);
	table_order_build(&table->order, &source, filter, table->sorted, table->is_reversed);
	table->model = context->model;
	table->serial = context->model ? context->model->serial : 0;
	if (!is_same_filter(table, filter)) {
		free(table->filter);
		table->filter = mem_strdup(filter);
	}
	if (!table->order.count || !table->is_chosen) {
		table->selected = 0;
		return;
	}
	rank = find_rank(table, &source);
	if (rank == SIZE_MAX) {
		choose(table, &source, table->selected);
		return;
	}
	table->selected = rank;
}

void pane_table_refresh(struct pane_table *table, const struct pane_context *context)
{
	const char *filter = context->filter ? context->filter : "";

	if (table->model == context->model &&
	    (!context->model || table->serial == context->model->serial) &&
	    is_same_filter(table, filter))
		return;
	make_order(table, context);
}

static void table_update(struct pane *pane, const struct pane_context *context)
{
	make_order(table_of(pane), context);
}

/* ---- keys */

static struct pane_answer answer_row(const struct pane_table *table, enum pane_wish wish)
{
	return (struct pane_answer){.wish = wish, .key = table->key};
}

/* Something is asked of a row; the first, where none is chosen, which it does not become. */
static struct pane_answer act_on_row(struct pane_table *table, const struct table_source *source,
				     enum pane_wish wish)
{
	if (!table->order.count)
		return nothing;
	/* What is charged to a thread has no place. */
	if (source->is_by_thread && (wish == PANE_CALLERS || wish == PANE_SOURCE))
		return nothing;
	if (!table->is_chosen)
		set_key(table, source, 0);
	return answer_row(table, wish);
}

/* -1 above the first row: none is chosen. */
static struct pane_answer go_to(struct pane_table *table, const struct table_source *source,
				const struct table_layout *layout, ptrdiff_t rank)
{
	if (!table->order.count)
		return nothing;
	if (rank < 0) {
		choose_none(table);
	} else {
		choose(table, source, (size_t)rank);
		table->is_kept_visible = true;
		pane_table_scroll(table, (size_t)layout->visible);
	}
	return answer_row(table, PANE_SELECTED);
}

static void turn_wheel(struct pane_table *table, const struct table_layout *layout, ptrdiff_t rows)
{
	ptrdiff_t last = (ptrdiff_t)table->order.count - layout->visible;
	ptrdiff_t top = (ptrdiff_t)table->top + rows;

	if (top > last)
		top = last;
	table->top = top > 0 ? (size_t)top : 0;
	table->is_kept_visible = false;
}

static struct pane_answer sort_by(struct pane_table *table, const struct pane_context *context,
				  const struct table_layout *layout, enum table_column column,
				  bool is_reversed)
{
	table->sorted = column;
	table->is_reversed = is_reversed;
	table->top = 0;
	table->is_kept_visible = true;
	make_order(table, context);
	pane_table_scroll(table, (size_t)layout->visible);
	return nothing;
}

/* The next of the columns that are shown and can be sorted by. */
static struct pane_answer sort_next(struct pane_table *table, const struct pane_context *context,
				    const struct table_layout *layout)
{
	int at = 0;

	for (int i = 0; i < layout->cell_count; i++) {
		if (layout->cells[i].column == table->sorted)
			at = i + 1;
	}
	if (at >= layout->cell_count || layout->cells[at].column == COLUMN_TREND)
		at = 0;
	return sort_by(table, context, layout, layout->cells[at].column, false);
}

static struct pane_answer click(struct pane_table *table, const struct pane_context *context,
				const struct table_source *source,
				const struct table_layout *layout, const struct input *input)
{
	int x = input->x - layout->inside.left, y = input->y - layout->rows.top;
	enum table_column hit = TABLE_COLUMNS;
	size_t rank;

	if (x < 0 || x >= layout->inside.width || y < -1 || y >= layout->rows.height)
		return ignored;
	if (y < 0) {
		for (int i = 0; i < layout->cell_count; i++) {
			if (x >= layout->cells[i].heading_x - 1)
				hit = layout->cells[i].column;
		}
		if (hit == TABLE_COLUMNS || hit == COLUMN_TREND)
			return nothing;
		return sort_by(table, context, layout, hit,
			       hit == table->sorted && !table->is_reversed);
	}
	rank = table->top + (size_t)(y / layout->row_lines);
	return rank < table->order.count ? go_to(table, source, layout, (ptrdiff_t)rank) : nothing;
}

static struct pane_answer table_act(struct pane *pane, const struct pane_context *context,
				    const struct input *input, struct area area)
{
	struct pane_table *table = table_of(pane);
	struct table_source source;
	struct table_layout layout;
	ptrdiff_t at, page;

	pane_table_refresh(table, context);
	table_source_init(&source, context->model, table->table);
	table_layout_init(&layout, &source, area, table->is_narrow, table->sorted);
	at = table->is_chosen ? (ptrdiff_t)table->selected : -1;
	page = layout.visible > 1 ? layout.visible - 1 : 1;
	switch (input->action) {
	case ACTION_UP:
		return go_to(table, &source, &layout, at < 0 ? -1 : at - 1);
	case ACTION_DOWN:
		return go_to(table, &source, &layout, at + 1);
	case ACTION_PAGE_UP:
		return go_to(table, &source, &layout, at > page ? at - page : 0);
	case ACTION_PAGE_DOWN:
		return go_to(table, &source, &layout, (at < 0 ? 0 : at) + page);
	case ACTION_FIRST:
		return go_to(table, &source, &layout, 0);
	case ACTION_LAST:
		return go_to(table, &source, &layout, (ptrdiff_t)table->order.count - 1);
	case ACTION_WHEEL_UP:
		turn_wheel(table, &layout, -WHEEL_ROWS);
		return nothing;
	case ACTION_WHEEL_DOWN:
		turn_wheel(table, &layout, WHEEL_ROWS);
		return nothing;
	case ACTION_CLICK:
		return click(table, context, &source, &layout, input);
	case ACTION_SORT:
		return sort_next(table, context, &layout);
	case ACTION_SORT_BACK:
		return sort_by(table, context, &layout, table->sorted, !table->is_reversed);
	case ACTION_ENTER:
		if (source.is_by_thread)
			return act_on_row(table, &source, PANE_THREAD);
		/* A chart that is shown is of all rows yet: it becomes that of the first. */
		return table->is_chosen ? answer_row(table, PANE_CHART)
					: go_to(table, &source, &layout, 0);
	case ACTION_CHART:
		return act_on_row(table, &source, PANE_CHART);
	case ACTION_CALLERS:
		return act_on_row(table, &source, PANE_CALLERS);
	case ACTION_SOURCE:
		return act_on_row(table, &source, PANE_SOURCE);
	default:
		return ignored;
	}
}

static const struct pane_ops table_ops = {
	.name = "table",
	.free = table_free,
	.update = table_update,
	.draw = pane_table_draw,
	.act = table_act,
};

const struct row_key *pane_table_selected(const struct pane *pane)
{
	const struct pane_table *table = (const struct pane_table *)pane;

	return table->is_chosen ? &table->key : NULL;
}

struct pane *pane_table_new(enum model_table of, bool is_narrow)
{
	struct pane_table *table = mem_zalloc(sizeof(*table));

	table->pane.ops = &table_ops;
	table->table = of;
	table->is_narrow = is_narrow;
	table->sorted = table_rank_column(of);
	return &table->pane;
}
