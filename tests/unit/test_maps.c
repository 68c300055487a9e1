/* Unit tests of reader/target/maps.h: the text of /proc/PID/maps. */
#include "reader/target/maps.h"

#include <inttypes.h>
#include <stdlib.h>

#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "tests/lib/kit.h"

TEST(lines_of_all_kinds_are_parsed)
{
	static const char text[] =
		"555555554000-555555556000 r--p 00000000 fe:01 1234567    /usr/bin/my app\n"
		"555555556000-55555555b000 r-xp 00002000 fe:01 1234567    /usr/bin/my app\n"
		"7ffff7000000-7ffff7001000 r-xp 00000000 08:103 99   /a\\012b (deleted)\n"
		"7ffff7001000-7ffff7002000 rwxp 00000000 00:00 0 \n"
		"7ffff7fc0000-7ffff7fc2000 r-xp 00000000 00:00 0     [vdso]\n"
		"7ffff7fd0000-7ffff7fd2000 rw-p 00000000 00:00 0     [anon:my (deleted)]\n"
		"7ffff7fe0000-7ffff7fe2000 rwxs 00000000 00:01 2048    /memfd:jit (deleted)\n"
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0     [vsyscall]\n";
	OWN(target_mappings_done) target_mappings mappings = {0};
	const struct target_mapping *at;

	CHECK_EQ_U64(maps_parse(text, sizeof(text) - 1, &mappings), 0);
	CHECK_EQ_U64(mappings.count, 8);
	at = mappings.items;
	CHECK_EQ_U64(at[1].start, 0x555555556000);
	CHECK_EQ_U64(at[1].end, 0x55555555b000);
	CHECK_EQ_U64(at[1].file_offset, 0x2000);
	CHECK_EQ_U64(at[1].device_major, 0xfe);
	CHECK_EQ_U64(at[1].device_minor, 1);
	CHECK_EQ_U64(at[1].inode, 1234567);
	CHECK_EQ_STR(at[1].path, "/usr/bin/my app");
	CHECK(!at[0].is_executable && at[1].is_executable);
	CHECK(!at[1].is_deleted);
	CHECK_EQ_STR(at[2].path, "/a\nb");
	CHECK(at[2].is_deleted);
	CHECK_EQ_U64(at[2].device_minor, 0x103);
	CHECK_EQ_STR(at[3].path, "");
	CHECK(at[3].is_executable);
	CHECK_EQ_STR(at[4].path, "[vdso]");
	CHECK_EQ_STR(at[5].path, "[anon:my (deleted)]");
	CHECK(!at[5].is_deleted);
	CHECK_EQ_STR(at[6].path, "/memfd:jit");
	CHECK(at[6].is_deleted);
	CHECK_EQ_U64(at[7].start, 0xffffffffff600000);
	CHECK_EQ_STR(at[7].path, "[vsyscall]");
}

TEST(lines_that_are_none_are_passed_over)
{
	static const char *const lines[] = {
		"",
		"nonsense",
		"1000-1000 r-xp 0 0:0 0 /empty",
		"2000-1000 r-xp 0 0:0 0 /turned",
		"1000-2000",
		"1000-2000 r-xp",
		"1000-2000 r-xp 0 0:0",
		"1000-2000 r-xp 0 0 0 /x",
		"10000000000000000-2 r-xp 0 0:0 0 /x",
		"1000-2000 r-xp 0 100000000:0 0 /x",
		"1000-2000 r-xp 0 0:0 99999999999999999999 /x",
		"-1-2000 r-xp 0 0:0 0 /x",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		OWN(target_mappings_done) target_mappings mappings = {0};
		OWN(str_done) struct str text = {0};

		str_addf(&text, "%s\n1000-2000 r-xp 0 0:0 7 /good\n", lines[i]);
		CHECK_EQ_U64(maps_parse(text.text, text.length, &mappings), 1);
		CHECK_EQ_U64(mappings.count, 1);
		CHECK_EQ_STR(mappings.items[0].path, "/good");
		CHECK_EQ_U64(mappings.items[0].inode, 7);
	}
}

TEST(a_cut_last_line_is_no_mapping)
{
	static const char text[] = "1000-2000 r-xp 0 0:0 7 /good\n2000-3000 r-xp 0 0:0 7 /go";
	OWN(target_mappings_done) target_mappings mappings = {0};

	CHECK_EQ_U64(maps_parse(text, sizeof(text) - 1, &mappings), 1);
	CHECK_EQ_U64(mappings.count, 1);
}

TEST(damaged_text_does_no_harm)
{
	static const char line[] = "7f00-7fff r-xp 10 8:1 77   /usr/lib/x\\012y.so (deleted)\n";
	uint64_t random = 0x9e3779b97f4a7c15;

	for (int i = 0; i < 2000; i++) {
		OWN(target_mappings_done) target_mappings mappings = {0};
		char text[3 * sizeof(line)] = "";
		size_t length = 0, passed_over, lines = 0;
		char *exact;

		for (int j = 0; j < 3; j++)
			length +=
				(size_t)snprintf(text + length, sizeof(text) - length, "%s", line);
		for (int j = 0; j < 4; j++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			text[(random >> 33) % length] = (char)(random >> 56);
		}
		for (size_t j = 0; j < length; j++)
			lines += text[j] == '\n';
		lines += text[length - 1] != '\n';
		/* A block of exactly that size: a sanitizer sees the first byte too much. */
		exact = mem_copy(text, length);
		passed_over = maps_parse(exact, length, &mappings);
		free(exact);
		CHECK_EQ_U64(passed_over + mappings.count, lines);
		for (size_t j = 0; j < mappings.count; j++)
			CHECK(mappings.items[j].end > mappings.items[j].start);
	}
}

TEST(as_many_mappings_as_the_kernel_allows_are_parsed)
{
	enum { LINES = 65530 };
	OWN(target_mappings_done) target_mappings mappings = {0};
	OWN(str_done) struct str text = {0};
	uint64_t sum = 0;

	for (uint64_t i = 0; i < LINES; i++)
		str_addf(&text,
			 "%" PRIx64 "-%" PRIx64 " r-xp %08" PRIx64 " fe:01 %" PRIu64
			 " /lib/%" PRIu64 "\n",
			 i << 16, (i << 16) + 4096, i << 12, i, i);
	CHECK_EQ_U64(maps_parse(text.text, text.length, &mappings), 0);
	CHECK_EQ_U64(mappings.count, LINES);
	for (size_t i = 0; i < mappings.count; i++)
		sum += mappings.items[i].inode;
	CHECK_EQ_U64(sum, (uint64_t)LINES * (LINES - 1) / 2);
	CHECK_EQ_STR(mappings.items[LINES - 1].path, "/lib/65529");
}

KIT_MAIN
