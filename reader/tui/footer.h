/* The last line: what can be pressed, what is being typed, or what there is to say. */
#ifndef RSPROF_TUI_FOOTER_H
#define RSPROF_TUI_FOOTER_H

#include "reader/tui/canvas.h"

struct footer {
	const char *message;	/* "" none */
	const char *typed;	/* at the prompt; NULL: there is none */
	bool is_search;		/* it highlights, and filters no rows */
	bool is_overlay;	/* Esc goes back */
	const char *pane_words; /* of the pane that has the keys, NULL: the table's */
};

void footer_draw(const struct footer *footer, struct canvas *canvas, struct area area);

#endif
