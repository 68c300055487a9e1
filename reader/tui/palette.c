#include "reader/tui/palette.h"

#include <stdlib.h>
#include <string.h>

enum {
	NONE = PALETTE_DEFAULT,
	BLACK = 0,
	RED,
	GREEN,
	YELLOW,
	BLUE,
	MAGENTA,
	CYAN,
	WHITE,
	BRIGHT, /* added to one of the above; of black, grey */
	GREY = BRIGHT,
};

/* One role: on dark and on light backgrounds in 24 bits, the nearest of 256, and of 16. */
struct role {
	char letter;
	int32_t dark, light;
	int16_t dark_256, light_256;
	int8_t dark_16, light_16;
	uint8_t face;	   /* always */
	uint8_t mono_face; /* instead of colour */
};

/* Blue, yellow, orange and red in this order of lightness stay apart for all common kinds of colour
 * blindness; there is no green beside a red, but a blue-green. */
static const struct role inks[INK_KINDS] = {
	[INK_NORMAL] = {'.', NONE, NONE, NONE, NONE, NONE, NONE, 0, 0},
	[INK_DIM] = {'d', 0x8a919c, 0x6b7280, 246, 242, GREY, GREY, 0, 0},
	[INK_ACCENT] = {'a', 0x62b6ff, 0x0060b8, 75, 25, BRIGHT + CYAN, BLUE, 0, FACE_BOLD},
	[INK_WARN] = {'w', 0xff7a6b, 0xb42318, 209, 124, BRIGHT + RED, RED, FACE_BOLD, FACE_BOLD},
	[INK_GOOD] = {'g', 0x3fd0c0, 0x00766c, 79, 30, CYAN, CYAN, FACE_BOLD, FACE_BOLD},
	[INK_BORDER] = {'b', 0x565d6b, 0xa3a9b5, 240, 248, GREY, GREY, 0, 0},
	[INK_HEAT_0] = {'0', 0x8a919c, 0x6b7280, 246, 242, GREY, GREY, 0, 0},
	[INK_HEAT_1] = {'1', 0xd5d0b8, 0x5c5635, 187, 58, NONE, NONE, 0, 0},
	[INK_HEAT_2] = {'2', 0xf2d24b, 0x8a6100, 221, 94, YELLOW, YELLOW, 0, 0},
	[INK_HEAT_3] = {'3', 0xffa23a, 0xa84300, 215, 130, BRIGHT + YELLOW, MAGENTA, 0, FACE_BOLD},
	[INK_HEAT_4] = {'4', 0xff6a55, 0xb42318, 203, 124, BRIGHT + RED, RED, FACE_BOLD, FACE_BOLD},
	[INK_SERIES_CPU] = {'c', 0xffb347, 0xa84300, 215, 130, BRIGHT + YELLOW, MAGENTA, 0, 0},
	[INK_SERIES_HEAP] = {'h', 0x62b6ff, 0x0060b8, 75, 25, BRIGHT + CYAN, BLUE, 0, 0},
	[INK_SERIES_RSS] = {'r', 0xb3a5e8, 0x5b4aa8, 146, 61, MAGENTA, MAGENTA, 0, 0},
	[INK_SERIES_WAIT] = {'t', 0x3fd0c0, 0x00766c, 79, 30, CYAN, CYAN, 0, 0},
	[INK_ON_FLAME] = {'f', 0x1c1206, 0x1c1206, 233, 233, BLACK, BLACK, 0, 0},
	[INK_ON_BAR] = {'o', 0xe8ebf0, 0x1f2530, 255, 235, NONE, NONE, 0, 0},
};

static const struct role grounds[GROUND_KINDS] = {
	[GROUND_NORMAL] = {'.', NONE, NONE, NONE, NONE, NONE, NONE, 0, 0},
	[GROUND_SELECTED] = {'s', 0x24405f, 0xcfe3f8, 24, 153, BLUE, CYAN, 0, FACE_REVERSE},
	[GROUND_BAR] = {'b', 0x262b35, 0xe4e8ee, 236, 254, NONE, NONE, 0, 0},
	[GROUND_MATCH] = {'m', 0x46327a, 0xe3d3ff, 54, 189, MAGENTA, MAGENTA, 0, FACE_UNDERLINE},
	[GROUND_RANGE] = {'r', 0x3a3550, 0xe6e0f5, 238, 252, BLUE, CYAN, 0, FACE_REVERSE},
	[GROUND_FLAME_0] = {'0', 0xe8a33d, 0xf0b558, 179, 215, YELLOW, YELLOW, 0, FACE_REVERSE},
	[GROUND_FLAME_1] = {'1', 0xf2bb4e, 0xf6ca6a, 215, 221, YELLOW, YELLOW, 0, FACE_REVERSE},
	[GROUND_FLAME_2] = {'2', 0xe88a4a, 0xf2a06a, 173, 216, YELLOW, YELLOW, 0, FACE_REVERSE},
	[GROUND_FLAME_3] = {'3', 0xf0d060, 0xf5dc80, 221, 222, YELLOW, YELLOW, 0, FACE_REVERSE},
	[GROUND_FLAME_4] = {'4', 0xdf7a5a, 0xee9a80, 174, 210, YELLOW, YELLOW, 0, FACE_REVERSE},
	[GROUND_FLAME_5] = {'5', 0xd9b36a, 0xe6c890, 180, 187, YELLOW, YELLOW, 0, FACE_REVERSE},
	[GROUND_FLAME_LIBRARY] = {'l', 0x8fa3b8, 0xb4c4d4, 109, 152, WHITE, WHITE, 0, 0},
	[GROUND_FLAME_KERNEL] = {'k', 0xa795cf, 0xc9bce6, 140, 182, MAGENTA, MAGENTA, 0,
				 FACE_UNDERLINE},
};

static bool is_set(const char *value)
{
	return value && *value;
}

enum palette_depth palette_depth(int colours, const char *colorterm, const char *no_color)
{
	if (is_set(no_color) || colours < 8)
		return PALETTE_NONE;
	if (is_set(colorterm) && (!strcmp(colorterm, "truecolor") || !strcmp(colorterm, "24bit")))
		return PALETTE_TRUE;
	if (colours > 256)
		return PALETTE_TRUE;
	if (colours == 256)
		return PALETTE_256;
	return colours >= 16 ? PALETTE_16 : PALETTE_8;
}

static int32_t colour_of(const struct role *role, enum palette_depth depth, bool is_light)
{
	switch (depth) {
	case PALETTE_NONE:
		break;
	case PALETTE_8:
	case PALETTE_16:
		return is_light ? role->light_16 : role->dark_16;
	case PALETTE_256:
		return is_light ? role->light_256 : role->dark_256;
	case PALETTE_TRUE:
		return is_light ? role->light : role->dark;
	}
	return PALETTE_DEFAULT;
}

/* Of 16 colours few may stand on each other: what is written on a coloured ground is black or
 * white. */
static int32_t readable(int32_t foreground, int32_t background)
{
	if (background == PALETTE_DEFAULT)
		return foreground;
	return background == BLUE || background == MAGENTA ? BRIGHT + WHITE : BLACK;
}

struct palette_look palette_look(enum palette_depth depth, bool is_light, struct style style)
{
	const struct role *ink = &inks[style.ink < INK_KINDS ? style.ink : INK_NORMAL];
	const struct role *ground = &grounds[style.ground < GROUND_KINDS ? style.ground : 0];
	struct palette_look look = {
		.foreground = colour_of(ink, depth, is_light),
		.background = colour_of(ground, depth, is_light),
		.face = style.face | ink->face,
	};

	if (depth == PALETTE_NONE)
		look.face |= ink->mono_face | ground->mono_face;
	if (depth == PALETTE_8 || depth == PALETTE_16)
		look.foreground = readable(look.foreground, look.background);
	/* Bold is how those with eight colours show the brighter ones; none of them is grey. */
	if (depth == PALETTE_8 && look.foreground == GREY) {
		look.foreground = PALETTE_DEFAULT;
	} else if (depth == PALETTE_8 && look.foreground > GREY) {
		look.foreground -= BRIGHT;
		look.face |= FACE_BOLD;
	}
	return look;
}

bool palette_is_light(const char *colorfgbg)
{
	const char *background = colorfgbg ? strrchr(colorfgbg, ';') : NULL;
	char *end;
	long colour;

	if (!background || !background[1])
		return false;
	colour = strtol(background + 1, &end, 10);
	return !*end && (colour == WHITE || colour == BRIGHT + WHITE);
}

char palette_ink_letter(uint8_t ink)
{
	return ink < INK_KINDS ? inks[ink].letter : '!';
}

char palette_ground_letter(uint8_t ground)
{
	return ground < GROUND_KINDS ? grounds[ground].letter : '!';
}

char palette_face_letter(uint8_t face)
{
	return face ? (char)('0' + (face & 7)) : '.';
}
