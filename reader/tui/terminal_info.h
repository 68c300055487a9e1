/* What terminfo knows of the terminal. Apart, since the headers of curses take words such as move,
 * columns and lines for themselves. */
#ifndef RSPROF_TUI_TERMINAL_INFO_H
#define RSPROF_TUI_TERMINAL_INFO_H

#include <stdbool.h>

#include "reader/util/str.h"

/* Strings are NULL where the terminal cannot do it; they live as long as rsprof. */
struct terminal_info {
	const char *clear, *move;
	const char *enter, *leave; /* the alternate screen */
	const char *cursor_hide, *cursor_show;
	const char *keypad_on, *keypad_off;
	const char *plain, *bold, *underline, *reverse;
	const char *ink, *ground, *default_colours;
	bool has_mouse;
	bool is_scrolled_by_last_cell;
	int colours;
};

/* False where terminfo does not know it. */
bool terminal_info_find(const char *term, int fd, struct terminal_info *ret_info);
/* Append a capability as it is to be sent; NULL appends nothing. */
void terminal_info_put(struct str *to, const char *capability);
void terminal_info_put_colour(struct str *to, const char *capability, int colour);
void terminal_info_put_move(struct str *to, const struct terminal_info *info, int x, int y);

#endif
