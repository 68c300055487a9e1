/* The table of keys, what terminals send for them, and how roles look. */
#include "tests/lib/kit.h"

#include "reader/tui/footer.h"
#include "reader/tui/keys.h"
#include "reader/tui/palette.h"
#include "reader/tui/terminal_input.h"

TEST(every_action_has_a_key_and_every_key_one_action)
{
	for (int action = ACTION_NONE + 1; action <= ACTION_RESIZE; action++) {
		bool is_found = false;

		/* Not of a key, or only while something is typed. */
		if (action == ACTION_CLICK || action == ACTION_WHEEL_UP ||
		    action == ACTION_WHEEL_DOWN || action == ACTION_TEXT || action == ACTION_ERASE)
			continue;
		for (unsigned int key = 1; key <= KEY_IS_RESIZE; key++)
			is_found |= key_action(key) == (enum action)action;
		if (!is_found)
			FAIL("action %d has no key", action);
	}
	for (const struct key_help *a = key_helps; a->keys; a++) {
		for (const unsigned int *key = a->pressed; *key; key++) {
			CHECK_EQ_I64(key_action(*key), a->action);
			for (const struct key_help *b = a + 1; b->keys; b++) {
				for (const unsigned int *other = b->pressed; *other; other++) {
					if (*key == *other)
						FAIL("%s and %s are the same key", a->keys,
						     b->keys);
				}
			}
		}
		CHECK(*a->does);
		CHECK(a->pressed[5] == 0);
	}
	CHECK_EQ_I64(key_action(0), ACTION_NONE);
	CHECK_EQ_I64(key_action('Q'), ACTION_NONE);
}

TEST(the_keys_of_the_specification)
{
	static const struct {
		unsigned int key;
		enum action action;
	} keys[] = {
		{'q', ACTION_QUIT},	    {27, ACTION_BACK},
		{'1', ACTION_VIEW_CPU},	    {'2', ACTION_VIEW_HEAP},
		{'3', ACTION_VIEW_BOTH},    {'4', ACTION_VIEW_WAIT},
		{'m', ACTION_VIEW_NEXT},    {'c', ACTION_CHART},
		{'\r', ACTION_ENTER},	    {'o', ACTION_CALLERS},
		{'F', ACTION_FLAME},	    {'a', ACTION_SOURCE},
		{'t', ACTION_THREADS},	    {'j', ACTION_DOWN},
		{'k', ACTION_UP},	    {KEY_IS_UP, ACTION_UP},
		{KEY_IS_DOWN, ACTION_DOWN}, {KEY_IS_PAGE_UP, ACTION_PAGE_UP},
		{'g', ACTION_FIRST},	    {KEY_IS_PAGE_DOWN, ACTION_PAGE_DOWN},
		{'G', ACTION_LAST},	    {'h', ACTION_LEFT},
		{'l', ACTION_RIGHT},	    {'+', ACTION_ZOOM_IN},
		{'-', ACTION_ZOOM_OUT},	    {'\t', ACTION_FOCUS},
		{'[', ACTION_RANGE_FROM},   {']', ACTION_RANGE_TO},
		{'s', ACTION_SORT},	    {'p', ACTION_PAUSE},
		{'f', ACTION_FILTER},	    {'/', ACTION_FILTER},
		{'z', ACTION_FROM_ZERO},    {'?', ACTION_HELP},
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		CHECK_EQ_I64(key_action(keys[i].key), keys[i].action);
}

/* ---- what terminals send */

/* All keys of the bytes: characters as they are, others as <number above KEYS_SPECIAL>. */
static void read_all(const char *bytes, size_t count, bool is_late, bool is_unicode, char text[256])
{
	struct terminal_input input = {.is_unicode = is_unicode};
	struct input key;

	*text = '\0';
	terminal_input_add(&input, bytes, count);
	while (terminal_input_next(&input, is_late, &key)) {
		size_t length = strlen(text);

		if (key.key == KEY_IS_MOUSE)
			snprintf(text + length, 256 - length, "<%s %d %d>",
				 key.action == ACTION_CLICK	 ? "click"
				 : key.action == ACTION_WHEEL_UP ? "up"
				 : key.action			 ? "down"
								 : "nothing",
				 key.x, key.y);
		else if (key.key >= 0x20 && key.key < 0x7f)
			snprintf(text + length, 256 - length, "%c", (char)key.key);
		else
			snprintf(text + length, 256 - length, "<%x>", key.key);
	}
	if (input.length)
		snprintf(text + strlen(text), 256 - strlen(text), "...");
}

#define CHECK_READ(bytes, want)                                                                    \
	do {                                                                                       \
		char read[256];                                                                    \
		read_all(bytes, sizeof(bytes) - 1, false, true, read);                             \
		CHECK_EQ_STR(read, want);                                                          \
	} while (0)
#define CHECK_READ_LATE(bytes, want)                                                               \
	do {                                                                                       \
		char read[256];                                                                    \
		read_all(bytes, sizeof(bytes) - 1, true, true, read);                              \
		CHECK_EQ_STR(read, want);                                                          \
	} while (0)

TEST(keys_of_terminals)
{
	CHECK_READ("q\t\r", "q<9><d>");
	CHECK_READ("\x7f\b", "<110008><110008>");
	/* Normal, application, with modifiers. */
	CHECK_READ("\033[A\033OB\033[1;5C", "<110000><110001><110003>");
	CHECK_READ("\033[5~\033[6~\033[H\033[4~\033[3~\033[Z",
		   "<110004><110005><110006><110007><110009><11000a>");
	CHECK_READ("h\xc3\xa9\xe6\xbc\xa2\xf0\x9f\x98\x80", "h<e9><6f22><1f600>");
}

TEST(half_a_key_waits_for_the_rest)
{
	CHECK_READ("a\033", "a...");
	CHECK_READ_LATE("a\033", "a<1b>");
	CHECK_READ("\033[", "...");
	CHECK_READ("\033[1;", "...");
	CHECK_READ("\033O", "...");
	CHECK_READ("\xe6\xbc", "...");
	CHECK_READ("\033[<0;1", "...");
	/* Cut off for good: no key, least of all Esc. */
	CHECK_READ_LATE("\033[1;", "");
	CHECK_READ_LATE("\xe6\xbc", "");
	CHECK_READ("\033q", "<1b>q");
	CHECK_READ("\033\033[A", "<1b><110000>");
}

TEST(what_is_no_key_is_passed_over_whole)
{
	/* F1, F5, focus, a paste's brackets, an answer about the terminal, the console's F1. */
	CHECK_READ("\033OPx\033[15~x\033[Ix\033[200~x\033[?62;22cx\033[[Ax", "xxxxxx");
	CHECK_READ("\033]11;rgb:0000/0000/0000\033\\x\033]0;title\ax\033P1$r0m\033\\x", "xxx");
	CHECK_READ("\033[1\033[A", "<110000>");
	CHECK_READ("\xff\xc3(\xed\xa0\x80x", "(x");
	CHECK_READ("\xc2\x9b\xe2\x80\xaex", "x");
}

TEST(a_mouse)
{
	CHECK_READ("\033[<0;1;2M\033[<0;1;2m", "<click 0 1><nothing 0 1>");
	CHECK_READ("\033[<64;300;80M\033[<65;300;80M", "<up 299 79><down 299 79>");
	CHECK_READ("\033[<0;99999999999;2Mx\033[<;;Mx", "xx");
	CHECK_READ("\033[M !\"x", "<click 0 1>x");
}

TEST(eight_bit_characters_are_no_text)
{
	char read[256];

	read_all("a\xe9z", 3, false, false, read);
	CHECK_EQ_STR(read, "az");
}

TEST(input_without_end_does_no_harm)
{
	struct terminal_input input = {.is_unicode = true};
	struct input key;

	for (int i = 0; i < 10000; i++) {
		terminal_input_add(&input, i ? "0" : "\033]", i ? 1 : 2);
		while (terminal_input_next(&input, false, &key))
			;
		CHECK(input.length <= TERMINAL_INPUT_MAX);
	}
	for (int i = 0; i < 256 * 256; i++) {
		char bytes[3] = {'\033', (char)(i >> 8), (char)i};

		input.length = 0;
		terminal_input_add(&input, bytes, sizeof(bytes));
		while (terminal_input_next(&input, false, &key))
			;
		while (terminal_input_next(&input, true, &key))
			;
		CHECK_EQ_U64(input.length, 0);
	}
}

TEST(the_background_is_told)
{
	static const struct {
		const char *answer;
		bool is_told, is_light;
	} answers[] = {
		{"\033]11;rgb:0000/0000/0000\033\\", true, false},
		{"\033]11;rgb:ffff/ffff/dddd\a", true, true},
		{"\033]11;rgb:1e/1e/2e\a", true, false},
		{"\033]11;rgb:zz/1e/2e\a", false, false},
		{"\033]11;rgb:ff\a", false, false},
		{"\033]10;rgb:ffff/ffff/ffff\a", false, false},
	};

	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		struct terminal_input input = {0};
		struct input key;

		terminal_input_add(&input, answers[i].answer, strlen(answers[i].answer));
		CHECK(!terminal_input_next(&input, false, &key));
		CHECK_EQ_I64(input.is_background_told, answers[i].is_told);
		CHECK_EQ_I64(input.is_background_light, answers[i].is_light);
	}
}

/* ---- colours */

TEST(depth_is_what_the_terminal_has_and_the_user_wants)
{
	CHECK_EQ_I64(palette_depth(256, NULL, NULL), PALETTE_256);
	CHECK_EQ_I64(palette_depth(256, "truecolor", NULL), PALETTE_TRUE);
	CHECK_EQ_I64(palette_depth(256, "24bit", ""), PALETTE_TRUE);
	CHECK_EQ_I64(palette_depth(256, "yes", NULL), PALETTE_256);
	CHECK_EQ_I64(palette_depth(256, "truecolor", "1"), PALETTE_NONE);
	CHECK_EQ_I64(palette_depth(16777216, NULL, NULL), PALETTE_TRUE);
	CHECK_EQ_I64(palette_depth(16, NULL, NULL), PALETTE_16);
	CHECK_EQ_I64(palette_depth(88, NULL, NULL), PALETTE_16);
	CHECK_EQ_I64(palette_depth(8, NULL, NULL), PALETTE_8);
	CHECK_EQ_I64(palette_depth(-1, "truecolor", NULL), PALETTE_NONE);
	CHECK(palette_is_light("0;15"));
	CHECK(palette_is_light("0;default;7"));
	CHECK(!palette_is_light("15;0"));
	CHECK(!palette_is_light("15;"));
	CHECK(!palette_is_light("7"));
	CHECK(!palette_is_light(NULL));
}

TEST(looks_are_of_their_depth)
{
	static const int32_t most[] = {PALETTE_DEFAULT, 7, 15, 255, 0xffffff};

	for (int depth = PALETTE_NONE; depth <= PALETTE_TRUE; depth++) {
		for (int i = 0; i < 2 * INK_KINDS * GROUND_KINDS; i++) {
			struct style style = {.ink = (uint8_t)(i / 2 % INK_KINDS),
					      .ground = (uint8_t)(i / 2 / INK_KINDS)};
			struct palette_look look =
				palette_look((enum palette_depth)depth, i % 2, style);

			CHECK(look.foreground >= PALETTE_DEFAULT && look.foreground <= most[depth]);
			CHECK(look.background >= PALETTE_DEFAULT && look.background <= most[depth]);
			CHECK(look.background == PALETTE_DEFAULT ||
			      (style.ground >= GROUND_FLAME_0) != (style.ink == INK_ON_FLAME) ||
			      look.background != look.foreground);
		}
	}
}

static double channel(int32_t colour, int shift)
{
	double part = (double)(colour >> shift & 255) / 255;

	return part * part; /* near enough to what screens do */
}

static double lightness(int32_t colour)
{
	return 0.2126 * channel(colour, 16) + 0.7152 * channel(colour, 8) +
	       0.0722 * channel(colour, 0);
}

static double contrast(double a, double b)
{
	return a > b ? (a + 0.05) / (b + 0.05) : (b + 0.05) / (a + 0.05);
}

/* Text on what it stands on, on black and on white. */
TEST(colours_can_be_read)
{
	for (int is_light = 0; is_light < 2; is_light++) {
		for (uint8_t ink = 0; ink < INK_KINDS; ink++) {
			for (uint8_t ground = 0; ground < GROUND_KINDS; ground++) {
				struct style style = {.ink = ink, .ground = ground};
				bool is_flame = ground >= GROUND_FLAME_0;
				struct palette_look look =
					palette_look(PALETTE_TRUE, is_light, style);
				double own = is_light ? 1 : 0, text, behind;

				/* Borders are quiet; flames have text of their own. */
				if (ink == INK_BORDER || is_flame != (ink == INK_ON_FLAME))
					continue;
				text = look.foreground < 0 ? 1 - own : lightness(look.foreground);
				behind = look.background < 0 ? own : lightness(look.background);
				if (contrast(text, behind) < 2.6)
					FAIL("ink %c on ground %c (%s): %.2f",
					     palette_ink_letter(ink), palette_ground_letter(ground),
					     is_light ? "light" : "dark", contrast(text, behind));
			}
		}
	}
}

TEST(without_colour_something_else_tells)
{
	struct palette_look normal = palette_look(PALETTE_NONE, false, (struct style){0});
	static const struct style told[] = {
		{.ground = GROUND_SELECTED}, {.ground = GROUND_MATCH}, {.ground = GROUND_RANGE},
		{.ink = INK_WARN},	     {.ink = INK_ACCENT},      {.ink = INK_HEAT_4},
	};

	CHECK_EQ_I64(normal.face, 0);
	for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++)
		CHECK(palette_look(PALETTE_NONE, false, told[i]).face);
}

TEST(letters_are_unique)
{
	for (uint8_t a = 0; a < INK_KINDS; a++) {
		CHECK(palette_ink_letter(a));
		for (uint8_t b = 0; b < a; b++)
			CHECK(palette_ink_letter(a) != palette_ink_letter(b));
	}
	for (uint8_t a = 0; a < GROUND_KINDS; a++) {
		CHECK(palette_ground_letter(a));
		for (uint8_t b = 0; b < a; b++)
			CHECK(palette_ground_letter(a) != palette_ground_letter(b));
	}
}

KIT_MAIN
