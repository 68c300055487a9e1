/* What can be pressed, in one table: what a key does, the help screen, the footer and the man page.
 */
#ifndef RSPROF_TUI_KEYS_H
#define RSPROF_TUI_KEYS_H

#include <stdbool.h>
#include <stddef.h>

enum action {
	ACTION_NONE,
	ACTION_QUIT,
	ACTION_BACK, /* Esc: close or clear, then quit */
	ACTION_HELP,
	ACTION_VIEW_CPU,
	ACTION_VIEW_HEAP,
	ACTION_VIEW_BOTH,
	ACTION_VIEW_WAIT,
	ACTION_VIEW_NEXT,
	ACTION_CHART, /* show or hide the chart of the selected row */
	ACTION_ENTER, /* Enter: in a tree and a flame graph: open, zoom; in a table the chart */
	ACTION_CALLERS,
	ACTION_FLAME,
	ACTION_SOURCE,
	ACTION_THREADS,
	ACTION_UP,
	ACTION_DOWN,
	ACTION_PAGE_UP,
	ACTION_PAGE_DOWN,
	ACTION_FIRST,
	ACTION_LAST,
	ACTION_LEFT, /* pan, or move in a flame graph */
	ACTION_RIGHT,
	ACTION_ZOOM_IN,
	ACTION_ZOOM_OUT,
	ACTION_FOCUS,
	ACTION_RANGE_FROM,
	ACTION_RANGE_TO,
	ACTION_SORT,
	ACTION_SORT_BACK, /* the other way round */
	ACTION_PAUSE,
	ACTION_FILTER,
	ACTION_FROM_ZERO,
	ACTION_CLICK, /* with struct input's x and y */
	ACTION_WHEEL_UP,
	ACTION_WHEEL_DOWN,
	ACTION_TEXT,   /* a character, while a prompt is open */
	ACTION_ERASE,  /* Backspace */
	ACTION_REDRAW, /* Ctrl-L */
	ACTION_RESIZE, /* the terminal has another size */
};

/* A key as the terminal delivers it: a Unicode character, or one of these. */
enum { KEYS_SPECIAL = 0x110000 };
enum special_key {
	KEY_IS_UP = KEYS_SPECIAL,
	KEY_IS_DOWN,
	KEY_IS_LEFT,
	KEY_IS_RIGHT,
	KEY_IS_PAGE_UP,
	KEY_IS_PAGE_DOWN,
	KEY_IS_HOME,
	KEY_IS_END,
	KEY_IS_BACKSPACE,
	KEY_IS_DELETE,
	KEY_IS_BACK_TAB,
	KEY_IS_MOUSE,
	KEY_IS_RESIZE,
};

struct input {
	enum action action;
	unsigned int key; /* what was pressed */
	int x, y;	  /* of the mouse, on the canvas */
};

enum { KEY_IS_ESCAPE = 27, KEY_IS_ENTER = '\r', KEY_IS_TAB = '\t' };

struct key_help {
	const char *keys;   /* "j / Down" */
	const char *does;   /* "next row" */
	const char *footer; /* "q quit", NULL: not in the footer */
	const char *group;  /* "Moving", of the first of its group; NULL: as before */
	enum action action;
	unsigned int pressed[6]; /* what it takes, ended by 0 */
};

/* The table, ended by keys NULL. */
extern const struct key_help key_helps[];
/* What a key does, where no prompt is open; ACTION_NONE where it does nothing. */
enum action key_action(unsigned int key);

#endif
