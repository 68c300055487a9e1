/* The heap in the database: what a window is told of it, poll by poll, equals what was recorded;
 * live memory belongs to one recording, totals to the file. */
#include "tests/unit/store_heap.h"

/* As product documentation has it, byte for byte. */
static const char leak_query[] =
	"SELECT function, file, line, total_alloc_bytes - total_free_bytes AS leaked, total_allocs "
	"- total_frees AS leaked_count\n"
	"  FROM heap_samples WHERE total_allocs > total_frees ORDER BY leaked DESC LIMIT 20;";

TEST(polls_are_what_was_told)
{
	const char *path = test_path("heap.db");
	const struct snapshot_heap_poll *poll;
	const struct heap_counts all = {9, 900, 4, 400, 2, 200, 3, 1, 50, 6};
	struct snapshot *snapshot;
	struct maker maker;

	maker_create(&maker, path);
	make_stacks(&maker);
	maker_heap(&maker, (stack_id){3}, all);
	maker_heap(&maker, (stack_id){1}, allocs(5, 500));
	maker_heap(&maker, (stack_id){2}, allocs(0, 0));
	maker_commit(&maker, 1000);
	maker.heap.unknown_frees = 7;
	maker.heap.mmap_count = 1, maker.heap.mmap_bytes = 4096;
	maker.heap.munmap_count = 2, maker.heap.munmap_bytes = 8192;
	maker.heap.brk_count = 3, maker.heap.brk_bytes = -135168;
	maker.heap.hits = 40, maker.heap.cost_ns = 50;
	maker_commit(&maker, 2000);
	maker_heap(&maker, (stack_id){1}, frees(5, 500));
	maker_commit(&maker, 3000);
	maker_finish(&maker, 3000);
	/* What is nothing leaves no row. */
	CHECK_EQ_STR(plain_sqlite(path, "SELECT * FROM heap_changes"),
		     "1|1|5|500|0|0|0|0|0|0|0|0\n1|3|9|900|4|400|2|200|3|1|50|6\n"
		     "3|1|0|0|5|500|0|0|0|0|0|0\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT * FROM heap_stacks"),
		     "1|0|0|500|5|500|5|500|0|0|0|0|0|0\n3|300|3|300|9|900|4|400|2|200|3|1|50|6\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT * FROM heap_checkpoints WHERE checkpoint_id > 1"),
		     "2|800|8|7|1|4096|2|8192|3|-135168|40|50\n"
		     "3|300|3|7|1|4096|2|8192|3|-135168|40|50\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT rss_bytes, rss_anonymous_bytes FROM checkpoints"),
		     "1001000|501000\n1002000|502000\n1003000|503000\n");

	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	CHECK_EQ_U64(snapshot->heap_poll_count, 4);
	CHECK_EQ_U64(snapshot->heap_row_count, 3);
	CHECK_EQ_U64(snapshot->heap_resolution_ns, 1000 * MS);
	check_polls(snapshot, &maker, 0);
	poll = &snapshot->heap_polls[0];
	CHECK_EQ_U64(poll->time_ns, 0);
	CHECK(!poll->state.is_counted);
	CHECK_EQ_U64(poll->rss_bytes, 0);
	poll = &snapshot->heap_polls[2];
	CHECK_EQ_U64(poll->time_ns, 2000 * MS);
	CHECK_EQ_U64(poll->rss_bytes, 1002000);
	CHECK_EQ_U64(poll->rss_anonymous_bytes, 502000);
	CHECK_EQ_U64(poll->recording, 0);
	CHECK_EQ_U64(poll->state.unknown_frees, 7);
	CHECK_EQ_U64(poll->state.mmap_count, 1);
	CHECK_EQ_U64(poll->state.mmap_bytes, 4096);
	CHECK_EQ_U64(poll->state.munmap_count, 2);
	CHECK_EQ_U64(poll->state.munmap_bytes, 8192);
	CHECK_EQ_U64(poll->state.brk_count, 3);
	CHECK_EQ_I64(poll->state.brk_bytes, -135168);
	CHECK_EQ_U64(poll->state.hits, 40);
	CHECK_EQ_U64(poll->state.cost_ns, 50);
	snapshot_free(snapshot);
	maker_done(&maker);
}

TEST(windows_begin_with_what_was_before)
{
	static const uint32_t windows[][2] = {{1, 130},	  {1, 1},     {1, 60},	 {60, 60},
					      {61, 61},	  {30, 129},  {61, 120}, {59, 122},
					      {125, 130}, {130, 130}, {2, 129},	 {121, 121}};
	const char *path = test_path("windows.db");
	struct maker maker;

	maker_create(&maker, path);
	make_stacks(&maker);
	record_random(&maker, 130);
	maker_finish(&maker, 130 * SECOND_MS);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) FROM rollup_spans"), "2\n");
	for (size_t i = 0; i < sizeof(windows) / sizeof(*windows); i++) {
		uint32_t first = windows[i][0], last = windows[i][1];
		struct snapshot *snapshot = read_seconds(path, first, last);

		CHECK_EQ_U64(snapshot->heap_poll_count, last - first + 2);
		for (uint32_t poll = 0; poll < snapshot->heap_poll_count; poll++)
			CHECK_EQ_U64(snapshot->heap_polls[poll].time_ns,
				     (first - 1 + poll) * SECOND_MS * MS);
		CHECK_EQ_U64(snapshot->heap_polls[0].state.is_counted, first > 1);
		CHECK_EQ_U64(snapshot->heap_polls[0].rss_bytes,
			     first > 1 ? 1000000 + (first - 1) * SECOND_MS : 0);
		CHECK_EQ_U64(snapshot->heap_resolution_ns, SECOND_MS * MS);
		check_polls(snapshot, &maker, 0);
		snapshot_free(snapshot);
	}
	maker_done(&maker);
}

TEST(a_window_between_checkpoints_has_no_heap)
{
	const char *path = test_path("none.db");
	struct snapshot *snapshot;
	struct maker maker;

	maker_create(&maker, path);
	make_stacks(&maker);
	record_random(&maker, 3);
	maker_finish(&maker, 3500);
	maker_done(&maker);
	snapshot = read_snapshot(path, (struct store_window){1100 * MS, 1900 * MS});
	CHECK(!snapshot->heap_polls && !snapshot->heap_poll_count && !snapshot->heap_row_count);
	snapshot_free(snapshot);
	/* 1.1 s to 2.5 s holds the second checkpoint alone. */
	snapshot = read_snapshot(path, (struct store_window){1100 * MS, 2500 * MS});
	CHECK_EQ_U64(snapshot->heap_poll_count, 2);
	CHECK_EQ_U64(snapshot->heap_polls[0].time_ns, 1000 * MS);
	CHECK_EQ_U64(snapshot->heap_polls[1].time_ns, 2000 * MS);
	snapshot_free(snapshot);
}

TEST(long_windows_are_read_from_roll_ups)
{
	enum { LENGTH = 3800 };
	/* Polls: the one before, whole spans of 60 and what is left of checkpoints. */
	static const struct {
		uint32_t first, last, polls, resolution;
	} windows[] = {
		{1, LENGTH, 1 + 63 + 20, 60},	 {1, 3600, 1 + 3600, 1},
		{1, 3601, 1 + 60 + 1, 60},	 {31, 3760, 1 + 30 + 61 + 40, 60},
		{180, 3781, 1 + 1 + 60 + 1, 60}, {181, 3780, 1 + 3600, 1},
	};
	const char *path = test_path("long.db");
	struct maker maker;

	maker_create(&maker, path);
	make_stacks(&maker);
	record_random(&maker, LENGTH);
	maker_finish(&maker, LENGTH * SECOND_MS);
	for (size_t i = 0; i < sizeof(windows) / sizeof(*windows); i++) {
		struct snapshot *snapshot = read_seconds(path, windows[i].first, windows[i].last);

		CHECK_EQ_U64(snapshot->heap_poll_count, windows[i].polls);
		CHECK_EQ_U64(snapshot->heap_resolution_ns, windows[i].resolution * SECOND_MS * MS);
		CHECK_EQ_U64(snapshot->heap_polls[0].time_ns,
			     (windows[i].first - 1) * SECOND_MS * MS);
		CHECK_EQ_U64(snapshot->heap_polls[windows[i].polls - 1].time_ns,
			     windows[i].last * SECOND_MS * MS);
		check_polls(snapshot, &maker, 0);
		snapshot_free(snapshot);
	}
	maker_done(&maker);
}

TEST(sums_of_every_table_agree)
{
	const char *path = test_path("sums.db");
	struct maker maker;

	maker_create(&maker, path);
	make_stacks(&maker);
	record_random(&maker, 40);
	maker_finish(&maker, 40 * SECOND_MS);
	maker_done(&maker);
	append(&maker, path);
	make_stacks(&maker);
	record_random(&maker, 150);
	maker_finish(&maker, 150 * SECOND_MS);
	maker_done(&maker);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT first_checkpoint_id, last_checkpoint_id FROM "
					"rollup_spans"),
		     "1|60\n61|120\n121|180\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(DISTINCT span_id) FROM heap_rollups"), "3\n");
	check_tables_agree(path);
}

TEST(peaks_are_the_highest_at_a_checkpoint)
{
	static const struct {
		uint64_t one, two; /* live bytes */
	} series[] = {{100, 10}, {900, 20}, {300, 700}, {200, 800}, {50, 60}};
	const char *path = test_path("peaks.db");
	struct snapshot *snapshot;
	struct maker maker;
	uint64_t one = 0, two = 0;

	maker_create(&maker, path);
	make_stacks(&maker);
	for (size_t i = 0; i < sizeof(series) / sizeof(*series); i++) {
		/* All of them are new each time: churn is no peak. */
		maker_heap(&maker, (stack_id){1}, churn(series[i].one, one));
		maker_heap(&maker, (stack_id){2}, churn(series[i].two, two));
		one = series[i].one;
		two = series[i].two;
		maker.heap.unknown_frees = i;
		maker_commit(&maker, (i + 1) * SECOND_MS);
	}
	maker_finish(&maker, 5200);
	maker_done(&maker);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT stack_id, live_bytes, peak_bytes FROM heap_stacks"),
		     "1|50|900\n2|60|800\n");
	CHECK_EQ_STR(plain_sqlite(path,
				  "SELECT key, value FROM meta WHERE key LIKE 'heap_%' AND "
				  "key NOT LIKE 'heap_source%' OR key LIKE 'peak%' ORDER BY key"),
		     "heap_live_bytes|110\nheap_peak_bytes|1000\nheap_peak_ms|3000\n"
		     "heap_unknown_frees|4\npeak_resolution_ms|1000\n");
	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	CHECK_EQ_U64(snapshot->heap_polls[3].state.live_bytes, 1000);
	snapshot_free(snapshot);
}

TEST(peaks_between_checkpoints_are_kept)
{
	const char *path = test_path("between.db");
	struct snapshot *snapshot;
	struct maker maker;

	maker_create(&maker, path);
	make_stacks(&maker);
	maker_heap(&maker, (stack_id){1}, allocs(1, 10));
	maker_heap(&maker, (stack_id){2}, allocs(2, 50));
	maker.heap_rows.items[0].peak_bytes = 900;
	maker.heap_rows.items[1].peak_bytes = 50; /* and still there */
	maker_commit(&maker, 1000);
	maker_heap(&maker, (stack_id){2}, (struct heap_counts){0});
	maker.heap_rows.items[0].peak_bytes = 70;
	maker_commit(&maker, 2000);
	maker_heap(&maker, (stack_id){1}, frees(1, 10));
	maker.heap_rows.items[0].peak_bytes = UINT64_MAX;
	maker_commit(&maker, 3000);
	maker_finish(&maker, 3000);
	maker_done(&maker);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT * FROM heap_peaks"),
		     "1|1|900\n2|2|70\n3|1|9223372036854775807\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT stack_id, live_bytes, peak_bytes FROM heap_stacks"),
		     "1|0|9223372036854775807\n2|50|70\n");
	snapshot = read_snapshot(path, (struct store_window){1000 * MS, UINT64_MAX});
	CHECK_EQ_U64(snapshot->heap_peak_count, 2);
	CHECK_EQ_U64(snapshot->heap_peaks[0].poll, 1);
	CHECK_EQ_U64(snapshot->heap_peaks[0].stack, 1);
	CHECK_EQ_U64(snapshot->heap_peaks[0].bytes, 70);
	CHECK_EQ_U64(snapshot->heap_peaks[1].poll, 2);
	CHECK_EQ_U64(snapshot->heap_peaks[1].bytes, INT64_MAX);
	snapshot_free(snapshot);
}

/* A slow disk: deltas are merged, and looks are further apart than the interval. */
TEST(checkpoints_that_were_merged_are_looks_further_apart)
{
	const char *path = test_path("merged.db");
	struct snapshot *snapshot;
	struct maker maker;

	maker_create(&maker, path);
	make_stacks(&maker);
	maker_heap(&maker, (stack_id){1}, allocs(1, 10));
	maker_commit(&maker, 1000);
	maker.checkpoint += 2;
	maker_heap(&maker, (stack_id){1}, allocs(1, 10));
	maker_commit(&maker, 4000);
	maker_finish(&maker, 4000);
	maker_done(&maker);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT value FROM meta WHERE key = 'peak_resolution_ms'"),
		     "3000\n");
	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	CHECK_EQ_U64(snapshot->heap_poll_count, 3);
	CHECK_EQ_U64(snapshot->heap_resolution_ns, 3000 * MS);
	CHECK_EQ_U64(snapshot->heap_rows[1].poll, 2);
	snapshot_free(snapshot);
}

/* Checkpoints may follow each other faster than looks. */
TEST(polls_between_looks_tell_what_the_last_one_did)
{
	const char *path = test_path("looks.db");
	struct snapshot *snapshot;
	struct maker maker;

	maker_create(&maker, path);
	make_stacks(&maker);
	maker_heap(&maker, (stack_id){1}, allocs(1, 10));
	maker.heap.hits = 4;
	maker_commit(&maker, 1000);
	for (uint64_t end_ms = 2000; end_ms < 4000; end_ms += 1000) {
		maker.heap.is_counted = false;
		maker_commit(&maker, end_ms);
	}
	maker_heap(&maker, (stack_id){1}, allocs(1, 20));
	maker.heap.is_counted = true;
	maker_commit(&maker, 4000);
	maker_finish(&maker, 4000);
	maker_done(&maker);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT checkpoint_id, live_bytes FROM heap_checkpoints"),
		     "1|10\n4|30\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT value FROM meta WHERE key = 'peak_resolution_ms'"),
		     "3000\n");
	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	CHECK_EQ_U64(snapshot->heap_poll_count, 5);
	CHECK_EQ_U64(snapshot->heap_resolution_ns, 3000 * MS);
	CHECK(snapshot->heap_polls[3].state.is_counted);
	CHECK_EQ_U64(snapshot->heap_polls[3].state.live_bytes, 10);
	CHECK_EQ_U64(snapshot->heap_polls[3].state.hits, 4);
	CHECK_EQ_U64(snapshot->heap_polls[4].state.live_bytes, 30);
	snapshot_free(snapshot);
	/* A window without a look: as long as it is. */
	snapshot = read_snapshot(path, (struct store_window){1000 * MS, 3000 * MS});
	CHECK_EQ_U64(snapshot->heap_poll_count, 3);
	CHECK_EQ_U64(snapshot->heap_resolution_ns, 2000 * MS);
	CHECK_EQ_U64(snapshot->heap_polls[2].state.live_bytes, 10);
	snapshot_free(snapshot);
}

/* Counters are read while the target runs: a free may be told a checkpoint before its allocation.
 */
TEST(a_free_told_before_its_allocation_is_put_right)
{
	const char *path = test_path("early.db");
	struct maker maker;

	maker_create(&maker, path);
	make_stacks(&maker);
	maker_heap(
		&maker, (stack_id){1},
		(struct heap_counts){.allocs = 4, .alloc_bytes = 40, .frees = 5, .free_bytes = 50});
	maker_commit(&maker, 1000);
	CHECK_EQ_STR(
		plain_sqlite(path, "SELECT live_bytes, live_blocks, peak_bytes FROM heap_stacks"),
		"0|0|0\n");
	maker_heap(&maker, (stack_id){1}, allocs(4, 40));
	maker_commit(&maker, 2000);
	maker_finish(&maker, 2000);
	maker_done(&maker);
	CHECK_EQ_STR(
		plain_sqlite(path, "SELECT live_bytes, live_blocks, peak_bytes FROM heap_stacks"),
		"30|3|30\n");
}

TEST(an_appended_recording_begins_with_nothing_live)
{
	const char *path = test_path("appended.db");
	struct maker first, second;
	struct snapshot *snapshot;

	maker_create(&first, path);
	make_stacks(&first);
	record_random(&first, 50);
	maker_finish(&first, 50 * SECOND_MS);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT SUM(live_bytes) > 0 FROM heap_stacks"), "1\n");
	append(&second, path);
	make_stacks(&second);
	/* Until its first checkpoint is there, the file is the first recording's. */
	CHECK_EQ_STR(plain_sqlite(path, "SELECT SUM(live_bytes) > 0 FROM heap_stacks"), "1\n");
	record_random(&second, 1);
	CHECK_EQ_STR(plain_sqlite(path, live_differences), "0\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) FROM meta WHERE key = 'heap_live_bytes'"),
		     "0\n");
	record_random(&second, 69);
	maker_finish(&second, 70 * SECOND_MS);
	check_tables_agree(path);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT value = (SELECT SUM(live_bytes) FROM heap_stacks) "
					"FROM meta WHERE key = 'heap_live_bytes'"),
		     "1\n");

	/* The last recording in the window, from its own beginning; a roll-up that holds both
	 * recordings is of no use to either. */
	snapshot = read_seconds(path, 1, 120);
	CHECK_EQ_U64(snapshot->heap_poll_count, 71);
	CHECK_EQ_U64(snapshot->heap_polls[0].recording, 1);
	CHECK_EQ_U64(snapshot->heap_polls[0].time_ns, 50 * SECOND_MS * MS);
	CHECK(!snapshot->heap_polls[0].state.is_counted);
	check_polls(snapshot, &second, 50 * SECOND_MS);
	snapshot_free(snapshot);
	snapshot = read_seconds(path, 100, 115);
	CHECK_EQ_U64(snapshot->heap_poll_count, 17);
	check_polls(snapshot, &second, 50 * SECOND_MS);
	snapshot_free(snapshot);
	snapshot = read_seconds(path, 20, 50);
	CHECK_EQ_U64(snapshot->heap_poll_count, 32);
	CHECK_EQ_U64(snapshot->heap_polls[1].recording, 0);
	check_polls(snapshot, &first, 0);
	snapshot_free(snapshot);
	maker_done(&first);
	maker_done(&second);
}

TEST(an_appended_recording_that_never_began_changes_nothing)
{
	const char *path = test_path("never.db");
	struct maker maker;
	char before[65536];

	maker_create(&maker, path);
	make_stacks(&maker);
	record_random(&maker, 5);
	maker_finish(&maker, 5 * SECOND_MS);
	maker_done(&maker);
	snprintf(before, sizeof(before), "%s",
		 plain_sqlite(path, "SELECT * FROM heap_stacks; SELECT * FROM meta"));
	append(&maker, path);
	store_abandon(maker.store, false);
	maker_done(&maker);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT * FROM heap_stacks; SELECT * FROM meta"), before);
}

TEST(a_recording_without_heap_has_none)
{
	const char *path = test_path("without.db");
	struct snapshot *snapshot;
	struct maker maker;

	maker_create(&maker, path);
	make_stacks(&maker);
	maker_commit(&maker, 1000);
	maker_finish(&maker, 1000);
	maker_done(&maker);
	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	CHECK_EQ_U64(snapshot->heap_poll_count, 2);
	CHECK(!snapshot->heap_polls[1].state.is_counted);
	CHECK(!snapshot->heap_row_count);
	snapshot_free(snapshot);
	CHECK_EQ_STR(plain_sqlite(path, leak_query), "");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT key FROM meta WHERE key LIKE '%peak%'"), "");

	/* One with, then one without: the last one in the window has none. */
	append(&maker, path);
	make_stacks(&maker);
	record_random(&maker, 3);
	maker_finish(&maker, 3 * SECOND_MS);
	maker_done(&maker);
	append(&maker, path);
	make_stacks(&maker);
	maker_commit(&maker, 1000);
	maker_finish(&maker, 1000);
	maker_done(&maker);
	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	CHECK_EQ_U64(snapshot->heap_poll_count, 2);
	CHECK(!snapshot->heap_polls[1].state.is_counted && !snapshot->heap_row_count);
	snapshot_free(snapshot);
	snapshot = read_seconds(path, 1, 4);
	CHECK_EQ_U64(snapshot->heap_poll_count, 4);
	snapshot_free(snapshot);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT SUM(live_bytes), SUM(total_allocs) > 0 "
					"FROM heap_stacks"),
		     "0|1\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT key FROM meta WHERE key LIKE '%peak%'"), "");
}

TEST(a_heap_that_is_counted_from_later_on)
{
	const char *path = test_path("later.db");
	struct snapshot *snapshot;
	struct maker maker;

	maker_create(&maker, path);
	make_stacks(&maker);
	maker_commit(&maker, 1000);
	maker_heap(&maker, (stack_id){2}, allocs(3, 30));
	maker_commit(&maker, 2000);
	maker_finish(&maker, 2000);
	maker_done(&maker);
	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	CHECK_EQ_U64(snapshot->heap_poll_count, 3);
	CHECK(!snapshot->heap_polls[1].state.is_counted);
	CHECK_EQ_U64(snapshot->heap_polls[1].rss_bytes, 1001000);
	CHECK(snapshot->heap_polls[2].state.is_counted);
	CHECK_EQ_U64(snapshot->heap_rows[0].poll, 2);
	snapshot_free(snapshot);
	/* Nothing was counted by then. */
	snapshot = read_seconds(path, 1, 1);
	CHECK_EQ_U64(snapshot->heap_poll_count, 2);
	CHECK(!snapshot->heap_polls[1].state.is_counted);
	snapshot_free(snapshot);
}

/* Two stacks of one line are one site; what is freed is no leak; the second recording adds up. */
TEST(the_leak_query_is_right)
{
	const char *path = test_path("leaks.db");
	struct maker maker;

	maker_small(&maker, path); /* stack 1 is main's, 2 and 3 are parse's, 4 has no frame */
	maker_heap(&maker, (stack_id){1}, allocs(1000, 64000));
	maker_heap(&maker, (stack_id){2}, allocs(3, 300));
	maker_heap(&maker, (stack_id){3}, allocs(2, 7));
	maker_heap(&maker, (stack_id){4}, allocs(1, 1));
	maker_commit(&maker, 4000);
	maker_heap(&maker, (stack_id){1}, frees(1000, 64000));
	maker_heap(&maker, (stack_id){2}, frees(1, 100));
	maker_commit(&maker, 5000);
	maker_finish(&maker, 5000);
	maker_done(&maker);
	CHECK_EQ_STR(plain_sqlite(path, leak_query),
		     "parse|src/parser.rs|89|207|4\n[no user stack]|[no user stack]|0|1|1\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT function, live_bytes, total_alloc_bytes, "
					"total_free_bytes, total_allocs, total_frees, live_blocks, "
					"temporary, reallocs, growth_bytes, untracked_bytes, "
					"is_estimate FROM heap_samples ORDER BY total_allocs DESC"),
		     "main|0|64000|64000|1000|1000|0|0|0|0|0|0\n"
		     "parse|207|307|100|5|1|4|0|0|0|0|0\n"
		     "[no user stack]|1|1|0|1|0|1|0|0|0|0|0\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) - COUNT(DISTINCT addr) FROM heap_samples"),
		     "0\n");

	append(&maker, path);
	maker_stack(&maker, maker_module(&maker, "/usr/bin/burn", 0xab), STACK_FRAME_POINTERS, 1,
		    (const uint64_t[]){0x1000});
	maker_heap(&maker, (stack_id){1},
		   (struct heap_counts){.allocs = 10,
					.alloc_bytes = 100,
					.frees = 4,
					.free_bytes = 40,
					.untracked = 1,
					.untracked_bytes = 10,
					.temporary = 2,
					.reallocs = 3,
					.growth_bytes = 5,
					.estimated = 10});
	maker_commit(&maker, 1000);
	maker_finish(&maker, 1000);
	maker_done(&maker);
	CHECK_EQ_STR(plain_sqlite(path, leak_query),
		     "parse|src/parser.rs|89|207|4\nmain|src/main.rs|142|60|6\n"
		     "[no user stack]|[no user stack]|0|1|1\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT function, live_bytes, total_alloc_bytes, "
					"total_free_bytes, total_allocs, total_frees, live_blocks, "
					"temporary, reallocs, growth_bytes, untracked_bytes, "
					"is_estimate FROM heap_samples ORDER BY total_allocs DESC"),
		     "main|50|64100|64040|1010|1004|5|2|3|5|10|1\n"
		     "parse|0|307|100|5|1|0|0|0|0|0|0\n"
		     "[no user stack]|0|1|0|1|0|0|0|0|0|0|0\n");
}

KIT_MAIN
