/* A file that is followed tells at each of its states what reading it anew tells, and what happened
 * when adds up to that. */
#include <errno.h>

#include "tests/unit/follow_rig.h"

TEST(each_state_is_as_read_anew)
{
	const char *path = test_path("p.db");
	static struct growing growing;
	struct store_follow *follow;

	maker_create(&growing.maker, path);
	begin(&growing);
	follow = open_follow(path);
	update(follow);
	check_window(follow, path, whole);
	for (uint64_t seconds = 1; seconds <= 75; seconds++) {
		grow(&growing);
		CHECK(update(follow));
		CHECK(!update(follow));
		check_window(follow, path, whole);
		if (seconds % 9 == 0)
			check_all(follow, path, seconds);
		if (seconds % 4 == 0)
			store_follow_let_go(follow);
	}
	store_follow_let_go(follow);
	maker_finish(&growing.maker, 75100);
	CHECK(update(follow));
	check_all(follow, path, 75);
	maker_done(&growing.maker);
	store_follow_close(follow);
}

TEST(an_appended_recording_is_followed)
{
	const char *path = test_path("p.db");
	static struct growing first, second;
	struct store_follow *follow;

	maker_create(&first.maker, path);
	begin(&first);
	for (int i = 0; i < 20; i++)
		grow(&first);
	maker_finish(&first.maker, 20000);
	maker_done(&first.maker);
	follow = open_follow(path);
	update(follow);
	check_all(follow, path, 20);
	store_follow_let_go(follow);
	append(&second.maker, path);
	begin(&second);
	/* Others are met first, and one frame is named better. */
	second.maker.random = 4242;
	for (uint64_t seconds = 21; seconds <= 90; seconds++) {
		grow(&second);
		CHECK(update(follow));
		check_window(follow, path, whole);
		if (seconds % 9 == 0)
			check_all(follow, path, seconds);
	}
	store_follow_let_go(follow);
	maker_finish(&second.maker, 70000);
	maker_done(&second.maker);
	CHECK(update(follow));
	check_all(follow, path, 90);
	store_follow_close(follow);
}

TEST(frames_that_are_named_anew_are_read_again)
{
	const char *path = test_path("p.db");
	const struct source_line worse = {"old", "src/a.rs", NULL, 1},
				 better = {"new", "src/b.rs", NULL, 2},
				 outer = {"outer", "src/c.rs", NULL, 3};
	struct store_follow *follow = NULL;
	struct maker maker;
	struct snapshot *snapshot;
	stack_id stack;

	for (int round = 0; round < 2; round++) {
		if (round) {
			append(&maker, path);
		} else {
			maker_create(&maker, path);
		}
		stack = maker_stack(&maker, maker_module(&maker, "/usr/bin/burn", 0xab),
				    STACK_COMPLETE, 1, (const uint64_t[]){0x1000});
		maker_row(&maker, 0, maker_thread(&maker, 4711, "burn"), stack, 1, 0, 1);
		maker_commit(&maker, 1000);
		if (round)
			update(follow);
		if (round)
			maker_resolve(&maker, 0x1000, better, &outer);
		else
			maker_resolve(&maker, 0x1000, worse, NULL);
		maker_charge(&maker, stack, 0x1000, 0, STACK_COMPLETE);
		maker_commit(&maker, 2000);
		if (round)
			update(follow);
		maker_finish(&maker, 2000);
		maker_done(&maker);
		if (!round)
			follow = open_follow(path);
		update(follow);
		check_window(follow, path, whole);
		store_follow_let_go(follow);
	}
	snapshot = take(follow, whole);
	CHECK_EQ_STR(snapshot->locations[snapshot->lines[0]].function, "new");
	snapshot_free(snapshot);
	store_follow_close(follow);
}

/* Beyond an hour polls are roll-ups; what was read before that has to give way. */
TEST(the_heap_of_more_than_an_hour_is_followed)
{
	const char *path = test_path("p.db");
	struct store_follow *follow;
	struct maker maker;

	maker_create(&maker, path);
	make_stacks(&maker);
	record_random(&maker, 3500);
	follow = open_follow(path);
	update(follow);
	check_window(follow, path, whole);
	for (int i = 0; i < 6; i++) {
		record_random(&maker, 37);
		CHECK(update(follow));
		check_window(follow, path, whole);
	}
	for (uint64_t seconds = 3600; seconds < 3722; seconds += 40)
		check_window(follow, path, (struct store_window){seconds * 1000 * MS, UINT64_MAX});
	check_adds_up(follow, whole, 240);
	check_adds_up(follow, whole, 12);
	check_adds_up(follow, (struct store_window){100000 * MS, 3000000 * MS}, 7);
	check_adds_up(follow, store_follow_tail(follow, whole, 12), 12);
	maker_finish(&maker, 3722000);
	maker_done(&maker);
	store_follow_close(follow);
}

TEST(buckets_tell_the_process)
{
	const char *path = test_path("p.db");
	struct store_follow *follow;
	struct timeline *timeline;
	struct store_extent extent;
	struct maker maker;

	maker_small(&maker, path);
	follow = open_follow(path);
	update(follow);
	timeline = timeline_of(follow, whole, 240);
	CHECK_EQ_U64(timeline->bucket_count, 3);
	CHECK_EQ_U64(timeline->interval_ns, 1000 * MS);
	CHECK_EQ_U64(timeline->from_ns, 0);
	for (uint64_t i = 0; i < 3; i++) {
		const struct timeline_bucket *bucket = &timeline->buckets[i];

		CHECK_EQ_U64(bucket->end_ns, (i + 1) * 1000 * MS);
		CHECK_EQ_U64(bucket->cpu_ns, 750 * MS);
		CHECK_EQ_U64(bucket->rss_bytes, 1000000 + (i + 1) * 1000);
		CHECK(!bucket->is_heap_counted);
	}
	timeline_free(timeline);
	timeline = timeline_of(follow, (struct store_window){1000 * MS, 3000 * MS}, 1);
	CHECK_EQ_U64(timeline->bucket_count, 1);
	CHECK_EQ_U64(timeline->from_ns, 1000 * MS);
	CHECK_EQ_U64(timeline->buckets[0].cpu_ns, 1500 * MS);
	CHECK_EQ_U64(timeline->row_count, 3);
	timeline_free(timeline);
	CHECK_EQ_U64(store_follow_count(follow, whole), 3);
	store_follow_extent(follow, &extent);
	CHECK_EQ_U64(extent.checkpoint_count, 3);
	CHECK_EQ_U64(extent.samples, 19);
	CHECK_EQ_U64(extent.judged, 19);
	CHECK_EQ_U64(extent.complete, 15);
	CHECK_EQ_U64(extent.lost, 3);
	CHECK_EQ_U64(extent.rss_bytes, 1003000);
	CHECK(!extent.is_finished && !extent.is_heap_counted);
	maker_finish(&maker, 3100);
	maker_done(&maker);
	store_follow_close(follow);
}

TEST(it_is_given_up_when_asked)
{
	const char *path = test_path("p.db");
	struct store_follow *follow;
	struct timeline *timeline;
	struct snapshot *snapshot;
	atomic_bool is_cancelled = false;
	struct err err = {0};
	struct maker maker;

	maker_create(&maker, path);
	make_stacks(&maker);
	record_random(&maker, 4000);
	maker_finish(&maker, 4000 * SECOND_MS);
	maker_done(&maker);
	follow = open_follow(path);
	update(follow);
	store_follow_cancel_by(follow, &is_cancelled);
	timeline_free(timeline_of(follow, whole, 240));
	atomic_store(&is_cancelled, true);
	CHECK_EQ_I64(store_follow_timeline(follow, whole, 240, &timeline, &err), -ECANCELED);
	CHECK_EQ_I64(store_follow_snapshot(follow, (struct store_window){MS, UINT64_MAX}, &snapshot,
					   &err),
		     -ECANCELED);
	CHECK_EQ_U64(err.kind, ERR_NONE);
	atomic_store(&is_cancelled, false);
	check_window(follow, path, whole);
	check_window(follow, path, (struct store_window){MS, UINT64_MAX});
	store_follow_close(follow);
}

KIT_MAIN
