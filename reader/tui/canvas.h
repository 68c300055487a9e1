/* A screen as cells, without a terminal: panes draw on it, terminal.c shows it, tests read it as
 * text. Whatever text is put, it stays within its area and can move no cursor: control characters
 * become '?', what is too long is cut, a wide character that has half its room is left out. */
#ifndef RSPROF_TUI_CANVAS_H
#define RSPROF_TUI_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/util/str.h"

/* What something means; palette.c knows how it looks in which terminal. */
enum ink {
	INK_NORMAL,
	INK_DIM,
	INK_ACCENT, /* names of things to press, the selected view, titles */
	INK_WARN,   /* losses, endings, refusals */
	INK_GOOD,   /* recording */
	INK_BORDER,
	INK_HEAT_0, /* shares, from cold to hot */
	INK_HEAT_1,
	INK_HEAT_2,
	INK_HEAT_3,
	INK_HEAT_4,
	INK_SERIES_CPU, /* lines of charts */
	INK_SERIES_HEAP,
	INK_SERIES_RSS,
	INK_SERIES_WAIT,
	INK_ON_FLAME, /* text on one of GROUND_FLAME_* */
	INK_ON_BAR,   /* text on GROUND_BAR */
	INK_KINDS
};

enum ground {
	GROUND_NORMAL,
	GROUND_SELECTED, /* the selected row; monochrome: reverse */
	GROUND_BAR,	 /* header and footer */
	GROUND_MATCH,	 /* what a search found */
	GROUND_RANGE,	 /* a marked range of time */
	GROUND_FLAME_0,	 /* six warm ones for the program's own code */
	GROUND_FLAME_1,
	GROUND_FLAME_2,
	GROUND_FLAME_3,
	GROUND_FLAME_4,
	GROUND_FLAME_5,
	GROUND_FLAME_LIBRARY, /* not the user's own */
	GROUND_FLAME_KERNEL,
	GROUND_KINDS
};

enum { FACE_BOLD = 1, FACE_UNDERLINE = 2, FACE_REVERSE = 4 };

struct style {
	uint8_t ink, ground, face;
};

enum { CELL_BYTES = 24 };

struct cell {
	char text[CELL_BYTES]; /* one character with what combines with it; never empty but where
				* columns is 0 */
	uint8_t columns;       /* 1 or 2; 0: the right half of the wide character before it */
	struct style style;
};

struct area {
	int left, top, width, height;
};

struct canvas {
	int width, height;
	bool is_unicode;    /* else no text but ASCII is ever put */
	struct cell *cells; /* by rows */
};

enum glyph {
	GLYPH_HORIZONTAL,
	GLYPH_VERTICAL,
	GLYPH_TOP_LEFT,
	GLYPH_TOP_RIGHT,
	GLYPH_BOTTOM_LEFT,
	GLYPH_BOTTOM_RIGHT,
	GLYPH_TICK_LEFT,   /* ┤ */
	GLYPH_TICK_BOTTOM, /* ┬ */
	GLYPH_ORIGIN,	   /* ┼ */
	GLYPH_CURSOR,	   /* ▌ at the selected row */
	GLYPH_DOT,	   /* · */
	GLYPH_BULLET,	   /* ● */
	GLYPH_ELLIPSIS,	   /* … */
	GLYPH_DASH,	   /* – */
	GLYPH_DOWN,	   /* ▼ sorted by */
	GLYPH_UP,	   /* ▲ */
	GLYPH_RIGHT,	   /* ▸ can be opened */
	GLYPH_OPEN,	   /* ▾ is open */
	GLYPH_PAUSE,	   /* ▐▐ */
	GLYPH_ARROW,	   /* → */
	GLYPHS
};

enum { SPARK_LEVELS = 8 };

void canvas_init(struct canvas *canvas, int width, int height, bool is_unicode);
void canvas_done(struct canvas *canvas);
/* All cells become spaces. */
void canvas_clear(struct canvas *canvas);

struct area canvas_area(const struct canvas *canvas);
/* What the frame that canvas_frame draws around an area leaves. */
struct area area_inside(struct area area);

/* UTF-8 text from column x (of the area) on line y (of the area), clipped to the area; returns the
 * columns that it took. Outside of the area nothing is put. */
int canvas_put(struct canvas *canvas, struct area area, int x, int y, struct style style,
	       const char *text);
int canvas_putf(struct canvas *canvas, struct area area, int x, int y, struct style style,
		const char *format, ...) __attribute__((format(printf, 6, 7)));
/* The same, so that its last column is before `right`. */
int canvas_put_right(struct canvas *canvas, struct area area, int right, int y, struct style style,
		     const char *text);
/* Paths keep their tail, names their last component (reader/view/cell.h). */
int canvas_put_path(struct canvas *canvas, struct area area, int x, int y, int width,
		    struct style style, const char *path);
int canvas_put_name(struct canvas *canvas, struct area area, int x, int y, int width,
		    struct style style, const char *name);
/* Ground (and face) of cells, whatever is written there. */
void canvas_paint(struct canvas *canvas, struct area area, enum ground ground, uint8_t face);
/* A border with a title at its top left and one at its bottom right, either may be NULL; a focused
 * one is in the accent colour, and told apart without colour too. */
void canvas_frame(struct canvas *canvas, struct area area, const char *title,
		  const char *right_title, const char *bottom_title, bool is_focused);

const char *canvas_glyph(const struct canvas *canvas, enum glyph glyph);
/* One character for a level of 0..SPARK_LEVELS (0: nothing). */
const char *canvas_spark(const struct canvas *canvas, int level);
/* One character for 2 x 4 dots: bit 0..3 the left column from its top to its bottom, 4..7 the right
 * one. In ASCII one of a few characters by where the dots are. */
const char *canvas_braille(const struct canvas *canvas, uint8_t dots, char buffer[8]);

/* The screen as lines of text, without spaces at their ends; with styles, three more blocks after
 * "ink:", "ground:" and "face:", where each cell has a letter (see palette.h). */
void canvas_print(const struct canvas *canvas, struct str *to);
void canvas_print_styles(const struct canvas *canvas, struct str *to);

/* Colour of a share of 0..100. */
enum ink ink_of_share(double share_pct);

#endif
