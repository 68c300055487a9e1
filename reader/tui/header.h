/* The lines above the panes: what is recorded, how far it is, from where it comes, what is missing.
 * What does not fit is left out, the least important first. */
#ifndef RSPROF_TUI_HEADER_H
#define RSPROF_TUI_HEADER_H

#include "reader/tui/canvas.h"
#include "reader/view/model.h"

enum shown { SHOWN_CPU, SHOWN_HEAP, SHOWN_BOTH, SHOWN_WAIT, SHOWN_KINDS };

struct header {
	const struct model *model; /* NULL: none yet */
	const struct feed_state *state;
	const struct model_request *request; /* as it was asked last */
	const char *thread_name; /* of the request's thread, "" where it is its own name */
	const char *filter;
	enum shown shown;
	bool is_paused;
};

/* Two lines, and one for each notice: losses, and how it ended. */
int header_lines(const struct header *header);
void header_draw(const struct header *header, struct canvas *canvas, struct area area);
/* The view whose name is at that column of the first line; SHOWN_KINDS: none. */
enum shown header_view_at(struct area area, int x);

#endif
