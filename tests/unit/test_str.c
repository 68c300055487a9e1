/* Strings under construction, foreign strings, and text in lines. */
#include "tests/lib/kit.h"

#include <locale.h>
#include <stdlib.h>

#include "reader/util/str.h"
#include "reader/util/wrap.h"

static const char *scrubbed(struct str *str, const char *text)
{
	str_clear(str);
	str_add_scrubbed(str, text);
	return str_text(str);
}

TEST(strings_grow)
{
	struct str str = {0};

	CHECK_EQ_STR(str_text(&str), "");
	for (int i = 0; i < 1000; i++)
		str_addf(&str, "%03d,", i);
	CHECK_EQ_U64(str.length, 4000);
	CHECK_EQ_U64(strlen(str_text(&str)), 4000);
	CHECK(!memcmp(str_text(&str) + 3996, "999,", 5));
	str_clear(&str);
	CHECK_EQ_STR(str_text(&str), "");
	str_add(&str, "a");
	str_add_bytes(&str, "bcd", 2);
	CHECK_EQ_STR(str_text(&str), "abc");
	str_done(&str);
	CHECK_EQ_STR(str_text(&str), "");
}

TEST(starts_and_ends)
{
	CHECK(str_starts("rsprof", "rs"));
	CHECK(str_starts("rsprof", ""));
	CHECK(!str_starts("rs", "rsprof"));
	CHECK(str_ends("libc.so", ".so"));
	CHECK(!str_ends("so", ".so"));
	CHECK(str_ends("", ""));
}

TEST(foreign_names_move_no_cursor)
{
	struct str str = {0};

	CHECK_EQ_STR(scrubbed(&str, "plain_name"), "plain_name");
	CHECK_EQ_STR(scrubbed(&str, "\x1b[2J\n\t\x7f"), "?[2J???");
	CHECK_EQ_STR(scrubbed(&str, "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
		     "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
	/* C1 controls, the right-to-left override, a line separator. */
	CHECK_EQ_STR(scrubbed(&str, "\xc2\x9b|\xe2\x80\xae|\xe2\x80\xa8"), "?|?|?");
	str_done(&str);
}

TEST(bytes_that_are_not_utf8_are_replaced)
{
	struct str str = {0};

	/* Overlong, surrogate, above the last code point, cut off, alone. */
	CHECK_EQ_STR(scrubbed(&str, "\xc0\x9b"), "??");
	CHECK_EQ_STR(scrubbed(&str, "\xe0\x80\x9b"), "???");
	CHECK_EQ_STR(scrubbed(&str, "\xed\xa0\x80"), "???");
	CHECK_EQ_STR(scrubbed(&str, "\xf4\x90\x80\x80"), "????");
	CHECK_EQ_STR(scrubbed(&str, "a\xe2\x82"), "a??");
	CHECK_EQ_STR(scrubbed(&str, "\xff\xfe x"), "?? x");
	str_done(&str);
}

TEST(widths_are_terminal_columns)
{
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		SKIP("this system has no C.UTF-8");
	CHECK_EQ_U64(str_width(""), 0);
	CHECK_EQ_U64(str_width("abc"), 3);
	CHECK_EQ_U64(str_width("h\xc3\xa9"), 2);
	CHECK_EQ_U64(str_width("\xe4\xb8\xad\xe6\x96\x87"), 4);
	CHECK_EQ_U64(str_width("e\xcc\x81"), 1);
	CHECK_EQ_U64(str_width("\xff"), 1);
}

static char *wrapped(const char *text, size_t column, size_t indent)
{
	char *out = NULL;
	size_t size;
	FILE *to = open_memstream(&out, &size);

	wrap_print(to, text, strlen(text), column, indent);
	fclose(to);
	return out;
}

TEST(lines_are_wrapped_at_words)
{
	char text[200] = "", want[200];
	char *got;

	/* 16 words of 4 and 15 blanks are 79 columns, with a last one of 5 that is 80. */
	for (int i = 0; i < 15; i++)
		strcat(text, "word ");
	strcat(text, "words more");
	got = wrapped(text, 0, 2);
	snprintf(want, sizeof(want), "%.80s\n  more\n", text);
	CHECK_EQ_STR(got, want);
	free(got);

	got = wrapped("  a\n  b  ", 4, 4);
	CHECK_EQ_STR(got, "a b\n");
	free(got);

	got = wrapped("", 0, 0);
	CHECK_EQ_STR(got, "\n");
	free(got);
}

TEST(paragraphs_that_begin_with_a_blank_are_kept)
{
	char *out = NULL;
	size_t size;
	FILE *to = open_memstream(&out, &size);

	wrap_print_paragraphs(to, "one\ntwo\n\n  a  b\n  c\n\n\nthree\n", 1);
	fclose(to);
	CHECK_EQ_STR(out, " one two\n\n  a  b\n  c\n\n three\n");
	free(out);
}

KIT_MAIN
