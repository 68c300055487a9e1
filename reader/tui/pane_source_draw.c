/* How the source pane looks. */
#include "reader/tui/pane_source.h"

#include <string.h>

#include "reader/util/fmt.h"
#include "reader/util/own.h"
#include "reader/view/cell.h"

static void draw_note(const struct source_pane *source, struct canvas *canvas, struct area inside)
{
	const struct style warn = {.ink = INK_WARN}, dim = {.ink = INK_DIM};
	const struct source_text *text = &source->source;

	if (text->state == SOURCE_MISSING)
		canvas_putf(canvas, inside, 1, 0, warn, "source %s: say where with %s%s%s",
			    str_text(&text->why), SOURCE_PATH_VARIABLE,
			    text->tried.length ? "; tried " : "", str_text(&text->tried));
	else if (text->state == SOURCE_CHANGED)
		canvas_put(canvas, inside, 1, 0, warn,
			   "written after the recording began: its lines may have moved");
	else
		canvas_putf(canvas, inside, 1, 0, dim, "read from %s", text->path);
}

static void draw_headings(const struct source_layout *layout, struct canvas *canvas, int y)
{
	const struct style style = {.ink = INK_DIM, .face = FACE_BOLD};
	int x = 1;

	for (size_t i = 0; i < layout->column_count; i++) {
		x += layout->columns[i].width;
		canvas_put_right(canvas, layout->inside, x, y, style, layout->columns[i].heading);
		x += SOURCE_GAP;
	}
	canvas_put_right(canvas, layout->inside, layout->number + layout->number_width, y, style,
			 "line");
}

static double column_share(const struct source_column *column, const struct annotate_line *line)
{
	if (column->add == annotate_add_live)
		return line->live_pct;
	if (column->add == annotate_add_wait)
		return line->wait_pct;
	return column->add == annotate_add_incl ? line->incl_pct : line->self_pct;
}

static void draw_text(const struct source_pane *source, const struct source_layout *layout,
		      struct canvas *canvas, int y, uint32_t line, struct style style)
{
	int width = layout->body.width - layout->text;
	OWN(str_done) struct str text = {0};

	if (width <= 0)
		return;
	if (source_text_add(&source->source, line, source->left, (size_t)width, &text)) {
		canvas_put(canvas, layout->body, layout->text, y, style, str_text(&text));
		canvas_put_right(canvas, layout->body, layout->body.width, y,
				 (struct style){.ink = INK_DIM},
				 canvas_glyph(canvas, GLYPH_ELLIPSIS));
		return;
	}
	canvas_put(canvas, layout->body, layout->text, y, style, str_text(&text));
}

static void draw_row(const struct source_pane *source, const struct source_layout *layout,
		     enum model_table table, struct canvas *canvas, int y, size_t row)
{
	uint32_t number = annotate_row_line(source->annotation, &source->source, row);
	const struct annotate_line *line = annotate_line_at(source->annotation, number);
	struct style style = {.ink = INK_NORMAL};
	char digits[FMT_MAX];
	int x = 1;

	for (size_t i = 0; i < layout->column_count; i++) {
		const struct source_column *column = &layout->columns[i];
		OWN(str_done) struct str cell = {0};

		style.ink = line ? ink_of_share(column_share(column, line)) : INK_DIM;
		x += column->width;
		column->add(&cell, line);
		canvas_put_right(canvas, layout->body, x, y, style, str_text(&cell));
		x += SOURCE_GAP;
	}
	if (row == source->cursor)
		canvas_put(canvas, layout->body, layout->mark, y, (struct style){.ink = INK_ACCENT},
			   canvas_glyph(canvas, GLYPH_CURSOR));
	snprintf(digits, sizeof(digits), "%u", number);
	canvas_put_right(canvas, layout->body, layout->number + layout->number_width, y,
			 (struct style){.ink = INK_DIM}, number ? digits : "?");
	/* A cold line is written as one that has nothing: only heat is to catch the eye. */
	style.ink = line ? ink_of_share(source_pane_share(line, table)) : INK_NORMAL;
	if (style.ink < INK_HEAT_2)
		style.ink = INK_NORMAL;
	draw_text(source, layout, canvas, y, number, style);
	if (row == source->cursor)
		canvas_paint(canvas,
			     (struct area){layout->body.left, layout->body.top + y,
					   layout->body.width, 1},
			     GROUND_SELECTED, 0);
}

static void draw_message(const struct source_pane *source, const struct pane_context *context,
			 struct canvas *canvas, struct area inside)
{
	const struct style style = {.ink = INK_DIM};

	if (*source->message)
		canvas_put(canvas, inside, 1, 0, style, source->message);
	else if (*source->of.file == '[' || !*source->of.file)
		canvas_put(
			canvas, inside, 1, 0, style,
			"This row has no lines of source: no debug info, or no code of its own.");
	else if (!context->model)
		canvas_put(canvas, inside, 1, 0, style, "nothing recorded yet");
}

static void draw_frame(const struct source_pane *source, const struct pane_context *context,
		       const struct source_layout *layout, struct canvas *canvas, struct area area)
{
	OWN(str_done) struct str title = {0}, place = {0};
	char row[FMT_MAX], count[FMT_MAX];
	const char *state = source->is_read ? annotate_state(&source->source) : "";
	size_t state_width = str_width(state), room;

	room = area.width > 0 && (size_t)area.width > state_width + 12
		       ? (size_t)area.width - state_width - 12
		       : 0;
	{
		OWN(str_done) struct str clean = {0};

		str_add_scrubbed(&clean, source->of.file);
		cell_add_path(&title, str_text(&clean), room);
	}
	if (*state)
		str_addf(&title, "  (%s)", state);
	if (layout->row_count)
		str_addf(&place, "%s/%s", fmt_count(row, source->cursor + 1),
			 fmt_count(count, layout->row_count));
	canvas_frame(canvas, area, str_text(&title), NULL, place.length ? str_text(&place) : NULL,
		     context->is_focused);
}

void source_pane_draw(struct pane *pane, const struct pane_context *context, struct canvas *canvas,
		      struct area area)
{
	const struct source_pane *source = source_pane_of(pane);
	struct source_layout layout = source_pane_lay_out(source, context->table, area);

	draw_frame(source, context, &layout, canvas, area);
	if (!source->annotation) {
		draw_message(source, context, canvas, layout.inside);
		return;
	}
	if (layout.has_note)
		draw_note(source, canvas, layout.inside);
	draw_headings(&layout, canvas, layout.has_note);
	if (!layout.row_count)
		canvas_put(canvas, layout.body, 1, 0, (struct style){.ink = INK_DIM},
			   "nothing of it in this range");
	for (int y = 0; y < layout.body.height; y++) {
		size_t row = layout.top + (size_t)y;

		if (row >= layout.row_count)
			break;
		draw_row(source, &layout, context->table, canvas, y, row);
	}
}
