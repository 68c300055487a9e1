/* Source by line: the sums of each, and which file or function is meant. */
#include "tests/lib/kit.h"

#include <stdlib.h>

#include "reader/util/str.h"
#include "reader/view/annotate.h"
#include "tests/unit/annotate_profile.h"

static const struct annotate_request plain;

static struct annotation *build(struct snapshot_builder *b, const struct annotate_request *request,
				const char *wanted)
{
	struct annotate_target target = {0};
	struct annotation *annotation = NULL;
	struct err err = {0};

	if (annotate_find(builder_snapshot(b), request, wanted, &target, &err) < 0 ||
	    annotate_build(builder_snapshot(b), request, &target, &annotation, &err) < 0)
		FAIL("%s: %s %s", wanted, err.sentence, err.remedy);
	annotate_target_done(&target);
	return annotation;
}

/* "line self/incl live of total, wait", a line a line. */
static void check_lines(const struct annotate_request *request, const char *wanted,
			const char *want)
{
	struct snapshot_builder *b = annotate_profile();
	struct annotation *annotation = build(b, request, wanted);
	struct str text = {0};

	for (size_t i = 0; i < annotation->line_count; i++) {
		const struct annotate_line *line = &annotation->lines[i];

		str_addf(&text,
			 "%u %" PRIu64 "/%" PRIu64 " %" PRIu64 " of %" PRIu64 ", %" PRIu64 "\n",
			 line->line, line->samples, line->incl_samples, line->live_bytes,
			 line->total_alloc_bytes, line->wait_ns);
		if (request->event)
			continue;
		/* There are 100 samples. */
		CHECK_BETWEEN(line->self_pct, (double)line->samples - 0.001,
			      (double)line->samples + 0.001);
		CHECK_BETWEEN(line->incl_pct, (double)line->incl_samples - 0.001,
			      (double)line->incl_samples + 0.001);
	}
	CHECK_EQ_STR(str_text(&text), want);
	str_done(&text);
	annotate_free(annotation);
	builder_free(b);
}

TEST(lines_have_their_own_sums)
{
	check_lines(&plain, "parser.rs",
		    "89 20/20 4096 of 6096, 0\n"
		    "142 45/45 0 of 0, 300000000\n"
		    "150 0/20 0 of 0, 0\n"
		    "200 0/30 0 of 0, 0\n");
}

TEST(inlined_lines_are_of_their_own_file)
{
	check_lines(&plain, "app/src/util.rs", "7 30/30 0 of 0, 0\n");
	check_lines(&(struct annotate_request){.no_inline = true}, "parser.rs",
		    "89 20/20 4096 of 6096, 0\n"
		    "142 45/45 0 of 0, 300000000\n"
		    "150 0/20 0 of 0, 0\n"
		    "200 30/30 0 of 0, 0\n");
}

TEST(one_thread_has_its_samples_and_no_heap)
{
	struct annotate_request worker = {.thread = "worker"};
	struct snapshot_builder *b = annotate_profile();
	struct annotation *annotation = build(b, &worker, "parser.rs");

	CHECK(!annotation->has_heap);
	CHECK(annotation->has_wait);
	annotate_free(annotation);
	builder_free(b);
	check_lines(&worker, "parser.rs", "89 20/20 0 of 0, 0\n150 0/20 0 of 0, 0\n");
}

TEST(another_event_is_asked_for_by_name)
{
	check_lines(&(struct annotate_request){.event = "page-faults"}, "parser.rs",
		    "89 4/4 4096 of 6096, 0\n"
		    "142 0/0 0 of 0, 300000000\n"
		    "150 0/4 0 of 0, 0\n");
}

TEST(a_sample_counts_once_for_the_file)
{
	struct snapshot_builder *b = annotate_profile();
	struct annotation *annotation = build(b, &plain, "parser.rs");

	CHECK_EQ_U64(annotation->sum.samples, 65);
	/* Not 115, though each of its lines counts. */
	CHECK_EQ_U64(annotation->sum.incl_samples, 95);
	CHECK_EQ_U64(annotation->sum.live_bytes, 4096);
	CHECK_EQ_U64(annotation->sum.wait_ns, 300000000);
	CHECK_EQ_U64(annotation->total_samples, 100);
	CHECK_EQ_STR(annotation->event, "cpu-clock");
	CHECK_BETWEEN(annotate_line_at(annotation, 89)->live_pct, 99.9, 100.1);
	CHECK_BETWEEN(annotate_line_at(annotation, 142)->wait_pct, 99.9, 100.1);
	CHECK(!annotate_line_at(annotation, 90));
	CHECK(!annotate_line_at(annotation, 0));
	annotate_free(annotation);
	builder_free(b);
}

/* ---- which one is meant */

/* "file path function:line", or what is said. */
static void check_found(const char *wanted, const char *want)
{
	struct snapshot_builder *b = annotate_profile();
	struct annotate_target target = {0};
	struct err err = {0};
	struct str text = {0};

	if (annotate_find(builder_snapshot(b), &plain, wanted, &target, &err) < 0) {
		CHECK_EQ_I64(err.kind, ERR_USAGE);
		str_addf(&text, "%s %s", err.sentence, err.remedy);
	} else {
		str_addf(&text, "%s %s %s:%u", target.file, target.path ? target.path : "-",
			 target.function ? target.function : "-", target.line);
	}
	CHECK_EQ_STR(str_text(&text), want);
	str_done(&text);
	annotate_target_done(&target);
	builder_free(b);
}

#define PARSER "src/parser.rs " ANNOTATE_ROOT "src/parser.rs "

TEST(a_place_is_a_file_and_a_line)
{
	check_found("src/parser.rs:142", PARSER "-:142");
	check_found("parser.rs:142", PARSER "-:142");
	check_found("./src/parser.rs:142:9", PARSER "-:142");
	check_found("parser.rs", PARSER "-:0");
	check_found(ANNOTATE_ROOT "src/parser.rs:3", PARSER "-:3");
	check_found("app/src/parser.rs", PARSER "-:0");
}

TEST(a_function_is_found_by_its_name_or_its_end)
{
	check_found("app::tokenize", PARSER "app::tokenize:0");
	check_found("tokenize", PARSER "app::tokenize:0");
	check_found("fill", PARSER "Buffer::fill:0");
	check_found("Token", PARSER "app::tokenize:0");
	/* Both are one function of the source. */
	check_found("apply", "src/gen.rs " ANNOTATE_ROOT "src/gen.rs apply:0");
	check_found("apply::<u16>", "src/gen.rs " ANNOTATE_ROOT "src/gen.rs apply:0");
	/* Half a component is no tail, but a part. */
	check_found("header", PARSER "app::parse_header:0");
}

TEST(a_function_has_its_range)
{
	struct snapshot_builder *b = annotate_profile();
	struct annotate_target target = {0};
	struct annotation *annotation = NULL;

	CHECK(annotate_find(builder_snapshot(b), &plain, "parse_header", &target, NULL) == 0);
	CHECK(annotate_build(builder_snapshot(b), &plain, &target, &annotation, NULL) == 0);
	CHECK_EQ_U64(annotation->function_from, 142);
	CHECK_EQ_U64(annotation->function_to, 150);
	annotate_free(annotation);
	annotate_target_done(&target);
	builder_free(b);
}

TEST(several_are_listed_with_their_shares)
{
	check_found("a", "5 functions match \"a\":\n"
			 "  45.0%  " ANNOTATE_ROOT "src/parser.rs:142  app::parse_header\n"
			 "  30.0%  " ANNOTATE_ROOT "src/util.rs:7  clamp\n"
			 "  20.0%  4.1 KB  " ANNOTATE_ROOT "src/parser.rs:89  app::tokenize\n"
			 "   5.0%  " ANNOTATE_ROOT "src/gen.rs:5  apply\n"
			 "   0.0%  " ANNOTATE_ROOT "src/main.rs:10  main "
			 "Name one of them by its place: " ANNOTATE_ROOT "src/parser.rs:142");
}

TEST(what_has_nothing_gives_way)
{
	/* The other src/util.rs was on no stack that was sampled. */
	check_found("src/util.rs:7", "src/util.rs " ANNOTATE_ROOT "src/util.rs -:7");
	check_found("crate/src/util.rs", "src/util.rs /nowhere/crate/src/util.rs -:0");
}

TEST(files_of_one_name_are_told_apart_by_their_paths)
{
	struct snapshot_builder *b = builder_new();
	uint32_t cpu = builder_event(b, "cpu-clock", true);
	uint32_t thread = builder_thread(b, 1, "x");
	uint32_t app = builder_module(b, "/usr/bin/x");
	uint32_t one = annotate_at(b, app, "one", "src/lib.rs", 3, "/a/src/lib.rs");
	uint32_t two = annotate_at(b, app, "two", "src/lib.rs", 3, "/b/src/lib.rs");
	struct annotate_target target = {0};
	struct annotation *annotation = NULL;
	struct err err = {0};

	builder_row(b, cpu, thread, annotate_stack(b, one, SNAPSHOT_NONE, two), 1, 0, 1);
	builder_row(b, cpu, thread, annotate_stack(b, two, SNAPSHOT_NONE, two), 3, 0, 3);
	CHECK(annotate_find(builder_snapshot(b), &plain, "lib.rs:3", &target, &err) < 0);
	CHECK_EQ_STR(err.sentence, "2 files match \"lib.rs:3\":\n  75.0%  /b/src/lib.rs\n"
				   "  25.0%  /a/src/lib.rs");
	CHECK_EQ_STR(err.remedy, "Name one of them by its place: /b/src/lib.rs:3");
	CHECK(annotate_find(builder_snapshot(b), &plain, "/a/src/lib.rs:3", &target, &err) == 0);
	CHECK(annotate_build(builder_snapshot(b), &plain, &target, &annotation, &err) == 0);
	CHECK_EQ_U64(annotation->line_count, 1);
	CHECK_EQ_U64(annotation->lines[0].samples, 1);
	annotate_free(annotation);
	annotate_target_done(&target);
	builder_free(b);
}

TEST(what_is_not_there_is_refused_with_what_is_near)
{
	check_found("parser.r", "This profile has no file or function \"parser.r\". "
				"Did you mean parser.rs?");
	check_found("tokenise", "This profile has no file or function \"tokenise\". "
				"Did you mean tokenize?");
	check_found("src/main.c:3", "This profile has no file or function \"src/main.c\". "
				    "Did you mean src/main.rs?");
	check_found("zebra", "This profile has no file or function \"zebra\". It has these files: "
			     "rsprof top cpu rsprof.my-app.250106143022.db --by file");
	check_found("\033[31m", "This profile has no file or function \"?[31m\". It has these "
				"files: rsprof top cpu rsprof.my-app.250106143022.db --by file");
	check_found("", "The file or function is empty. Name one, as src/parser.rs:142 or "
			"parse_header.");
	check_found(":12", "This profile has no file or function \":12\". It has these files: "
			   "rsprof top cpu rsprof.my-app.250106143022.db --by file");
}

TEST(a_function_without_lines_is_said)
{
	check_found("read", "read has no known lines: [libc.so.6] has no debug info. Build it with "
			    "-g (in Rust debug = true) and record again.");
}

TEST(twenty_of_many_are_listed)
{
	struct snapshot_builder *b = builder_new();
	uint32_t cpu = builder_event(b, "cpu-clock", true);
	uint32_t thread = builder_thread(b, 1, "x");
	uint32_t app = builder_module(b, "/usr/bin/x");
	struct annotate_target target = {0};
	struct err err = {0};
	size_t lines = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		char path[64];
		uint32_t at;

		snprintf(path, sizeof(path), "/crate%u/lib.rs", i);
		at = annotate_at(b, app, "f", "lib.rs", 3, path);
		builder_row(b, cpu, thread, annotate_stack(b, at, SNAPSHOT_NONE, at), i + 1, 0,
			    i + 1);
	}
	CHECK(annotate_find(builder_snapshot(b), &plain, "lib.rs", &target, &err) < 0);
	for (const char *at = err.sentence; *at; at++)
		lines += *at == '\n';
	CHECK_EQ_U64(lines, 21);
	CHECK(strstr(err.sentence, "/crate999/lib.rs\n"));
	CHECK(strstr(err.sentence, "and 980 more"));
	builder_free(b);
}

TEST(names_lose_the_arguments_of_generics)
{
	static const struct {
		const char *name;
		size_t length;
	} names[] = {
		{"f", 1},
		{"f::<u8>", 1},
		{"a::f<int, b<c>>", 4},
		{"<A as B>::f", 11},
		{"<A as B>", 8},
		{"operator>", 9},
		{"A<int>::operator->", 18},
		{"operator<=>", 11},
		{"f<void (int) -> char>", 1},
		{">", 1},
		{">>", 2},
		{"", 0},
		{"<u8>", 4},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		CHECK_EQ_U64(annotate_name_length(names[i].name), names[i].length);
}

/* ---- what cannot be asked */

TEST(waits_are_no_sampled_event)
{
	struct snapshot_builder *b = annotate_profile();
	struct annotate_request request = {.event = "wait-time"};
	struct annotate_target target = {0};
	struct err err = {0};

	CHECK(annotate_find(builder_snapshot(b), &request, "parser.rs", &target, &err) < 0);
	CHECK_EQ_STR(err.sentence,
		     "wait-time is no sampled event; waits have a column of their own.");
	request = (struct annotate_request){.thread = "nobody"};
	CHECK(annotate_find(builder_snapshot(b), &request, "parser.rs", &target, &err) < 0);
	CHECK_EQ_STR(err.sentence, "This profile has no thread \"nobody\".");
	request = (struct annotate_request){.event = "cycles"};
	CHECK(annotate_find(builder_snapshot(b), &request, "parser.rs", &target, &err) < 0);
	CHECK_EQ_I64(err.kind, ERR_USAGE);
	builder_free(b);
}

TEST(an_empty_profile_has_nothing_to_show)
{
	struct snapshot_builder *b = builder_new();
	struct annotate_target target = {0};
	struct err err = {0};

	CHECK(annotate_find(builder_snapshot(b), &plain, "x", &target, &err) < 0);
	CHECK_EQ_STR(err.sentence, "This profile knows no lines of source.");
	builder_free(b);
}

KIT_MAIN
