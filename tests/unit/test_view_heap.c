/* Rows of the heap: what is charged where, in which window, in which order. */
#include "tests/unit/heap_rows.h"

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

TEST(a_window_holds_what_was_before_and_counts_what_is_in_it)
{
	struct snapshot_builder *b = heap_window_profile();
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

KIT_MAIN
