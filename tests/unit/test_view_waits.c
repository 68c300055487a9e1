/* Rows of waits: time by place, kind and thread; printed as text, JSON and CSV. */
#include "tests/lib/kit.h"

#include <locale.h>
#include <stdlib.h>

#include "reader/view/view.h"
#include "tests/lib/sample_profile.h"

#define MS UINT64_C(1000000)

static const struct view_request by_line = {.event = "wait-time"};

/* One second of waiting, in 60 waits:
 *
 *       ms  waits  ran  thread          kind       stack, leaf first (charged: *)
 *      400      4  100  my-app (12345)  sleep      *nap, main
 *      300     20   50  worker (12346)  lock       futex in libc.so.6, *take, main
 *       30     30    5  worker (12346)  run queue  the same
 *      170      0    0  worker (12347)  lock       the same; it goes on
 *      100      6    9  my-app (12345)  io         none
 *        0      0   36  worker (12347)  it ran and ended
 *
 * and 8 samples of CPU time in main. */
static struct snapshot_builder *wait_profile(void)
{
	struct snapshot_builder *b = builder_new();
	uint32_t cpu = builder_event(b, "cpu-clock", true);
	uint32_t wait = builder_event(b, "wait-time", false);
	uint32_t first = builder_thread(b, 12345, "my-app");
	uint32_t second = builder_thread(b, 12346, "worker");
	uint32_t third = builder_thread(b, 12347, "worker");
	uint32_t app = builder_module(b, "/usr/bin/my-app");
	uint32_t libc = builder_module(b, "/usr/lib/libc.so.6");
	uint32_t main_line = builder_location(b, app, "main", "src/main.rs", 10);
	uint32_t nap_line = builder_location(b, app, "nap", "src/pool.rs", 30);
	uint32_t take_line = builder_location(b, app, "take", "src/pool.rs", 12);
	uint32_t futex_line = builder_location(b, libc, "futex", "[libc.so.6]", 0);
	uint32_t main_frame = builder_frame_at(b, main_line);
	uint32_t nap_frame = builder_frame_at(b, nap_line);
	uint32_t take_frame = builder_frame_at(b, take_line);
	uint32_t futex_frame = builder_frame_at(b, futex_line);
	uint32_t working = builder_stack(b, (uint32_t[]){main_frame}, 1, STACK_COMPLETE, main_line);
	uint32_t napping =
		builder_stack(b, (uint32_t[]){nap_frame, main_frame}, 2, STACK_COMPLETE, nap_line);
	uint32_t taking = builder_stack(b, (uint32_t[]){futex_frame, take_frame, main_frame}, 3,
					STACK_COMPLETE, take_line);
	uint32_t nothing = builder_stack(b, NULL, 0, STACK_EMPTY, SNAPSHOT_NONE);

	builder_meta(b, "cpu_source", "perf");
	builder_meta(b, "wait_source", "bpf");
	builder_meta(b, "cpu_freq_hz", "99");
	builder_row(b, cpu, first, working, 8, 0, 8);
	builder_wait(b, wait, first, napping, WAIT_SLEEP, 4, 400 * MS, 100 * MS);
	builder_wait(b, wait, second, taking, WAIT_LOCK, 20, 300 * MS, 50 * MS);
	builder_wait(b, wait, second, taking, WAIT_RUN_QUEUE, 30, 30 * MS, 5 * MS);
	builder_wait(b, wait, third, taking, WAIT_LOCK, 0, 170 * MS, 0);
	builder_wait(b, wait, first, nothing, WAIT_IO, 6, 100 * MS, 9 * MS);
	builder_wait(b, wait, third, nothing, WAIT_NONE, 0, 0, 36 * MS);
	return b;
}

static struct view *build(struct snapshot_builder *b, const struct view_request *request)
{
	struct view *view = NULL;
	struct err err = {0};

	if (view_build(builder_snapshot(b), request, &view, &err) < 0)
		FAIL("view_build: %s", err.sentence);
	return view;
}

static void check_rows(const struct view_request *request, const char *want)
{
	struct snapshot_builder *b = wait_profile();
	struct view *view = build(b, request);
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	for (size_t i = 0; i < view->row_count; i++) {
		const struct view_row *row = &view->rows[i];

		fprintf(to, "%s %" PRIu64 "/%" PRIu64 " %" PRIu64 " ran %" PRIu64 " %s\n",
			row->function, row->self_value / MS, row->incl_value / MS, row->self,
			row->run_ns / MS, wait_kind_names[row->kind]);
	}
	fclose(to);
	CHECK_EQ_STR(text, want);
	free(text);
	view_free(view);
	builder_free(b);
}

TEST(time_is_charged_like_samples)
{
	check_rows(&by_line, "take 500/500 50 ran 55 lock\n"
			     "nap 400/400 4 ran 100 sleep\n"
			     "[no user stack] 100/100 6 ran 45 io\n"
			     "main 0/900 0 ran 0 \n"
			     "futex 0/500 0 ran 0 \n");
}

TEST(totals_are_of_all_threads)
{
	struct snapshot_builder *b = wait_profile();
	const struct view_request request = {
		.event = "wait-time", .thread = "12346", .filter = "take"};
	struct view *view = build(b, &request);
	const struct view_row *row = &view->rows[0];

	CHECK(view->is_wait);
	CHECK_EQ_U64(view->total_samples, 60);
	CHECK_EQ_U64(view->total_wait_ns, 1000 * MS);
	CHECK_EQ_U64(view->total_run_ns, 200 * MS);
	CHECK_EQ_U64(view->kind_ns[WAIT_LOCK], 470 * MS);
	CHECK_EQ_U64(view->kind_ns[WAIT_RUN_QUEUE], 30 * MS);
	CHECK_EQ_U64(view->kind_ns[WAIT_IO], 100 * MS);
	CHECK_EQ_U64(view->kind_ns[WAIT_NONE], 0);
	CHECK_EQ_U64(view->row_count, 1);
	CHECK_BETWEEN(row->self_pct, 32.999, 33.001);
	CHECK_BETWEEN(view->shown_pct, 32.999, 33.001);
	CHECK_EQ_U64(row->kind_ns[WAIT_LOCK], 300 * MS);
	CHECK_EQ_U64(row->kind_ns[WAIT_RUN_QUEUE], 30 * MS);
	CHECK_EQ_U64(row->kind_ns[WAIT_SLEEP], 0);
	/* By waits; the one that goes on is one, and what only ran is none: 55 of 61. */
	CHECK_EQ_U64(view->status_samples[STACK_COMPLETE], 55);
	CHECK_EQ_U64(view->status_samples[STACK_EMPTY], 6);
	CHECK_BETWEEN(view->complete_pct, 90.163, 90.164);
	view_free(view);
	builder_free(b);
}

TEST(threads_tell_what_they_ran)
{
	check_rows(&(struct view_request){.event = "wait-time", .group = VIEW_BY_THREAD},
		   "my-app (12345) 500/500 10 ran 109 sleep\n"
		   "worker (12346) 330/330 50 ran 55 lock\n"
		   "worker (12347) 170/170 0 ran 36 lock\n");
}

TEST(a_thread_that_never_waited_is_a_row_of_threads_only)
{
	struct snapshot_builder *b = builder_new();
	uint32_t wait = builder_event(b, "wait-time", false);
	uint32_t thread = builder_thread(b, 12345, "my-app");
	uint32_t nothing = builder_stack(b, NULL, 0, STACK_EMPTY, SNAPSHOT_NONE);
	const struct view_request threads = {.group = VIEW_BY_THREAD};
	const struct view_request lines = {.group = VIEW_BY_LINE};
	struct view *view;

	builder_wait(b, wait, thread, nothing, WAIT_NONE, 0, 0, 36 * MS);
	view = build(b, &threads);
	CHECK_EQ_U64(view->row_count, 1);
	CHECK_EQ_U64(view->rows[0].run_ns, 36 * MS);
	CHECK_BETWEEN(view->complete_pct, 100, 100);
	view_free(view);
	view = build(b, &lines);
	CHECK_EQ_U64(view->row_count, 0);
	view_free(view);
	builder_free(b);
}

TEST(wider_groups_add_up)
{
	check_rows(&(struct view_request){.event = "wait-time", .group = VIEW_BY_FILE},
		   "take 900/900 54 ran 155 lock\n"
		   "[no user stack] 100/100 6 ran 45 io\n"
		   "main 0/900 0 ran 0 \n"
		   "futex 0/500 0 ran 0 \n");
	check_rows(&(struct view_request){.event = "wait-time",
					  .group = VIEW_BY_MODULE,
					  .include_internal = true},
		   "futex 500/500 50 ran 55 lock\n"
		   "nap 400/900 4 ran 100 sleep\n"
		   "[no user stack] 100/100 6 ran 45 io\n");
}

TEST(rows_are_sorted_by_every_key_of_waits)
{
	static const struct {
		const char *key, *first;
	} keys[] = {
		{"wait_pct", "take"},
		{"incl_pct", "main"},
		{"wait_ns", "take"},
		{"incl_wait_ns", "main"},
		{"run_ns", "nap"},
		{"waits", "take"},
		{"kind", "main"},
		{"line", "nap"},
		{"file", "[no user stack]"},
		{"function", "[no user stack]"},
		{"module", "[no user stack]"},
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		struct snapshot_builder *b = wait_profile();
		const struct view_request request = {.event = "wait-time", .sort = keys[i].key};
		struct view *view = build(b, &request);

		if (strcmp(view->rows[0].function, keys[i].first))
			FAIL("by %s %s is first", keys[i].key, view->rows[0].function);
		view_free(view);
		builder_free(b);
	}
}

static void check_no_key(const char *event, const char *key, const char *list)
{
	struct snapshot_builder *b = wait_profile();
	const struct view_request request = {.event = event, .sort = key};
	struct view *view = NULL;
	struct err err = {0};

	CHECK(view_build(builder_snapshot(b), &request, &view, &err) < 0);
	CHECK_EQ_U64(err.kind, ERR_USAGE);
	CHECK_EQ_STR(err.remedy, list);
	builder_free(b);
}

TEST(keys_of_the_other_table_are_refused)
{
	check_no_key("wait-time", "cpu_pct",
		     "Use --sort with one of: wait_pct, incl_pct, wait_ns, incl_wait_ns, run_ns, "
		     "waits, kind, file, line, function, module.");
	check_no_key("cpu-clock", "wait_ns",
		     "Use --sort with one of: cpu_pct, incl_pct, samples, incl_samples, "
		     "kernel_samples, file, line, function, module.");
}

TEST(waiting_is_not_the_default_event)
{
	struct snapshot_builder *b = builder_new();
	const struct view_request request = {0};
	struct view *view;

	CHECK(!view_wait_event(builder_snapshot(b)));
	CHECK(!view_has_samples(builder_snapshot(b)));
	builder_event(b, "wait-time", false);
	CHECK_EQ_STR(view_wait_event(builder_snapshot(b)), "wait-time");
	CHECK(!view_has_samples(builder_snapshot(b)));
	view = build(b, &request);
	CHECK_EQ_STR(view->event->name, "wait-time");
	view_free(view);
	builder_event(b, "page-faults", false);
	CHECK(view_has_samples(builder_snapshot(b)));
	view = build(b, &request);
	CHECK_EQ_STR(view->event->name, "page-faults");
	CHECK(!view->is_wait);
	view_free(view);
	builder_free(b);
}

typedef void (*print_fn)(FILE *to, const struct snapshot *snapshot, const struct view *view,
			 const struct view_request *request);

static void print_text(FILE *to, const struct snapshot *snapshot, const struct view *view,
		       const struct view_request *request)
{
	const struct view_print print = {0};

	view_print_text(to, snapshot, view, request, &print);
}

static void print_json(FILE *to, const struct snapshot *snapshot, const struct view *view,
		       const struct view_request *request)
{
	view_print_json(to, snapshot, view);
}

static void print_csv(FILE *to, const struct snapshot *snapshot, const struct view *view,
		      const struct view_request *request)
{
	view_print_csv(to, view);
}

static char *printed(struct snapshot_builder *b, const struct view_request *request, print_fn print)
{
	struct view *view = build(b, request);
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	print(to, builder_snapshot(b), view, request);
	fclose(to);
	view_free(view);
	return text;
}

static void check_printed(const struct view_request *request, print_fn print, const char *want)
{
	struct snapshot_builder *b = wait_profile();
	char *text = printed(b, request, print);

	CHECK_EQ_STR(text, want);
	free(text);
	builder_free(b);
}

static void use_unicode(void)
{
	if (!setlocale(LC_ALL, "C.UTF-8"))
		SKIP("no locale C.UTF-8");
}

TEST(the_table_of_lines)
{
	use_unicode();
	check_printed(&by_line, print_text,
		      "rsprof.my-app.250106143022.db   my-app (12345)   5m23s   60 waits\n"
		      "wait: bpf, 90.2 % complete stacks (9.8 % no user frames) · waited 1.00s, "
		      "ran 200ms · lost: 0\n"
		      "no line numbers for: libc.so.6 (no debug info)\n"
		      "\n"
		      " Wait%   Incl%   Wait  Waits  Kind   Location        Function\n"
		      " 50.0%   50.0%  500ms     50  lock   src/pool.rs:12  take\n"
		      " 40.0%   40.0%  400ms      4  sleep  src/pool.rs:30  nap\n"
		      " 10.0%   10.0%  100ms      6  io     [kernel]        [no user stack]\n"
		      "  0.0%   90.0%     0s      0  –      src/main.rs:10  main\n"
		      "  0.0%   50.0%     0s      0  –      [libc.so.6]     futex\n"
		      "5 of 5 locations, 100.0 % of the time waited\n");
}

TEST(the_table_of_threads)
{
	use_unicode();
	check_printed(&(struct view_request){.event = "wait-time", .group = VIEW_BY_THREAD},
		      print_text,
		      "rsprof.my-app.250106143022.db   my-app (12345)   5m23s   60 waits\n"
		      "wait: bpf, 90.2 % complete stacks (9.8 % no user frames) · waited 1.00s, "
		      "ran 200ms · lost: 0\n"
		      "\n"
		      " Wait%   Incl%   Wait  Waits     Ran  Kind   Thread\n"
		      " 50.0%   50.0%  500ms     10   109ms  sleep  my-app (12345)\n"
		      " 33.0%   33.0%  330ms     50  55.0ms  lock   worker (12346)\n"
		      " 17.0%   17.0%  170ms      0  36.0ms  lock   worker (12347)\n"
		      "3 of 3 threads, 100.0 % of the time waited\n");
}

TEST(the_document)
{
	check_printed(
		&(struct view_request){.event = "wait-time", .top = 2}, print_json,
		"{\n  \"file\": \"rsprof.my-app.250106143022.db\",\n"
		"  \"duration_ms\": 323000,\n  \"total_samples\": 60,\n"
		"  \"total_wait_ns\": 1000000000,\n  \"total_run_ns\": 200000000,\n"
		"  \"kinds\": {\"run queue\": 30000000, \"lock\": 470000000, "
		"\"sleep\": 400000000, \"io\": 100000000},\n  \"steps\": [],\n"
		"  \"source\": {\"cpu\": \"perf\", \"wait\": \"bpf\"},\n"
		"  \"complete_stacks_pct\": 90.1639,\n  \"losses\": {},\n"
		"  \"event\": \"wait-time\",\n"
		"  \"stack_status\": {\"complete\": 55, \"frame_pointers\": 0, \"broken\": 0, "
		"\"truncated\": 0, \"no_mapping\": 0, \"no_table\": 0, \"read_error\": 0, "
		"\"hidden_caller\": 0, \"empty\": 6, \"used_frame_pointers\": 0, \"not_walked\": "
		"0},\n"
		"  \"entries\": [\n"
		"    {\"wait_pct\": 50.0000, \"incl_pct\": 50.0000, \"wait_ns\": 500000000, "
		"\"incl_wait_ns\": 500000000, \"run_ns\": 55000000, \"waits\": 50, "
		"\"kind\": \"lock\", \"kinds\": {\"run queue\": 30000000, \"lock\": 470000000}, "
		"\"file\": \"src/pool.rs\", \"line\": 12, \"function\": \"take\", "
		"\"module\": \"my-app\"},\n"
		"    {\"wait_pct\": 40.0000, \"incl_pct\": 40.0000, \"wait_ns\": 400000000, "
		"\"incl_wait_ns\": 400000000, \"run_ns\": 100000000, \"waits\": 4, "
		"\"kind\": \"sleep\", \"kinds\": {\"sleep\": 400000000}, "
		"\"file\": \"src/pool.rs\", \"line\": 30, \"function\": \"nap\", "
		"\"module\": \"my-app\"}\n  ]\n}\n");
}

TEST(the_values)
{
	check_printed(
		&(struct view_request){.event = "wait-time", .top = 4}, print_csv,
		"wait_pct,file,line,function,incl_pct,wait_ns,incl_wait_ns,run_ns,waits,kind,"
		"module,other_ns,run_queue_ns,lock_ns,sleep_ns,io_ns,poll_ns,fault_ns,child_ns\n"
		"50.0000,src/pool.rs,12,take,50.0000,500000000,500000000,55000000,50,lock,my-app,"
		"0,30000000,470000000,0,0,0,0,0\n"
		"40.0000,src/pool.rs,30,nap,40.0000,400000000,400000000,100000000,4,sleep,my-app,"
		"0,0,0,400000000,0,0,0,0\n"
		"10.0000,[kernel],0,[no user stack],10.0000,100000000,100000000,45000000,6,io,"
		"[kernel],0,0,0,0,100000000,0,0,0\n"
		"0.0000,src/main.rs,10,main,90.0000,0,900000000,0,0,,my-app,0,0,0,0,0,0,0,0\n");
}

TEST(a_step_is_told_where_it_holds)
{
	struct snapshot_builder *b = wait_profile();
	char *text;

	use_unicode();
	builder_step(b, 0, 0, "cpu", "bpf");
	builder_step(b, 0, 0, "wait", "bpf");
	text = printed(b, &by_line, print_text);
	CHECK(!strstr(text, "since"));
	free(text);
	builder_step(b, 0, 5000 * MS, "wait", "bpf, 1 of 2 stacks");
	builder_step(b, 0, 12000 * MS, "wait", "bpf, 1 of 4 stacks");
	builder_step(b, 0, 13000 * MS, "heap", "sampled");
	text = printed(b, &by_line, print_text);
	CHECK(strstr(text, "ran 200ms · 1 of 4 stacks since 12s · lost: 0\n"));
	free(text);
	text = printed(b, &by_line, print_json);
	CHECK(strstr(text, "  \"steps\": [{\"time_ms\": 0, \"mode\": \"bpf\", \"reason\": \"\"}, "
			   "{\"time_ms\": 5000, \"mode\": \"bpf, 1 of 2 stacks\", "
			   "\"reason\": \"\"}, {\"time_ms\": 12000, "
			   "\"mode\": \"bpf, 1 of 4 stacks\", \"reason\": \"\"}],\n"));
	free(text);
	/* In a window that ends before it. */
	builder_window(b, 0, 12000 * MS);
	text = printed(b, &by_line, print_text);
	CHECK(strstr(text, "ran 200ms · 1 of 2 stacks since 5s · lost: 0\n"));
	free(text);
	builder_window(b, 0, UINT64_MAX);
	/* Back to what it was, and a further recording, which begins anew. */
	builder_step(b, 0, 14000 * MS, "wait", "bpf");
	text = printed(b, &by_line, print_text);
	CHECK(!strstr(text, "since"));
	free(text);
	builder_step(b, 0, 15000 * MS, "wait", "bpf, 1 of 2 stacks");
	builder_step(b, 1, 20000 * MS, "wait", "bpf");
	text = printed(b, &by_line, print_text);
	CHECK(!strstr(text, "since"));
	free(text);
	builder_step(b, 1, 21000 * MS, "wait", "totals only");
	text = printed(b, &by_line, print_text);
	CHECK(strstr(text, "ran 200ms · totals only since 21s · lost: 0\n"));
	free(text);
	builder_free(b);
}

TEST(nothing_waited_is_said)
{
	struct snapshot_builder *b = builder_new();
	char *text;

	setlocale(LC_ALL, "C");
	builder_event(b, "wait-time", false);
	builder_meta(b, "wait_source", "off");
	builder_meta(b, "cpu_source", "replay");
	text = printed(b, &by_line, print_text);
	CHECK_EQ_STR(text, "rsprof.my-app.250106143022.db   my-app (12345)   5m23s   0 waits\n"
			   "wait: replay, 100.0 % complete stacks - waited 0s, ran 0s - lost: 0\n"
			   "\nno waits\n");
	free(text);
	builder_free(b);
}

TEST(a_narrow_terminal_cuts_the_texts_and_no_number)
{
	struct snapshot_builder *b = wait_profile();
	const struct view_print print = {.columns = 60};
	struct view *view = build(b, &by_line);
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	setlocale(LC_ALL, "C");
	view_print_text(to, builder_snapshot(b), view, &by_line, &print);
	fclose(to);
	CHECK(strstr(text, "\n 50.0%   50.0%  500ms     50  lock   ...l.rs:12  take\n"));
	CHECK(strstr(text, "\n 10.0%   10.0%  100ms      6  io     [kernel]    "));
	for (const char *line = strstr(text, " Wait%"); *line; line += strcspn(line, "\n") + 1) {
		if (strcspn(line, "\n") > 60)
			FAIL("too wide: %s", line);
	}
	free(text);
	view_free(view);
	builder_free(b);
}

KIT_MAIN
