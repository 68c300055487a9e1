/* A pane: one rectangle of the screen. A struct of ops, one kind a file; it sees models and draws
 * on a canvas, and tells the screen what is to happen beyond itself. Drawing changes nothing. */
#ifndef RSPROF_TUI_PANE_H
#define RSPROF_TUI_PANE_H

#include "reader/tui/canvas.h"
#include "reader/tui/keys.h"
#include "reader/view/model.h"
#include "reader/view/row_key.h"

/* What panes share, owned by the screen. */
struct pane_context {
	const struct model *model; /* NULL as long as there is none */
	const struct feed_state *state;
	enum model_table table; /* which view this is about */
	const char *filter;	/* "" none */
	bool is_focused;
	bool is_chart_from_zero;
	/* The row that the focused table has selected: what charts, trees and the source are of. */
	const struct row_key *selected;
	/* Marked so far on the chart with `[`; UINT64_MAX: not. */
	uint64_t mark_ns;
};

enum pane_wish {
	PANE_NOTHING, /* handled, that is all */
	PANE_IGNORED, /* not mine: the screen decides */
	PANE_CLOSE,
	PANE_SELECTED, /* another row: key */
	PANE_CALLERS,  /* of key */
	PANE_SOURCE,   /* of key */
	PANE_FLAME,
	PANE_CHART,  /* show or hide it */
	PANE_ASK,    /* what the chart shows is changed: ask the feed */
	PANE_MARK,   /* time_ns is marked as the begin of a range */
	PANE_RANGE,  /* from time_ns to to_ns is to be shown by all tables */
	PANE_THREAD, /* only this thread: key.function is "comm (tid)" */
};

struct pane_answer {
	enum pane_wish wish;
	struct row_key key;	      /* the pane's, valid until its next call; not to be freed */
	struct model_request request; /* PANE_ASK: only its chart_ fields */
	uint64_t time_ns, to_ns;
};

struct pane;

struct pane_ops {
	const char *name;
	void (*free)(struct pane *pane);
	/* The model, the filter or the table has changed: rows are made anew, the selection stays
	 * on its row. */
	void (*update)(struct pane *pane, const struct pane_context *context);
	void (*draw)(struct pane *pane, const struct pane_context *context, struct canvas *canvas,
		     struct area area);
	/* area: where it was drawn last, for the mouse and for pages. */
	struct pane_answer (*act)(struct pane *pane, const struct pane_context *context,
				  const struct input *input, struct area area);
	/* Words for the footer beside the table's ("Enter zoom"), NULL: none. */
	const char *footer;
	/* The pane does something of its own with what is typed at `/` (a flame graph highlights
	 * and sums); else the table's rows are filtered. */
	bool has_search;
	/* Its first update adds up all stacks. */
	bool is_of_calls;
};

/* The first member of every pane. */
struct pane {
	const struct pane_ops *ops;
};

/* One file each. */
struct pane *pane_table_new(enum model_table table, bool is_narrow); /* narrow: rows of two lines */
struct pane *pane_chart_new(void);
struct pane *pane_tree_new(const struct row_key *of);
struct pane *pane_flame_new(void);
struct pane *pane_source_new(const struct row_key *of);
struct pane *pane_help_new(void);

#endif
