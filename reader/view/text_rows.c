/* The rows of samples and waits: their shares, and what waits have beside them. */
#include "reader/view/text_table.h"

#include "reader/util/fmt.h"
#include "reader/view/cell.h"
#include "reader/view/head.h"
#include "reader/view/number.h"

static void add_share(struct text_cells *cells, size_t column, double share)
{
	char number[FMT_MAX];

	str_addf(&cells->columns[column], "%s%%", number_decimal(number, share, 1));
	cells->colours[column] = text_heat(share);
}

static void add_wait(struct str *cell, const struct view_row *row)
{
	char number[FMT_MAX];

	str_add(cell, fmt_span(number, row->self_value));
}

static void add_waits(struct str *cell, const struct view_row *row)
{
	char number[FMT_MAX];

	str_add(cell, fmt_count(number, row->self));
}

static void add_ran(struct str *cell, const struct view_row *row)
{
	char number[FMT_MAX];

	str_add(cell, fmt_span(number, row->run_ns));
}

static void add_kind(struct str *cell, const struct view_row *row)
{
	str_add(cell, row->kind == WAIT_NONE ? cell_dash() : wait_kind_names[row->kind]);
}

/* A column between the shares and the place. */
struct more {
	struct text_column column;
	void (*add)(struct str *cell, const struct view_row *row);
};

static const struct more wait_columns[] = {{{.heading = "Wait"}, add_wait},
					   {{.heading = "Waits"}, add_waits},
					   {{.heading = "Kind", .is_text = true}, add_kind},
					   {{0}, NULL}};
/* What a thread did else. */
static const struct more thread_wait_columns[] = {{{.heading = "Wait"}, add_wait},
						  {{.heading = "Waits"}, add_waits},
						  {{.heading = "Ran"}, add_ran},
						  {{.heading = "Kind", .is_text = true}, add_kind},
						  {{0}, NULL}};
static const struct more no_columns[] = {{{0}, NULL}};

static const struct more *more_columns(const struct view *view, enum view_group group)
{
	if (!view->is_wait)
		return no_columns;
	return group == VIEW_BY_THREAD ? thread_wait_columns : wait_columns;
}

void text_print_rows(FILE *to, const struct view *view, enum view_group group,
		     const struct view_print *print)
{
	const struct event_kind *kind = head_event_kind(view);
	const struct more *more = more_columns(view, group);
	struct text_table table;

	text_table_init(&table, group, view->row_count);
	text_table_add_column(&table, (struct text_column){.heading = kind ? kind->column : "Self%",
							   .width_min = TEXT_SHARE_WIDTH});
	text_table_add_column(
		&table, (struct text_column){.heading = "Incl%", .width_min = TEXT_SHARE_WIDTH});
	for (size_t i = 0; more[i].add; i++)
		text_table_add_column(&table, more[i].column);
	for (size_t i = 0; i < view->row_count; i++) {
		const struct view_row *row = &view->rows[i];
		struct text_cells *cells = &table.rows[i];

		add_share(cells, 0, row->self_pct);
		add_share(cells, 1, row->incl_pct);
		for (size_t j = 0; more[j].add; j++)
			more[j].add(&cells->columns[2 + j], row);
		text_cells_place(cells, &ROW_PLACE(row), group);
	}
	text_table_print(to, &table, print);
	text_table_done(&table);
}
