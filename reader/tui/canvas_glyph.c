/* Characters that stand for more than themselves, and for those who have but ASCII. */
#include "reader/tui/canvas.h"

static const struct {
	const char *unicode, *ascii;
} glyphs[GLYPHS] = {
	[GLYPH_HORIZONTAL] = {"─", "-"},  [GLYPH_VERTICAL] = {"│", "|"},
	[GLYPH_TOP_LEFT] = {"┌", "+"},	  [GLYPH_TOP_RIGHT] = {"┐", "+"},
	[GLYPH_BOTTOM_LEFT] = {"└", "+"}, [GLYPH_BOTTOM_RIGHT] = {"┘", "+"},
	[GLYPH_TICK_LEFT] = {"┤", "|"},	  [GLYPH_TICK_BOTTOM] = {"┬", "+"},
	[GLYPH_ORIGIN] = {"┼", "+"},	  [GLYPH_CURSOR] = {"▌", ">"},
	[GLYPH_DOT] = {"·", "-"},	  [GLYPH_BULLET] = {"●", "*"},
	[GLYPH_ELLIPSIS] = {"…", "..."},  [GLYPH_DASH] = {"–", "-"},
	[GLYPH_DOWN] = {"▼", "v"},	  [GLYPH_UP] = {"▲", "^"},
	[GLYPH_RIGHT] = {"▸", "+"},	  [GLYPH_OPEN] = {"▾", "-"},
	[GLYPH_PAUSE] = {"▐▐", "||"},	  [GLYPH_ARROW] = {"→", "->"},
};

static const char *const sparks[SPARK_LEVELS + 1] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const ascii_sparks[SPARK_LEVELS + 1] = {" ", ".", ":", "-", "=",
							   "+", "*", "#", "@"};

const char *canvas_glyph(const struct canvas *canvas, enum glyph glyph)
{
	return canvas->is_unicode ? glyphs[glyph].unicode : glyphs[glyph].ascii;
}

const char *canvas_spark(const struct canvas *canvas, int level)
{
	if (level < 0)
		level = 0;
	if (level > SPARK_LEVELS)
		level = SPARK_LEVELS;
	return canvas->is_unicode ? sparks[level] : ascii_sparks[level];
}

/* Where the dots are, told by one character. */
static char ascii_dots(uint8_t dots)
{
	unsigned int rows = (dots & 15u) | dots >> 4;

	if (!rows)
		return ' ';
	if (__builtin_popcount(dots) >= 6)
		return '#';
	if (!(rows & ~3u))
		return '\'';
	if (!(rows & ~6u))
		return '-';
	if (!(rows & ~12u))
		return '.';
	return rows == 15 ? '|' : ':';
}

const char *canvas_braille(const struct canvas *canvas, uint8_t dots, char buffer[8])
{
	/* Unicode numbered the first six dots by columns, and added the lowest row later. */
	static const uint8_t unicode_bits[] = {0x01, 0x02, 0x04, 0x40, 0x08, 0x10, 0x20, 0x80};
	unsigned int bits = 0;

	if (!canvas->is_unicode || !dots) {
		buffer[0] = ascii_dots(dots);
		buffer[1] = '\0';
		return buffer;
	}
	for (int i = 0; i < 8; i++)
		bits |= dots >> i & 1u ? unicode_bits[i] : 0u;
	buffer[0] = (char)0xe2;
	buffer[1] = (char)(0xa0 | bits >> 6);
	buffer[2] = (char)(0x80 | (bits & 0x3f));
	buffer[3] = '\0';
	return buffer;
}

enum ink ink_of_share(double share_pct)
{
	if (share_pct >= 25)
		return INK_HEAT_4;
	if (share_pct >= 10)
		return INK_HEAT_3;
	if (share_pct >= 4)
		return INK_HEAT_2;
	return share_pct >= 1 ? INK_HEAT_1 : INK_HEAT_0;
}
