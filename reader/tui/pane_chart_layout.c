/* Where things are in a chart: the plot, and the values and times of its edges. */
#include "reader/tui/pane_chart.h"

#include <string.h>

#include "reader/util/own.h"
#include "reader/util/str.h"

enum {
	AXIS_LINES = 2, /* the axis and the times below it */
	STEP_LINES = 2, /* of the plot a step of the value at least */
	STEPS_MAX = 6,
	LEGEND_AT = 6, /* lines of the pane that a legend takes one of */
};

int chart_column(const struct chart_layout *layout, uint64_t time_ns)
{
	const struct chart_window *window = &layout->window;
	double length = (double)(window->to_ns - window->from_ns), at;

	if (time_ns < window->from_ns)
		return -1;
	at = (double)(time_ns - window->from_ns) / length * (layout->plot.width - 1);
	return at < layout->plot.width ? (int)(at + 0.5) : layout->plot.width;
}

uint64_t chart_time(const struct chart_layout *layout, int column)
{
	const struct chart_window *window = &layout->window;
	double length = (double)(window->to_ns - window->from_ns);
	int last = layout->plot.width > 1 ? layout->plot.width - 1 : 1;

	if (column > last)
		column = last;
	return window->from_ns + (uint64_t)(length / last * (column > 0 ? column : 0));
}

/* Of what is seen: false where nothing is. */
static bool find_values(const struct pane_chart *chart, const struct chart_window *window,
			double *ret_low, double *ret_high)
{
	bool is_any = false;

	for (int i = 0; i < chart->line_count; i++) {
		for (size_t j = 0; j < chart->lines[i].count; j++) {
			const struct series_point *point = &chart->lines[i].points[j];

			if (!point->is_known || point->to_ns < window->from_ns ||
			    point->from_ns > window->to_ns)
				continue;
			if (!is_any || point->value < *ret_low)
				*ret_low = point->value;
			if (!is_any || point->value > *ret_high)
				*ret_high = point->value;
			is_any = true;
		}
	}
	return is_any;
}

/* An axis that nothing reaches still has a unit: 1 %, 1 KB, 1 ms. */
static double least_high(enum series_unit unit)
{
	switch (unit) {
	case SERIES_BYTES:
		return 1000;
	case SERIES_WAIT_PER_S:
		return 1e6;
	default:
		return 1;
	}
}

static int label_width(const struct chart_layout *layout)
{
	int width = 0;

	for (int i = 0; i <= layout->axis.steps; i++) {
		char label[FMT_MAX];
		int length = (int)strlen(series_label(label, layout->unit,
						      layout->axis.low + i * layout->axis.step,
						      layout->axis.step));

		width = length > width ? length : width;
	}
	return width;
}

void chart_layout_init(struct chart_layout *layout, const struct pane_chart *chart,
		       const struct pane_context *context, struct area area)
{
	double low = 0, high = 0;
	int steps, left;

	*layout = (struct chart_layout){
		.inside = area_inside(area),
		.window = pane_chart_window(chart, context),
		.unit = chart->lines[0].unit,
	};
	layout->has_legend = chart->line_count > 1 && layout->inside.height >= LEGEND_AT;
	layout->plot = layout->inside;
	layout->plot.top += layout->has_legend;
	layout->plot.height -= layout->has_legend + AXIS_LINES;
	if (layout->plot.height < 0)
		layout->plot.height = 0;
	find_values(chart, &layout->window, &low, &high);
	if (context->is_chart_from_zero && high < least_high(layout->unit))
		high = least_high(layout->unit);
	steps = layout->plot.height / STEP_LINES;
	axis_init(&layout->axis, low, high, context->is_chart_from_zero,
		  series_step_min(layout->unit, high), steps < STEPS_MAX ? steps : STEPS_MAX);
	left = label_width(layout) + 1;
	if (left > layout->plot.width)
		left = layout->plot.width;
	layout->plot.left += left;
	layout->plot.width -= left;
}
