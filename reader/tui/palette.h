/* How a style looks in which terminal. Colours are told apart by their lightness too, and none
 * alone says what no word or mark does. */
#ifndef RSPROF_TUI_PALETTE_H
#define RSPROF_TUI_PALETTE_H

#include <stdbool.h>
#include <stdint.h>

#include "reader/tui/canvas.h"

enum palette_depth {
	PALETTE_NONE, /* faces alone: bold, underlined, reversed */
	PALETTE_8,
	PALETTE_16,
	PALETTE_256,
	PALETTE_TRUE,
};

enum { PALETTE_DEFAULT = -1 }; /* what the terminal has without being told */

/* Of PALETTE_TRUE 0xrrggbb, else the number of a colour. */
struct palette_look {
	int32_t foreground, background;
	uint8_t face; /* FACE_*, with what stands for colours that are not there */
};

/* By TERM's number of colours, COLORTERM and NO_COLOR (NULL: not set). */
enum palette_depth palette_depth(int colours, const char *colorterm, const char *no_color);
/* is_light: the terminal's own background. */
struct palette_look palette_look(enum palette_depth depth, bool is_light, struct style style);
/* As terminals tell it in COLORFGBG ("15;0"); dark where it is not told. */
bool palette_is_light(const char *colorfgbg);

/* Letters of canvas_print_styles: '.' is normal. */
char palette_ink_letter(uint8_t ink);
char palette_ground_letter(uint8_t ground);
char palette_face_letter(uint8_t face);

#endif
