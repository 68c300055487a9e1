/* From the database to the rows: what was recorded is what `top heap` shows. */
#include <unistd.h>

#include "reader/view/heap.h"
#include "reader/view/heap_facts.h"
#include "tests/unit/store_maker.h"

enum { AT_MAIN = 0x1000, AT_PARSE = 0x2000, AT_MALLOC = 0x100 };

static const struct view_request by_line;

static void create(struct maker *maker, const char *path, const char *source, const char *reason)
{
	const struct store_fact facts[] = {
		{"attribute_version", "1"},
		{"cpu_source", "bpf"},
		{"heap_source", source},
		{"heap_source_reason", reason},
		{"heap_mode", strcmp(source, "bpf") ? "off" : "exact"},
		{"heap_anonymous_bytes_at_attach", "12000000"},
	};
	struct store_recording recording = maker_recording();
	struct err err = {0};

	recording.facts = facts;
	recording.fact_count = sizeof(facts) / sizeof(*facts);
	maker_init(maker);
	if (store_create(path, &recording, &maker->store, &err) < 0)
		FAIL("store_create: %s", err.sentence);
}

static void commit_step(struct maker *maker, uint64_t end_ms, const struct delta_step *step)
{
	struct delta *delta = maker_delta(maker, end_ms);
	struct err err = {0};

	delta->steps = step;
	delta->step_count = 1;
	if (store_commit(maker->store, &delta, 1, NULL, &err) < 0)
		FAIL("store_commit: %s", err.sentence);
	delta_release(delta);
}

/* In bytes, at the ends of four seconds: malloc below parse below main holds 1000, 3000, 2000,
 * 2500; malloc below main 0, 500, 500, 500. */
static void record(const char *path)
{
	const struct source_line main_line = {"main", "src/main.rs", "/home/me/src/main.rs", 142};
	const struct source_line parse_line = {"parse", "src/parser.rs", NULL, 89};
	const struct source_line malloc_line = {"malloc", "[libc.so.6]", NULL, 0};
	const struct delta_step step = {3500 * MS, "heap", "bpf, sampled", "It cost too much."};
	struct maker maker;
	struct place chain[3];
	stack_id in_parse, in_main;
	module_id app, libc;

	create(&maker, path, "bpf", "glibc malloc in libc.so.6: 10 functions");
	app = maker_module(&maker, "/usr/bin/burn", 0xab);
	libc = maker_module(&maker, "/usr/lib/libc.so.6", 0xcd);
	chain[0] = (struct place){libc, AT_MALLOC};
	chain[1] = (struct place){app, AT_PARSE};
	chain[2] = (struct place){app, AT_MAIN};
	CHECK(stack_table_intern(maker.stacks, chain, 3, STACK_COMPLETE, &in_parse) == 0);
	chain[1] = (struct place){app, AT_MAIN};
	CHECK(stack_table_intern(maker.stacks, chain, 2, STACK_COMPLETE, &in_main) == 0);
	maker_resolve(&maker, AT_MAIN, main_line, NULL);
	maker_resolve(&maker, AT_PARSE, parse_line, NULL);
	maker_resolve(&maker, AT_MALLOC, malloc_line, NULL);
	maker_charge(&maker, in_parse, AT_PARSE, 0, STACK_COMPLETE);
	maker_charge(&maker, in_main, AT_MAIN, 0, STACK_COMPLETE);
	maker_heap(&maker, in_parse, (struct heap_counts){.allocs = 10, .alloc_bytes = 1000});
	maker_commit(&maker, 1000);
	maker_heap(&maker, in_parse, (struct heap_counts){.allocs = 2, .alloc_bytes = 2000});
	maker_heap(&maker, in_main, (struct heap_counts){.allocs = 1, .alloc_bytes = 500});
	maker.heap.unknown_frees = 7;
	maker_commit(&maker, 2000);
	maker_heap(&maker, in_parse,
		   (struct heap_counts){.frees = 1, .free_bytes = 1000, .temporary = 1});
	maker_commit(&maker, 3000);
	maker_heap(&maker, in_parse,
		   (struct heap_counts){.allocs = 5, .alloc_bytes = 500, .estimated = 5});
	commit_step(&maker, 4000, &step);
	maker_finish(&maker, 4000);
	maker_done(&maker);
}

/* The view of a window in seconds, and "function live/incl peak@ms allocs" a row. */
static void check(const char *path, uint64_t from, uint64_t to, const struct heap_view *whole,
		  const char *want)
{
	struct snapshot *snapshot =
		read_snapshot(path, (struct store_window){from * 1000 * MS,
							  to == UINT64_MAX ? to : to * 1000 * MS});
	struct heap_view *view = NULL;
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	struct err err = {0};

	if (heap_view_build(snapshot, &by_line, &view, &err) < 0)
		FAIL("heap_view_build: %s", err.sentence);
	for (size_t i = 0; i < view->row_count; i++) {
		const struct heap_row *row = &view->rows[i];

		fprintf(out, "%s%s %" PRIu64 "/%" PRIu64 " %" PRIu64 "@%" PRIu64 " %" PRIu64 "\n",
			row->is_estimate ? "~" : "", row->function, row->live_bytes,
			row->incl_live_bytes, row->peak_bytes, row->peak_ns / MS,
			row->totals.allocs);
	}
	fclose(out);
	CHECK_EQ_STR(text, want);
	CHECK_EQ_U64(view->live_bytes, view->last->state.live_bytes);
	CHECK_EQ_U64(view->live_blocks, view->last->state.live_blocks);
	CHECK_EQ_U64(view->live_bytes, whole->live_bytes);
	CHECK_EQ_U64(view->peak_bytes, whole->peak_bytes);
	CHECK_EQ_U64(view->peak_ns / MS, whole->peak_ns / MS);
	CHECK_EQ_U64(view->state.unknown_frees, whole->state.unknown_frees);
	CHECK_EQ_U64(view->mode, whole->mode);
	CHECK_EQ_U64(view->is_estimate, whole->is_estimate);
	free(text);
	heap_view_free(view);
	snapshot_free(snapshot);
}

TEST(what_is_recorded_is_shown)
{
	const char *path = test_path("heap.db");
	struct heap_view whole = {
		.live_bytes = 3000,
		.peak_bytes = 3500,
		.peak_ns = 2000 * MS,
		.state.unknown_frees = 7,
		.mode = HEAP_MODE_SAMPLED,
		.is_estimate = true,
	};

	record(path);
	check(path, 0, UINT64_MAX, &whole,
	      "~parse 2500/2500 3000@2000 17\n"
	      "~main 500/3000 500@2000 1\n"
	      "malloc 0/3000 0@0 0\n");
	/* Before the step. */
	whole.mode = HEAP_MODE_EXACT;
	whole.is_estimate = false;
	whole.live_bytes = 2500;
	check(path, 0, 3, &whole,
	      "parse 2000/2000 3000@2000 12\n"
	      "main 500/2500 500@2000 1\n"
	      "malloc 0/2500 0@0 0\n");
	/* What was live before the third second is its peak, and the frees are of before. */
	whole.state.unknown_frees = 0;
	check(path, 2, 3, &whole,
	      "parse 2000/2000 3000@2000 0\n"
	      "main 500/2500 500@2000 0\n"
	      "malloc 0/2500 0@0 0\n");
}

TEST(what_is_recorded_is_printed)
{
	struct view_request request = {.group = VIEW_BY_FUNCTION};
	const char *path = test_path("heap.db");
	struct heap_view *view = NULL;
	struct snapshot *snapshot;
	struct err err = {0};
	char *text = NULL;
	size_t length = 0;
	FILE *out;

	record(path);
	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	CHECK(heap_view_build(snapshot, &request, &view, &err) == 0);
	out = open_memstream(&text, &length);
	heap_view_print_text(out, snapshot, view, &request, &(struct view_print){0});
	fclose(out);
	CHECK_EQ_STR(text, "heap.db   burn (4711)   4s\n"
			   "heap: bpf, sampled - live ~3.0 KB in ~17 blocks - peak ~3.5 KB at 2s - "
			   "RSS 1.0 MB - before attach: <= 12.0 MB unknown - "
			   "7 frees of blocks from before - lost: 0\n"
			   "sampled since 3.5s: It cost too much.\n"
			   "~ estimated: not each block was counted, but a sample by bytes\n"
			   "\n"
			   "   Live     Peak    Total  Allocs  Temp%  Location          Function\n"
			   "~2.5 KB  ~3.0 KB  ~3.5 KB     ~17     6%  src/parser.rs:89  parse\n"
			   " ~500 B   ~500 B   ~500 B      ~1     0%  src/main.rs:142   main\n"
			   "    0 B      0 B      0 B       0     0%  [libc.so.6]       malloc\n"
			   "3 of 3 functions, 100.0 % of live bytes\n");
	free(text);
	heap_view_free(view);
	snapshot_free(snapshot);
}

TEST(a_recording_without_heap_is_refused)
{
	const char *path = test_path("heap.db");
	struct heap_view *view = NULL;
	struct snapshot *snapshot;
	struct err err = {0};
	struct maker maker;

	create(&maker, path, "off", "asked for by --heap off");
	maker_commit(&maker, 1000);
	maker_finish(&maker, 1000);
	maker_done(&maker);
	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	CHECK(!heap_view_is_there(snapshot));
	CHECK(heap_view_build(snapshot, &by_line, &view, &err) < 0);
	CHECK_EQ_U64(err.kind, ERR_USAGE);
	CHECK_EQ_STR(err.sentence, "This profile holds no heap (asked for by --heap off).");
	snapshot_free(snapshot);
}

TEST(a_recording_of_totals_alone_has_its_memory)
{
	const char *path = test_path("heap.db");
	struct heap_view *view = NULL;
	struct snapshot *snapshot;
	struct err err = {0};
	struct maker maker;

	create(&maker, path, "totals", "perf counts no allocations");
	maker_commit(&maker, 1000);
	maker_commit(&maker, 3000);
	maker_finish(&maker, 3000);
	maker_done(&maker);
	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	CHECK(!heap_view_is_there(snapshot));
	CHECK(heap_view_build(snapshot, &by_line, &view, &err) == 0);
	CHECK(view->is_totals_only);
	/* As maker_delta tells them. */
	CHECK_EQ_U64(view->rss.begin_bytes, 1001000);
	CHECK_EQ_U64(view->rss.end_bytes, 1003000);
	CHECK_EQ_U64(view->rss.max_ns, 3000 * MS);
	CHECK_EQ_U64(view->rss_anonymous.begin_bytes, 501000);
	CHECK_EQ_U64(view->rss_anonymous.end_bytes, 503000);
	heap_view_free(view);
	snapshot_free(snapshot);
}

KIT_MAIN

static void append_mode(struct maker *maker, const char *path, const char *mode, uint64_t bytes)
{
	const struct store_fact facts[] = {
		{"attribute_version", "1"},
		{"heap_source", "bpf"},
		{"heap_mode", mode},
		{"heap_cost_pct", "4.00"},
	};
	struct store_recording recording = maker_recording();
	struct err err = {0};

	recording.facts = facts;
	recording.fact_count = sizeof(facts) / sizeof(*facts);
	maker_init(maker);
	if ((access(path, F_OK) == 0 ? store_append(path, &recording, &maker->store, &err)
				     : store_create(path, &recording, &maker->store, &err)) < 0)
		FAIL("%s", err.sentence);
	maker_heap(maker,
		   maker_stack(maker, maker_module(maker, "/usr/bin/burn", 0xab), STACK_COMPLETE, 1,
			       (const uint64_t[]){AT_MAIN}),
		   (struct heap_counts){.allocs = 1, .alloc_bytes = bytes});
	maker_commit(maker, 1000);
	maker_finish(maker, 1000);
	maker_done(maker);
}

static struct heap_view *view_of(const struct snapshot *snapshot)
{
	struct heap_view *view = NULL;
	struct err err = {0};

	if (heap_view_build(snapshot, &by_line, &view, &err) < 0)
		FAIL("heap_view_build: %s", err.sentence);
	return view;
}

/* meta is of the last recording alone: a window on the first goes by its first step. */
TEST(each_recording_of_a_file_has_its_own_mode)
{
	const char *path = test_path("modes.db");
	struct snapshot *snapshot;
	struct heap_view *view;
	struct maker maker;

	append_mode(&maker, path, "sampled", 10);
	append_mode(&maker, path, "exact", 20);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT mode FROM steps WHERE signal = 'heap'"),
		     "bpf, sampled\nbpf, exact\n");
	snapshot = read_snapshot(path, (struct store_window){0, 1000 * MS});
	view = view_of(snapshot);
	CHECK_EQ_U64(view->mode, HEAP_MODE_SAMPLED);
	CHECK(view->is_estimate && view->rows[0].is_estimate);
	CHECK(!heap_facts_text(snapshot, "heap_cost_pct"));
	heap_view_free(view);
	snapshot_free(snapshot);
	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	view = view_of(snapshot);
	CHECK_EQ_U64(view->mode, HEAP_MODE_EXACT);
	CHECK(!view->is_estimate && !view->rows[0].is_estimate);
	CHECK_EQ_STR(heap_facts_text(snapshot, "heap_cost_pct"), "4.00");
	heap_view_free(view);
	snapshot_free(snapshot);
	/* Of the file as a whole some was sampled. */
	CHECK_EQ_STR(plain_sqlite(path, "SELECT DISTINCT is_estimate FROM heap_samples"), "1\n");
}
