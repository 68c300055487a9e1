/* How a chart looks: its lines between two axes, the cursor, and what they are in words. */
#include "reader/tui/pane_chart.h"

#include <string.h>

#include "reader/util/clock.h"
#include "reader/util/own.h"

enum {
	TIME_ROOM = 10,	       /* columns for a time below the axis */
	RIGHT_TITLE_ROOM = 40, /* columns of a pane that tells the unit at its top */
};

static enum ink line_ink(const struct series *line)
{
	static const enum ink inks[] = {
		[SERIES_CPU] = INK_SERIES_CPU,
		[SERIES_HEAP] = INK_SERIES_HEAP,
		[SERIES_RSS] = INK_SERIES_RSS,
		[SERIES_WAIT] = INK_SERIES_WAIT,
	};

	return inks[line->kind];
}

static const char *line_name(const struct series *line)
{
	static const char *const names[] = {
		[SERIES_CPU] = "CPU",
		[SERIES_HEAP] = "heap live",
		[SERIES_RSS] = "RSS",
		[SERIES_WAIT] = "waits",
	};

	return names[line->kind];
}

static const char *unit_words(enum series_unit unit)
{
	static const char *const words[] = {
		[SERIES_CORE_PCT] = "100% = one core",
		[SERIES_PER_S] = "per second",
		[SERIES_BYTES] = "bytes held",
		[SERIES_WAIT_PER_S] = "waited per second",
	};

	return words[unit];
}

/* ---- the value axis */

/* The line of the plot that a value is on; behind the last one it is the axis. */
static int value_line(const struct chart_layout *layout, int step)
{
	int below = layout->axis.steps - step;

	return (int)((double)below / layout->axis.steps * layout->plot.height + 1e-9);
}

static void draw_value_axis(struct canvas *canvas, const struct chart_layout *layout)
{
	struct style dim = {.ink = INK_DIM}, border = {.ink = INK_BORDER};
	struct area labels = layout->inside;
	int right = layout->plot.left - layout->inside.left - 1;

	labels.top = layout->plot.top;
	labels.height = layout->plot.height + 1;
	for (int y = 0; y < layout->plot.height; y++)
		canvas_put(canvas, labels, right, y, border, canvas_glyph(canvas, GLYPH_VERTICAL));
	for (int i = 0; i <= layout->axis.steps; i++) {
		char label[FMT_MAX];
		int y = value_line(layout, i);

		/* Two steps would share a line. */
		if (i && y >= layout->plot.height)
			continue;
		series_label(label, layout->unit, layout->axis.low + i * layout->axis.step,
			     layout->axis.step);
		canvas_put_right(canvas, labels, right, y, dim, label);
		canvas_put(canvas, labels, right, y, border,
			   canvas_glyph(canvas, i ? GLYPH_TICK_LEFT : GLYPH_ORIGIN));
	}
}

/* ---- the time axis */

/* With its seconds where the step has them. */
static const char *time_label(char buffer[FMT_MAX], uint64_t time_ns, uint64_t step_ns)
{
	if (time_ns >= 3600 * NS_PER_S && step_ns < 60 * NS_PER_S)
		return fmt_clock(buffer, time_ns);
	return fmt_duration(buffer, time_ns);
}

/* Below its tick, but within the pane; returns where the next may begin. */
static int draw_time(struct canvas *canvas, const struct chart_layout *layout, int free_from,
		     uint64_t time_ns, uint64_t step_ns)
{
	int offset = layout->plot.left - layout->inside.left;
	int column = offset + chart_column(layout, time_ns), x;
	struct area below = layout->inside;
	char label[FMT_MAX];
	int width = (int)strlen(time_label(label, time_ns, step_ns));

	below.top = layout->plot.top + layout->plot.height;
	below.height = 2;
	canvas_put(canvas, below, column, 0, (struct style){.ink = INK_BORDER},
		   canvas_glyph(canvas, GLYPH_TICK_BOTTOM));
	x = column - width / 2;
	if (x + width > below.width)
		x = below.width - width;
	if (x < free_from)
		return free_from;
	canvas_put(canvas, below, x, 1, (struct style){.ink = INK_DIM}, label);
	return x + width + 1;
}

static void draw_time_axis(struct canvas *canvas, const struct chart_layout *layout)
{
	const struct chart_window *window = &layout->window;
	uint64_t steps = (uint64_t)layout->plot.width / TIME_ROOM;
	uint64_t step = axis_time_step(window->to_ns - window->from_ns, steps);
	uint64_t rest = window->from_ns % step, time = window->from_ns;
	struct area line = layout->plot;
	int free_from = 0;

	line.top += line.height;
	line.height = 1;
	for (int x = 0; x < line.width; x++)
		canvas_put(canvas, line, x, 0, (struct style){.ink = INK_BORDER},
			   canvas_glyph(canvas, GLYPH_HORIZONTAL));
	if (rest)
		time = step - rest > UINT64_MAX - time ? UINT64_MAX : time + (step - rest);
	/* A stretch between two steps is told by where it begins. */
	if (time > window->to_ns)
		draw_time(canvas, layout, 0, window->from_ns, step);
	for (; time <= window->to_ns; time += step) {
		free_from = draw_time(canvas, layout, free_from, time, step);
		if (time > UINT64_MAX - step)
			break;
	}
}

/* ---- lines */

static void draw_lines(struct canvas *canvas, const struct chart_layout *layout,
		       const struct pane_chart *chart)
{
	struct chart_plot plot;

	chart_plot_init(&plot, chart, layout);
	for (int i = 0; i < plot.width * plot.height; i++) {
		uint8_t dots = plot.dots[0][i] | plot.dots[1][i];
		const struct series *line = &chart->lines[plot.dots[0][i] ? 0 : 1];
		char text[8];

		if (dots)
			canvas_put(canvas, layout->plot, i % plot.width, i / plot.width,
				   (struct style){.ink = (uint8_t)line_ink(line)},
				   canvas_braille(canvas, dots, text));
	}
	chart_plot_done(&plot);
}

/* "⠒⠒ heap live  ⠒  RSS": each with a piece of its line. */
static void draw_legend(struct canvas *canvas, const struct chart_layout *layout,
			const struct pane_chart *chart)
{
	int x = layout->plot.left - layout->inside.left;

	for (int i = 0; i < chart->line_count; i++) {
		const struct series *line = &chart->lines[i];
		struct style style = {.ink = (uint8_t)line_ink(line)};
		char text[8];

		/* Both columns of dots, in the second row; a dashed line has every other cell. */
		for (int j = 0; j < 3; j++) {
			if (!i || j != 1)
				canvas_put(canvas, layout->inside, x + j, 0, style,
					   canvas_braille(canvas, 0x22, text));
		}
		x += 4;
		x += canvas_put(canvas, layout->inside, x, 0, style, line_name(line)) + 3;
	}
}

/* ---- ranges and the cursor */

/* Columns from one time to another, and brackets at both ends on the axis. */
static void paint_range(struct canvas *canvas, const struct chart_layout *layout, uint64_t from_ns,
			uint64_t to_ns)
{
	int first = chart_column(layout, from_ns), last = chart_column(layout, to_ns);
	struct style style = {.ink = INK_ACCENT, .face = FACE_BOLD};
	struct area marked = layout->plot, axis = layout->plot;

	if (to_ns < layout->window.from_ns || from_ns > layout->window.to_ns)
		return;
	axis.height++;
	if (first >= 0)
		canvas_put(canvas, axis, first, axis.height - 1, style, "[");
	else
		first = 0;
	if (last < layout->plot.width)
		canvas_put(canvas, axis, last, axis.height - 1, style, "]");
	else
		last = layout->plot.width - 1;
	marked.left += first;
	marked.width = last - first + 1;
	canvas_paint(canvas, marked, GROUND_RANGE, 0);
}

static void paint_ranges(struct canvas *canvas, const struct chart_layout *layout,
			 const struct pane_context *context, const struct pane_chart *chart)
{
	const struct model_request *request = &context->model->request;
	size_t at = pane_chart_cursor(chart, &layout->window);
	uint64_t mark = context->mark_ns, cursor;

	if (mark == UINT64_MAX) {
		if (request->from_ns || request->to_ns != UINT64_MAX)
			paint_range(canvas, layout, request->from_ns, request->to_ns);
		return;
	}
	cursor = at == SIZE_MAX ? mark : chart->lines[0].points[at].to_ns;
	paint_range(canvas, layout, mark < cursor ? mark : cursor, mark < cursor ? cursor : mark);
}

/* Where the value is it stands on the line, elsewhere it is a line of its own. */
static void draw_cursor(struct canvas *canvas, const struct chart_layout *layout, size_t at,
			const struct pane_chart *chart)
{
	int column = chart_column(layout, series_point_ns(&chart->lines[0], at));
	struct area line = layout->plot;

	line.left += column;
	if (column < 0 || column >= line.width || line.left >= canvas->width ||
	    line.top + line.height > canvas->height)
		return;
	for (int y = 0; y < line.height; y++) {
		struct area here = {line.left, line.top + y, 1, 1};
		const struct cell *cell = &canvas->cells[here.top * canvas->width + here.left];
		struct style style = cell->style;

		style.ink = INK_ACCENT;
		if (strcmp(cell->text, " "))
			canvas_paint(canvas, here, (enum ground)style.ground, FACE_REVERSE);
		else
			canvas_put(canvas, here, 0, 0, style, canvas_glyph(canvas, GLYPH_VERTICAL));
	}
}

/* ---- words */

/* "5m08s  18.4%", with names where there are several. */
static void add_readout(struct str *to, const struct canvas *canvas, const struct pane_chart *chart,
			size_t at)
{
	char number[FMT_MAX];
	uint64_t time;

	if (at == SIZE_MAX)
		return;
	time = chart->lines[0].points[at].to_ns;
	str_add(to, time_label(number, time, 0));
	for (int i = 0; i < chart->line_count; i++) {
		const struct series *line = &chart->lines[i];

		str_add(to, "  ");
		if (chart->line_count > 1)
			str_addf(to, "%s ", line_name(line));
		str_add(to, line->points[at].is_known
				    ? series_value(number, line->unit, line->points[at].value)
				    : canvas_glyph(canvas, GLYPH_DASH));
	}
}

static const char *name_of(const struct pane_chart *chart)
{
	static const char *const all[MODEL_TABLES] = {
		[MODEL_CPU] = "CPU", [MODEL_HEAP] = "Memory", [MODEL_WAIT] = "Waits"};

	return row_key_is_set(&chart->key) ? chart->key.function : all[chart->table];
}

/* "parse_header  last 60 s", "Memory  2m00s–3m30s" */
static void add_title(struct str *title, const struct canvas *canvas,
		      const struct chart_window *window)
{
	uint64_t seconds = (window->to_ns - window->from_ns) / NS_PER_S;
	char from[FMT_MAX], to[FMT_MAX];
	bool is_last = window->is_following && window->from_ns;

	if (is_last && seconds < 100)
		str_addf(title, "  last %s s", fmt_count(from, seconds));
	else if (is_last)
		str_addf(title, "  last %s", fmt_duration(from, window->to_ns - window->from_ns));
	else
		str_addf(title, "  %s%s%s", fmt_duration(from, window->from_ns),
			 canvas_glyph(canvas, GLYPH_DASH),
			 fmt_duration(to, window->to_ns < window->end_ns ? window->to_ns
									 : window->end_ns));
}

/* Why there is no line; the table beside it has the whole story. */
static const char *no_line(const struct pane_chart *chart, const struct pane_context *context)
{
	static const char *const absent[MODEL_TABLES] = {
		[MODEL_CPU] = "cpu: not recorded",
		[MODEL_HEAP] = "heap: not recorded",
		[MODEL_WAIT] = "wait: not recorded",
	};

	if (!context->model)
		return "reading the profile";
	if (!context->model->tables[context->table].is_there)
		return absent[context->table];
	if (row_key_is_set(&chart->key) && chart->row == SNAPSHOT_NONE)
		return "this row is not in what is shown";
	if (!context->model->chart)
		return "reading what was recorded in this time";
	return "nothing recorded in this time";
}

static void draw_words(struct canvas *canvas, struct area inside, const char *words)
{
	canvas_put(canvas, inside, 2, 1, (struct style){.ink = INK_DIM}, words);
}

void pane_chart_draw(struct pane *pane, const struct pane_context *context, struct canvas *canvas,
		     struct area area)
{
	struct pane_chart *chart = (struct pane_chart *)pane;
	OWN(str_done) struct str title = {0}, readout = {0};
	bool is_cursor_seen = context->is_focused || chart->cursor_ns != UINT64_MAX ||
			      context->mark_ns != UINT64_MAX;
	struct chart_layout layout;
	size_t at = SIZE_MAX;

	pane_chart_refresh(chart, context);
	str_add(&title, name_of(chart));
	if (context->model) {
		chart_layout_init(&layout, chart, context, area);
		at = pane_chart_cursor(chart, &layout.window);
		add_title(&title, canvas, &layout.window);
		add_readout(&readout, canvas, chart, at);
	}
	canvas_frame(canvas, area, str_text(&title),
		     chart->line_count && area.width >= RIGHT_TITLE_ROOM
			     ? unit_words(chart->lines[0].unit)
			     : NULL,
		     readout.length ? str_text(&readout) : NULL, context->is_focused);
	if (!chart->line_count) {
		draw_words(canvas, area_inside(area), no_line(chart, context));
		return;
	}
	if (layout.plot.width < 2 || layout.plot.height < 1)
		return;
	draw_value_axis(canvas, &layout);
	draw_time_axis(canvas, &layout);
	draw_lines(canvas, &layout, chart);
	if (layout.has_legend)
		draw_legend(canvas, &layout, chart);
	paint_ranges(canvas, &layout, context, chart);
	if (is_cursor_seen && at != SIZE_MAX)
		draw_cursor(canvas, &layout, at, chart);
}
