/* The table's own lines: widths, headings, rows. */
#include "reader/view/text_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/view/cell.h"

enum {
	GAP = 2,      /* between columns */
	TEXT_MIN = 8, /* a text column is not made narrower: the line wraps instead */
	/* Where the width is not known, a place longer than this does not widen the column for all
	 * the other rows. */
	PLACE_ALIGNED_MAX = 64,
};

/* Shares from which a row is warm and hot; what is below the first hardly matters and is dim. */
static const double heat_some = 1, heat_warm = 5, heat_hot = 15;

/* The two text columns: what a row is, and a name. Wider groups show their hottest line beside. */
static const struct {
	const char *place, *name; /* name NULL: one column */
} headings[] = {
	[VIEW_BY_LINE] = {"Location", "Function"}, [VIEW_BY_FUNCTION] = {"Location", "Function"},
	[VIEW_BY_FILE] = {"File", "Hottest line"}, [VIEW_BY_MODULE] = {"Module", "Hottest line"},
	[VIEW_BY_THREAD] = {"Thread", NULL},
};

void text_table_init(struct text_table *table, enum view_group group, size_t row_count)
{
	*table = (struct text_table){.group = group, .row_count = row_count};
	table->rows = mem_array(row_count, sizeof(*table->rows));
}

void text_table_done(struct text_table *table)
{
	for (size_t i = 0; i < table->row_count; i++) {
		struct text_cells *cells = &table->rows[i];

		str_done(&cells->place);
		str_done(&cells->name);
		for (size_t column = 0; column < TEXT_COLUMNS_MAX; column++)
			str_done(&cells->columns[column]);
	}
	free(table->rows);
	memset(table, 0, sizeof(*table));
}

void text_table_add_column(struct text_table *table, struct text_column column)
{
	assert(table->column_count < TEXT_COLUMNS_MAX);
	table->columns[table->column_count++] = column;
}

const char *text_heat(double share)
{
	if (share < heat_some)
		return SGR_DIM;
	if (share >= heat_hot)
		return SGR_HOT;
	return share >= heat_warm ? SGR_WARM : NULL;
}

static void add_line(struct str *to, const struct row_place *place)
{
	cell_add_clean(to, place->file);
	if (place->line)
		str_addf(to, ":%u", place->line);
}

void text_cells_place(struct text_cells *cells, const struct row_place *place,
		      enum view_group group)
{
	switch (group) {
	case VIEW_BY_LINE:
	case VIEW_BY_FUNCTION:
		add_line(&cells->place, place);
		cell_add_clean(&cells->name, place->function);
		break;
	case VIEW_BY_FILE:
	case VIEW_BY_MODULE:
		cell_add_clean(&cells->place, group == VIEW_BY_FILE ? place->file : place->module);
		add_line(&cells->name, place);
		str_add(&cells->name, " ");
		cell_add_clean(&cells->name, place->function);
		break;
	case VIEW_BY_THREAD:
		cell_add_clean(&cells->place, place->function);
		break;
	}
}

struct widths {
	size_t columns[TEXT_COLUMNS_MAX], place, name;
	bool is_cut; /* to the terminal's width */
};

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* The columns of numbers have what they need. Returns what they and their gaps take. */
static size_t fit_columns(const struct text_table *table, struct widths *widths)
{
	size_t taken = 0;

	for (size_t column = 0; column < table->column_count; column++) {
		const struct text_column *told = &table->columns[column];
		size_t *width = &widths->columns[column];

		*width = larger(told->width_min, strlen(told->heading));
		for (size_t i = 0; i < table->row_count; i++)
			*width = larger(*width,
					str_width(str_text(&table->rows[i].columns[column])));
		taken += *width + GAP;
	}
	return taken;
}

/* What is left of the terminal is shared by the two text columns: half each, but what one does not
 * need is the other's. */
static struct widths fit(const struct text_table *table, size_t columns)
{
	const char *place_heading = headings[table->group].place;
	const char *name_heading = headings[table->group].name;
	struct widths widths = {
		.place = strlen(place_heading),
		.name = name_heading ? strlen(name_heading) : 0,
		.is_cut = columns > 0,
	};
	size_t taken = fit_columns(table, &widths), room, half;

	for (size_t i = 0; i < table->row_count; i++) {
		const struct text_cells *cells = &table->rows[i];
		size_t place = str_width(str_text(&cells->place));

		if (columns || place <= PLACE_ALIGNED_MAX)
			widths.place = larger(widths.place, place);
		widths.name = larger(widths.name, str_width(str_text(&cells->name)));
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

/* With the gap behind it. */
static void add_cell(struct str *line, const struct text_column *column, const char *text,
		     const char *colour, size_t width)
{
	size_t length = str_width(text), from;

	str_add(line, colour ? colour : "");
	from = line->length;
	if (!column->is_text && length < width)
		str_addf(line, "%*s", (int)(width - length), "");
	str_add(line, text);
	if (column->is_text)
		cell_pad(line, from, width);
	str_add(line, colour ? SGR_END : "");
	str_addf(line, "%*s", GAP, "");
}

static void add_row(struct str *line, const struct text_table *table,
		    const struct text_cells *cells, const struct widths *widths, bool colour)
{
	size_t place_width = widths->is_cut ? widths->place : SIZE_MAX;
	size_t name_width = widths->is_cut ? widths->name : SIZE_MAX;
	size_t from;

	for (size_t i = 0; i < table->column_count; i++)
		add_cell(line, &table->columns[i], str_text(&cells->columns[i]),
			 colour ? cells->colours[i] : NULL, widths->columns[i]);
	from = line->length;
	cell_add_path(line, str_text(&cells->place), place_width);
	if (headings[table->group].name) {
		cell_pad(line, from, widths->place);
		str_addf(line, "%*s", GAP, "");
		cell_add_name(line, str_text(&cells->name), name_width);
	}
	str_add(line, "\n");
}

static void add_headings(struct str *line, const struct text_table *table,
			 const struct widths *widths, bool colour)
{
	size_t from;

	str_add(line, colour ? SGR_BOLD : "");
	for (size_t i = 0; i < table->column_count; i++)
		add_cell(line, &table->columns[i], table->columns[i].heading, NULL,
			 widths->columns[i]);
	from = line->length;
	str_add(line, headings[table->group].place);
	if (headings[table->group].name) {
		cell_pad(line, from, widths->place);
		str_addf(line, "%*s%s", GAP, "", headings[table->group].name);
	}
	str_addf(line, "%s\n", colour ? SGR_END : "");
}

void text_table_print(FILE *to, const struct text_table *table, const struct view_print *print)
{
	struct widths widths = fit(table, print->columns);
	OWN(str_done) struct str line = {0};

	add_headings(&line, table, &widths, print->colour);
	for (size_t i = 0; i < table->row_count; i++) {
		add_row(&line, table, &table->rows[i], &widths, print->colour);
		fputs(str_text(&line), to);
		str_clear(&line);
	}
	fputs(str_text(&line), to);
}
