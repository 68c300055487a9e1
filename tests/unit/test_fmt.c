/* Numbers as people write and read them. */
#include "tests/lib/kit.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "reader/util/fmt.h"

#define S UINT64_C(1000000000)
#define MS UINT64_C(1000000)

TEST(bytes_are_si)
{
	char buffer[FMT_MAX];

	CHECK_EQ_STR(fmt_bytes(buffer, 0), "0 B");
	CHECK_EQ_STR(fmt_bytes(buffer, 12), "12 B");
	CHECK_EQ_STR(fmt_bytes(buffer, 999), "999 B");
	CHECK_EQ_STR(fmt_bytes(buffer, 1000), "1.0 KB");
	CHECK_EQ_STR(fmt_bytes(buffer, 64000), "64.0 KB");
	CHECK_EQ_STR(fmt_bytes(buffer, 48300000), "48.3 MB");
	CHECK_EQ_STR(fmt_bytes(buffer, UINT64_MAX), "18.4 EB");
}

/* No unit ever shows 1000.0 of itself. */
TEST(bytes_round_into_the_next_unit)
{
	char buffer[FMT_MAX];

	CHECK_EQ_STR(fmt_bytes(buffer, 999949), "999.9 KB");
	CHECK_EQ_STR(fmt_bytes(buffer, 999950), "1.0 MB");
	CHECK_EQ_STR(fmt_bytes(buffer, 999999), "1.0 MB");
	CHECK_EQ_STR(fmt_bytes(buffer, 999999999), "1.0 GB");
}

TEST(counts_have_commas)
{
	char buffer[FMT_MAX];

	CHECK_EQ_STR(fmt_count(buffer, 0), "0");
	CHECK_EQ_STR(fmt_count(buffer, 999), "999");
	CHECK_EQ_STR(fmt_count(buffer, 1000), "1,000");
	CHECK_EQ_STR(fmt_count(buffer, 31842), "31,842");
	CHECK_EQ_STR(fmt_count(buffer, UINT64_MAX), "18,446,744,073,709,551,615");
}

TEST(durations_are_shown)
{
	char buffer[FMT_MAX];

	CHECK_EQ_STR(fmt_duration(buffer, 0), "0s");
	CHECK_EQ_STR(fmt_duration(buffer, S / 4), "250ms");
	CHECK_EQ_STR(fmt_duration(buffer, S), "1s");
	CHECK_EQ_STR(fmt_duration(buffer, 3 * S + S / 2), "3.5s");
	CHECK_EQ_STR(fmt_duration(buffer, 17 * S + S / 2), "17s");
	CHECK_EQ_STR(fmt_duration(buffer, 323 * S), "5m23s");
	CHECK_EQ_STR(fmt_duration(buffer, 7500 * S), "2h05m");
	CHECK_EQ_STR(fmt_clock(buffer, 323 * S), "00:05:23");
	CHECK_EQ_STR(fmt_clock(buffer, 360000 * S), "100:00:00");
}

TEST(times_are_iso_8601)
{
	char buffer[FMT_MAX];

	setenv("TZ", "UTC-1", 1);
	tzset();
	CHECK_EQ_STR(fmt_time(buffer, 1767706222 * S), "2026-01-06T14:30:22+01:00");
	setenv("TZ", "UTC+3:30", 1);
	tzset();
	CHECK_EQ_STR(fmt_time(buffer, 0), "1969-12-31T20:30:00-03:30");
}

TEST(durations_are_read)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} right[] = {{"30s", 30 * S},	{"5m", 300 * S}, {"2h", 7200 * S}, {"1h30m", 5400 * S},
		     {"250ms", S / 4},	{"10", 10 * S},	 {"0.5", S / 2},   {"1.5s", S + S / 2},
		     {"1d", 86400 * S}, {"10us", 10000}, {"7ns", 7},	   {"0", 0}};
	static const char *const wrong[] = {"",	   "s",	   "-1s",  "1x",  "1h30", "1 s", "1..5",
					    ".5s", "1e3s", "0x10", "nan", "5s ",  " 5s", "1m2"};
	uint64_t ns = 77;

	for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++) {
		CHECK_EQ_I64(parse_duration(right[i].text, &ns), 0);
		CHECK_EQ_U64(ns, right[i].ns);
	}
	ns = 77;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		if (parse_duration(wrong[i], &ns) != -EINVAL)
			FAIL("\"%s\" was taken for a duration", wrong[i]);
	}
	CHECK_EQ_I64(parse_duration("99999999999999999999", &ns), -EINVAL);
	CHECK_EQ_I64(parse_duration("11111111111111111111111111111111111111111111s", &ns), -EINVAL);
	CHECK_EQ_U64(ns, 77);
}

TEST(sizes_are_read)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} right[] = {{"512", 512},
		     {"64K", 65536},
		     {"64k", 65536},
		     {"16M", 16 << 20},
		     {"16MiB", 16 << 20},
		     {"16MB", 16 << 20},
		     {"1G", 1 << 30},
		     {"0", 0},
		     {"1.5K", 1536},
		     {"2T", UINT64_C(2) << 40},
		     {"5B", 5}};
	static const char *const wrong[] = {"",	     "K",    "-1",  "1X",   "1KK",
					    "1MiBs", "0x10", "1e3", "1.2.3"};
	uint64_t bytes = 77;

	for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++) {
		CHECK_EQ_I64(parse_size(right[i].text, &bytes), 0);
		CHECK_EQ_U64(bytes, right[i].bytes);
	}
	bytes = 77;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		if (parse_size(wrong[i], &bytes) != -EINVAL)
			FAIL("\"%s\" was taken for a size", wrong[i]);
	}
	CHECK_EQ_I64(parse_size("99999999T", &bytes), -EINVAL);
	CHECK_EQ_U64(bytes, 77);
}

TEST(counts_are_read)
{
	uint64_t count = 77;

	CHECK_EQ_I64(parse_count("", &count), -EINVAL);
	CHECK_EQ_I64(parse_count("-1", &count), -EINVAL);
	CHECK_EQ_I64(parse_count("+1", &count), -EINVAL);
	CHECK_EQ_I64(parse_count(" 1", &count), -EINVAL);
	CHECK_EQ_I64(parse_count("1 ", &count), -EINVAL);
	CHECK_EQ_I64(parse_count("0x1", &count), -EINVAL);
	CHECK_EQ_I64(parse_count("18446744073709551616", &count), -ERANGE);
	CHECK_EQ_U64(count, 77);
	CHECK_EQ_I64(parse_count("18446744073709551615", &count), 0);
	CHECK_EQ_U64(count, UINT64_MAX);
	CHECK_EQ_I64(parse_count("007", &count), 0);
	CHECK_EQ_U64(count, 7);
}

TEST(spans_keep_three_digits)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
		{0, "0s"},
		{1, "1ns"},
		{999, "999ns"},
		{1000, "1.00us"},
		{87049, "87.0us"},
		{999499, "999us"},
		{999500, "1.00ms"},
		{4200000, "4.20ms"},
		{9994999, "9.99ms"},
		{9995000, "10.0ms"},
		{99949999, "99.9ms"},
		{99950000, "100ms"},
		{310 * MS, "310ms"},
		{1240 * MS, "1.24s"},
		{12345 * MS, "12.3s"},
		{59949 * MS, "59.9s"},
		{59950 * MS, "1m00s"},
		{100 * 1000 * MS, "1m40s"},
		{7500 * 1000 * MS, "2h05m"},
		{UINT64_MAX, NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[FMT_MAX];

		fmt_span(text, cases[i].ns);
		if (cases[i].text)
			CHECK_EQ_STR(text, cases[i].text);
		else
			CHECK(strlen(text) < FMT_MAX && strstr(text, "h"));
	}
}

KIT_MAIN
