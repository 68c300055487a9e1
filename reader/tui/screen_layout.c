#include "reader/tui/screen_state.h"
#include "reader/tui/terminal.h"

enum {
	SIDE_COLUMNS_MIN = 110, /* the chart is beside the table from here on */
	SIDE_WIDTH_MIN = 44,
	SIDE_WIDTH_MAX = 100,
	TABLE_WIDTH = 76, /* with all columns of CPU, before the chart gets more than it needs */
	BELOW_LINES_MIN = 36, /* it is below without being asked for */
	BELOW_HEIGHT_MIN = 9,
};

bool screen_is_too_small(const struct screen *screen)
{
	return screen->width < TERMINAL_COLUMNS_MIN || screen->height < TERMINAL_LINES_MIN;
}

struct header screen_header(const struct screen *screen)
{
	return (struct header){
		.model = screen->model,
		.state = &screen->state,
		.request = &screen->request,
		.thread_name = screen->thread_name,
		.filter = str_text(&screen->filter),
		.shown = screen->shown,
		.is_paused = screen->is_paused,
	};
}

enum screen_place screen_first_table(const struct screen *screen)
{
	switch (screen->shown) {
	case SHOWN_HEAP:
		return PLACE_HEAP;
	case SHOWN_WAIT:
		return PLACE_WAIT;
	case SHOWN_BOTH:
		return PLACE_NARROW_CPU;
	default:
		return PLACE_CPU;
	}
}

static bool is_beside(const struct screen *screen)
{
	return screen->shown != SHOWN_BOTH && screen->width >= SIDE_COLUMNS_MIN;
}

static bool has_chart(const struct screen *screen)
{
	if (screen->chart_wish == CHART_IF_THERE_IS_ROOM)
		return is_beside(screen) || screen->height >= BELOW_LINES_MIN;
	return screen->chart_wish == CHART_SHOWN;
}

static int within(int value, int low, int high)
{
	return value < low ? low : value > high ? high : value;
}

static int side_width(int width)
{
	int wanted = width * 2 / 5;

	if (wanted > width - TABLE_WIDTH)
		wanted = width - TABLE_WIDTH;
	return within(wanted, SIDE_WIDTH_MIN, SIDE_WIDTH_MAX);
}

/* Takes the chart's part off. */
static struct area lay_chart(const struct screen *screen, struct layout *layout)
{
	struct area rest = layout->body, chart = layout->body;

	if (!has_chart(screen))
		return rest;
	if (is_beside(screen)) {
		chart.width = side_width(rest.width);
		rest.width -= chart.width;
		chart.left += rest.width;
	} else {
		chart.height = within(rest.height / 3, BELOW_HEIGHT_MIN, rest.height / 2);
		rest.height -= chart.height;
		chart.top += rest.height;
	}
	layout->areas[PLACE_CHART] = chart;
	return rest;
}

void screen_lay(const struct screen *screen, struct layout *ret_layout)
{
	struct header header = screen_header(screen);
	int width = screen->width, height = screen->height, lines = header_lines(&header);
	struct area rest;

	*ret_layout = (struct layout){
		.header = {0, 0, width, lines},
		.body = {0, lines, width, height - lines - 1},
		.footer = {0, height - 1, width, 1},
	};
	rest = lay_chart(screen, ret_layout);
	if (screen->shown == SHOWN_BOTH) {
		struct area left = rest, right = rest;

		left.width = rest.width / 2;
		right.left += left.width;
		right.width -= left.width;
		ret_layout->areas[PLACE_NARROW_CPU] = left;
		ret_layout->areas[PLACE_NARROW_HEAP] = right;
	} else {
		ret_layout->areas[screen_first_table(screen)] = rest;
	}
}

bool screen_is_shown(const struct layout *layout, enum screen_place place)
{
	return layout->areas[place].width > 0;
}

enum screen_place screen_place_at(const struct layout *layout, int x, int y)
{
	for (int i = 0; i < PLACES; i++) {
		const struct area *area = &layout->areas[i];

		if (x >= area->left && x < area->left + area->width && y >= area->top &&
		    y < area->top + area->height)
			return (enum screen_place)i;
	}
	return PLACES;
}
