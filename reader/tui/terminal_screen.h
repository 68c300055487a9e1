/* Cells as bytes for a terminal: what changed, where, and in which colours. */
#ifndef RSPROF_TUI_TERMINAL_SCREEN_H
#define RSPROF_TUI_TERMINAL_SCREEN_H

#include "reader/tui/canvas.h"
#include "reader/tui/palette.h"
#include "reader/tui/terminal_info.h"
#include "reader/util/str.h"

/* What is on the terminal. Zero-initialised: not known. */
struct terminal_screen {
	struct canvas shown;
	bool is_known;
	const struct terminal_info *info;
	enum palette_depth depth;
	bool is_light;
};

void terminal_screen_done(struct terminal_screen *screen);
/* Appends what makes the terminal show the canvas. */
void terminal_screen_change(struct terminal_screen *screen, const struct canvas *canvas,
			    struct str *to);

#endif
