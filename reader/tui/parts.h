/* A line of parts of which some may be left out or shortened where there is no room for all. */
#ifndef RSPROF_TUI_PARTS_H
#define RSPROF_TUI_PARTS_H

#include "reader/tui/canvas.h"

enum { PARTS_MAX = 20, PARTS_KEEP = 1000 };

struct part {
	struct str text; /* clean */
	struct style style;
	int weight;	/* the smallest leaves first; PARTS_KEEP never does */
	int width_min;	/* it may be shortened to that; 0: not */
	bool is_joined; /* no separator before it */
};

/* Zero-initialised is empty. */
struct parts {
	struct part parts[PARTS_MAX];
	size_t count;
};

/* Beyond PARTS_MAX what is added is not shown. Returns where to write the text, the parts'. */
struct str *parts_add(struct parts *parts, int weight, struct style style);
void parts_done(struct parts *parts);
/* Draws from column x on, before column right; takes out what does not fit. Returns the column
 * after the last one. */
int parts_draw(struct parts *parts, struct canvas *canvas, struct area area, int x, int right,
	       int y, const char *separator, struct style separator_style);

#endif
