/* A canvas as text, for tests. */
#include "reader/tui/canvas.h"

#include "reader/tui/palette.h"

static void end_line(struct str *to, size_t from, char blank)
{
	while (to->length > from && to->text[to->length - 1] == blank)
		to->text[--to->length] = '\0';
	str_add_bytes(to, "\n", 1);
}

void canvas_print(const struct canvas *canvas, struct str *to)
{
	for (int y = 0; y < canvas->height; y++) {
		size_t from = to->length;

		for (int x = 0; x < canvas->width; x++)
			str_add(to, canvas->cells[y * canvas->width + x].text);
		end_line(to, from, ' ');
	}
}

static char ink_of(struct style style)
{
	return palette_ink_letter(style.ink);
}

static char ground_of(struct style style)
{
	return palette_ground_letter(style.ground);
}

static char face_of(struct style style)
{
	return palette_face_letter(style.face);
}

static void print_letters(const struct canvas *canvas, struct str *to, const char *title,
			  char (*letter_of)(struct style style))
{
	str_add(to, title);
	for (int y = 0; y < canvas->height; y++) {
		size_t from = to->length;

		for (int x = 0; x < canvas->width; x++) {
			char letter = letter_of(canvas->cells[y * canvas->width + x].style);

			str_add_bytes(to, &letter, 1);
		}
		end_line(to, from, '.');
	}
}

void canvas_print_styles(const struct canvas *canvas, struct str *to)
{
	canvas_print(canvas, to);
	print_letters(canvas, to, "ink:\n", ink_of);
	print_letters(canvas, to, "ground:\n", ground_of);
	print_letters(canvas, to, "face:\n", face_of);
}
