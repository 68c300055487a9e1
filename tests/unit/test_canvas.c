/* Cells of a screen: whatever text is put, it stays in its place. */
#include "tests/lib/kit.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "reader/tui/canvas.h"
#include "reader/tui/palette.h"

static const struct style plain = {0};

static void utf8_locale(void)
{
	if (!setlocale(LC_ALL, "C.UTF-8"))
		SKIP("this system has no locale C.UTF-8");
}

/* Printed, and freed. */
static void check(struct canvas *canvas, const char *want)
{
	struct str got = {0};

	canvas_print(canvas, &got);
	CHECK_EQ_STR(str_text(&got), want);
	str_done(&got);
	canvas_done(canvas);
}

TEST(text_is_put_and_clipped)
{
	struct canvas canvas;
	struct area area = {2, 1, 5, 2};

	canvas_init(&canvas, 9, 4, false);
	CHECK_EQ_I64(canvas_put(&canvas, area, 0, 0, plain, "abcdefgh"), 5);
	CHECK_EQ_I64(canvas_put(&canvas, area, -2, 1, plain, "123456789"), 7);
	CHECK_EQ_I64(canvas_put(&canvas, area, 0, 2, plain, "below"), 0);
	CHECK_EQ_I64(canvas_put(&canvas, area, 0, -1, plain, "above"), 0);
	CHECK_EQ_I64(canvas_put(&canvas, area, 5, 0, plain, "right"), 0);
	CHECK_EQ_I64(canvas_put(&canvas, (struct area){7, 3, 99, 99}, 0, 0, plain, "xyz"), 2);
	CHECK_EQ_I64(canvas_putf(&canvas, area, 1, 1, plain, "%d|", 42), 3);
	check(&canvas, "\n  abcde\n  342|7\n       xy\n");
}

TEST(text_ends_before_a_column)
{
	struct canvas canvas;

	utf8_locale();
	canvas_init(&canvas, 8, 3, true);
	CHECK_EQ_I64(canvas_put_right(&canvas, canvas_area(&canvas), 6, 0, plain, "12%"), 3);
	canvas_put_right(&canvas, canvas_area(&canvas), 8, 1, plain, "…漢");
	canvas_put_right(&canvas, canvas_area(&canvas), 3, 2, plain, "12345");
	check(&canvas, "   12%\n     …漢\n345\n");
}

TEST(wide_characters_keep_their_halves)
{
	struct canvas canvas;
	struct area all;

	utf8_locale();
	canvas_init(&canvas, 6, 4, true);
	all = canvas_area(&canvas);
	/* No room for the second half. */
	CHECK_EQ_I64(canvas_put(&canvas, all, 0, 0, plain, "漢字漢字"), 6);
	CHECK_EQ_I64(canvas_put(&canvas, all, 1, 1, plain, "漢字漢字"), 4);
	/* Either half that is written over. */
	canvas_put(&canvas, all, 0, 2, plain, "漢字漢");
	canvas_put(&canvas, all, 1, 2, plain, "x");
	canvas_put(&canvas, all, 4, 2, plain, "y");
	canvas_put(&canvas, all, 0, 3, plain, "漢字漢");
	canvas_put(&canvas, all, 1, 3, plain, "漢");
	for (int i = 0; i < 6; i++)
		CHECK_EQ_U64(canvas.cells[i].columns, i % 2 ? 0 : 2);
	for (int i = 0; i < 24; i++) {
		CHECK(canvas.cells[i].columns == 0 || *canvas.cells[i].text);
		CHECK(canvas.cells[i].columns != 2 || canvas.cells[i + 1].columns == 0);
		CHECK(canvas.cells[i].columns || canvas.cells[i - 1].columns == 2);
	}
	check(&canvas, "漢字漢\n 漢字\n x字y\n 漢 漢\n");
}

TEST(what_combines_takes_no_columns)
{
	struct canvas canvas;
	struct area all;

	utf8_locale();
	canvas_init(&canvas, 8, 4, true);
	all = canvas_area(&canvas);
	CHECK_EQ_I64(canvas_put(&canvas, all, 0, 0, plain, "e\xcc\x81g"), 2);
	CHECK_EQ_STR(canvas.cells[0].text, "e\xcc\x81");
	/* Nothing to combine with; and more than a cell holds. */
	CHECK_EQ_I64(canvas_put(&canvas, all, 0, 1, plain, "\xcc\x81x"), 1);
	CHECK_EQ_I64(canvas_put(&canvas, all, 0, 2, plain,
				"a\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81"
				"\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81z"),
		     2);
	CHECK(strlen(canvas.cells[16].text) < CELL_BYTES);
	CHECK_EQ_STR(canvas.cells[17].text, "z");
	/* Joiners, variation selectors, tones: two people are two people. */
	CHECK_EQ_I64(canvas_put(&canvas, all, 0, 3, plain,
				"👩\xe2\x80\x8d👩\xef\xb8\x8f|\xf0\x9f\x8f\xbd\xe2\x80\x8b"),
		     5);
	CHECK_EQ_STR(canvas.cells[24].text, "👩");
	CHECK_EQ_STR(canvas.cells[26].text, "👩");
	CHECK_EQ_STR(canvas.cells[28].text, "|");
	canvas_done(&canvas);
}

TEST(foreign_text_moves_no_cursor)
{
	struct canvas canvas;
	struct area inner = {1, 1, 12, 1};

	utf8_locale();
	canvas_init(&canvas, 14, 3, true);
	for (int y = 0; y < 3; y++)
		canvas_put(&canvas, canvas_area(&canvas), 0, y, plain, "..............");
	CHECK_EQ_I64(canvas_put(&canvas, inner, 0, 0, plain,
				"\x1b[2J\r\n\t\x7f\xc2\x9b\xe2\x80\xae\xff\xed\xa0\x80"),
		     12);
	check(&canvas, "..............\n.?[2J????????.\n..............\n");
}

TEST(names_of_ten_thousand_characters_stay_in_their_cells)
{
	char *name = malloc(30001), *accents = malloc(20002);
	struct canvas canvas;
	struct area inner = {2, 1, 6, 1};

	utf8_locale();
	for (int i = 0; i < 10000; i++) {
		memcpy(name + 3 * i, "漢", 3);
		memcpy(accents + 1 + 2 * i, "\xcc\x81", 2);
	}
	name[30000] = '\0';
	accents[0] = 'a';
	accents[20001] = '\0';
	canvas_init(&canvas, 10, 5, true);
	CHECK_EQ_I64(canvas_put(&canvas, inner, 0, 0, plain, name), 6);
	canvas_put_name(&canvas, canvas_area(&canvas), 1, 2, 8, plain, name);
	canvas_put_path(&canvas, canvas_area(&canvas), 1, 3, 8, plain, name);
	CHECK_EQ_I64(canvas_put(&canvas, inner, 0, 3, plain, accents), 0);
	CHECK_EQ_I64(canvas_put(&canvas, canvas_area(&canvas), 0, 4, plain, accents), 1);
	CHECK(strlen(canvas.cells[40].text) < CELL_BYTES);
	strcpy(canvas.cells[40].text, "a");
	check(&canvas, "\n  漢漢漢\n 漢漢漢…\n …漢漢漢\na\n");
	free(name);
	free(accents);
}

TEST(ascii_is_ascii)
{
	struct canvas canvas;
	struct str got = {0};
	char buffer[8];

	utf8_locale();
	canvas_init(&canvas, 30, 6, false);
	canvas_put(&canvas, canvas_area(&canvas), 0, 0, plain, "h\xc3\xa9 漢 … 2m–3m · \xff");
	canvas_frame(&canvas, (struct area){0, 1, 30, 4}, "Tür", "漢字", "1–2", true);
	for (int i = 0; i < GLYPHS; i++)
		canvas_put(&canvas, canvas_area(&canvas), i, 2, plain, canvas_glyph(&canvas, i));
	for (int i = -1; i <= SPARK_LEVELS + 1; i++)
		canvas_put(&canvas, canvas_area(&canvas), 5 + i, 5, plain,
			   canvas_spark(&canvas, i));
	for (int dots = 0; dots < 256; dots++)
		CHECK(strlen(canvas_braille(&canvas, (uint8_t)dots, buffer)) == 1 &&
		      (unsigned char)buffer[0] < 0x80);
	canvas_print(&canvas, &got);
	for (const char *at = str_text(&got); *at; at++)
		CHECK((unsigned char)*at < 0x80);
	CHECK(!strncmp(str_text(&got), "h? ? ~ 2m-3m - ?\n", 17));
	str_done(&got);
	canvas_done(&canvas);
}

TEST(dots_of_braille)
{
	struct canvas canvas;
	char buffer[8];

	canvas_init(&canvas, 1, 1, true);
	CHECK_EQ_STR(canvas_braille(&canvas, 0x00, buffer), " ");
	CHECK_EQ_STR(canvas_braille(&canvas, 0x01, buffer), "⠁");
	CHECK_EQ_STR(canvas_braille(&canvas, 0x08, buffer), "⡀");
	CHECK_EQ_STR(canvas_braille(&canvas, 0x80, buffer), "⢀");
	CHECK_EQ_STR(canvas_braille(&canvas, 0x70, buffer), "⠸");
	CHECK_EQ_STR(canvas_braille(&canvas, 0xff, buffer), "⣿");
	CHECK_EQ_STR(canvas_spark(&canvas, 0), " ");
	CHECK_EQ_STR(canvas_spark(&canvas, 1), "▁");
	CHECK_EQ_STR(canvas_spark(&canvas, 99), "█");
	canvas_done(&canvas);
}

TEST(frames_have_titles_that_fit)
{
	struct canvas canvas;

	utf8_locale();
	canvas_init(&canvas, 26, 9, true);
	canvas_frame(&canvas, (struct area){0, 0, 26, 3}, "Top CPU", "by thread", "1/1,204", false);
	canvas_frame(&canvas, (struct area){0, 3, 20, 3}, "core::very_long::name_of_it", NULL, NULL,
		     false);
	canvas_frame(&canvas, (struct area){0, 6, 4, 2}, "x", "y", "z", true);
	canvas_frame(&canvas, (struct area){10, 6, 1, 1}, "x", "y", "z", true);
	check(&canvas, "┌ Top CPU ─── by thread ─┐\n"
		       "│                        │\n"
		       "└────────────── 1/1,204 ─┘\n"
		       "┌ …::name_of_it ───┐\n"
		       "│                  │\n"
		       "└──────────────────┘\n"
		       "┌──┐\n"
		       "└──┘\n"
		       "\n");
}

TEST(a_focused_frame_is_told_without_colour)
{
	struct canvas canvas;

	canvas_init(&canvas, 12, 3, true);
	canvas_frame(&canvas, canvas_area(&canvas), "a", NULL, NULL, true);
	CHECK(canvas.cells[2].style.face & FACE_REVERSE);
	canvas_clear(&canvas);
	canvas_frame(&canvas, canvas_area(&canvas), "a", NULL, NULL, false);
	CHECK(!(canvas.cells[2].style.face & FACE_REVERSE));
	canvas_done(&canvas);
}

TEST(paint_keeps_what_is_written)
{
	struct canvas canvas;
	struct str got = {0};

	canvas_init(&canvas, 6, 2, false);
	canvas_put(&canvas, canvas_area(&canvas), 0, 0,
		   (struct style){.ink = INK_WARN, .face = FACE_BOLD}, "abc");
	canvas_paint(&canvas, (struct area){1, -3, 99, 4}, GROUND_SELECTED, FACE_REVERSE);
	canvas_print_styles(&canvas, &got);
	CHECK_EQ_STR(str_text(&got), "abc\n\nink:\nwww\n\nground:\n.sssss\n\nface:\n155444\n\n");
	str_done(&got);
	canvas_done(&canvas);
}

TEST(a_canvas_of_nothing)
{
	struct canvas canvas;

	canvas_init(&canvas, 0, -1, true);
	CHECK_EQ_I64(canvas_put(&canvas, canvas_area(&canvas), 0, 0, plain, "x"), 0);
	canvas_frame(&canvas, (struct area){0, 0, 5, 5}, "x", "y", "z", true);
	canvas_paint(&canvas, (struct area){0, 0, 5, 5}, GROUND_BAR, 0);
	check(&canvas, "");
}

TEST(shares_grow_hotter)
{
	enum ink before = INK_HEAT_0;

	CHECK_EQ_I64(ink_of_share(0), INK_HEAT_0);
	for (double share = 0; share <= 100; share += 0.5) {
		CHECK(ink_of_share(share) >= before);
		before = ink_of_share(share);
	}
	CHECK_EQ_I64(before, INK_HEAT_4);
}

KIT_MAIN
