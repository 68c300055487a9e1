/* How a table looks. Only the rows that are seen cost anything. */
#include "reader/tui/pane_table.h"

#include <string.h>

#include "reader/util/fmt.h"
#include "reader/util/own.h"
#include "reader/view/head.h"
#include "reader/view/number.h"

static enum ink table_ink(enum model_table table)
{
	static const enum ink inks[MODEL_TABLES] = {
		[MODEL_CPU] = INK_SERIES_CPU,
		[MODEL_HEAP] = INK_SERIES_HEAP,
		[MODEL_WAIT] = INK_SERIES_WAIT,
	};

	return inks[table];
}

/* ---- cells */

static const char *percent(char buffer[FMT_MAX], double share, int decimals)
{
	return strcat((char *)number_decimal(buffer, share, decimals), "%");
}

/* "≥~48.3 MB": at least, and by a sample. */
static void add_bytes(struct str *to, const struct canvas *canvas, const struct heap_row *row,
		      uint64_t bytes, bool is_held)
{
	char number[FMT_MAX];

	if (is_held && row->is_least)
		str_add(to, canvas->is_unicode ? "≥" : ">=");
	str_addf(to, "%s%s", row->is_estimate ? "~" : "", fmt_bytes(number, bytes));
}

static void add_heap_number(struct str *to, const struct canvas *canvas,
			    const struct table_source *source, enum table_column column,
			    const struct heap_row *row)
{
	char number[FMT_MAX];
	double share;

	switch (column) {
	case COLUMN_LIVE:
		add_bytes(to, canvas, row, row->live_bytes, true);
		break;
	case COLUMN_PEAK:
		add_bytes(to, canvas, row, row->peak_bytes, true);
		break;
	case COLUMN_TOTAL:
		add_bytes(to, canvas, row, row->totals.alloc_bytes, false);
		break;
	case COLUMN_ALLOCS:
		str_addf(to, "%s%s", row->is_estimate ? "~" : "",
			 fmt_count(number, row->totals.allocs));
		break;
	case COLUMN_TEMPORARY:
		share = heap_row_temporary_pct(row, source->heap);
		str_add(to,
			share < 0 ? canvas_glyph(canvas, GLYPH_DASH) : percent(number, share, 0));
		break;
	default:
		break;
	}
}

static void add_number(struct str *to, const struct table_source *source, enum table_column column,
		       uint32_t row)
{
	const struct view_row *at = &source->view->rows[row];
	char number[FMT_MAX];

	switch (column) {
	case COLUMN_SHARE:
		str_add(to, percent(number, at->self_pct, 1));
		break;
	case COLUMN_LIVE_PCT:
		str_add(to, percent(number,
				    source->rows->live_pct ? source->rows->live_pct[row] : 0, 1));
		break;
	case COLUMN_INCL:
		str_add(to, percent(number, at->incl_pct, 1));
		break;
	case COLUMN_WAIT:
		str_add(to, fmt_span(number, at->self_value));
		break;
	case COLUMN_WAITS:
		str_add(to, fmt_count(number, at->self));
		break;
	case COLUMN_RAN:
		str_add(to, fmt_span(number, at->run_ns));
		break;
	default:
		break;
	}
}

/* Shares are hot or cold; of the rest, what tells more of the same is dim. */
static enum ink number_ink(const struct table_source *source, enum table_column column,
			   uint32_t row)
{
	const struct heap_row *heap = source->heap ? &source->heap->rows[row] : NULL;

	switch (column) {
	case COLUMN_SHARE:
		return ink_of_share(source->view->rows[row].self_pct);
	case COLUMN_INCL:
		return ink_of_share(source->view->rows[row].incl_pct);
	case COLUMN_LIVE_PCT:
		return ink_of_share(source->rows->live_pct ? source->rows->live_pct[row] : 0);
	case COLUMN_LIVE:
		return ink_of_share(number_share(heap->live_bytes, source->heap->live_bytes));
	case COLUMN_PEAK:
	case COLUMN_TEMPORARY:
	case COLUMN_RAN:
		return INK_DIM;
	default:
		return INK_NORMAL;
	}
}

/* To a row's own highest: its shape is shown, the numbers say how much it is. A full block would run
 * into the row above. */
static void draw_trend(struct canvas *canvas, struct area line, const struct table_cell *cell,
		       const struct table_source *source, uint32_t row)
{
	struct style style = {.ink = (uint8_t)table_ink(source->table)};
	const struct model_trend *trend;
	uint64_t most = 0;
	int first = MODEL_TREND - cell->width;

	if (!source->rows->trends)
		return;
	trend = &source->rows->trends[row];
	for (int i = first; i < MODEL_TREND; i++)
		most = trend->values[i] > most ? trend->values[i] : most;
	for (int i = first; i < MODEL_TREND; i++) {
		uint64_t value = trend->values[i];
		int level = 0;

		if (value)
			level = 1 + (int)((double)value / (double)most * (SPARK_LEVELS - 2) + 0.5);
		canvas_put(canvas, line, cell->x + i - first, cell->line, style,
			   canvas_spark(canvas, level));
	}
}

static void draw_location(struct canvas *canvas, struct area line, const struct table_cell *cell,
			  const struct row_place *place)
{
	OWN(str_done) struct str text = {0};

	str_add(&text, place->file);
	if (place->line)
		str_addf(&text, ":%u", place->line);
	canvas_put_path(canvas, line, cell->x, cell->line, cell->width,
			(struct style){.ink = INK_DIM}, str_text(&text));
}

static void draw_kind(struct canvas *canvas, struct area line, const struct table_cell *cell,
		      enum wait_kind kind)
{
	canvas_put(canvas, line, cell->x, cell->line, (struct style){.ink = INK_NORMAL},
		   kind == WAIT_NONE ? canvas_glyph(canvas, GLYPH_DASH) : wait_kind_names[kind]);
}

static void draw_number(struct canvas *canvas, struct area line, const struct table_cell *cell,
			const struct table_source *source, uint32_t row)
{
	struct style style = {.ink = (uint8_t)number_ink(source, cell->column, row)};
	OWN(str_done) struct str text = {0};

	if (source->heap)
		add_heap_number(&text, canvas, source, cell->column, &source->heap->rows[row]);
	else
		add_number(&text, source, cell->column, row);
	canvas_put_right(canvas, line, cell->x + cell->width, cell->line, style, str_text(&text));
}

static void draw_cell(struct canvas *canvas, struct area line, const struct table_cell *cell,
		      const struct table_source *source, uint32_t row)
{
	struct row_place place = table_place(source, row);

	switch (cell->column) {
	case COLUMN_FUNCTION:
	case COLUMN_THREAD:
		canvas_put_name(canvas, line, cell->x, cell->line, cell->width,
				(struct style){.ink = INK_NORMAL}, place.function);
		break;
	case COLUMN_LOCATION:
		draw_location(canvas, line, cell, &place);
		break;
	case COLUMN_KIND:
		draw_kind(canvas, line, cell, source->view->rows[row].kind);
		break;
	case COLUMN_TREND:
		draw_trend(canvas, line, cell, source, row);
		break;
	default:
		draw_number(canvas, line, cell, source, row);
		break;
	}
}

/* ---- headings */

static void draw_headings(struct canvas *canvas, const struct table_layout *layout,
			  const struct table_source *source, const struct pane_table *table)
{
	const char *mark = canvas_glyph(
		canvas,
		table->is_reversed != table_column_is_text(table->sorted) ? GLYPH_UP : GLYPH_DOWN);

	for (int i = 0; i < layout->cell_count; i++) {
		const struct table_cell *cell = &layout->cells[i];
		const char *heading = table_heading(source, cell->column);
		bool is_sorted = cell->column == table->sorted;
		bool is_left = table_column_is_text(cell->column) || cell->column == COLUMN_TREND;
		struct style style = {.ink = is_sorted ? INK_ACCENT : INK_DIM,
				      .face = is_sorted ? FACE_BOLD : 0};
		int end = cell->heading_x + cell->width;

		if (is_left)
			end = cell->heading_x + canvas_put(canvas, layout->inside, cell->heading_x,
							   0, style, heading);
		else
			canvas_put_right(canvas, layout->inside, end, 0, style, heading);
		if (is_sorted)
			canvas_put(canvas, layout->inside, end + 1, 0, style, mark);
	}
}

/* ---- titles */

static void add_range(struct str *title, const struct canvas *canvas, const struct model *model)
{
	char from[FMT_MAX], to[FMT_MAX];
	uint64_t begin_ns, end_ns;

	if (!model->request.from_ns && model->request.to_ns == UINT64_MAX)
		return;
	head_window(model->snapshot, &begin_ns, &end_ns);
	str_addf(title, "  %s%s%s", fmt_duration(from, begin_ns), canvas_glyph(canvas, GLYPH_DASH),
		 fmt_duration(to, end_ns));
}

/* "Top CPU by Incl%  2m00s–3m30s  worker (12)  /parse" */
static void add_title(struct str *title, const struct canvas *canvas,
		      const struct pane_context *context, const struct table_source *source,
		      const struct pane_table *table)
{
	static const char *const names[MODEL_TABLES] = {
		[MODEL_CPU] = "CPU", [MODEL_HEAP] = "Memory", [MODEL_WAIT] = "Wait"};
	const struct model_request *request = source->model ? &source->model->request : NULL;

	str_addf(title, "Top %s", names[table->table]);
	if (source->is_by_thread)
		str_add(title, " by thread");
	if (table->sorted != table_rank_column(table->table))
		str_addf(title, ", by %s", table_heading(source, table->sorted));
	if (request)
		add_range(title, canvas, source->model);
	if (request && *request->thread && table->table == MODEL_HEAP)
		str_add(title, "  all threads");
	else if (request && *request->thread)
		str_addf(title, "  thread %s", request->thread);
	if (context->filter && *context->filter)
		str_addf(title, "  /%s", context->filter);
}

/* "1/1,204", of those that a filter left "1/12 of 1,204". */
static void add_rank(struct str *title, const struct table_source *source,
		     const struct pane_table *table)
{
	char rank[FMT_MAX], shown[FMT_MAX], all[FMT_MAX];

	if (!source->count)
		return;
	if (table->is_chosen && table->order.count)
		str_addf(title, "%s/", fmt_count(rank, table->selected + 1));
	str_add(title, fmt_count(shown, table->order.count));
	if (table->order.count != source->count)
		str_addf(title, " of %s", fmt_count(all, source->count));
}

/* ---- the pane */

static void draw_row(struct canvas *canvas, const struct table_layout *layout,
		     const struct table_source *source, const struct pane_table *table, size_t rank)
{
	int y = (int)(rank - table->top) * layout->row_lines;
	struct area line = {layout->rows.left, layout->rows.top + y, layout->rows.width,
			    layout->row_lines};

	for (int i = 0; i < layout->cell_count; i++)
		draw_cell(canvas, line, &layout->cells[i], source, table->order.rows[rank]);
	if (!table->is_chosen || rank != table->selected)
		return;
	canvas_paint(canvas, line, GROUND_SELECTED, 0);
	for (int i = 0; i < layout->row_lines; i++)
		canvas_put(canvas, line, 0, i,
			   (struct style){.ink = INK_ACCENT, .ground = GROUND_SELECTED},
			   canvas_glyph(canvas, GLYPH_CURSOR));
}

void pane_table_draw(struct pane *pane, const struct pane_context *context, struct canvas *canvas,
		     struct area area)
{
	struct pane_table *table = (struct pane_table *)pane;
	OWN(str_done) struct str title = {0}, rank = {0};
	struct table_source source;
	struct table_layout layout;

	pane_table_refresh(table, context);
	table_source_init(&source, context->model, table->table);
	add_title(&title, canvas, context, &source, table);
	add_rank(&rank, &source, table);
	canvas_frame(canvas, area, str_text(&title), NULL, rank.length ? str_text(&rank) : NULL,
		     context->is_focused);
	if (!table->order.count) {
		pane_table_draw_words(context, &source, table, canvas, area_inside(area));
		return;
	}
	table_layout_init(&layout, &source, area, table->is_narrow, table->sorted);
	pane_table_scroll(table, (size_t)layout.visible);
	draw_headings(canvas, &layout, &source, table);
	for (size_t i = table->top;
	     i < table->order.count && i < table->top + (size_t)layout.visible; i++)
		draw_row(canvas, &layout, &source, table, i);
}
