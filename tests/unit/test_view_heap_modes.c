/* How sure the heap is: what is refused, modes, estimates, lower bounds, damaged files. */
#include "tests/unit/heap_rows.h"

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
	b = heap_window_profile();
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

KIT_MAIN
