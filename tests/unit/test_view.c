/* Rows: who is charged, what is inclusive, what is left out, in which order. */
#include "tests/lib/kit.h"

#include <stdlib.h>
#include <time.h>

#include "reader/util/mem.h"
#include "reader/view/view.h"
#include "reader/view/window.h"
#include "tests/lib/sample_profile.h"

#define SECONDS(count) ((count)*UINT64_C(1000000000))

static struct view *build(struct snapshot_builder *b, const struct view_request *request)
{
	struct view *view = NULL;
	struct err err = {0};

	if (view_build(builder_snapshot(b), request, &view, &err) < 0)
		FAIL("view_build: %s", err.sentence);
	return view;
}

static const struct view_row *find(const struct view *view, const char *function)
{
	for (size_t i = 0; i < view->row_count; i++) {
		if (!strcmp(view->rows[i].function, function))
			return &view->rows[i];
	}
	FAIL("no row %s", function);
}

/* "parse_header 50/70, tokenize 20/20": function, self and inclusive samples in order of rows. */
static char *told(const struct view *view)
{
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	for (size_t i = 0; i < view->row_count; i++)
		fprintf(to, "%s%s %" PRIu64 "/%" PRIu64, i ? ", " : "", view->rows[i].function,
			view->rows[i].self, view->rows[i].incl);
	fclose(to);
	return text;
}

static void check_rows(struct snapshot_builder *b, const struct view_request *request,
		       const char *want)
{
	struct view *view = build(b, request);
	char *got = told(view);

	CHECK_EQ_STR(got, want);
	free(got);
	view_free(view);
}

static void check_sample(const struct view_request *request, const char *want)
{
	struct snapshot_builder *b = sample_profile();

	check_rows(b, request, want);
	builder_free(b);
}

/* The sentence, with its remedy behind it, is in `said`. */
static void check_refused(const struct view_request *request, const char *said)
{
	struct snapshot_builder *b = sample_profile();
	struct view *view = NULL;
	struct err err = {0};
	char text[sizeof(err.sentence) + sizeof(err.remedy)];

	CHECK(view_build(builder_snapshot(b), request, &view, &err) < 0);
	CHECK(!view);
	CHECK_EQ_U64(err.kind, ERR_USAGE);
	snprintf(text, sizeof(text), "%s %s", err.sentence, err.remedy);
	CHECK_EQ_STR(text, said);
	builder_free(b);
}

TEST(lines_have_self_and_inclusive_samples)
{
	check_sample(&(struct view_request){0},
		     "parse_header 50/70, tokenize 20/20, clamp 15/15, walk 10/10, "
		     "[no user stack] 5/5, main 0/95, Buffer::fill 0/15, read 0/10");
}

TEST(totals_and_shares_are_of_all_samples)
{
	struct snapshot_builder *b = sample_profile();
	struct view *view = build(b, &(struct view_request){0});
	double sum = 0;

	CHECK_EQ_U64(view->total_samples, 100);
	CHECK_EQ_U64(view->location_count, 8);
	CHECK_EQ_U64(view->row_count, 8);
	CHECK_EQ_STR(view->event->name, "cpu-clock");
	for (size_t i = 0; i < view->row_count; i++)
		sum += view->rows[i].self_pct;
	CHECK_BETWEEN(sum, 99.999999, 100.000001);
	CHECK_BETWEEN(view->shown_pct, 99.999999, 100.000001);
	CHECK_BETWEEN(find(view, "parse_header")->self_pct, 49.999999, 50.000001);
	CHECK_BETWEEN(find(view, "main")->incl_pct, 94.999999, 95.000001);
	view_free(view);
	builder_free(b);
}

TEST(stacks_are_counted_by_status)
{
	struct snapshot_builder *b = sample_profile();
	struct view *view = build(b, &(struct view_request){0});

	CHECK_EQ_U64(view->status_samples[STACK_COMPLETE], 85);
	CHECK_EQ_U64(view->status_samples[STACK_BROKEN], 10);
	CHECK_EQ_U64(view->status_samples[STACK_EMPTY], 5);
	CHECK_EQ_U64(view->status_samples[STACK_TRUNCATED], 0);
	CHECK_BETWEEN(view->complete_pct, 84.999999, 85.000001);
	view_free(view);
	builder_free(b);
}

TEST(kernel_samples_are_charged_to_the_user_line)
{
	struct snapshot_builder *b = sample_profile();
	struct view *view = build(b, &(struct view_request){0});
	const struct view_row *none = find(view, "[no user stack]");

	CHECK_EQ_U64(find(view, "parse_header")->kernel, 10);
	CHECK_EQ_U64(find(view, "tokenize")->kernel, 0);
	CHECK_EQ_U64(find(view, "read")->kernel, 0);
	CHECK_EQ_U64(none->kernel, 5);
	CHECK_EQ_STR(none->file, "[kernel]");
	CHECK_EQ_U64(none->line, 0);
	view_free(view);
	builder_free(b);
}

TEST(include_internal_charges_the_leaf)
{
	check_sample(&(struct view_request){.include_internal = true},
		     "parse_header 40/70, tokenize 20/20, clamp 15/15, read 10/10, walk 10/10, "
		     "[no user stack] 5/5, main 0/95, Buffer::fill 0/15");
}

TEST(no_inline_charges_the_function_itself)
{
	check_sample(&(struct view_request){.no_inline = true},
		     "parse_header 50/70, tokenize 20/20, Buffer::fill 15/15, walk 10/10, "
		     "[no user stack] 5/5, main 0/95, read 0/10");
}

TEST(no_inline_finds_the_frame_of_a_charged_caller)
{
	struct snapshot_builder *b = builder_new();
	uint32_t event = builder_event(b, "cpu-clock", true);
	uint32_t thread = builder_thread(b, 1, "t");
	uint32_t app = builder_module(b, "/a"), libc = builder_module(b, "/libc.so");
	uint32_t memcpy_line = builder_location(b, libc, "memcpy", "[libc.so]", 0);
	uint32_t inner = builder_location(b, app, "inner", "a.c", 1);
	uint32_t middle = builder_location(b, app, "middle", "a.c", 2);
	uint32_t outer = builder_location(b, app, "outer", "a.c", 3);
	uint32_t frames[2] = {builder_frame_at(b, memcpy_line),
			      builder_frame(b, (uint32_t[]){inner, middle, outer}, 3)};
	uint32_t stack = builder_stack(b, frames, 2, STACK_COMPLETE, middle);

	builder_row(b, event, thread, stack, 7, 0, 7);
	check_rows(b, &(struct view_request){0}, "middle 7/7, inner 0/7, memcpy 0/7, outer 0/7");
	check_rows(b, &(struct view_request){.no_inline = true}, "outer 7/7, memcpy 0/7");
	check_rows(b, &(struct view_request){.no_inline = true, .include_internal = true},
		   "memcpy 7/7, outer 0/7");
	builder_free(b);
}

TEST(recursion_counts_a_sample_once)
{
	struct snapshot_builder *b = builder_new();
	uint32_t event = builder_event(b, "cpu-clock", true);
	uint32_t thread = builder_thread(b, 1, "t");
	uint32_t app = builder_module(b, "/a");
	uint32_t up = builder_location(b, app, "even", "a.c", 1);
	uint32_t up_call = builder_location(b, app, "even", "a.c", 2);
	uint32_t down = builder_location(b, app, "odd", "a.c", 3);
	uint32_t even = builder_frame(b, (uint32_t[]){up, up_call}, 2);
	uint32_t odd = builder_frame_at(b, down);
	uint32_t deep[400];

	for (size_t i = 0; i < 400; i++)
		deep[i] = i % 2 ? odd : even;
	builder_row(b, event, thread, builder_stack(b, deep, 400, STACK_COMPLETE, up), 3, 0, 3);
	builder_row(b, event, thread, builder_stack(b, deep + 1, 399, STACK_COMPLETE, down), 4, 0,
		    4);
	builder_row(b, event, thread, builder_stack(b, deep + 399, 1, STACK_COMPLETE, down), 5, 0,
		    5);
	check_rows(b, &(struct view_request){0}, "odd 9/12, even 3/7, even 0/7");
	check_rows(b, &(struct view_request){.group = VIEW_BY_FUNCTION}, "odd 9/12, even 3/7");
	check_rows(b, &(struct view_request){.group = VIEW_BY_FILE}, "odd 12/12");
	builder_free(b);
}

TEST(wider_groups_add_up_and_show_their_hottest_line)
{
	struct snapshot_builder *b = builder_new();
	uint32_t event = builder_event(b, "cpu-clock", true);
	uint32_t thread = builder_thread(b, 1, "t");
	uint32_t app = builder_module(b, "/a"), other = builder_module(b, "/b");
	uint32_t lines[] = {
		builder_location(b, app, "f", "x.c", 1),   builder_location(b, app, "f", "x.c", 2),
		builder_location(b, app, "f", "x.c", 3),   builder_location(b, app, "g", "x.c", 9),
		builder_location(b, other, "f", "y.c", 4),
	};
	static const uint64_t counts[] = {10, 30, 20, 25, 15};
	struct view *view;
	const struct view_row *row;

	for (size_t i = 0; i < 5; i++) {
		uint32_t frame = builder_frame_at(b, lines[i]);
		uint32_t stack = builder_stack(b, &frame, 1, STACK_COMPLETE, lines[i]);

		builder_row(b, event, thread, stack, counts[i], 1, counts[i]);
	}
	check_rows(b, &(struct view_request){.group = VIEW_BY_FUNCTION},
		   "f 60/60, g 25/25, f 15/15");
	view = build(b, &(struct view_request){.group = VIEW_BY_FUNCTION});
	row = &view->rows[0];
	CHECK_EQ_U64(row->line, 2);
	CHECK_EQ_U64(row->kernel, 3);
	CHECK_EQ_STR(row->file, "x.c");
	CHECK_EQ_STR(row->module, "a");
	CHECK_EQ_STR(view->rows[2].module, "b");
	view_free(view);
	view = build(b, &(struct view_request){.group = VIEW_BY_FILE});
	CHECK_EQ_U64(view->row_count, 2);
	CHECK_EQ_STR(view->rows[0].file, "x.c");
	CHECK_EQ_U64(view->rows[0].self, 85);
	CHECK_EQ_U64(view->rows[0].line, 2);
	view_free(view);
	view = build(b, &(struct view_request){.group = VIEW_BY_MODULE});
	CHECK_EQ_U64(view->row_count, 2);
	CHECK_EQ_STR(view->rows[0].module, "a");
	CHECK_EQ_U64(view->rows[0].self, 85);
	CHECK_EQ_STR(view->rows[1].module, "b");
	CHECK_EQ_U64(view->rows[1].self, 15);
	view_free(view);
	builder_free(b);
}

TEST(files_shortened_alike_stay_apart_by_path)
{
	struct snapshot_builder *b = builder_new();
	uint32_t event = builder_event(b, "cpu-clock", true);
	uint32_t thread = builder_thread(b, 1, "t");
	uint32_t app = builder_module(b, "/a");
	uint32_t one = builder_location(b, app, "new", "src/lib.rs", 10);
	uint32_t two = builder_location(b, app, "new", "src/lib.rs", 10);
	uint32_t same = builder_location(b, app, "new", "src/lib.rs", 10);
	uint32_t all[] = {one, two, same};

	builder_location_path(b, one, "/crates/one/src/lib.rs");
	builder_location_path(b, two, "/crates/two/src/lib.rs");
	builder_location_path(b, same, "/crates/one/src/lib.rs");
	for (size_t i = 0; i < 3; i++) {
		uint32_t frame = builder_frame_at(b, all[i]);

		builder_row(b, event, thread, builder_stack(b, &frame, 1, STACK_COMPLETE, all[i]),
			    2, 0, 2);
	}
	check_rows(b, &(struct view_request){0}, "new 4/4, new 2/2");
	check_rows(b, &(struct view_request){.group = VIEW_BY_FILE}, "new 4/4, new 2/2");
	check_rows(b, &(struct view_request){.group = VIEW_BY_FUNCTION}, "new 6/6");
	builder_free(b);
}

TEST(threads_are_rows)
{
	struct snapshot_builder *b = sample_profile();
	struct view *view = build(b, &(struct view_request){.group = VIEW_BY_THREAD});
	char *got = told(view);

	CHECK_EQ_STR(got, "my-app (12345) 55/55, worker (12346) 35/35, worker (12347) 10/10");
	CHECK_EQ_U64(view->location_count, 3);
	CHECK_EQ_U64(view->rows[0].kernel, 15);
	CHECK_EQ_U64(view->rows[2].line, 0);
	CHECK_EQ_STR(view->rows[0].file, "");
	CHECK_EQ_STR(view->rows[0].module, "");
	free(got);
	view_free(view);
	builder_free(b);
}

TEST(a_thread_seen_twice_is_one_row)
{
	struct snapshot_builder *b = builder_new();
	uint32_t event = builder_event(b, "cpu-clock", true);
	uint32_t stack = builder_stack(b, NULL, 0, STACK_EMPTY, SNAPSHOT_NONE);

	builder_row(b, event, builder_thread(b, 5, "a"), stack, 1, 0, 1);
	builder_row(b, event, builder_thread(b, 5, "b"), stack, 2, 0, 2);
	builder_row(b, event, builder_thread(b, 5, "a"), stack, 4, 1, 4);
	check_rows(b, &(struct view_request){.group = VIEW_BY_THREAD}, "a (5) 5/5, b (5) 2/2");
	builder_free(b);
}

TEST(thread_option_keeps_shares_of_the_whole)
{
	static const char by_name[] = "tokenize 20/20, clamp 15/15, walk 10/10, main 0/45, "
				      "parse_header 0/20, Buffer::fill 0/15";
	struct snapshot_builder *b = sample_profile();
	struct view *view = build(b, &(struct view_request){.thread = "12347"});

	CHECK_EQ_U64(view->total_samples, 100);
	CHECK_BETWEEN(find(view, "walk")->self_pct, 9.999999, 10.000001);
	CHECK_BETWEEN(view->shown_pct, 9.999999, 10.000001);
	view_free(view);
	check_rows(b, &(struct view_request){.thread = "worker"}, by_name);
	check_rows(b, &(struct view_request){.thread = "12347"}, "walk 10/10, main 0/10");
	check_rows(b, &(struct view_request){.thread = "12347", .group = VIEW_BY_THREAD},
		   "worker (12347) 10/10");
	builder_free(b);
}

TEST(an_absent_thread_is_refused_with_the_list)
{
	/* Exact, not by part. */
	check_refused(
		&(struct view_request){.thread = "work"},
		"This profile has no thread \"work\". Use --thread with a name or a number of: "
		"my-app (12345), worker (12346).");
}

TEST(filter_is_a_substring_in_either_case)
{
	check_sample(&(struct view_request){.filter = "PARSER"},
		     "parse_header 50/70, tokenize 20/20");
	check_sample(&(struct view_request){.filter = "buffer::F"}, "Buffer::fill 0/15");
	check_sample(&(struct view_request){.filter = ""},
		     "parse_header 50/70, tokenize 20/20, clamp 15/15, walk 10/10, "
		     "[no user stack] 5/5, main 0/95, Buffer::fill 0/15, read 0/10");
	check_sample(&(struct view_request){.filter = "[kernel]"}, "[no user stack] 5/5");
	check_sample(&(struct view_request){.filter = "nothing like it"}, "");
	check_sample(&(struct view_request){.filter = "46)", .group = VIEW_BY_THREAD},
		     "worker (12346) 35/35");
}

TEST(filter_finds_a_group_by_any_of_its_lines)
{
	/* The file's hottest line is parse_header's. */
	check_sample(&(struct view_request){.filter = "tokenize", .group = VIEW_BY_FILE},
		     "parse_header 70/70");
	check_sample(&(struct view_request){.filter = "LIBC", .group = VIEW_BY_MODULE},
		     "read 0/10");
}

TEST(filtered_rows_count_as_locations)
{
	struct snapshot_builder *b = sample_profile();
	struct view *view = build(b, &(struct view_request){.filter = "parser"});

	CHECK_EQ_U64(view->location_count, 8);
	CHECK_EQ_U64(view->row_count, 2);
	CHECK_BETWEEN(view->shown_pct, 69.999999, 70.000001);
	view_free(view);
	builder_free(b);
}

TEST(threshold_is_of_the_inclusive_share)
{
	check_sample(
		&(struct view_request){.threshold_pct = 15},
		"parse_header 50/70, tokenize 20/20, clamp 15/15, main 0/95, Buffer::fill 0/15");
	check_sample(&(struct view_request){.threshold_pct = 70.1}, "main 0/95");
	check_sample(&(struct view_request){.threshold_pct = 100}, "");
}

TEST(top_cuts_after_sorting)
{
	check_sample(&(struct view_request){.top = 2}, "parse_header 50/70, tokenize 20/20");
	check_sample(&(struct view_request){.top = 1, .sort = "incl_pct"}, "main 0/95");
	check_sample(&(struct view_request){.top = 3, .sort = "line"},
		     "parse_header 50/70, tokenize 20/20, Buffer::fill 0/15");
}

TEST(every_key_sorts)
{
	static const struct {
		const char *key, *first_two;
	} cases[] = {
		{"cpu_pct", "parse_header 50/70, tokenize 20/20"},
		{"samples", "parse_header 50/70, tokenize 20/20"},
		{"incl_pct", "main 0/95, parse_header 50/70"},
		{"incl_samples", "main 0/95, parse_header 50/70"},
		{"kernel_samples", "parse_header 50/70, [no user stack] 5/5"},
		{"line", "parse_header 50/70, tokenize 20/20"},
		{"file", "[no user stack] 5/5, read 0/10"},
		{"function", "Buffer::fill 0/15, [no user stack] 5/5"},
		{"module", "[no user stack] 5/5, read 0/10"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check_sample(&(struct view_request){.top = 2, .sort = cases[i].key},
			     cases[i].first_two);
}

TEST(an_unknown_key_is_refused_with_the_list)
{
	check_refused(
		&(struct view_request){.sort = "speed"},
		"Rows cannot be sorted by \"speed\". Use --sort with one of: cpu_pct, incl_pct, "
		"samples, incl_samples, kernel_samples, file, line, function, module.");
	/* Only events with a period have values of their own. */
	check_refused(
		&(struct view_request){.sort = "value"},
		"Rows cannot be sorted by \"value\". Use --sort with one of: cpu_pct, incl_pct, "
		"samples, incl_samples, kernel_samples, file, line, function, module.");
}

TEST(events_are_found_by_name_and_alias)
{
	static const char faults[] = "tokenize 8/8, main 0/8, parse_header 0/8";

	check_sample(&(struct view_request){.event = "page-faults"}, faults);
	check_sample(&(struct view_request){.event = "faults"}, faults);
	check_sample(&(struct view_request){.event = "cpu", .top = 1}, "parse_header 50/70");
	check_refused(
		&(struct view_request){.event = "cpu-cycles"},
		"This profile has no event \"cpu-cycles\". Use --event with one of: cpu-clock, "
		"page-faults.");
	check_refused(&(struct view_request){.event = "\033[2Jx"},
		      "This profile has no event \"?[2Jx\". Use --event with one of: cpu-clock, "
		      "page-faults.");
}

/* Two functions of one sample each in `first`, and of two in `second`. */
static struct snapshot_builder *two_events(const char *first, const char *second,
					   bool second_is_cpu)
{
	struct snapshot_builder *b = builder_new();
	uint32_t events[] = {builder_event(b, first, false),
			     builder_event(b, second, second_is_cpu)};
	uint32_t thread = builder_thread(b, 1, "t"), app = builder_module(b, "/a");
	uint32_t often = builder_location(b, app, "often", "a.c", 1);
	uint32_t heavy = builder_location(b, app, "heavy", "a.c", 2);
	uint32_t often_frame = builder_frame_at(b, often), heavy_frame = builder_frame_at(b, heavy);
	uint32_t often_stack = builder_stack(b, &often_frame, 1, STACK_COMPLETE, often);
	uint32_t heavy_stack = builder_stack(b, &heavy_frame, 1, STACK_COMPLETE, heavy);

	builder_row(b, events[0], thread, often_stack, 1, 0, 1);
	builder_row(b, events[1], thread, often_stack, 90, 0, 1000);
	builder_row(b, events[1], thread, heavy_stack, 10, 0, 3000);
	return b;
}

TEST(the_cpu_event_is_the_default_wherever_it_is)
{
	struct snapshot_builder *b = two_events("page-faults", "cpu-clock", true);

	check_rows(b, &(struct view_request){0}, "often 90/90, heavy 10/10");
	builder_free(b);
	b = two_events("page-faults", "context-switches", false);
	check_rows(b, &(struct view_request){0}, "often 1/1");
	builder_free(b);
}

TEST(shares_of_periods_are_by_value)
{
	struct snapshot_builder *b = two_events("page-faults", "cpu-cycles", true);
	struct view *view = build(b, &(struct view_request){0});

	CHECK_EQ_U64(view->total_samples, 100);
	CHECK_EQ_STR(view->rows[0].function, "heavy");
	CHECK_EQ_U64(view->rows[0].self, 10);
	CHECK_EQ_U64(view->rows[0].self_value, 3000);
	CHECK_EQ_U64(view->rows[0].incl_value, 3000);
	CHECK_BETWEEN(view->rows[0].self_pct, 74.999999, 75.000001);
	CHECK_BETWEEN(view->rows[1].self_pct, 24.999999, 25.000001);
	CHECK_BETWEEN(view->shown_pct, 99.999999, 100.000001);
	view_free(view);
	check_rows(b, &(struct view_request){.sort = "value", .top = 1}, "heavy 10/10");
	check_rows(b, &(struct view_request){.sort = "samples", .top = 1}, "often 90/90");
	builder_free(b);
}

TEST(an_empty_profile_has_no_rows)
{
	struct snapshot_builder *b = builder_new();
	static const enum view_group groups[] = {VIEW_BY_LINE, VIEW_BY_MODULE, VIEW_BY_THREAD};

	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
		struct view *view = build(b, &(struct view_request){.group = groups[i]});

		CHECK_EQ_U64(view->row_count, 0);
		CHECK_EQ_U64(view->location_count, 0);
		CHECK_EQ_U64(view->total_samples, 0);
		CHECK(!view->event);
		CHECK_BETWEEN(view->complete_pct, 100, 100);
		CHECK_BETWEEN(view->shown_pct, 0, 0);
		view_free(view);
	}
	builder_free(b);
}

TEST(damaged_trees_keep_the_sum)
{
	struct snapshot_builder *b = builder_new();
	uint32_t event = builder_event(b, "cpu-clock", true);
	uint32_t thread = builder_thread(b, 1, "t");
	uint32_t app = builder_module(b, "/a");
	uint32_t fine = builder_location(b, app, "fine", "a.c", 1);
	uint32_t elsewhere = builder_location(b, 77, "elsewhere", "a.c", 2);
	uint32_t frame = builder_frame_at(b, fine);
	/* Nodes that are each other's parents, one whose parent and one whose frame do not exist.
	 */
	uint32_t circle = builder_node(b, 1, frame);
	uint32_t orphan;

	builder_node(b, circle, frame);
	orphan = builder_node(b, 1000, frame);
	builder_node(b, SNAPSHOT_NONE, 1000);
	builder_row(b, event, thread, builder_stack_at(b, circle, STACK_COMPLETE, fine, fine), 1, 0,
		    1);
	builder_row(b, event, thread, builder_stack_at(b, orphan, STACK_COMPLETE, fine, fine), 2, 0,
		    2);
	builder_row(b, event, thread, builder_stack_at(b, 3, STACK_COMPLETE, fine, fine), 4, 0, 4);
	builder_row(b, event, thread, builder_stack_at(b, 999, STACK_COMPLETE, fine, fine), 8, 0,
		    8);
	/* Charged to what is not on the stack: the leaf answers. */
	builder_row(b, event, thread,
		    builder_stack_at(b, orphan, STACK_COMPLETE, elsewhere, elsewhere), 16, 0, 16);
	builder_row(b, event, thread, builder_stack_at(b, orphan, STACK_COMPLETE, 999, 999), 32, 0,
		    32);
	builder_row(b, event, thread, 999, 64, 0, 64);
	builder_row(b, 999, thread, 0, 128, 0, 128);
	check_rows(b, &(struct view_request){0}, "[no user stack] 77/77, fine 50/50");
	check_rows(b, &(struct view_request){.no_inline = true, .include_internal = true},
		   "[no user stack] 77/77, fine 50/50");
	builder_free(b);
}

TEST(sums_that_do_not_fit_stay_at_the_largest)
{
	struct snapshot_builder *b = builder_new();
	uint32_t event = builder_event(b, "cpu-clock", true);
	uint32_t thread = builder_thread(b, 1, "t");
	uint32_t stack = builder_stack(b, NULL, 0, STACK_EMPTY, SNAPSHOT_NONE);
	struct view *view;

	builder_row(b, event, thread, stack, UINT64_MAX - 1, 0, UINT64_MAX);
	builder_row(b, event, thread, stack, UINT64_MAX - 1, 0, UINT64_MAX);
	view = build(b, &(struct view_request){0});
	CHECK_EQ_U64(view->total_samples, UINT64_MAX);
	CHECK_EQ_U64(view->rows[0].self, UINT64_MAX);
	CHECK_BETWEEN(view->rows[0].self_pct, 100, 100);
	view_free(view);
	builder_free(b);
}

enum { MANY_LOCATIONS = 100000, MANY_STACKS = 200000, MANY_DEPTH = 20 };

#ifdef __SANITIZE_ADDRESS__
enum { MANY_MS = 5000 };
#else
enum { MANY_MS = 500 };
#endif

TEST(a_large_profile_is_ranked_in_half_a_second)
{
	struct snapshot_builder *b = builder_new();
	uint32_t event = builder_event(b, "cpu-clock", true);
	uint32_t thread = builder_thread(b, 1, "t"), app = builder_module(b, "/a");
	uint32_t *frames = mem_array(MANY_LOCATIONS, sizeof(*frames)), first = 0;
	struct view *view;
	clock_t start;

	for (uint32_t i = 0; i < MANY_LOCATIONS; i++) {
		char function[32];

		snprintf(function, sizeof(function), "function_%u", i / 10);
		first = builder_location(b, app, function, "src/generated.c", i + 1);
		frames[i] = builder_frame_at(b, first);
	}
	for (uint32_t i = 0; i < MANY_STACKS; i++) {
		uint32_t leaf = i % MANY_LOCATIONS, path[MANY_DEPTH];

		/* Every second stack has its own callers almost up to the root. */
		for (uint32_t depth = 0; depth < MANY_DEPTH; depth++)
			path[depth] = frames[(leaf + depth * (i < MANY_LOCATIONS ? 1 : 7)) %
					     MANY_LOCATIONS];
		builder_row(b, event, thread,
			    builder_stack(b, path, MANY_DEPTH, STACK_COMPLETE, leaf), 1, 0, 1);
	}
	builder_snapshot(b);
	start = clock();
	view = build(b, &(struct view_request){0});
	CHECK_BETWEEN((double)(clock() - start) * 1000 / CLOCKS_PER_SEC, 0, MANY_MS);
	CHECK_EQ_U64(view->total_samples, MANY_STACKS);
	CHECK_EQ_U64(view->row_count, MANY_LOCATIONS);
	CHECK_EQ_U64(view->rows[0].self, 2);
	CHECK_EQ_U64(view->rows[0].incl, 2 * MANY_DEPTH);
	view_free(view);
	builder_free(b);
	free(frames);
}

static void check_window(const struct window_request *request, uint64_t from, uint64_t to)
{
	uint64_t got_from = 1, got_to = 1;
	struct err err = {0};

	if (window_resolve(request, SECONDS(100), &got_from, &got_to, &err) < 0)
		FAIL("%s", err.sentence);
	CHECK_EQ_U64(got_from, from);
	CHECK_EQ_U64(got_to, to);
}

TEST(windows_are_counted_from_either_end)
{
	check_window(&(struct window_request){0}, 0, UINT64_MAX);
	check_window(&(struct window_request){.since_ns = SECONDS(30)}, SECONDS(70), UINT64_MAX);
	check_window(&(struct window_request){.since_ns = SECONDS(300)}, 0, UINT64_MAX);
	check_window(&(struct window_request){.until_ns = SECONDS(30)}, 0, SECONDS(30));
	check_window(&(struct window_request){.since_ns = SECONDS(60), .until_ns = SECONDS(50)},
		     SECONDS(40), SECONDS(50));
	check_window(&(struct window_request){.window = "10..20s"}, SECONDS(10), SECONDS(20));
	check_window(&(struct window_request){.window = "1.5s..1m30s"}, 1500000000, SECONDS(90));
	check_window(&(struct window_request){.window = "..20"}, 0, SECONDS(20));
	check_window(&(struct window_request){.window = "20.."}, SECONDS(20), UINT64_MAX);
	check_window(&(struct window_request){.window = "20..500"}, SECONDS(20), SECONDS(500));
}

TEST(windows_that_hold_nothing_are_refused)
{
	static const struct window_request wrong[] = {
		{.window = "20"},
		{.window = ""},
		{.window = "20..10"},
		{.window = "10..10"},
		{.window = "0..0"},
		{.window = "a..b"},
		{.window = "1...2"},
		{.window = "-1..2"},
		{.window = "100..200"},
		{.window = "10..99999999999999999999999999999999999999999999999999999999999999999"},
		{.window = "10..20", .since_ns = 1},
		{.window = "10..20", .until_ns = 1},
		{.since_ns = SECONDS(50), .until_ns = SECONDS(50)},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct err err = {0};
		uint64_t from = 7, to = 7;

		if (window_resolve(&wrong[i], SECONDS(100), &from, &to, &err) == 0)
			FAIL("window %zu was taken", i);
		CHECK_EQ_U64(err.kind, ERR_USAGE);
		CHECK(*err.sentence && *err.remedy);
		CHECK_EQ_U64(from, 7);
		CHECK_EQ_U64(to, 7);
	}
}

KIT_MAIN
