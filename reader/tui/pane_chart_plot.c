/* Values as dots: points are joined, what is not known is left out. */
#include "reader/tui/pane_chart.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/mem.h"

/* A line being drawn. */
struct pen {
	struct chart_plot *plot;
	const struct chart_layout *layout;
	uint8_t *dots;
	bool is_dashed; /* a second line is told from the first without colour */
};

/* Of dots, from the left and from the top. */
struct spot {
	double x, y;
};

static struct spot spot_of(const struct pen *pen, uint64_t time_ns, double value)
{
	const struct chart_window *window = &pen->layout->window;
	const struct axis *axis = &pen->layout->axis;
	double length = (double)(window->to_ns - window->from_ns);
	double time = time_ns >= window->from_ns ? (double)(time_ns - window->from_ns)
						 : -(double)(window->from_ns - time_ns);

	return (struct spot){
		.x = time / length * (pen->plot->width * 2 - 1),
		/* The axis is below the last line: what is on it has the dots above it. */
		.y = (1 - (value - axis->low) / (axis->high - axis->low)) * pen->plot->height * 4,
	};
}

static int to_dot(double at, int count)
{
	if (!(at > 0))
		return 0;
	return at < count - 1 ? (int)(at + 0.5) : count - 1;
}

/* Dots of one column, both ends included. */
static void fill(const struct pen *pen, int x, double from_y, double to_y)
{
	int rows = pen->plot->height * 4;
	int first = to_dot(from_y, rows), last = to_dot(to_y, rows);

	if (pen->is_dashed && x / 2 % 2)
		return;
	if (first > last) {
		int swapped = first;

		first = last;
		last = swapped;
	}
	for (int y = first; y <= last; y++)
		pen->dots[y / 4 * pen->plot->width + x / 2] |= (uint8_t)(1u << (y % 4 + x % 2 * 4));
}

/* From a to b, which is not left of it; what lies outside of the plot is not drawn. */
static void join(const struct pen *pen, struct spot a, struct spot b)
{
	int columns = pen->plot->width * 2;
	int first, last;
	double before;

	if (b.x < -0.5 || a.x > columns - 0.5)
		return;
	first = to_dot(a.x, columns);
	last = to_dot(b.x, columns);
	before = a.y;
	for (int x = first; x <= last; x++) {
		double part = b.x > a.x ? (x - a.x) / (b.x - a.x) : 1, y;

		part = part < 0 ? 0 : part > 1 ? 1 : part;
		y = x == last && b.x <= columns - 0.5 ? b.y : a.y + (b.y - a.y) * part;
		if (x == first && a.x < -0.5)
			before = y;
		/* The dot that the line left from is that of the column before. */
		fill(pen, x, x == first ? before : before + (y - before) / 2, y);
		if (x > first)
			fill(pen, x - 1, before, before + (y - before) / 2);
		before = y;
	}
}

static void draw_line(const struct pen *pen, const struct series *series)
{
	for (size_t i = 0; i < series->count; i++) {
		const struct series_point *point = &series->points[i];
		bool is_joined =
			i && point->is_known && series->points[i - 1].is_known && !point->is_apart;
		bool goes_on = i + 1 < series->count && series->points[i + 1].is_known &&
			       !series->points[i + 1].is_apart;

		if (is_joined)
			join(pen,
			     spot_of(pen, series_point_ns(series, i - 1),
				     series->points[i - 1].value),
			     spot_of(pen, series_point_ns(series, i), point->value));
		else if (point->is_known && !goes_on)
			/* By itself it is as long as its bucket. */
			join(pen, spot_of(pen, point->from_ns, point->value),
			     spot_of(pen, point->to_ns, point->value));
	}
}

void chart_plot_init(struct chart_plot *plot, const struct pane_chart *chart,
		     const struct chart_layout *layout)
{
	size_t cells = (size_t)layout->plot.width * (size_t)layout->plot.height;

	*plot = (struct chart_plot){.width = layout->plot.width, .height = layout->plot.height};
	for (int i = 0; i < CHART_LINES; i++) {
		struct pen pen = {.plot = plot, .layout = layout, .is_dashed = i > 0};

		plot->dots[i] = mem_array(cells, 1);
		pen.dots = plot->dots[i];
		if (cells && i < chart->line_count)
			draw_line(&pen, &chart->lines[i]);
	}
}

void chart_plot_done(struct chart_plot *plot)
{
	for (int i = 0; i < CHART_LINES; i++)
		free(plot->dots[i]);
	memset(plot, 0, sizeof(*plot));
}
