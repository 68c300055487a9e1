/* What keys and the mouse do: what is the screen's own, then what the pane in question makes of
 * it. */
#include "reader/tui/screen_state.h"

#include <stdio.h>
#include <string.h>

/* ---- what is shown */

static bool focus_is_shown(const struct screen *screen, enum screen_place place)
{
	struct layout layout;

	screen_lay(screen, &layout);
	return screen_is_shown(&layout, place);
}

static void focus_on(struct screen *screen, enum screen_place place)
{
	bool is_table = place != PLACE_CHART;

	/* The chart and what lies over it are of the table in question. */
	if (is_table && screen->table != place) {
		screen->table = place;
		screen->slots[PLACE_CHART].is_stale = true;
	}
	screen->focus = place;
}

static void focus_on_what_is_shown(struct screen *screen)
{
	if (!focus_is_shown(screen, screen->table))
		focus_on(screen, screen_first_table(screen));
	if (!focus_is_shown(screen, screen->focus))
		focus_on(screen, screen->table);
}

static void focus_on_next(struct screen *screen)
{
	int place = screen->focus;

	do
		place = (place + 1) % PLACES;
	while (!focus_is_shown(screen, (enum screen_place)place));
	focus_on(screen, (enum screen_place)place);
}

static void show_view(struct screen *screen, enum shown shown)
{
	struct overlay *top = screen_top(screen);

	if (top && !strcmp(top->pane->ops->name, "help"))
		screen_pop(screen);
	screen->shown = shown;
	focus_on_what_is_shown(screen);
	/* What lies over it is of another table now. */
	for (size_t i = 0; i < screen->overlay_count; i++)
		screen->overlays[i].is_stale = true;
	if (screen->request.by_thread && shown == SHOWN_HEAP)
		screen_say(screen, "The heap is not kept by thread.");
}

static void show_chart(struct screen *screen, bool is_shown)
{
	screen->chart_wish = is_shown ? CHART_SHOWN : CHART_HIDDEN;
	focus_on_what_is_shown(screen);
}

static void toggle_chart(struct screen *screen)
{
	show_chart(screen, !focus_is_shown(screen, PLACE_CHART));
}

static void toggle_help(struct screen *screen)
{
	struct overlay *top = screen_top(screen);

	if (top && !strcmp(top->pane->ops->name, "help"))
		screen_pop(screen);
	else
		screen_push(screen, pane_help_new());
}

/* ---- what is asked for */

static void toggle_threads(struct screen *screen)
{
	while (screen->overlay_count)
		screen_pop(screen);
	screen->request.by_thread = !screen->request.by_thread;
	if (screen->request.by_thread) {
		screen->request.thread[0] = screen->thread_name[0] = '\0';
		if (screen->shown == SHOWN_HEAP)
			screen_say(screen, "The heap is not kept by thread.");
	}
	screen_ask(screen);
}

/* "comm (tid)": names repeat, numbers do not. */
static void choose_thread(struct screen *screen, const char *name)
{
	const char *open = name ? strrchr(name, '(') : NULL;
	size_t digits = open ? strspn(open + 1, "0123456789") : 0;

	if (!name)
		return;
	if (digits && !strcmp(open + 1 + digits, ")"))
		snprintf(screen->request.thread, sizeof(screen->request.thread), "%.*s",
			 (int)digits, open + 1);
	else
		snprintf(screen->request.thread, sizeof(screen->request.thread), "%s", name);
	snprintf(screen->thread_name, sizeof(screen->thread_name), "%s", name);
	screen->request.by_thread = false;
	screen_ask(screen);
}

static void choose_range(struct screen *screen, uint64_t from_ns, uint64_t to_ns)
{
	screen->mark_ns = UINT64_MAX;
	screen->request.from_ns = from_ns < to_ns ? from_ns : to_ns;
	screen->request.to_ns = from_ns < to_ns ? to_ns : from_ns;
	screen_spoil(screen);
	screen_ask(screen);
}

static bool has_range(const struct screen *screen)
{
	return screen->request.from_ns || screen->request.to_ns != UINT64_MAX;
}

static void pause_or_go_on(struct screen *screen)
{
	bool is_growing =
		screen->state.kind == FEED_RECORDING || screen->state.kind == FEED_FOLLOWING;

	if (!screen->is_paused && !is_growing) {
		screen_say(screen, "Nothing is recorded any more: there is nothing to pause.");
		return;
	}
	screen->is_paused = !screen->is_paused;
	if (!screen->is_paused && screen->pending) {
		model_release(screen->model);
		screen->model = screen->pending;
		screen->pending = NULL;
		screen_spoil(screen);
	}
}

/* Clears one thing; false where there is nothing to clear. */
static bool clear_something(struct screen *screen)
{
	if (screen->mark_ns != UINT64_MAX) {
		screen->mark_ns = UINT64_MAX;
		screen->slots[PLACE_CHART].is_stale = true;
	} else if (screen->filter.length) {
		screen_clear_typed(screen);
	} else if (has_range(screen)) {
		choose_range(screen, 0, UINT64_MAX);
	} else if (*screen->request.thread) {
		screen->request.thread[0] = screen->thread_name[0] = '\0';
		screen_ask(screen);
	} else if (screen->request.by_thread) {
		screen->request.by_thread = false;
		screen_ask(screen);
	} else {
		return false;
	}
	return true;
}

/* ---- what panes wish */

static void select_row(struct screen *screen, enum screen_place place, const struct row_key *key)
{
	row_key_copy(&screen->slots[place].selected, key);
	screen->slots[PLACE_CHART].is_stale = true;
}

/* What is of a row; key NULL or no row: of the selected one. */
static void open_of(struct screen *screen, const struct row_key *key,
		    struct pane *(*new_pane)(const struct row_key *of))
{
	if (!key || !row_key_is_set(key))
		key = &screen->slots[screen->table].selected;
	if (row_key_is_set(key))
		screen_push(screen, new_pane(key));
	else
		screen_say(screen, "No row is selected.");
}

/* Only what the chart shows: a range or a thread may have been asked for since the model came. */
static void ask_for_chart(struct screen *screen, const struct model_request *request)
{
	screen->request.chart_from_ns = request->chart_from_ns;
	screen->request.chart_to_ns = request->chart_to_ns;
	screen->request.chart_last_ns = request->chart_last_ns;
	screen_ask(screen);
}

/* False: the pane does not know what to do with it. place: PLACES of an overlay. */
static bool grant(struct screen *screen, enum screen_place place, const struct pane_answer *answer)
{
	switch (answer->wish) {
	case PANE_IGNORED:
		return false;
	case PANE_NOTHING:
		break;
	case PANE_CLOSE:
		if (place == PLACES)
			screen_pop(screen);
		break;
	case PANE_SELECTED:
		if (place != PLACES)
			select_row(screen, place, &answer->key);
		break;
	case PANE_CALLERS:
		open_of(screen, &answer->key, pane_tree_new);
		break;
	case PANE_SOURCE:
		open_of(screen, &answer->key, pane_source_new);
		break;
	case PANE_FLAME:
		screen_push(screen, pane_flame_new());
		break;
	case PANE_CHART:
		toggle_chart(screen);
		break;
	case PANE_ASK:
		ask_for_chart(screen, &answer->request);
		break;
	case PANE_MARK:
		screen->mark_ns = answer->time_ns;
		screen->slots[PLACE_CHART].is_stale = true;
		break;
	case PANE_RANGE:
		choose_range(screen, answer->time_ns, answer->to_ns);
		break;
	case PANE_THREAD:
		choose_thread(screen, answer->key.function);
		break;
	}
	return true;
}

static bool act_in_place(struct screen *screen, enum screen_place place, const struct input *input)
{
	struct slot *slot = &screen->slots[place];
	struct pane_answer answer;
	struct pane_context context;
	struct layout layout;

	screen_lay(screen, &layout);
	if (!screen_is_shown(&layout, place))
		return false;
	screen_refresh(screen, &layout);
	context = screen_context(screen, place);
	answer = slot->pane->ops->act(slot->pane, &context, input, layout.areas[place]);
	return grant(screen, place, &answer);
}

static bool act_on_top(struct screen *screen, const struct input *input)
{
	struct overlay *top = screen_top(screen);
	struct pane_answer answer;
	struct pane_context context;
	struct layout layout;

	screen_lay(screen, &layout);
	screen_refresh(screen, &layout);
	context = screen_overlay_context(screen, top);
	answer = top->pane->ops->act(top->pane, &context, input, layout.body);
	return grant(screen, PLACES, &answer);
}

/* ---- routing */

/* What the chart does whoever has the keys. */
static bool is_of_chart(enum action action)
{
	return action == ACTION_LEFT || action == ACTION_RIGHT || action == ACTION_ZOOM_IN ||
	       action == ACTION_ZOOM_OUT || action == ACTION_RANGE_FROM ||
	       action == ACTION_RANGE_TO;
}

static bool is_of_table(enum action action)
{
	return action == ACTION_SORT || action == ACTION_SORT_BACK;
}

/* What is to be done where no pane took it. */
static void act_itself(struct screen *screen, const struct input *input)
{
	switch (input->action) {
	case ACTION_ENTER:
		if (!screen->overlay_count)
			toggle_chart(screen);
		break;
	case ACTION_CALLERS:
		open_of(screen, NULL, pane_tree_new);
		break;
	case ACTION_SOURCE:
		open_of(screen, NULL, pane_source_new);
		break;
	case ACTION_FLAME:
		screen_push(screen, pane_flame_new());
		break;
	default:
		break;
	}
}

static void act_in_panes(struct screen *screen, const struct input *input)
{
	bool is_taken;

	if (screen->overlay_count) {
		is_taken = act_on_top(screen, input);
	} else if (is_of_table(input->action)) {
		is_taken = act_in_place(screen, screen->table, input);
	} else if (input->action == ACTION_RANGE_FROM || input->action == ACTION_RANGE_TO) {
		/* Where it is marked must be seen. */
		if (!focus_is_shown(screen, PLACE_CHART))
			show_chart(screen, true);
		focus_on(screen, PLACE_CHART);
		is_taken = act_in_place(screen, PLACE_CHART, input);
	} else {
		is_taken = act_in_place(screen, screen->focus, input);
		if (!is_taken && is_of_chart(input->action) && screen->focus != PLACE_CHART)
			is_taken = act_in_place(screen, PLACE_CHART, input);
	}
	if (!is_taken)
		act_itself(screen, input);
}

static void act_with_mouse(struct screen *screen, const struct input *input)
{
	struct layout layout;
	enum screen_place place;

	screen_lay(screen, &layout);
	if (input->action == ACTION_CLICK && input->y == layout.header.top) {
		enum shown shown = header_view_at(layout.header, input->x);

		if (shown != SHOWN_KINDS)
			show_view(screen, shown);
		return;
	}
	if (input->y < layout.body.top || input->y >= layout.footer.top)
		return;
	if (screen->overlay_count) {
		act_on_top(screen, input);
		return;
	}
	place = screen_place_at(&layout, input->x, input->y);
	if (place == PLACES)
		return;
	if (input->action == ACTION_CLICK)
		focus_on(screen, place);
	act_in_place(screen, place, input);
}

/* False: there was nothing to close or to clear. */
static bool go_back(struct screen *screen, const struct input *input)
{
	struct overlay *top = screen_top(screen);

	if (!top)
		return clear_something(screen);
	if (top->is_searched)
		screen_clear_typed(screen);
	else if (!top->is_begun || !act_on_top(screen, input))
		screen_pop(screen);
	return true;
}

static bool act(struct screen *screen, const struct input *input)
{
	switch (input->action) {
	case ACTION_NONE:
	case ACTION_RESIZE:
	case ACTION_REDRAW:
		break;
	case ACTION_QUIT:
		return false;
	case ACTION_BACK:
		return go_back(screen, input);
	case ACTION_HELP:
		toggle_help(screen);
		break;
	case ACTION_VIEW_CPU:
		show_view(screen, SHOWN_CPU);
		break;
	case ACTION_VIEW_HEAP:
		show_view(screen, SHOWN_HEAP);
		break;
	case ACTION_VIEW_BOTH:
		show_view(screen, SHOWN_BOTH);
		break;
	case ACTION_VIEW_WAIT:
		show_view(screen, SHOWN_WAIT);
		break;
	case ACTION_VIEW_NEXT:
		show_view(screen, (enum shown)((screen->shown + 1) % SHOWN_KINDS));
		break;
	case ACTION_CHART:
		if (!screen->overlay_count)
			toggle_chart(screen);
		break;
	case ACTION_THREADS:
		toggle_threads(screen);
		break;
	case ACTION_FOCUS:
		if (!screen->overlay_count)
			focus_on_next(screen);
		break;
	case ACTION_PAUSE:
		pause_or_go_on(screen);
		break;
	case ACTION_FILTER:
		screen_prompt_open(screen);
		break;
	case ACTION_FROM_ZERO:
		screen->is_from_zero = !screen->is_from_zero;
		screen->slots[PLACE_CHART].is_stale = true;
		break;
	case ACTION_CLICK:
	case ACTION_WHEEL_UP:
	case ACTION_WHEEL_DOWN:
		act_with_mouse(screen, input);
		break;
	default:
		act_in_panes(screen, input);
		break;
	}
	return true;
}

bool screen_act(struct screen *screen, const struct input *input)
{
	if (screen_is_too_small(screen))
		return input->action != ACTION_QUIT;
	screen->message[0] = '\0';
	if (screen_prompt_act(screen, input))
		return true;
	return act(screen, input);
}
