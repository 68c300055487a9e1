/* The screen's inside, for its own files. */
#ifndef RSPROF_TUI_SCREEN_STATE_H
#define RSPROF_TUI_SCREEN_STATE_H

#include "reader/tui/header.h"
#include "reader/tui/pane.h"
#include "reader/tui/screen.h"
#include "reader/util/str.h"

/* Panes that are always there, shown or not. */
enum screen_place {
	PLACE_CPU,
	PLACE_HEAP,
	PLACE_WAIT,
	PLACE_NARROW_CPU,
	PLACE_NARROW_HEAP,
	PLACE_CHART,
	PLACES,
};

enum {
	OVERLAYS_MAX = 8,
	FILTER_MAX = 200, /* bytes; a longer pattern is a paste gone wrong */
};

struct slot {
	struct pane *pane;
	bool is_stale;		 /* to be updated before it is drawn or acts */
	struct row_key selected; /* of a table */
};

/* What lies over the places, until it is closed. */
struct overlay {
	struct pane *pane;
	bool is_stale, is_searched;
	bool is_begun, is_announced; /* it was updated; it was said that this takes its time */
	struct str search;
};

enum chart_wish { CHART_IF_THERE_IS_ROOM, CHART_SHOWN, CHART_HIDDEN };

struct screen {
	struct feed *feed;
	struct model *model, *pending; /* pending: came while it was paused */
	struct feed_state state;
	struct model_request request;
	char thread_name[MODEL_THREAD_MAX];
	enum shown shown;
	enum chart_wish chart_wish;
	bool is_paused, is_from_zero, is_prompt_open;
	bool is_chart_late,
		is_chart_due; /* it is not yet what it should be; this drawing makes it so */
	uint64_t mark_ns;
	struct str filter;
	struct slot slots[PLACES];
	enum screen_place focus, table; /* table: the last one that had the focus */
	struct overlay overlays[OVERLAYS_MAX];
	size_t overlay_count;
	char message[256];
	int width, height;
};

struct layout {
	struct area header, body, footer;
	struct area areas[PLACES]; /* width 0: not shown */
};

/* ---- screen_layout.c */
bool screen_is_too_small(const struct screen *screen);
struct header screen_header(const struct screen *screen);
void screen_lay(const struct screen *screen, struct layout *ret_layout);
/* Of the view that is shown. */
enum screen_place screen_first_table(const struct screen *screen);
bool screen_is_shown(const struct layout *layout, enum screen_place place);
/* PLACES: none. */
enum screen_place screen_place_at(const struct layout *layout, int x, int y);

/* ---- screen.c */
struct overlay *screen_top(struct screen *screen); /* NULL: none */
struct pane_context screen_context(struct screen *screen, enum screen_place place);
struct pane_context screen_overlay_context(struct screen *screen, struct overlay *overlay);
void screen_push(struct screen *screen, struct pane *pane);
void screen_pop(struct screen *screen);
/* Everything, or what lies on top, is updated before it is looked at again. */
void screen_spoil(struct screen *screen);
void screen_refresh(struct screen *screen, const struct layout *layout);
/* What the feed is asked for has changed. */
void screen_ask(struct screen *screen);
void screen_say(struct screen *screen, const char *message);

/* ---- screen_prompt.c */
/* What is typed at the prompt, or was. */
struct str *screen_typed(struct screen *screen);
void screen_prompt_open(struct screen *screen);
/* True: it was the prompt's. */
bool screen_prompt_act(struct screen *screen, const struct input *input);
void screen_clear_typed(struct screen *screen);

#endif
