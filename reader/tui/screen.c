#include "reader/tui/screen_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/tui/footer.h"
#include "reader/tui/pane_table.h"
#include "reader/tui/terminal.h"
#include "reader/util/fmt.h"
#include "reader/util/mem.h"

#define CHART_LAST_NS UINT64_C(60000000000)

/* Calls and rows of a profile that are added up within 50 ms. */
enum { QUICK_CALLS = 1000000, QUICK_ROWS = 500000 };

static enum shown shown_of(enum model_table table)
{
	switch (table) {
	case MODEL_HEAP:
		return SHOWN_HEAP;
	case MODEL_WAIT:
		return SHOWN_WAIT;
	default:
		return SHOWN_CPU;
	}
}

struct screen *screen_new(const struct tui_options *options)
{
	static const struct model_request whole = {
		.to_ns = UINT64_MAX, .chart_to_ns = UINT64_MAX, .chart_last_ns = CHART_LAST_NS};
	struct screen *screen = mem_zalloc(sizeof(*screen));

	screen->feed = options->feed;
	screen->shown = shown_of(options->first);
	screen->request = options->request ? *options->request : whole;
	screen->is_from_zero = true;
	screen->mark_ns = UINT64_MAX;
	screen->width = TERMINAL_COLUMNS_MIN;
	screen->height = TERMINAL_LINES_MIN;
	if (options->filter)
		str_add(&screen->filter, options->filter);
	screen->slots[PLACE_CPU].pane = pane_table_new(MODEL_CPU, false);
	screen->slots[PLACE_HEAP].pane = pane_table_new(MODEL_HEAP, false);
	screen->slots[PLACE_WAIT].pane = pane_table_new(MODEL_WAIT, false);
	screen->slots[PLACE_NARROW_CPU].pane = pane_table_new(MODEL_CPU, true);
	screen->slots[PLACE_NARROW_HEAP].pane = pane_table_new(MODEL_HEAP, true);
	screen->slots[PLACE_CHART].pane = pane_chart_new();
	screen->focus = screen->table = screen_first_table(screen);
	screen_ask(screen);
	screen_tick(screen);
	return screen;
}

void screen_free(struct screen *screen)
{
	if (!screen)
		return;
	while (screen->overlay_count)
		screen_pop(screen);
	for (int i = 0; i < PLACES; i++) {
		screen->slots[i].pane->ops->free(screen->slots[i].pane);
		row_key_done(&screen->slots[i].selected);
	}
	str_done(&screen->filter);
	model_release(screen->pending);
	model_release(screen->model);
	free(screen);
}

void screen_resize(struct screen *screen, int width, int height)
{
	screen->width = width;
	screen->height = height;
}

void screen_say(struct screen *screen, const char *message)
{
	snprintf(screen->message, sizeof(screen->message), "%s", message);
}

void screen_ask(struct screen *screen)
{
	screen->feed->ops->ask(screen->feed, &screen->request);
}

/* ---- panes */

struct overlay *screen_top(struct screen *screen)
{
	return screen->overlay_count ? &screen->overlays[screen->overlay_count - 1] : NULL;
}

static enum model_table table_of(const struct screen *screen, enum screen_place place)
{
	if (place == PLACE_CHART)
		place = screen->table;
	switch (place) {
	case PLACE_HEAP:
	case PLACE_NARROW_HEAP:
		return MODEL_HEAP;
	case PLACE_WAIT:
		return MODEL_WAIT;
	default:
		return MODEL_CPU;
	}
}

struct pane_context screen_context(struct screen *screen, enum screen_place place)
{
	enum screen_place table = place == PLACE_CHART ? screen->table : place;

	return (struct pane_context){
		.model = screen->model,
		.state = &screen->state,
		.table = table_of(screen, place),
		.filter = str_text(&screen->filter),
		.is_focused = screen->focus == place && !screen->overlay_count,
		.is_chart_from_zero = screen->is_from_zero,
		.selected = &screen->slots[table].selected,
		.mark_ns = screen->mark_ns,
	};
}

struct pane_context screen_overlay_context(struct screen *screen, struct overlay *overlay)
{
	struct pane_context context = screen_context(screen, screen->table);

	context.is_focused = true;
	if (overlay->pane->ops->has_search)
		context.filter = str_text(&overlay->search);
	return context;
}

void screen_push(struct screen *screen, struct pane *pane)
{
	struct overlay *overlay;

	if (screen->overlay_count == OVERLAYS_MAX)
		screen_pop(screen);
	overlay = &screen->overlays[screen->overlay_count++];
	*overlay = (struct overlay){.pane = pane, .is_stale = true};
	/* What rows were looked for is looked for here too. */
	str_add(&overlay->search, str_text(&screen->filter));
}

void screen_pop(struct screen *screen)
{
	struct overlay *overlay = screen_top(screen);

	overlay->pane->ops->free(overlay->pane);
	str_done(&overlay->search);
	screen->overlay_count--;
	screen->is_prompt_open = false;
}

void screen_spoil(struct screen *screen)
{
	for (int i = 0; i < PLACES; i++)
		screen->slots[i].is_stale = true;
	for (size_t i = 0; i < screen->overlay_count; i++)
		screen->overlays[i].is_stale = true;
}

/* Its row may have gone, and another one be chosen in its place. */
static void follow_selection(struct screen *screen, enum screen_place place)
{
	struct row_key *before = &screen->slots[place].selected;
	const struct row_key *now = pane_table_selected(screen->slots[place].pane);

	if (now ? row_key_is(before, now->function, now->file, now->line) : !row_key_is_set(before))
		return;
	if (now)
		row_key_copy(before, now);
	else
		row_key_done(before);
	if (place == screen->table)
		screen->slots[PLACE_CHART].is_stale = true;
}

/* Its lines take longer than a key may be left without an answer: what else has changed is shown
 * first. */
static bool is_left_for_later(struct screen *screen)
{
	const struct timeline *timeline = screen->model ? screen->model->chart : NULL;

	if (!timeline || timeline->row_count <= QUICK_ROWS || screen->is_chart_due)
		return false;
	screen->is_chart_late = true;
	return true;
}

/* What cannot be seen is updated when it can; the chart after the tables that it is of. */
void screen_refresh(struct screen *screen, const struct layout *layout)
{
	struct overlay *top = screen_top(screen);

	if (top) {
		struct pane_context context = screen_overlay_context(screen, top);

		if (top->is_stale)
			top->pane->ops->update(top->pane, &context);
		top->is_stale = false;
		top->is_begun = true;
		return;
	}
	for (int i = 0; i < PLACES; i++) {
		struct slot *slot = &screen->slots[i];
		struct pane_context context = screen_context(screen, (enum screen_place)i);

		if (!slot->is_stale || !screen_is_shown(layout, (enum screen_place)i))
			continue;
		if (i == PLACE_CHART && is_left_for_later(screen))
			continue;
		slot->pane->ops->update(slot->pane, &context);
		slot->is_stale = false;
		if (i != PLACE_CHART)
			follow_selection(screen, (enum screen_place)i);
	}
}

/* ---- models */

static bool is_same_request(const struct model_request *a, const struct model_request *b)
{
	return a->from_ns == b->from_ns && a->to_ns == b->to_ns &&
	       a->chart_from_ns == b->chart_from_ns && a->chart_to_ns == b->chart_to_ns &&
	       a->chart_last_ns == b->chart_last_ns && a->by_thread == b->by_thread &&
	       !strcmp(a->thread, b->thread) && a->include_internal == b->include_internal &&
	       a->no_inline == b->no_inline;
}

static void show_model(struct screen *screen, struct model *model)
{
	model_release(screen->model);
	screen->model = model;
	screen_spoil(screen);
}

/* While it is paused, only what was asked for since then replaces what is shown. */
static bool take_model(struct screen *screen)
{
	struct model *model = screen->feed->ops->take(screen->feed);
	bool is_new = model && (!screen->model || model->serial != screen->model->serial);
	bool is_answer = is_new && screen->model &&
			 is_same_request(&model->request, &screen->request) &&
			 !is_same_request(&screen->model->request, &screen->request);

	if (!is_new) {
		model_release(model);
		return false;
	}
	if (screen->is_paused && screen->model && !is_answer) {
		model_release(screen->pending);
		screen->pending = model;
		return false;
	}
	model_release(screen->pending);
	screen->pending = NULL;
	show_model(screen, model);
	return true;
}

static bool is_same_state(const struct feed_state *a, const struct feed_state *b)
{
	/* The clock shows seconds. */
	return a->kind == b->kind && a->elapsed_ns / 1000000000 == b->elapsed_ns / 1000000000 &&
	       a->samples == b->samples && a->lost == b->lost && a->judged == b->judged &&
	       a->complete == b->complete && a->rss_bytes == b->rss_bytes &&
	       a->is_heap_live == b->is_heap_live && a->heap_live_bytes == b->heap_live_bytes &&
	       a->is_busy == b->is_busy && !strcmp(a->message, b->message);
}

bool screen_tick(struct screen *screen)
{
	struct feed_state state = {0};
	bool is_changed = take_model(screen);

	screen->feed->ops->read_state(screen->feed, &state);
	is_changed |= !is_same_state(&state, &screen->state);
	screen->state = state;
	/* What is recorded no more cannot be paused. */
	if (screen->is_paused && !screen->pending &&
	    (state.kind == FEED_ENDED || state.kind == FEED_SAVED)) {
		screen->is_paused = false;
		is_changed = true;
	}
	return is_changed;
}

/* ---- drawing */

static void draw_too_small(const struct screen *screen, struct canvas *canvas)
{
	canvas_putf(canvas, canvas_area(canvas), 0, 0, (struct style){.ink = INK_WARN},
		    "Terminal too small: %dx%d, rsprof needs %dx%d.", screen->width, screen->height,
		    TERMINAL_COLUMNS_MIN, TERMINAL_LINES_MIN);
}

/* Opening it takes longer than a key may be left without an answer. */
static bool is_long(const struct screen *screen, const struct overlay *overlay)
{
	const struct model *model = screen->model;

	return !overlay->is_begun && !overlay->is_announced && model && model->snapshot &&
	       overlay->pane->ops->is_of_calls &&
	       model->snapshot->node_count + model->snapshot->row_count > QUICK_CALLS;
}

bool screen_has_more(const struct screen *screen)
{
	const struct overlay *top =
		screen->overlay_count ? &screen->overlays[screen->overlay_count - 1] : NULL;

	return top ? top->is_announced && !top->is_begun : screen->is_chart_late;
}

static void announce(struct screen *screen, struct overlay *overlay, struct canvas *canvas,
		     struct area area)
{
	char samples[FMT_MAX];

	overlay->is_announced = true;
	canvas_frame(canvas, area, NULL, NULL, NULL, true);
	canvas_putf(canvas, area_inside(area), 1, 0, (struct style){.ink = INK_DIM},
		    "Adding up %s calls%s", fmt_count(samples, screen->model->snapshot->node_count),
		    canvas_glyph(canvas, GLYPH_ELLIPSIS));
}

static void draw_footer(struct screen *screen, struct canvas *canvas, struct area area)
{
	struct overlay *top = screen_top(screen);
	const struct pane *pane = top ? top->pane : screen->slots[screen->focus].pane;
	struct footer footer = {
		.message = screen->message,
		.typed = screen->is_prompt_open ? str_text(screen_typed(screen)) : NULL,
		.is_search = top && top->pane->ops->has_search,
		.is_overlay = top != NULL,
		.pane_words = pane->ops->footer,
	};

	footer_draw(&footer, canvas, area);
}

void screen_draw(struct screen *screen, struct canvas *canvas)
{
	struct overlay *top = screen_top(screen);
	struct header header;
	struct layout layout;

	screen_resize(screen, canvas->width, canvas->height);
	canvas_clear(canvas);
	if (screen_is_too_small(screen)) {
		draw_too_small(screen, canvas);
		return;
	}
	screen_lay(screen, &layout);
	header = screen_header(screen);
	header_draw(&header, canvas, layout.header);
	if (top && is_long(screen, top)) {
		announce(screen, top, canvas, layout.body);
		draw_footer(screen, canvas, layout.footer);
		return;
	}
	screen->is_chart_due = screen->is_chart_late;
	screen->is_chart_late = false;
	screen_refresh(screen, &layout);
	screen->is_chart_due = false;
	if (top) {
		struct pane_context context = screen_overlay_context(screen, top);

		top->pane->ops->draw(top->pane, &context, canvas, layout.body);
	}
	for (int i = 0; i < PLACES && !top; i++) {
		struct pane *pane = screen->slots[i].pane;
		struct pane_context context = screen_context(screen, (enum screen_place)i);

		if (screen_is_shown(&layout, (enum screen_place)i))
			pane->ops->draw(pane, &context, canvas, layout.areas[i]);
	}
	draw_footer(screen, canvas, layout.footer);
}
