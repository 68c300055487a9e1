/* The table's own lines: widths, headings, rows. */
#include "reader/view/text_table.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/fmt.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "reader/view/cell.h"
#include "reader/view/head.h"
#include "reader/view/number.h"

enum {
	SHARE_WIDTH = 6, /* "100.0%" */
	GAP = 2,	 /* between columns */
	TEXT_MIN = 8,	 /* a text column is not made narrower: the line wraps instead */
	/* Where the width is not known, a place longer than this does not widen the column for all
	 * the other rows. */
	PLACE_ALIGNED_MAX = 64,
	MORE_MAX = 4, /* columns between the shares and the place */
};

/* Shares from which a row is warm and hot; what is below the first hardly matters and is dim. */
static const double heat_some = 1, heat_warm = 5, heat_hot = 15;

/* A column between the shares and the place. */
struct more {
	const char *heading;
	bool is_text; /* and so to the left */
	void (*add)(struct str *cell, const struct view_row *row);
};

/* The two text columns: what a row is, and a name. Wider groups show their hottest line beside. */
static const struct {
	const char *place, *name; /* name NULL: one column */
} headings[] = {
	[VIEW_BY_LINE] = {"Location", "Function"}, [VIEW_BY_FUNCTION] = {"Location", "Function"},
	[VIEW_BY_FILE] = {"File", "Hottest line"}, [VIEW_BY_MODULE] = {"Module", "Hottest line"},
	[VIEW_BY_THREAD] = {"Thread", NULL},
};

/* A row's two text cells, clean and not yet cut. */
struct cells {
	struct str place, name, more[MORE_MAX];
};

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

static const struct more wait_columns[] = {
	{"Wait", false, add_wait}, {"Waits", false, add_waits}, {"Kind", true, add_kind}, {0}};
/* What a thread did else. */
static const struct more thread_wait_columns[] = {{"Wait", false, add_wait},
						  {"Waits", false, add_waits},
						  {"Ran", false, add_ran},
						  {"Kind", true, add_kind},
						  {0}};
static const struct more no_columns[] = {{0}};

_Static_assert(sizeof(thread_wait_columns) / sizeof(*thread_wait_columns) == MORE_MAX + 1,
	       "no more columns than cells");

static const struct more *more_columns(const struct view *view, enum view_group group)
{
	if (!view->is_wait)
		return no_columns;
	return group == VIEW_BY_THREAD ? thread_wait_columns : wait_columns;
}

static void add_place(struct str *to, const struct view_row *row)
{
	cell_add_clean(to, row->file);
	if (row->line)
		str_addf(to, ":%u", row->line);
}

static void fill_cells(struct cells *cells, const struct view_row *row, enum view_group group,
		       const struct more *more)
{
	for (size_t i = 0; more[i].heading; i++)
		more[i].add(&cells->more[i], row);
	switch (group) {
	case VIEW_BY_LINE:
	case VIEW_BY_FUNCTION:
		add_place(&cells->place, row);
		cell_add_clean(&cells->name, row->function);
		break;
	case VIEW_BY_FILE:
	case VIEW_BY_MODULE:
		cell_add_clean(&cells->place, group == VIEW_BY_FILE ? row->file : row->module);
		add_place(&cells->name, row);
		str_add(&cells->name, " ");
		cell_add_clean(&cells->name, row->function);
		break;
	case VIEW_BY_THREAD:
		cell_add_clean(&cells->place, row->function);
		break;
	}
}

struct widths {
	size_t self, place, name, more[MORE_MAX];
	bool is_cut; /* to the terminal's width */
};

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* What is left of the terminal is shared by the two text columns: half each, but what one does not
 * need is the other's. */
static struct widths fit(const struct view *view, const struct cells *cells,
			 const char *self_heading, enum view_group group, const struct more *more,
			 size_t columns)
{
	struct widths widths = {
		.self = larger(SHARE_WIDTH, strlen(self_heading)),
		.place = strlen(headings[group].place),
		.name = headings[group].name ? strlen(headings[group].name) : 0,
		.is_cut = columns > 0,
	};
	size_t taken = widths.self + SHARE_WIDTH + 2 * GAP, room, half;

	for (size_t i = 0; i < view->row_count; i++) {
		size_t place = str_width(str_text(&cells[i].place));

		if (columns || place <= PLACE_ALIGNED_MAX)
			widths.place = larger(widths.place, place);
		widths.name = larger(widths.name, str_width(str_text(&cells[i].name)));
	}
	for (size_t column = 0; more[column].heading; column++) {
		size_t *width = &widths.more[column];

		*width = strlen(more[column].heading);
		for (size_t i = 0; i < view->row_count; i++)
			*width = larger(*width, str_width(str_text(&cells[i].more[column])));
		taken += *width + GAP;
	}
	if (!columns)
		return widths;
	if (widths.name)
		taken += GAP;
	room = columns > taken ? columns - taken : 0;
	if (widths.place + widths.name <= room)
		return widths;
	half = widths.name ? room / 2 : room;
	if (widths.place <= half)
		widths.name = room - widths.place;
	else if (widths.name <= room - half)
		widths.place = room - widths.name;
	else {
		widths.place = half;
		widths.name = room - half;
	}
	widths.place = larger(widths.place, TEXT_MIN);
	widths.name = larger(widths.name, TEXT_MIN);
	return widths;
}

static void add_share(struct str *line, double share, size_t width, bool colour)
{
	char number[FMT_MAX];
	const char *heat = NULL;

	if (colour && share < heat_some)
		heat = SGR_DIM;
	else if (colour && share >= heat_hot)
		heat = SGR_HOT;
	else if (colour && share >= heat_warm)
		heat = SGR_WARM;
	str_add(line, heat ? heat : "");
	str_addf(line, "%*s%%", (int)width - 1, number_decimal(number, share, 1));
	str_add(line, heat ? SGR_END : "");
}

static void add_more(struct str *line, const struct more *more, const char *text, size_t width)
{
	size_t length = str_width(text), from = line->length;

	if (!more->is_text && length < width)
		str_addf(line, "%*s", (int)(width - length), "");
	str_add(line, text);
	if (more->is_text)
		cell_pad(line, from, width);
	str_addf(line, "%*s", GAP, "");
}

static void add_row(struct str *line, const struct view_row *row, const struct cells *cells,
		    const struct widths *widths, const struct more *more, bool has_name,
		    bool colour)
{
	size_t place_width = widths->is_cut ? widths->place : SIZE_MAX;
	size_t name_width = widths->is_cut ? widths->name : SIZE_MAX;
	size_t from;

	add_share(line, row->self_pct, widths->self, colour);
	str_addf(line, "%*s", GAP, "");
	add_share(line, row->incl_pct, SHARE_WIDTH, colour);
	str_addf(line, "%*s", GAP, "");
	for (size_t i = 0; more[i].heading; i++)
		add_more(line, &more[i], str_text(&cells->more[i]), widths->more[i]);
	from = line->length;
	cell_add_path(line, str_text(&cells->place), place_width);
	if (has_name) {
		cell_pad(line, from, widths->place);
		str_addf(line, "%*s", GAP, "");
		cell_add_name(line, str_text(&cells->name), name_width);
	}
	str_add(line, "\n");
}

static void add_headings(struct str *line, const struct widths *widths, const char *self_heading,
			 enum view_group group, const struct more *more, bool colour)
{
	size_t from;

	str_add(line, colour ? SGR_BOLD : "");
	str_addf(line, "%*s%*s%*s%*s", (int)widths->self, self_heading, GAP, "", SHARE_WIDTH,
		 "Incl%", GAP, "");
	for (size_t i = 0; more[i].heading; i++)
		add_more(line, &more[i], more[i].heading, widths->more[i]);
	from = line->length;
	str_add(line, headings[group].place);
	if (headings[group].name) {
		cell_pad(line, from, widths->place);
		str_addf(line, "%*s%s", GAP, "", headings[group].name);
	}
	str_addf(line, "%s\n", colour ? SGR_END : "");
}

void text_print_table(FILE *to, const struct view *view, enum view_group group,
		      const struct view_print *print)
{
	struct cells *cells = mem_array(view->row_count, sizeof(*cells));
	const struct event_kind *kind = head_event_kind(view);
	const char *self_heading = kind ? kind->column : "Self%";
	const struct more *more = more_columns(view, group);
	OWN(str_done) struct str line = {0};
	struct widths widths;

	for (size_t i = 0; i < view->row_count; i++)
		fill_cells(&cells[i], &view->rows[i], group, more);
	widths = fit(view, cells, self_heading, group, more, print->columns);
	add_headings(&line, &widths, self_heading, group, more, print->colour);
	for (size_t i = 0; i < view->row_count; i++) {
		add_row(&line, &view->rows[i], &cells[i], &widths, more,
			headings[group].name != NULL, print->colour);
		fputs(str_text(&line), to);
		str_clear(&line);
		str_done(&cells[i].place);
		str_done(&cells[i].name);
		for (size_t column = 0; column < MORE_MAX; column++)
			str_done(&cells[i].more[column]);
	}
	fputs(str_text(&line), to);
	free(cells);
}
