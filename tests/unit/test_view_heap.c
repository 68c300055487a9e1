/* Rows of the heap: what is charged where, what was held when, and how sure that is. */
#include "reader/view/number.h"
#include "tests/unit/heap_profile.h"

static const struct view_request by_line;

/* "function live/incl in blocks peak@ms total×allocs", a line a row. */
static void check_rows_of(struct snapshot_builder *b, const struct view_request *request,
			  const char *want)
{
	struct heap_view *view = heap_build(b, request);
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	for (size_t i = 0; i < view->row_count; i++) {
		const struct heap_row *row = &view->rows[i];

		fprintf(to,
			"%s %" PRIu64 "/%" PRIu64 " in %" PRIu64 " peak %" PRIu64 "@%" PRIu64
			" total %" PRIu64 "x%" PRIu64 "\n",
			row->function, row->live_bytes, row->incl_live_bytes, row->live_blocks,
			row->peak_bytes, row->peak_ns / MS, row->totals.alloc_bytes,
			row->totals.allocs);
	}
	fclose(to);
	CHECK_EQ_STR(text, want);
	free(text);
	heap_view_free(view);
}

static void check_rows(const struct view_request *request, const char *want)
{
	struct snapshot_builder *b = heap_profile();

	check_rows_of(b, request, want);
	builder_free(b);
}

TEST(blocks_are_charged_like_samples)
{
	/* 33000 at 2s: not the 40000 that the peaks of its two stacks add up to. */
	check_rows(&by_line, "Buffer::extend 13000/13000 in 4 peak 33000@2000 total 45000x18\n"
			     "Cache::insert 5000/15000 in 3 peak 5000@3000 total 5000x3\n"
			     "[no user stack] 64/64 in 1 peak 64@3000 total 64x1\n"
			     "main 0/18000 in 0 peak 0@0 total 0x0\n"
			     "malloc 0/18000 in 0 peak 0@0 total 0x0\n"
			     "Buffer::grow 0/0 in 0 peak 0@0 total 6400x100\n");
}

TEST(the_whole_is_told_beside_its_rows)
{
	struct snapshot_builder *b = heap_profile();
	struct heap_view *view = heap_build(b, &(struct view_request){.top = 1, .filter = "cache"});

	CHECK_EQ_U64(view->live_bytes, 18064);
	CHECK_EQ_U64(view->live_blocks, 8);
	CHECK_EQ_U64(view->live_bytes, view->last->state.live_bytes);
	CHECK_EQ_U64(view->live_blocks, view->last->state.live_blocks);
	CHECK_EQ_U64(view->peak_bytes, 37000);
	CHECK_EQ_U64(view->peak_bytes, builder_snapshot(b)->heap_polls[2].state.live_bytes);
	CHECK_EQ_U64(view->peak_ns, 2 * SECOND);
	CHECK_EQ_U64(view->totals.allocs, 122);
	CHECK_EQ_U64(view->totals.alloc_bytes, 56464);
	CHECK_EQ_U64(view->totals.frees, 114);
	CHECK_EQ_U64(view->totals.free_bytes, 38400);
	CHECK_EQ_U64(view->totals.temporary, 90);
	CHECK_EQ_U64(view->totals.reallocs, 1);
	CHECK_EQ_U64(view->totals.growth_bytes, 500);
	CHECK_EQ_U64(view->row_count, 1);
	CHECK_EQ_U64(view->location_count, 6);
	CHECK_EQ_STR(view->rows[0].function, "Cache::insert");
	CHECK_BETWEEN(view->shown_pct, 27.678, 27.680);
	/* 21 of 122 allocations have a whole stack. */
	CHECK_EQ_U64(view->judged, 122);
	CHECK_EQ_U64(view->status_allocs[STACK_COMPLETE], 21);
	CHECK_EQ_U64(view->status_allocs[STACK_BROKEN], 100);
	CHECK_EQ_U64(view->status_allocs[STACK_NOT_WALKED], 1);
	CHECK_BETWEEN(view->complete_pct, 17.213, 17.214);
	CHECK_EQ_U64(view->mode, HEAP_MODE_EXACT);
	CHECK_EQ_U64(view->frees_until_ns, UINT64_MAX);
	CHECK(!view->is_estimate && !view->is_least && !view->is_totals_only);
	heap_view_free(view);
	builder_free(b);
}

TEST(memory_in_use_is_followed)
{
	struct snapshot_builder *b = heap_profile();
	struct heap_view *view = heap_build(b, &by_line);

	CHECK_EQ_U64(view->rss.begin_bytes, 90000000);
	CHECK_EQ_U64(view->rss.max_bytes, 140000000);
	CHECK_EQ_U64(view->rss.max_ns, 2 * SECOND);
	CHECK_EQ_U64(view->rss.end_bytes, 131000000);
	CHECK_EQ_U64(view->rss_anonymous.max_bytes, 120000000);
	CHECK_EQ_U64(view->rss_anonymous.end_bytes, 119000000);
	heap_view_free(view);
	builder_free(b);
}

TEST(wider_groups_have_peaks_of_their_own)
{
	/* buffer.rs: 10000, 33000, 13000; my-app: all but the stack without frames. */
	check_rows(&(struct view_request){.group = VIEW_BY_FILE},
		   "Buffer::extend 13000/13000 in 4 peak 33000@2000 total 51400x118\n"
		   "Cache::insert 5000/15000 in 3 peak 5000@3000 total 5000x3\n"
		   "[no user stack] 64/64 in 1 peak 64@3000 total 64x1\n"
		   "malloc 0/18000 in 0 peak 0@0 total 0x0\n"
		   "main 0/18000 in 0 peak 0@0 total 0x0\n");
	check_rows(&(struct view_request){.group = VIEW_BY_MODULE},
		   "Buffer::extend 18000/18000 in 7 peak 37000@2000 total 56400x121\n"
		   "[no user stack] 64/64 in 1 peak 64@3000 total 64x1\n"
		   "malloc 0/18000 in 0 peak 0@0 total 0x0\n");
	check_rows(&(struct view_request){.group = VIEW_BY_FUNCTION, .top = 1},
		   "Buffer::extend 13000/13000 in 4 peak 33000@2000 total 45000x18\n");
}

TEST(the_hottest_line_is_the_one_that_holds_most)
{
	struct snapshot_builder *b = heap_program();

	heap_poll_at(b, 0, 0, 0);
	heap_poll_at(b, 1000, 1, 1);
	builder_heap_row(b, 1, HEAP_STACK_EXTEND,
			 (struct heap_counts){.allocs = 1, .alloc_bytes = 10});
	builder_heap_row(b, 1, HEAP_STACK_GROW,
			 (struct heap_counts){
				 .allocs = 1, .alloc_bytes = 900, .frees = 1, .free_bytes = 900});
	builder_heap_sum(b);
	check_rows_of(b, &(struct view_request){.group = VIEW_BY_FILE, .top = 1},
		      "Buffer::extend 10/10 in 1 peak 10@1000 total 910x2\n");
	builder_free(b);
	/* Where nothing is live, the one that allocated most. */
	b = heap_program();
	heap_poll_at(b, 0, 0, 0);
	heap_poll_at(b, 1000, 1, 1);
	builder_heap_row(
		b, 1, HEAP_STACK_EXTEND,
		(struct heap_counts){.allocs = 9, .alloc_bytes = 10, .frees = 9, .free_bytes = 10});
	builder_heap_row(b, 1, HEAP_STACK_GROW,
			 (struct heap_counts){
				 .allocs = 1, .alloc_bytes = 900, .frees = 1, .free_bytes = 900});
	builder_heap_sum(b);
	check_rows_of(b, &(struct view_request){.group = VIEW_BY_FILE},
		      "Buffer::grow 0/0 in 0 peak 0@0 total 910x10\n");
	builder_free(b);
}

TEST(internal_functions_can_be_charged)
{
	check_rows(&(struct view_request){.include_internal = true, .top = 3},
		   "malloc 18000/18000 in 7 peak 37000@2000 total 56400x121\n"
		   "[no user stack] 64/64 in 1 peak 64@3000 total 64x1\n"
		   "main 0/18000 in 0 peak 0@0 total 0x0\n");
}

TEST(inlined_calls_can_be_left_out)
{
	struct snapshot_builder *b = builder_new();
	uint32_t app = builder_module(b, "/usr/bin/my-app");
	uint32_t push_line = builder_location(b, app, "push", "src/vec.rs", 3);
	uint32_t fill_line = builder_location(b, app, "fill", "src/main.rs", 9);
	uint32_t frame = builder_frame(b, (uint32_t[]){push_line, fill_line}, 2);

	builder_meta(b, "heap_source", "bpf");
	builder_stack(b, &frame, 1, STACK_COMPLETE, push_line);
	heap_poll_at(b, 0, 0, 0);
	heap_poll_at(b, 1000, 1, 1);
	builder_heap_row(b, 1, 0, (struct heap_counts){.allocs = 1, .alloc_bytes = 10});
	builder_heap_sum(b);
	check_rows_of(b, &by_line,
		      "push 10/10 in 1 peak 10@1000 total 10x1\n"
		      "fill 0/10 in 0 peak 0@0 total 0x0\n");
	check_rows_of(b, &(struct view_request){.no_inline = true},
		      "fill 10/10 in 1 peak 10@1000 total 10x1\n");
	builder_free(b);
}

/* The last two seconds of heap_profile(): what was before is one poll. */
static struct snapshot_builder *window_profile(void)
{
	struct snapshot_builder *b = heap_program();
	uint32_t second, third;

	builder_window(b, SECOND, 3 * SECOND);
	heap_poll_at(b, 1000, 90000000, 80000000);
	builder_heap_row(b, 0, HEAP_STACK_EXTEND,
			 (struct heap_counts){.allocs = 10, .alloc_bytes = 10000});
	builder_heap_row(b, 0, HEAP_STACK_INSERT,
			 (struct heap_counts){.allocs = 2, .alloc_bytes = 4000});
	builder_heap_row(b, 0, HEAP_STACK_GROW,
			 (struct heap_counts){.allocs = 100,
					      .alloc_bytes = 6400,
					      .frees = 100,
					      .free_bytes = 6400,
					      .estimated = 100});
	second = heap_poll_at(b, 2000, 140000000, 120000000);
	builder_heap_row(b, second, HEAP_STACK_EXTEND,
			 (struct heap_counts){.frees = 9, .free_bytes = 9500});
	third = heap_poll_at(b, 3000, 131000000, 119000000);
	builder_heap_row(b, third, HEAP_STACK_BOTH,
			 (struct heap_counts){.allocs = 1, .alloc_bytes = 600});
	builder_heap_sum(b);
	return b;
}

TEST(a_window_holds_what_was_before_and_counts_what_is_in_it)
{
	struct snapshot_builder *b = window_profile();
	struct heap_view *view;

	/* What was gone before the window has no row. */
	check_rows_of(b, &by_line,
		      "Cache::insert 4000/4600 in 2 peak 4000@1000 total 0x0\n"
		      "Buffer::extend 1100/1100 in 2 peak 10000@1000 total 600x1\n"
		      "main 0/5100 in 0 peak 0@0 total 0x0\n"
		      "malloc 0/5100 in 0 peak 0@0 total 0x0\n");
	view = heap_build(b, &by_line);
	CHECK_EQ_U64(view->peak_bytes, 14000);
	CHECK_EQ_U64(view->peak_ns, SECOND);
	CHECK_EQ_U64(view->totals.allocs, 1);
	CHECK_EQ_U64(view->totals.frees, 9);
	CHECK_EQ_U64(view->rss.begin_bytes, 90000000);
	/* Neither are estimates that were gone before. */
	CHECK(!view->is_estimate);
	heap_view_free(view);
	builder_free(b);
}

TEST(the_state_of_a_window_is_what_changed_in_it)
{
	struct snapshot_builder *b = heap_program();
	struct heap_view *view;

	builder_heap_poll(b, (struct snapshot_heap_poll){
				     .time_ns = SECOND,
				     .state = {.is_counted = true,
					       .unknown_frees = 5,
					       .mmap_count = 2,
					       .mmap_bytes = 8192,
					       .munmap_count = 9,
					       .brk_bytes = 4096,
					       .hits = 100},
			     });
	builder_heap_poll(b, (struct snapshot_heap_poll){
				     .time_ns = 2 * SECOND,
				     .state = {.is_counted = true,
					       .unknown_frees = 7,
					       .mmap_count = 3,
					       .mmap_bytes = 12288,
					       /* less than before: a damaged file */
					       .munmap_count = 1,
					       .brk_bytes = -4096,
					       .hits = 160},
			     });
	view = heap_build(b, &by_line);
	CHECK_EQ_U64(view->state.unknown_frees, 2);
	CHECK_EQ_U64(view->state.mmap_count, 1);
	CHECK_EQ_U64(view->state.mmap_bytes, 4096);
	CHECK_EQ_U64(view->state.munmap_count, 0);
	CHECK_EQ_I64(view->state.brk_bytes, -8192);
	CHECK_EQ_U64(view->state.hits, 60);
	heap_view_free(view);
	builder_free(b);
}

TEST(peaks_count_the_first_time)
{
	struct snapshot_builder *b = heap_program();

	heap_poll_at(b, 0, 0, 0);
	for (uint32_t second = 1; second <= 4; second++) {
		uint32_t poll = heap_poll_at(b, second * 1000, 1, 1);
		struct heap_counts up = {.allocs = 1, .alloc_bytes = 700};
		struct heap_counts down = {.frees = 1, .free_bytes = 700};

		builder_heap_row(b, poll, HEAP_STACK_INSERT, second % 2 ? up : down);
	}
	builder_heap_sum(b);
	check_rows_of(b, &by_line, "Cache::insert 0/0 in 0 peak 700@1000 total 1400x2\n");
	builder_free(b);
}

/* Two stacks of one location that take turns: it never holds more than one of them. */
static void check_peak(struct snapshot_builder *b, bool is_exact, uint64_t bytes, uint64_t ms)
{
	struct heap_view *view = heap_build(b, &by_line);

	CHECK_EQ_U64(view->is_peak_exact, is_exact);
	CHECK_EQ_U64(view->peak_bytes, bytes);
	CHECK_EQ_U64(view->peak_ns, ms * MS);
	heap_view_free(view);
}

TEST(a_trace_knows_its_peak_better_than_the_looks)
{
	struct snapshot_builder *b = heap_profile();

	builder_meta(b, "heap_peak_bytes", "51234");
	builder_meta(b, "heap_peak_ms", "1777");
	check_peak(b, false, 37000, 2000);
	builder_free(b);
	b = heap_profile();
	builder_meta(b, "heap_peak_bytes", "51234");
	builder_meta(b, "heap_peak_ms", "1777");
	builder_meta(b, "peak_resolution_ms", "1000");
	check_peak(b, false, 37000, 2000);
	builder_free(b);
	b = heap_profile();
	builder_meta(b, "heap_peak_bytes", "51234");
	builder_meta(b, "heap_peak_ms", "1777");
	builder_meta(b, "peak_resolution_ms", "0");
	check_peak(b, true, 51234, 1777);
	/* It is told of the whole alone. */
	builder_window(b, 0, 2500 * MS);
	check_peak(b, false, 37000, 2000);
	builder_free(b);
	b = heap_profile();
	builder_meta(b, "heap_peak_bytes", "51234");
	builder_meta(b, "heap_peak_ms", "99999999999999999999");
	builder_meta(b, "peak_resolution_ms", "0");
	check_peak(b, false, 37000, 2000);
	builder_free(b);
}

static void add_change(struct snapshot_builder *b, uint32_t poll, uint32_t stack, uint64_t bytes)
{
	builder_heap_row(b, poll, stack, (struct heap_counts){.allocs = 1, .alloc_bytes = bytes});
}

TEST(a_trace_knows_peaks_between_two_looks)
{
	struct snapshot_builder *b = heap_program();
	uint32_t poll;

	heap_poll_at(b, 0, 0, 0);
	poll = heap_poll_at(b, 1000, 1, 1);
	add_change(b, poll, HEAP_STACK_BOTH, 100);
	add_change(b, poll, HEAP_STACK_INSERT, 40);
	/* The other stack of its line held 100 all the while. */
	poll = heap_poll_at(b, 2000, 1, 1);
	add_change(b, poll, HEAP_STACK_EXTEND, 10);
	builder_heap_peak(b, poll, HEAP_STACK_EXTEND, 700);
	/* Both changed: no more than one is known to have been there at a time. */
	poll = heap_poll_at(b, 3000, 1, 1);
	add_change(b, poll, HEAP_STACK_BOTH, 5);
	add_change(b, poll, HEAP_STACK_EXTEND, 5);
	builder_heap_peak(b, poll, HEAP_STACK_BOTH, 790);
	builder_heap_peak(b, poll, HEAP_STACK_EXTEND, 700);
	/* Without a change of its own, in a poll without any, and of no poll. */
	poll = heap_poll_at(b, 4000, 1, 1);
	builder_heap_peak(b, poll, HEAP_STACK_INSERT, 60);
	builder_heap_peak(b, poll + 1, HEAP_STACK_INSERT, 6000);
	builder_heap_sum(b);
	check_rows_of(b, &by_line,
		      "Buffer::extend 120/120 in 4 peak 800@2000 total 120x4\n"
		      "Cache::insert 40/145 in 1 peak 60@4000 total 40x1\n"
		      "main 0/160 in 0 peak 0@0 total 0x0\n"
		      "malloc 0/160 in 0 peak 0@0 total 0x0\n");
	builder_free(b);
}

TEST(a_poll_is_looked_at_when_it_is_whole)
{
	struct snapshot_builder *b = heap_program();
	uint32_t poll;

	heap_poll_at(b, 0, 0, 0);
	poll = heap_poll_at(b, 1000, 1, 1);
	builder_heap_row(b, poll, HEAP_STACK_BOTH,
			 (struct heap_counts){.allocs = 1, .alloc_bytes = 700});
	poll = heap_poll_at(b, 2000, 1, 1);
	builder_heap_row(b, poll, HEAP_STACK_EXTEND,
			 (struct heap_counts){.allocs = 1, .alloc_bytes = 700});
	builder_heap_row(b, poll, HEAP_STACK_BOTH,
			 (struct heap_counts){.frees = 1, .free_bytes = 700});
	builder_heap_sum(b);
	check_rows_of(b, &(struct view_request){.top = 1},
		      "Buffer::extend 700/700 in 1 peak 700@1000 total 1400x2\n");
	builder_free(b);
}

TEST(blocks_of_no_bytes_are_rows)
{
	struct snapshot_builder *b = heap_program();

	heap_poll_at(b, 0, 0, 0);
	heap_poll_at(b, 1000, 1, 1);
	builder_heap_row(b, 1, HEAP_STACK_GROW, (struct heap_counts){.allocs = 3});
	builder_heap_sum(b);
	check_rows_of(b, &by_line, "Buffer::grow 0/0 in 3 peak 0@0 total 0x3\n");
	builder_free(b);
}

TEST(a_filter_keeps_shares)
{
	check_rows(&(struct view_request){.filter = "BUFFER.rs"},
		   "Buffer::extend 13000/13000 in 4 peak 33000@2000 total 45000x18\n"
		   "Buffer::grow 0/0 in 0 peak 0@0 total 6400x100\n");
	check_rows(&(struct view_request){.filter = "no user"},
		   "[no user stack] 64/64 in 1 peak 64@3000 total 64x1\n");
	check_rows(&(struct view_request){.filter = "nowhere"}, "");
}

TEST(a_threshold_is_of_what_is_live)
{
	struct snapshot_builder *b = heap_program();

	/* insert holds 15000 of 18064 with what it calls: 83 %. */
	check_rows(&(struct view_request){.threshold_pct = 80},
		   "Cache::insert 5000/15000 in 3 peak 5000@3000 total 5000x3\n"
		   "main 0/18000 in 0 peak 0@0 total 0x0\n"
		   "malloc 0/18000 in 0 peak 0@0 total 0x0\n");
	heap_poll_at(b, 0, 0, 0);
	heap_poll_at(b, 1000, 1, 1);
	builder_heap_row(
		b, 1, HEAP_STACK_GROW,
		(struct heap_counts){.allocs = 9, .alloc_bytes = 90, .frees = 9, .free_bytes = 90});
	builder_heap_row(
		b, 1, HEAP_STACK_INSERT,
		(struct heap_counts){.allocs = 1, .alloc_bytes = 10, .frees = 1, .free_bytes = 10});
	builder_heap_sum(b);
	/* Nothing is: of what was allocated. */
	check_rows_of(b, &(struct view_request){.threshold_pct = 11},
		      "Buffer::grow 0/0 in 0 peak 0@0 total 90x9\n");
	builder_free(b);
}

TEST(rows_are_sorted_by_every_key)
{
	static const struct {
		const char *key, *first;
	} keys[] = {
		{"bytes", "Buffer::extend"},
		{"incl_bytes", "main"},
		{"blocks", "Buffer::extend"},
		{"peak_bytes", "Buffer::extend"},
		{"peak_ms", "Cache::insert"},
		{"total_alloc_bytes", "Buffer::extend"},
		{"total_free_bytes", "Buffer::extend"},
		{"total_allocs", "Buffer::grow"},
		{"total_frees", "Buffer::grow"},
		{"temporary", "Buffer::grow"},
		{"reallocs", "Cache::insert"},
		{"growth_bytes", "Cache::insert"},
		{"untracked", "main"},
		{"untracked_bytes", "main"},
		{"is_estimate", "Buffer::grow"},
		{"file", "malloc"},
		{"line", "Cache::insert"},
		{"function", "Buffer::extend"},
		{"module", "[no user stack]"},
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		struct snapshot_builder *b = heap_profile();
		const struct view_request request = {.sort = keys[i].key};
		struct heap_view *view;

		builder_heap_row(b, 3, HEAP_STACK_GROW,
				 (struct heap_counts){.allocs = 1, .estimated = 1, .frees = 1});
		/* A stack of main alone. */
		builder_stack(b, (uint32_t[]){0}, 1, STACK_COMPLETE, 0);
		builder_heap_row(b, 3, HEAP_STACK_NONE + 1,
				 (struct heap_counts){.allocs = 1,
						      .alloc_bytes = 1,
						      .untracked = 1,
						      .untracked_bytes = 1});
		view = heap_build(b, &request);
		if (strcmp(view->rows[0].function, keys[i].first))
			FAIL("by %s, %s is first, not %s", keys[i].key, view->rows[0].function,
			     keys[i].first);
		heap_view_free(view);
		builder_free(b);
	}
}

static void check_refused(struct snapshot_builder *b, const struct view_request *request,
			  const char *sentence, const char *remedy)
{
	struct heap_view *view = NULL;
	struct err err = {0};

	CHECK(heap_view_build(builder_snapshot(b), request, &view, &err) < 0);
	CHECK(!view);
	CHECK_EQ_U64(err.kind, ERR_USAGE);
	CHECK_EQ_STR(err.sentence, sentence);
	if (!strstr(err.remedy, remedy))
		FAIL("no \"%s\" in: %s", remedy, err.remedy);
}

TEST(what_cannot_be_shown_is_refused)
{
	struct snapshot_builder *b = heap_profile();

	check_refused(b, &(struct view_request){.group = VIEW_BY_THREAD},
		      "The heap is not kept by thread.", "Leave out --by thread;");
	check_refused(b, &(struct view_request){.thread = "worker"},
		      "The heap is not kept by thread.", "Leave out --thread;");
	check_refused(b, &(struct view_request){.sort = "wait_ns"},
		      "Rows cannot be sorted by \"wait_ns\".",
		      "bytes, incl_bytes, blocks, peak_bytes, peak_ms, total_alloc_bytes, "
		      "total_free_bytes, total_allocs, total_frees, temporary, reallocs, "
		      "growth_bytes, untracked, untracked_bytes, is_estimate, file, line, "
		      "function, module.");
	builder_free(b);
}

TEST(a_profile_without_heap_is_refused_with_its_reason)
{
	struct snapshot_builder *b = builder_new();

	check_refused(b, &by_line, "This profile holds no heap.", "rsprof -p PID");
	CHECK(!heap_view_is_there(builder_snapshot(b)));
	builder_meta(b, "heap_source", "off");
	check_refused(b, &by_line, "This profile holds no heap.", "rsprof -p PID");
	builder_meta(b, "heap_source_reason", "asked for by --heap off.\033");
	check_refused(b, &by_line, "This profile holds no heap (asked for by --heap off.?).",
		      "--heap auto");
	/* Memory in use is looked at anyway. */
	heap_poll_at(b, 0, 0, 0);
	heap_poll_at(b, 1000, 5, 5);
	CHECK(!heap_view_is_there(builder_snapshot(b)));
	check_refused(b, &by_line, "This profile holds no heap (asked for by --heap off.?).",
		      "--heap auto");
	builder_free(b);
}

/* What the first recording of an appended file was is nothing to the last. */
TEST(each_recording_has_a_source_of_its_own)
{
	struct snapshot_builder *b = builder_new();

	builder_meta(b, "heap_source", "bpf");
	builder_step(b, 0, 0, "heap", "bpf");
	builder_step(b, 1, SECOND, "heap", "off");
	CHECK(heap_view_is_there(builder_snapshot(b)));
	builder_heap_poll(b, (struct snapshot_heap_poll){.recording = 1, .time_ns = 2 * SECOND});
	CHECK(!heap_view_is_there(builder_snapshot(b)));
	check_refused(b, &by_line, "This profile holds no heap.", "rsprof -p PID");
	builder_free(b);
}

TEST(totals_alone_are_no_rows)
{
	struct snapshot_builder *b = builder_new();
	struct heap_view *view;

	builder_meta(b, "heap_source", "totals");
	builder_meta(b, "heap_mode", "sampled");
	heap_poll_at(b, 0, 0, 0);
	heap_poll_at(b, 1000, 90000000, 80000000);
	heap_poll_at(b, 2000, 70000000, 60000000);
	CHECK(!heap_view_is_there(builder_snapshot(b)));
	view = heap_build(b, &by_line);
	CHECK(view->is_totals_only && !view->is_estimate);
	CHECK_EQ_U64(view->mode, HEAP_MODE_OFF);
	CHECK_EQ_U64(view->row_count, 0);
	CHECK_EQ_U64(view->rss.max_bytes, 90000000);
	CHECK_EQ_U64(view->rss.end_bytes, 70000000);
	heap_view_free(view);
	builder_free(b);
}

TEST(an_empty_heap_has_no_rows)
{
	struct snapshot_builder *b = heap_program();
	struct heap_view *view;

	/* Not even looked at once. */
	CHECK(heap_view_is_there(builder_snapshot(b)));
	view = heap_build(b, &by_line);
	CHECK(!view->last);
	CHECK_EQ_U64(view->row_count, 0);
	heap_view_free(view);
	heap_poll_at(b, 0, 0, 0);
	heap_poll_at(b, 1000, 1, 1);
	CHECK(heap_view_is_there(builder_snapshot(b)));
	builder_heap_sum(b);
	view = heap_build(b, &by_line);
	CHECK(view->last);
	CHECK_EQ_U64(view->row_count, 0);
	CHECK_EQ_U64(view->location_count, 0);
	CHECK_BETWEEN(view->complete_pct, 100, 100);
	CHECK_EQ_U64(view->peak_bytes, 0);
	heap_view_free(view);
	builder_free(b);
}

static void check_mode(struct snapshot_builder *b, enum heap_mode mode, bool is_estimate,
		       uint64_t frees_until_ns)
{
	struct heap_view *view = heap_build(b, &by_line);

	CHECK_EQ_U64(view->mode, mode);
	CHECK_EQ_U64(view->is_estimate, is_estimate);
	CHECK_EQ_U64(view->frees_until_ns, frees_until_ns);
	heap_view_free(view);
}

TEST(the_mode_is_that_of_the_windows_end)
{
	struct snapshot_builder *b = heap_profile();

	builder_step(b, 0, 0, "wait", "bpf, 1 of 4 stacks");
	builder_step(b, 0, 0, "heap", "bpf");
	builder_step(b, 0, 1 * SECOND, "heap", "bpf, sampled");
	builder_step(b, 0, 1 * SECOND + 1, "heap", "bpf, no such mode");
	builder_step(b, 0, 2 * SECOND, "heap", "bpf, allocations only");
	builder_step(b, 0, 4 * SECOND, "heap", "off");
	builder_step(b, 1, 1 * SECOND, "heap", "bpf, off");
	check_mode(b, HEAP_MODE_OFF, true, 2 * SECOND);
	builder_window(b, 0, 3 * SECOND);
	check_mode(b, HEAP_MODE_ALLOCS, true, 2 * SECOND);
	builder_window(b, 0, 2 * SECOND);
	check_mode(b, HEAP_MODE_SAMPLED, true, UINT64_MAX);
	builder_window(b, 0, 1 * SECOND);
	check_mode(b, HEAP_MODE_EXACT, false, UINT64_MAX);
	/* Off from its beginning on: nothing in it is an estimate. */
	builder_window(b, 5 * SECOND, 6 * SECOND);
	check_mode(b, HEAP_MODE_OFF, false, 2 * SECOND);
	builder_free(b);
}

TEST(a_recording_can_begin_with_estimates)
{
	struct snapshot_builder *b = builder_new();

	builder_meta(b, "heap_source", "bpf");
	builder_meta(b, "heap_mode", "sampled");
	check_mode(b, HEAP_MODE_SAMPLED, true, UINT64_MAX);
	builder_free(b);
	b = builder_new();
	builder_meta(b, "heap_source", "bpf");
	builder_meta(b, "heap_mode", "no such mode");
	check_mode(b, HEAP_MODE_EXACT, false, UINT64_MAX);
	builder_free(b);
}

TEST(rows_with_estimates_are_marked)
{
	struct snapshot_builder *b = heap_profile();
	struct heap_view *view;

	builder_heap_row(b, 3, HEAP_STACK_EXTEND,
			 (struct heap_counts){.allocs = 4, .alloc_bytes = 400, .estimated = 4});
	view = heap_build(b, &by_line);
	CHECK(view->is_estimate);
	CHECK_EQ_STR(view->rows[0].function, "Buffer::extend");
	CHECK(view->rows[0].is_estimate);
	for (size_t i = 1; i < view->row_count; i++)
		CHECK(!view->rows[i].is_estimate);
	heap_view_free(view);
	builder_free(b);
	/* Of before the window, and still live in it. */
	b = window_profile();
	builder_heap_row(b, 0, HEAP_STACK_INSERT,
			 (struct heap_counts){.allocs = 1, .alloc_bytes = 8, .estimated = 1});
	view = heap_build(b, &by_line);
	CHECK(view->is_estimate);
	CHECK_EQ_STR(view->rows[0].function, "Cache::insert");
	CHECK(view->rows[0].is_estimate && !view->rows[1].is_estimate);
	heap_view_free(view);
	builder_free(b);
}

/* What no sample met may have allocated all the same. */
TEST(where_some_time_was_sampled_all_rows_are_estimates)
{
	struct snapshot_builder *b = heap_profile();
	struct heap_view *view;

	builder_step(b, 0, 2 * SECOND, "heap", "bpf, sampled");
	view = heap_build(b, &by_line);
	CHECK(view->row_count > 2);
	for (size_t i = 0; i < view->row_count; i++)
		CHECK_EQ_U64(view->rows[i].is_estimate, view->rows[i].totals.allocs > 0);
	heap_view_free(view);
	builder_window(b, 0, 2 * SECOND);
	view = heap_build(b, &by_line);
	for (size_t i = 0; i < view->row_count; i++)
		CHECK(!view->rows[i].is_estimate);
	heap_view_free(view);
	builder_free(b);
}

TEST(blocks_without_room_make_what_is_live_a_lower_bound)
{
	struct snapshot_builder *b = heap_profile();
	struct heap_view *view;

	builder_heap_row(
		b, 3, HEAP_STACK_INSERT,
		(struct heap_counts){
			.allocs = 4, .alloc_bytes = 400, .untracked = 4, .untracked_bytes = 400});
	/* Of an exec, which leaves nothing. */
	view = heap_build(b, &by_line);
	CHECK_EQ_U64(view->live_bytes, 18064);
	CHECK_EQ_U64(view->totals.untracked, 4);
	CHECK(!view->is_least && !view->rows[1].is_least);
	heap_view_free(view);
	builder_loss(b, LOSS_HEAP_BLOCKS_FULL, 4);
	view = heap_build(b, &by_line);
	CHECK(view->is_least);
	CHECK_EQ_STR(view->rows[1].function, "Cache::insert");
	CHECK(view->rows[1].is_least && !view->rows[0].is_least);
	heap_view_free(view);
	builder_free(b);
}

TEST(damaged_indexes_are_left_out)
{
	struct snapshot_builder *b = heap_profile();
	const struct heap_counts many = {.allocs = 1000, .alloc_bytes = 1000000};
	struct heap_view *view;

	builder_heap_row(b, 4, HEAP_STACK_EXTEND, many);
	builder_heap_row(b, UINT32_MAX, HEAP_STACK_EXTEND, many);
	/* Of a stack that does not exist: in no line. */
	builder_heap_row(b, 3, 99, (struct heap_counts){.allocs = 1, .alloc_bytes = 6});
	builder_heap_row(b, 3, SNAPSHOT_NONE, (struct heap_counts){.allocs = 1, .alloc_bytes = 30});
	check_rows_of(b, &(struct view_request){.top = 3},
		      "Buffer::extend 13000/13000 in 4 peak 33000@2000 total 45000x18\n"
		      "Cache::insert 5000/15000 in 3 peak 5000@3000 total 5000x3\n"
		      "[no user stack] 100/100 in 3 peak 100@3000 total 100x3\n");
	view = heap_build(b, &by_line);
	CHECK_EQ_U64(view->live_bytes, 18100);
	CHECK_EQ_U64(view->judged, 124);
	heap_view_free(view);
	builder_free(b);
}

TEST(polls_out_of_order_are_of_the_latest)
{
	struct snapshot_builder *b = heap_profile();

	builder_heap_row(b, 1, HEAP_STACK_INSERT,
			 (struct heap_counts){.allocs = 1, .alloc_bytes = 50000});
	builder_heap_row(b, 0, HEAP_STACK_INSERT,
			 (struct heap_counts){.allocs = 1, .alloc_bytes = 1000});
	check_rows_of(b, &(struct view_request){.filter = "Cache"},
		      "Cache::insert 56000/66000 in 5 peak 56000@3000 total 55000x4\n");
	builder_free(b);
}

TEST(numbers_of_a_damaged_file_neither_wrap_nor_go_below_zero)
{
	struct snapshot_builder *b = heap_profile();
	const struct heap_counts largest = {
		.allocs = UINT64_MAX,
		.alloc_bytes = UINT64_MAX,
		.temporary = UINT64_MAX,
		.reallocs = UINT64_MAX,
		.growth_bytes = UINT64_MAX,
		.estimated = UINT64_MAX,
	};
	struct heap_view *view;

	/* Frees of what nobody allocated. */
	builder_heap_row(b, 3, HEAP_STACK_INSERT,
			 (struct heap_counts){.frees = 1000, .free_bytes = 1000000});
	check_rows_of(b, &(struct view_request){.filter = "Cache"},
		      "Cache::insert 0/10000 in 0 peak 4000@1000 total 5000x3\n");
	for (int i = 0; i < 3; i++) {
		builder_heap_row(b, 3, HEAP_STACK_EXTEND, largest);
		builder_heap_row(b, 3, HEAP_STACK_BOTH, largest);
		builder_heap_row(b, 3, HEAP_STACK_NONE, largest);
	}
	view = heap_build(b, &by_line);
	CHECK_EQ_U64(view->live_bytes, UINT64_MAX);
	CHECK_EQ_U64(view->peak_bytes, UINT64_MAX);
	CHECK_EQ_U64(view->totals.allocs, UINT64_MAX);
	CHECK_EQ_U64(view->totals.temporary, UINT64_MAX);
	CHECK_EQ_U64(view->rows[0].live_bytes, UINT64_MAX);
	CHECK_EQ_U64(view->rows[0].incl_live_bytes, UINT64_MAX);
	CHECK_EQ_U64(view->rows[0].peak_bytes, UINT64_MAX);
	CHECK_BETWEEN(view->shown_pct, 100, 100);
	heap_view_free(view);
	builder_free(b);
}

/* What is kept by group and replayed has to agree with the sums of plain looks. */
TEST(peaks_agree_with_looking_at_each_poll)
{
	enum { POLLS = 60, STACKS = 5 };
	struct snapshot_builder *b = heap_program();
	uint64_t live[STACKS] = {0}, best[2] = {0}, best_ms[2] = {0};
	uint32_t random = 12345;
	struct heap_view *view;

	heap_poll_at(b, 0, 0, 0);
	for (uint32_t i = 1; i <= POLLS; i++) {
		uint32_t poll = heap_poll_at(b, i * 1000, 1, 1);
		uint64_t sums[2];

		for (uint32_t stack = 0; stack < STACKS; stack++) {
			struct heap_counts counts = {0};

			random = random * 1664525 + 1013904223;
			if (random >> 30 == 0)
				continue;
			counts.allocs = 1;
			counts.alloc_bytes = random >> 16;
			counts.frees = 1;
			counts.free_bytes =
				(live[stack] + counts.alloc_bytes) * (random >> 8 & 0xff) / 256;
			live[stack] += counts.alloc_bytes - counts.free_bytes;
			builder_heap_row(b, poll, stack, counts);
		}
		sums[0] = live[HEAP_STACK_EXTEND] + live[HEAP_STACK_BOTH] + live[HEAP_STACK_GROW];
		sums[1] = sums[0] + live[HEAP_STACK_INSERT] + live[HEAP_STACK_NONE];
		for (int j = 0; j < 2; j++) {
			if (sums[j] > best[j]) {
				best[j] = sums[j];
				best_ms[j] = i * 1000;
			}
		}
	}
	builder_heap_sum(b);
	view = heap_build(b, &(struct view_request){.group = VIEW_BY_FILE, .filter = "buffer.rs"});
	CHECK_EQ_U64(view->row_count, 1);
	CHECK_EQ_U64(view->rows[0].peak_bytes, best[0]);
	CHECK_EQ_U64(view->rows[0].peak_ns / MS, best_ms[0]);
	CHECK_EQ_U64(view->peak_bytes, best[1]);
	CHECK_EQ_U64(view->peak_ns / MS, best_ms[1]);
	CHECK_EQ_U64(view->live_bytes, view->last->state.live_bytes);
	heap_view_free(view);
	builder_free(b);
}

KIT_MAIN
