/* The chart of the chosen row over time: what time is shown, where the cursor is, what keys do. */
#include "reader/tui/pane_chart.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/clock.h"
#include "reader/util/mem.h"

enum {
	ZOOM_MIN_S = 5, /* shorter is no chart: checkpoints are a second each */
	ZOOM_MIN_BUCKETS = 5,
	ZOOM_FACTOR = 2,
	PAN_PARTS = 4, /* a quarter of what is shown */
};

static const struct pane_answer nothing = {.wish = PANE_NOTHING};
static const struct pane_answer ignored = {.wish = PANE_IGNORED};

static struct pane_chart *chart_of(struct pane *pane)
{
	return (struct pane_chart *)pane;
}

static void drop_lines(struct pane_chart *chart)
{
	for (int i = 0; i < chart->line_count; i++)
		series_done(&chart->lines[i]);
	chart->line_count = 0;
}

static void chart_free(struct pane *pane)
{
	struct pane_chart *chart = chart_of(pane);

	drop_lines(chart);
	row_key_done(&chart->key);
	free(chart);
}

/* ---- lines */

static void add_line(struct pane_chart *chart, const struct model *model, enum series_kind kind,
		     uint32_t row)
{
	struct series *line = &chart->lines[chart->line_count];

	series_init(line, model, kind, row);
	for (size_t i = 0; i < line->count; i++) {
		if (line->points[i].is_known) {
			chart->line_count++;
			return;
		}
	}
	series_done(line);
}

static void make_lines(struct pane_chart *chart, const struct model *model)
{
	static const enum series_kind kinds[MODEL_TABLES] = {
		[MODEL_CPU] = SERIES_CPU,
		[MODEL_HEAP] = SERIES_HEAP,
		[MODEL_WAIT] = SERIES_WAIT,
	};
	bool is_chosen = row_key_is_set(&chart->key);

	drop_lines(chart);
	chart->row = SNAPSHOT_NONE;
	if (!model)
		return;
	if (is_chosen)
		chart->row = series_row(model, chart->table, &chart->key);
	/* A row that is not there at present has no line, and not that of all. */
	if (is_chosen && chart->row == SNAPSHOT_NONE)
		return;
	add_line(chart, model, kinds[chart->table], chart->row);
	if (chart->table == MODEL_HEAP && !is_chosen)
		add_line(chart, model, SERIES_RSS, SNAPSHOT_NONE);
}

static bool is_same_row(const struct row_key *a, const struct row_key *b)
{
	if (!b || !row_key_is_set(b))
		return !row_key_is_set(a);
	return row_key_is(a, b->function, b->file, b->line);
}

void pane_chart_refresh(struct pane_chart *chart, const struct pane_context *context)
{
	const struct model *model = context->model;
	bool is_kept;

	if (chart->model == model && (!model || chart->serial == model->serial) &&
	    chart->table == context->table && is_same_row(&chart->key, context->selected))
		return;
	is_kept = model && !model->chart && chart->table == context->table &&
		  is_same_row(&chart->key, context->selected);
	chart->model = model;
	chart->serial = model ? model->serial : 0;
	chart->table = context->table;
	/* It comes; until then what is there is better than nothing. */
	if (is_kept)
		return;
	if (context->selected)
		row_key_copy(&chart->key, context->selected);
	else
		row_key_done(&chart->key);
	make_lines(chart, model);
}

static void chart_update(struct pane *pane, const struct pane_context *context)
{
	pane_chart_refresh(chart_of(pane), context);
}

/* ---- the time that is shown */

static bool is_growing(const struct feed_state *state)
{
	return state && (state->kind == FEED_RECORDING || state->kind == FEED_FOLLOWING);
}

struct chart_window pane_chart_window(const struct pane_chart *chart,
				      const struct pane_context *context)
{
	const struct model *model = context->model;
	const struct model_request *request = chart->has_asked ? &chart->asked : &model->request;
	const struct timeline *timeline = model->chart;
	struct chart_window window = {.end_ns = model->snapshot->duration_ns};

	if (timeline && timeline->bucket_count &&
	    timeline->buckets[timeline->bucket_count - 1].end_ns > window.end_ns)
		window.end_ns = timeline->buckets[timeline->bucket_count - 1].end_ns;
	window.is_following = request->chart_to_ns == UINT64_MAX;
	window.from_ns = request->chart_from_ns;
	window.to_ns = window.is_following ? window.end_ns : request->chart_to_ns;
	if (window.is_following && request->chart_last_ns) {
		window.from_ns = 0;
		if (window.end_ns > request->chart_last_ns)
			window.from_ns = window.end_ns - request->chart_last_ns;
		/* As long as there is less, the line grows into the room that it will have. */
		else if (is_growing(context->state))
			window.to_ns = request->chart_last_ns;
	}
	if (window.from_ns >= window.to_ns) {
		window.from_ns = 0;
		window.to_ns = window.end_ns ? window.end_ns : NS_PER_S;
	}
	return window;
}

static struct pane_answer ask(struct pane_chart *chart, const struct pane_context *context,
			      uint64_t from_ns, uint64_t to_ns, uint64_t last_ns)
{
	struct pane_answer answer = {.wish = PANE_ASK, .request = context->model->request};

	answer.request.chart_from_ns = from_ns;
	answer.request.chart_to_ns = to_ns;
	answer.request.chart_last_ns = last_ns;
	chart->asked = answer.request;
	chart->has_asked = true;
	return answer;
}

static uint64_t shortest(const struct pane_context *context)
{
	const struct timeline *timeline = context->model->chart;
	uint64_t least = ZOOM_MIN_S * NS_PER_S, interval = timeline ? timeline->interval_ns : 0;

	if (interval < UINT64_MAX / ZOOM_MIN_BUCKETS && interval * ZOOM_MIN_BUCKETS > least)
		return interval * ZOOM_MIN_BUCKETS;
	return least;
}

/* Around a time that keeps its place. */
static struct pane_answer zoom(struct pane_chart *chart, const struct pane_context *context,
			       const struct chart_window *window, uint64_t around_ns, bool is_in)
{
	uint64_t length = window->to_ns - window->from_ns, least = shortest(context);
	uint64_t wanted = is_in ? length / ZOOM_FACTOR : length * ZOOM_FACTOR, from, to;
	bool is_at_end = window->is_following && chart->cursor_ns == UINT64_MAX;

	if (is_in && wanted < least)
		wanted = length < least ? length : least;
	if (wanted == length || (!is_in && !window->from_ns && window->to_ns >= window->end_ns))
		return nothing;
	if (!is_in && (wanted >= window->end_ns || wanted < length))
		return ask(chart, context, 0, UINT64_MAX, 0);
	if (is_at_end)
		return ask(chart, context, 0, UINT64_MAX, wanted);
	if (around_ns < window->from_ns || around_ns > window->to_ns)
		around_ns = window->from_ns + length / 2;
	to = (uint64_t)((double)(around_ns - window->from_ns) / (double)length * (double)wanted);
	from = around_ns > to ? around_ns - to : 0;
	if (from + wanted > window->end_ns)
		from = window->end_ns > wanted ? window->end_ns - wanted : 0;
	return ask(chart, context, from, from + wanted, 0);
}

static struct pane_answer pan(struct pane_chart *chart, const struct pane_context *context,
			      const struct chart_window *window, bool is_left)
{
	uint64_t length = window->to_ns - window->from_ns, step = length / PAN_PARTS;

	if (is_left) {
		uint64_t from = window->from_ns > step ? window->from_ns - step : 0;

		return window->from_ns ? ask(chart, context, from, from + length, 0) : nothing;
	}
	if (window->is_following)
		return nothing;
	/* Back at the end it goes on with the recording. */
	if (window->to_ns + step >= window->end_ns)
		return ask(chart, context, 0, UINT64_MAX, length < window->end_ns ? length : 0);
	return ask(chart, context, window->from_ns + step, window->to_ns + step, 0);
}

/* ---- the cursor */

size_t pane_chart_cursor(const struct pane_chart *chart, const struct chart_window *window)
{
	const struct series *line = &chart->lines[0];
	uint64_t time = chart->cursor_ns;
	size_t at;

	if (!chart->line_count || !line->count)
		return SIZE_MAX;
	if (time != UINT64_MAX)
		return series_find(line, time);
	/* The last that is shown. */
	for (at = line->count - 1; at && line->points[at].from_ns >= window->to_ns; at--)
		;
	return at;
}

/* By a bucket, or as many as a column of the plot has. */
static struct pane_answer move_cursor(struct pane_chart *chart, const struct pane_context *context,
				      const struct chart_layout *layout, bool is_left)
{
	const struct chart_window *window = &layout->window;
	const struct series *line = &chart->lines[0];
	size_t at = pane_chart_cursor(chart, window), step = 1;
	uint64_t length = window->to_ns - window->from_ns, bucket;

	if (at == SIZE_MAX) {
		chart->cursor_ns = UINT64_MAX;
		return nothing;
	}
	bucket = line->points[at].to_ns - line->points[at].from_ns;
	if (bucket && layout->plot.width > 0 && length / (uint64_t)layout->plot.width > bucket)
		step = (size_t)(length / (uint64_t)layout->plot.width / bucket);
	if (is_left && at < step && !at)
		return pan(chart, context, window, true);
	if (!is_left && at + 1 >= line->count) {
		if (window->to_ns >= window->end_ns)
			chart->cursor_ns = UINT64_MAX;
		return pan(chart, context, window, false);
	}
	if (is_left)
		at = at > step ? at - step : 0;
	else
		at = at + step < line->count ? at + step : line->count - 1;
	chart->cursor_ns = series_point_ns(line, at);
	if (chart->cursor_ns < window->from_ns)
		return pan(chart, context, window, true);
	if (chart->cursor_ns > window->to_ns)
		return pan(chart, context, window, false);
	return nothing;
}

/* Whole buckets: from the one that was marked to the one that the cursor is in. */
static struct pane_answer end_range(const struct pane_chart *chart,
				    const struct pane_context *context,
				    const struct chart_window *window, size_t at)
{
	const struct series *line = &chart->lines[0];
	struct pane_answer answer = {
		.wish = PANE_RANGE,
		.time_ns = context->mark_ns == UINT64_MAX ? window->from_ns : context->mark_ns,
		.to_ns = line->points[at].to_ns,
	};

	if (answer.time_ns >= answer.to_ns) {
		size_t marked = series_find(line, answer.time_ns + 1);

		answer.to_ns = marked == SIZE_MAX ? answer.time_ns : line->points[marked].to_ns;
		answer.time_ns = line->points[at].from_ns;
	}
	return answer.time_ns < answer.to_ns ? answer : nothing;
}

static struct pane_answer range(const struct pane_chart *chart, const struct pane_context *context,
				const struct chart_window *window, bool is_end)
{
	size_t at = pane_chart_cursor(chart, window);

	if (at == SIZE_MAX)
		return nothing;
	if (is_end)
		return end_range(chart, context, window, at);
	return (struct pane_answer){
		.wish = PANE_MARK,
		.time_ns = chart->lines[0].points[at].from_ns,
	};
}

static struct pane_answer click(struct pane_chart *chart, const struct chart_layout *layout,
				const struct input *input)
{
	int column = input->x - layout->plot.left;

	if (column < 0 || column >= layout->plot.width)
		return ignored;
	chart->cursor_ns = chart_time(layout, column);
	if (pane_chart_cursor(chart, &layout->window) == SIZE_MAX)
		chart->cursor_ns = UINT64_MAX;
	return nothing;
}

/* ---- keys */

static struct pane_answer act_on_time(struct pane_chart *chart, const struct pane_context *context,
				      const struct chart_layout *layout, const struct input *input)
{
	const struct chart_window *window = &layout->window;
	bool is_in = input->action == ACTION_WHEEL_UP;
	uint64_t around = chart->cursor_ns;

	switch (input->action) {
	case ACTION_ZOOM_IN:
	case ACTION_ZOOM_OUT:
		return zoom(chart, context, window, around, input->action == ACTION_ZOOM_IN);
	case ACTION_WHEEL_UP:
	case ACTION_WHEEL_DOWN:
		if (input->x >= layout->plot.left)
			around = chart_time(layout, input->x - layout->plot.left);
		return zoom(chart, context, window, around, is_in);
	case ACTION_LEFT:
	case ACTION_RIGHT:
		if (input->key == 'h' || input->key == 'l')
			return pan(chart, context, window, input->action == ACTION_LEFT);
		return move_cursor(chart, context, layout, input->action == ACTION_LEFT);
	case ACTION_FIRST:
		if (chart->line_count && chart->lines[0].count)
			chart->cursor_ns = series_point_ns(&chart->lines[0], 0);
		return nothing;
	case ACTION_LAST:
		chart->cursor_ns = UINT64_MAX;
		return nothing;
	case ACTION_RANGE_FROM:
	case ACTION_RANGE_TO:
		return range(chart, context, window, input->action == ACTION_RANGE_TO);
	case ACTION_CLICK:
		return click(chart, layout, input);
	default:
		return ignored;
	}
}

static struct pane_answer chart_act(struct pane *pane, const struct pane_context *context,
				    const struct input *input, struct area area)
{
	struct pane_chart *chart = chart_of(pane);
	struct chart_layout layout;

	if (input->action == ACTION_CHART || input->action == ACTION_ENTER)
		return (struct pane_answer){.wish = PANE_CHART};
	if (!context->model)
		return ignored;
	pane_chart_refresh(chart, context);
	chart_layout_init(&layout, chart, context, area);
	return act_on_time(chart, context, &layout, input);
}

static const struct pane_ops chart_ops = {
	.name = "chart",
	.free = chart_free,
	.update = chart_update,
	.draw = pane_chart_draw,
	.act = chart_act,
	.footer = "h/l pan  +/- zoom  [ ] range",
};

struct pane *pane_chart_new(void)
{
	struct pane_chart *chart = mem_zalloc(sizeof(*chart));

	chart->pane.ops = &chart_ops;
	chart->cursor_ns = UINT64_MAX;
	chart->row = SNAPSHOT_NONE;
	return &chart->pane;
}
