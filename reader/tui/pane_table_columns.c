/* What a table's rows are, and which of its columns have room. */
#include "reader/tui/pane_table.h"

#include <string.h>

#include "reader/util/fmt.h"
#include "reader/view/head.h"

enum {
	GAP = 2,
	SORT_GAP = 3,	      /* with the mark in it */
	TEXT_MIN = 34,	      /* for function and location, while a column can leave */
	TEXT_OF_LONG = 36,    /* beside a trend that can become shorter */
	TEXT_MIN_HEAP = 32,   /* its numbers are wide */
	LOCATION_HALF = 44,   /* of more, two fifths */
	TREND_SHORT = 8,      /* checkpoints of the trend, where there is little room */
	TREND_NARROW_AT = 44, /* columns that narrow rows need to have a trend */
};

void table_source_init(struct table_source *source, const struct model *model,
		       enum model_table table)
{
	*source = (struct table_source){.model = model, .table = table};
	if (!model)
		return;
	source->rows = &model->tables[table];
	if (table == MODEL_HEAP) {
		source->heap = model->heap;
		source->count = source->heap ? source->heap->row_count : 0;
		return;
	}
	source->view = table == MODEL_CPU ? model->cpu : model->wait;
	source->count = source->view ? source->view->row_count : 0;
	source->is_by_thread = model->request.by_thread;
}

struct row_place table_place(const struct table_source *source, uint32_t row)
{
	if (source->heap)
		return ROW_PLACE(&source->heap->rows[row]);
	return ROW_PLACE(&source->view->rows[row]);
}

/* Of numbers that are not negative, bits grow with them. */
static uint64_t bits_of(double number)
{
	uint64_t bits;

	if (!(number > 0))
		return 0;
	memcpy(&bits, &number, sizeof(bits));
	return bits;
}

static uint64_t heap_number(const struct table_source *source, enum table_column column,
			    uint32_t row)
{
	const struct heap_row *at = &source->heap->rows[row];

	switch (column) {
	case COLUMN_LIVE:
		return at->live_bytes;
	case COLUMN_PEAK:
		return at->peak_bytes;
	case COLUMN_TOTAL:
		return at->totals.alloc_bytes;
	case COLUMN_ALLOCS:
		return at->totals.allocs;
	case COLUMN_TEMPORARY:
		return bits_of(heap_row_temporary_pct(at, source->heap));
	default:
		return 0;
	}
}

uint64_t table_number(const struct table_source *source, enum table_column column, uint32_t row)
{
	const struct view_row *at;

	if (source->heap)
		return heap_number(source, column, row);
	at = &source->view->rows[row];
	switch (column) {
	case COLUMN_SHARE:
		return bits_of(at->self_pct);
	case COLUMN_LIVE_PCT:
		return source->rows->live_pct ? bits_of(source->rows->live_pct[row]) : 0;
	case COLUMN_INCL:
		return bits_of(at->incl_pct);
	case COLUMN_WAIT:
		return at->self_value;
	case COLUMN_WAITS:
		return at->self;
	case COLUMN_RAN:
		return at->run_ns;
	default:
		return 0;
	}
}

const char *table_text(const struct table_source *source, enum table_column column, uint32_t row)
{
	if (column == COLUMN_LOCATION)
		return table_place(source, row).file;
	if (column == COLUMN_KIND && source->view)
		return wait_kind_names[source->view->rows[row].kind];
	return table_place(source, row).function;
}

bool table_column_is_text(enum table_column column)
{
	return column == COLUMN_KIND || column == COLUMN_FUNCTION || column == COLUMN_LOCATION ||
	       column == COLUMN_THREAD;
}

const char *table_heading(const struct table_source *source, enum table_column column)
{
	static const char *const headings[TABLE_COLUMNS] = {
		[COLUMN_LIVE_PCT] = "Live%",	[COLUMN_INCL] = "Incl%",
		[COLUMN_LIVE] = "Live",		[COLUMN_PEAK] = "Peak",
		[COLUMN_TOTAL] = "Total",	[COLUMN_ALLOCS] = "Allocs",
		[COLUMN_TEMPORARY] = "Temp%",	[COLUMN_WAIT] = "Wait",
		[COLUMN_WAITS] = "Waits",	[COLUMN_RAN] = "Ran",
		[COLUMN_KIND] = "Kind",		[COLUMN_FUNCTION] = "Function",
		[COLUMN_LOCATION] = "Location", [COLUMN_THREAD] = "Thread",
		[COLUMN_TREND] = "Trend",
	};
	const struct event_kind *kind = source->view ? head_event_kind(source->view) : NULL;

	if (column == COLUMN_SHARE)
		return kind ? kind->column : "Self%";
	return headings[column];
}

enum table_column table_rank_column(enum model_table table)
{
	return table == MODEL_HEAP ? COLUMN_LIVE : COLUMN_SHARE;
}

/* All that a table can have, in its order. */
static const enum table_column cpu_columns[] = {COLUMN_SHARE,	 COLUMN_LIVE_PCT, COLUMN_INCL,
						COLUMN_FUNCTION, COLUMN_LOCATION, COLUMN_TREND,
						TABLE_COLUMNS};
static const enum table_column heap_columns[] = {COLUMN_LIVE,	  COLUMN_PEAK,	    COLUMN_TOTAL,
						 COLUMN_ALLOCS,	  COLUMN_TEMPORARY, COLUMN_FUNCTION,
						 COLUMN_LOCATION, COLUMN_TREND,	    TABLE_COLUMNS};
static const enum table_column wait_columns[] = {COLUMN_SHARE, COLUMN_WAIT,	COLUMN_WAITS,
						 COLUMN_KIND,  COLUMN_FUNCTION, COLUMN_LOCATION,
						 COLUMN_TREND, TABLE_COLUMNS};
static const enum table_column cpu_thread_columns[] = {COLUMN_SHARE, COLUMN_LIVE_PCT, COLUMN_THREAD,
						       COLUMN_TREND, TABLE_COLUMNS};
static const enum table_column wait_thread_columns[] = {COLUMN_SHARE, COLUMN_WAIT,  COLUMN_WAITS,
							COLUMN_RAN,   COLUMN_KIND,  COLUMN_THREAD,
							COLUMN_TREND, TABLE_COLUMNS};

/* What leaves one after the other as it gets narrow; a trend that is named the first time only
 * becomes shorter. */
static const enum table_column cpu_leaving[] = {COLUMN_TREND, COLUMN_TREND, COLUMN_LIVE_PCT,
						COLUMN_INCL, TABLE_COLUMNS};
static const enum table_column heap_leaving[] = {COLUMN_TEMPORARY, COLUMN_PEAK,	  COLUMN_TREND,
						 COLUMN_TREND,	   COLUMN_ALLOCS, COLUMN_TOTAL,
						 TABLE_COLUMNS};
static const enum table_column wait_leaving[] = {COLUMN_TREND, COLUMN_TREND, COLUMN_RAN,
						 COLUMN_WAITS, COLUMN_KIND,  TABLE_COLUMNS};

static const enum table_column *columns_of(const struct table_source *source)
{
	if (source->table == MODEL_HEAP)
		return heap_columns;
	if (source->table == MODEL_CPU)
		return source->is_by_thread ? cpu_thread_columns : cpu_columns;
	return source->is_by_thread ? wait_thread_columns : wait_columns;
}

static const enum table_column *leaving_of(const struct table_source *source)
{
	if (source->table == MODEL_HEAP)
		return heap_leaving;
	return source->table == MODEL_CPU ? cpu_leaving : wait_leaving;
}

static int count_width(uint64_t most)
{
	char number[FMT_MAX];
	int width = (int)strlen(fmt_count(number, most));

	return width > 6 ? width : 6;
}

static int bytes_width(const struct table_source *source, bool is_held)
{
	int width = 8; /* "999.9 MB" */

	if (source->heap && source->heap->is_estimate)
		width++;
	/* In ASCII the sign is two characters. */
	if (source->heap && source->heap->is_least && is_held)
		width += 2;
	return width;
}

/* 0: as much as there is left. */
static int width_of(const struct table_source *source, enum table_column column)
{
	switch (column) {
	case COLUMN_LIVE:
	case COLUMN_PEAK:
		return bytes_width(source, true);
	case COLUMN_TOTAL:
		return bytes_width(source, false);
	case COLUMN_ALLOCS:
		return count_width(source->heap ? source->heap->totals.allocs : 0) +
		       (source->heap && source->heap->is_estimate);
	case COLUMN_TEMPORARY:
		return 5;
	case COLUMN_WAITS:
		return count_width(source->view ? source->view->total_samples : 0);
	case COLUMN_KIND:
		return 9; /* "run queue" */
	case COLUMN_FUNCTION:
	case COLUMN_LOCATION:
	case COLUMN_THREAD:
		return 0;
	case COLUMN_TREND:
		return MODEL_TREND;
	default:
		return 6; /* "100.0%", "87.0us" */
	}
}

static int gap_after(enum table_column column, enum table_column sorted)
{
	return column == sorted && !table_column_is_text(column) ? SORT_GAP : GAP;
}

/* Puts the columns that are kept side by side; returns what is left for text. */
static int lay_out(struct table_layout *layout, const struct table_source *source,
		   const bool *is_gone, bool is_trend_short, enum table_column sorted)
{
	int rest = layout->inside.width - 1;

	layout->cell_count = 0;
	for (const enum table_column *at = columns_of(source); *at != TABLE_COLUMNS; at++) {
		struct table_cell *cell = &layout->cells[layout->cell_count];

		if (is_gone[*at])
			continue;
		*cell = (struct table_cell){.column = *at, .width = width_of(source, *at)};
		if (*at == COLUMN_TREND && is_trend_short)
			cell->width = TREND_SHORT;
		rest -= cell->width + gap_after(*at, sorted);
		layout->cell_count++;
	}
	return rest + GAP; /* none after the last */
}

static void place_cells(struct table_layout *layout, int text, enum table_column sorted)
{
	int location = text / 2;
	int x = 1; /* after the cursor */

	if (location > LOCATION_HALF)
		location = text * 2 / 5 > LOCATION_HALF ? text * 2 / 5 : LOCATION_HALF;
	for (int i = 0; i < layout->cell_count; i++) {
		struct table_cell *cell = &layout->cells[i];

		if (cell->column == COLUMN_LOCATION)
			cell->width = location;
		else if (cell->column == COLUMN_FUNCTION)
			cell->width = text - location;
		else if (cell->column == COLUMN_THREAD)
			cell->width = text;
		cell->width = cell->width > 0 ? cell->width : 0;
		cell->x = cell->heading_x = x;
		x += cell->width + gap_after(cell->column, sorted);
	}
}

/* Of less, the next column leaves. */
static int least_text(const struct table_source *source, bool is_long_trend)
{
	if (source->table == MODEL_HEAP)
		return TEXT_MIN_HEAP;
	return is_long_trend ? TEXT_OF_LONG : TEXT_MIN;
}

static void init_wide(struct table_layout *layout, const struct table_source *source,
		      enum table_column sorted)
{
	bool is_gone[TABLE_COLUMNS] = {false}, is_trend_short = false;
	const enum table_column *leaving = leaving_of(source);
	int text = lay_out(layout, source, is_gone, false, sorted);

	for (; *leaving != TABLE_COLUMNS; leaving++) {
		bool is_long_trend = *leaving == COLUMN_TREND && !is_trend_short;

		if (text >= least_text(source, is_long_trend))
			break;
		if (is_long_trend)
			is_trend_short = true;
		else
			is_gone[*leaving] = true;
		text = lay_out(layout, source, is_gone, is_trend_short, sorted);
	}
	place_cells(layout, text, sorted);
}

/* Two lines: the share and where it is, below that what it is called. */
static void init_narrow(struct table_layout *layout, const struct table_source *source,
			enum table_column sorted)
{
	enum table_column rank = table_rank_column(source->table);
	int width = layout->inside.width, first = width_of(source, rank);
	int x = 1 + first + gap_after(rank, sorted), rest = width - x;
	int trend = rest >= TREND_NARROW_AT ? MODEL_TREND + GAP : 0;
	struct table_cell *cell = layout->cells;

	rest = rest > 0 ? rest : 0;
	layout->row_lines = 2;
	*cell++ = (struct table_cell){.column = rank, .x = 1, .width = first, .heading_x = 1};
	if (source->is_by_thread) {
		*cell++ = (struct table_cell){
			.column = COLUMN_THREAD, .x = x, .width = rest, .heading_x = x};
		layout->row_lines = 1;
	} else {
		*cell++ = (struct table_cell){
			.column = COLUMN_LOCATION, .x = x, .width = rest, .heading_x = x};
		*cell++ = (struct table_cell){
			.column = COLUMN_FUNCTION,
			.line = 1,
			.x = x,
			.width = rest - trend,
			.heading_x = x + 12,
		};
	}
	if (trend && !source->is_by_thread)
		*cell++ = (struct table_cell){
			.column = COLUMN_TREND,
			.line = 1,
			.x = width - MODEL_TREND,
			.width = MODEL_TREND,
			.heading_x = width - MODEL_TREND,
		};
	layout->cell_count = (int)(cell - layout->cells);
}

void table_layout_init(struct table_layout *layout, const struct table_source *source,
		       struct area area, bool is_narrow, enum table_column sorted)
{
	*layout = (struct table_layout){.inside = area_inside(area), .row_lines = 1};
	layout->rows = layout->inside;
	if (layout->rows.height > 0) {
		layout->rows.top++;
		layout->rows.height--;
	}
	if (is_narrow)
		init_narrow(layout, source, sorted);
	else
		init_wide(layout, source, sorted);
	layout->visible = layout->rows.height / layout->row_lines;
}
