/* The terminal's screens over a feed, from their start to their end. */
#ifndef RSPROF_TUI_TUI_H
#define RSPROF_TUI_TUI_H

#include <poll.h>
#include <stdbool.h>

#include "reader/util/err.h"
#include "reader/view/model.h"

enum { TUI_WATCH_MAX = 8 };

enum tui_turn {
	TUI_GO_ON,
	TUI_LEAVE,	      /* end, restore the terminal */
	TUI_TERMINAL_IS_GONE, /* end without a word to it */
};

struct tui_options {
	struct feed *feed;
	/* What else to wait for while the screens are shown: ready is called with the index of one
	 * that is readable, and once a second with -1. Descriptors may be set to -1 meanwhile. */
	struct pollfd *watch;
	size_t watch_count;
	enum tui_turn (*ready)(void *context, int index);
	void *context;
	enum model_table first; /* the view it begins with */
	/* What is asked for first; NULL: the whole profile, and the last minute in the chart. */
	const struct model_request *request;
	const char *filter; /* NULL: none */
};

/* Is there a terminal that can show it? Else one line on why not, for "rsprof: …". */
bool tui_is_possible(char why[128]);
/* Until it is quit. The terminal is as before afterwards. -EIO: it is gone, nobody can read a word of
 * what is said next. */
int tui_run(const struct tui_options *options, struct err *err);

#endif
