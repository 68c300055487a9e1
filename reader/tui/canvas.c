#include "reader/tui/canvas.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/utf8.h"
#include "reader/view/cell.h"

void canvas_init(struct canvas *canvas, int width, int height, bool is_unicode)
{
	*canvas = (struct canvas){
		.width = width > 0 ? width : 0,
		.height = height > 0 ? height : 0,
		.is_unicode = is_unicode,
	};
	canvas->cells =
		mem_array((size_t)canvas->width * (size_t)canvas->height, sizeof(*canvas->cells));
	canvas_clear(canvas);
}

void canvas_done(struct canvas *canvas)
{
	free(canvas->cells);
	memset(canvas, 0, sizeof(*canvas));
}

static void cell_is_space(struct cell *cell)
{
	memset(cell, 0, sizeof(*cell));
	cell->text[0] = ' ';
	cell->columns = 1;
}

void canvas_clear(struct canvas *canvas)
{
	for (int i = 0; i < canvas->width * canvas->height; i++)
		cell_is_space(&canvas->cells[i]);
}

struct area canvas_area(const struct canvas *canvas)
{
	return (struct area){0, 0, canvas->width, canvas->height};
}

struct area area_inside(struct area area)
{
	struct area inside = {area.left + 1, area.top + 1, area.width - 2, area.height - 2};

	if (inside.width < 0)
		inside.width = 0;
	if (inside.height < 0)
		inside.height = 0;
	return inside;
}

/* What of the area is on the canvas. */
static struct area clip(const struct canvas *canvas, struct area area)
{
	int right = area.left + area.width, bottom = area.top + area.height;

	if (right > canvas->width)
		right = canvas->width;
	if (bottom > canvas->height)
		bottom = canvas->height;
	if (area.left < 0)
		area.left = 0;
	if (area.top < 0)
		area.top = 0;
	area.width = right > area.left ? right - area.left : 0;
	area.height = bottom > area.top ? bottom - area.top : 0;
	return area;
}

/* Characters that show nothing by themselves and have terminals disagree on how wide their
 * neighbours are: joiners, variation selectors, tags, the soft hyphen, tones of skin. */
static bool is_left_out(uint32_t point)
{
	return point == 0xad || point == 0x34f || (point >= 0x180b && point <= 0x180f) ||
	       (point >= 0x200b && point <= 0x200d) || (point >= 0x2060 && point <= 0x2065) ||
	       (point >= 0xfe00 && point <= 0xfe0f) || point == 0xfeff ||
	       (point >= 0xfff9 && point <= 0xfffb) || (point >= 0x1f3fb && point <= 0x1f3ff) ||
	       (point >= 0xe0000 && point <= 0xe0fff);
}

/* What our own texts have beside ASCII; the rest is foreign. */
static char ascii_of(uint32_t point)
{
	switch (point) {
	case 0x2026: /* … */
		return '~';
	case 0x2013: /* – */
	case 0xb7:   /* · */
		return '-';
	}
	return '?';
}

/* One character as it is put. */
struct drawn {
	char text[8];
	int columns; /* 0: it combines with the one before; -1: it is left out */
};

static void drawn_is(struct drawn *drawn, char character)
{
	drawn->text[0] = character;
	drawn->text[1] = '\0';
	drawn->columns = 1;
}

/* Bytes of text that it stands for. */
static size_t draw(const struct canvas *canvas, const char *text, struct drawn *ret_drawn)
{
	uint32_t point = 0;
	size_t bytes = utf8_decode(text, &point);
	int columns;

	if (!bytes || utf8_is_harmful(point)) {
		drawn_is(ret_drawn, '?');
		return bytes ? bytes : 1;
	}
	if (is_left_out(point)) {
		ret_drawn->columns = -1;
		return bytes;
	}
	if (point >= 0x80 && !canvas->is_unicode) {
		drawn_is(ret_drawn, ascii_of(point));
		return bytes;
	}
	columns = wcwidth((wchar_t)point);
	/* A locale that knows what the terminal's font may have knows all that is printable. */
	if (columns < 0 && wcwidth(0x2026) == 1) {
		drawn_is(ret_drawn, '?');
		return bytes;
	}
	memcpy(ret_drawn->text, text, bytes);
	ret_drawn->text[bytes] = '\0';
	ret_drawn->columns = columns < 0 ? 1 : columns > 2 ? 2 : columns;
	return bytes;
}

/* A half that is written over takes the other half of its character with it. */
static void part(struct cell *row, int x, int width)
{
	if (!row[x].columns && x > 0) {
		row[x - 1].columns = 1;
		strcpy(row[x - 1].text, " ");
	}
	if (row[x].columns == 2 && x + 1 < width) {
		row[x + 1].columns = 1;
		strcpy(row[x + 1].text, " ");
	}
}

static void set_cell(struct canvas *canvas, int x, int y, struct style style,
		     const struct drawn *drawn)
{
	struct cell *row = &canvas->cells[(size_t)y * (size_t)canvas->width];

	for (int i = 0; i < drawn->columns; i++) {
		part(row, x + i, canvas->width);
		memset(&row[x + i], 0, sizeof(row[x + i]));
		row[x + i].style = style;
	}
	strcpy(row[x].text, drawn->text);
	row[x].columns = (uint8_t)drawn->columns;
}

static void combine(struct cell *cell, const char *text)
{
	size_t length = strlen(cell->text);

	if (length + strlen(text) < CELL_BYTES)
		strcpy(cell->text + length, text);
}

int canvas_put(struct canvas *canvas, struct area area, int x, int y, struct style style,
	       const char *text)
{
	struct area room = clip(canvas, area);
	int left = area.left + x, line = area.top + y, right = room.left + room.width, at = left;
	struct cell *last = NULL;

	if (line < room.top || line >= room.top + room.height)
		return 0;
	while (*text) {
		struct drawn drawn;

		text += draw(canvas, text, &drawn);
		if (drawn.columns < 0)
			continue;
		if (!drawn.columns) {
			if (last)
				combine(last, drawn.text);
			continue;
		}
		if (at + drawn.columns > right)
			break;
		last = NULL;
		if (at >= room.left) {
			set_cell(canvas, at, line, style, &drawn);
			last = &canvas->cells[(size_t)line * (size_t)canvas->width + (size_t)at];
		}
		at += drawn.columns;
	}
	return at - left;
}

int canvas_putf(struct canvas *canvas, struct area area, int x, int y, struct style style,
		const char *format, ...)
{
	OWN(own_free) char *text = NULL;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0) {
		text = NULL;
		return 0;
	}
	return canvas_put(canvas, area, x, y, style, text);
}

static int columns_of(const struct canvas *canvas, const char *text)
{
	int columns = 0;

	while (*text) {
		struct drawn drawn;

		text += draw(canvas, text, &drawn);
		columns += drawn.columns > 0 ? drawn.columns : 0;
	}
	return columns;
}

int canvas_put_right(struct canvas *canvas, struct area area, int right, int y, struct style style,
		     const char *text)
{
	return canvas_put(canvas, area, right - columns_of(canvas, text), y, style, text);
}

static int put_short(struct canvas *canvas, struct area area, int x, int y, int width,
		     struct style style, const char *text,
		     void (*shorten)(struct str *to, const char *clean, size_t width))
{
	OWN(str_done) struct str clean = {0}, fitting = {0};

	if (width <= 0)
		return 0;
	cell_add_clean(&clean, text);
	shorten(&fitting, str_text(&clean), (size_t)width);
	return canvas_put(canvas, area, x, y, style, str_text(&fitting));
}

int canvas_put_path(struct canvas *canvas, struct area area, int x, int y, int width,
		    struct style style, const char *path)
{
	return put_short(canvas, area, x, y, width, style, path, cell_add_path);
}

int canvas_put_name(struct canvas *canvas, struct area area, int x, int y, int width,
		    struct style style, const char *name)
{
	return put_short(canvas, area, x, y, width, style, name, cell_add_name);
}

void canvas_paint(struct canvas *canvas, struct area area, enum ground ground, uint8_t face)
{
	struct area room = clip(canvas, area);

	for (int y = room.top; y < room.top + room.height; y++) {
		for (int x = room.left; x < room.left + room.width; x++) {
			struct cell *cell = &canvas->cells[y * canvas->width + x];

			cell->style.ground = (uint8_t)ground;
			cell->style.face |= face;
		}
	}
}

/* " title ", from the left corner or before the right one. */
static void put_title(struct canvas *canvas, struct area area, int y, const char *title,
		      bool is_right, int room, struct style style)
{
	OWN(str_done) struct str clean = {0}, fitting = {0};
	int columns;

	if (!title || room < 3)
		return;
	cell_add_clean(&clean, title);
	str_add(&fitting, " ");
	cell_add_name(&fitting, str_text(&clean), (size_t)room - 2);
	str_add(&fitting, " ");
	columns = columns_of(canvas, str_text(&fitting));
	canvas_put(canvas, area, is_right ? area.width - 2 - columns : 1, y, style,
		   str_text(&fitting));
}

void canvas_frame(struct canvas *canvas, struct area area, const char *title,
		  const char *right_title, const char *bottom_title, bool is_focused)
{
	struct style border = {.ink = is_focused ? INK_ACCENT : INK_BORDER};
	struct style heading = {.ink = INK_ACCENT,
				.face = is_focused ? FACE_BOLD | FACE_REVERSE : FACE_BOLD};
	struct style note = {.ink = is_focused ? INK_ACCENT : INK_DIM};
	int right = area.width - 1, bottom = area.height - 1, room = area.width - 4;
	int right_room = right_title ? columns_of(canvas, right_title) + 2 : 0;

	if (area.width < 2 || area.height < 2)
		return;
	for (int x = 1; x < right; x++) {
		canvas_put(canvas, area, x, 0, border, canvas_glyph(canvas, GLYPH_HORIZONTAL));
		canvas_put(canvas, area, x, bottom, border, canvas_glyph(canvas, GLYPH_HORIZONTAL));
	}
	for (int y = 1; y < bottom; y++) {
		canvas_put(canvas, area, 0, y, border, canvas_glyph(canvas, GLYPH_VERTICAL));
		canvas_put(canvas, area, right, y, border, canvas_glyph(canvas, GLYPH_VERTICAL));
	}
	canvas_put(canvas, area, 0, 0, border, canvas_glyph(canvas, GLYPH_TOP_LEFT));
	canvas_put(canvas, area, right, 0, border, canvas_glyph(canvas, GLYPH_TOP_RIGHT));
	canvas_put(canvas, area, 0, bottom, border, canvas_glyph(canvas, GLYPH_BOTTOM_LEFT));
	canvas_put(canvas, area, right, bottom, border, canvas_glyph(canvas, GLYPH_BOTTOM_RIGHT));
	/* The one at the left says what is shown: the right one has what it leaves. */
	if (right_room > room / 2)
		right_room = room / 2;
	put_title(canvas, area, 0, title, false, room - right_room, heading);
	put_title(canvas, area, 0, right_title, true, right_room, note);
	put_title(canvas, area, bottom, bottom_title, true, room, note);
}
