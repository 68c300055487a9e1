/* Files that are damaged, replaced, removed or written by others while they are followed. */
#include <errno.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "tests/unit/follow_rig.h"

TEST(damage_is_told_as_reading_tells_it)
{
	static const char *const damages[] = {
		"UPDATE stacks SET node_id = 99 WHERE id = 1",
		"UPDATE nodes SET parent_id = 3 WHERE id = 2",
		"UPDATE frame_lines SET depth = 5 WHERE depth = 1",
		"UPDATE locations SET function_id = 77 WHERE id = 1",
		"UPDATE checkpoints SET timestamp_ms = 5 WHERE id = 3",
		"UPDATE totals SET count = -1",
		"UPDATE events SET name = 'tea'",
		"UPDATE threads SET recording_id = 7",
		"UPDATE recordings SET duration_ns = 'x'",
		"UPDATE steps SET recording_id = 9",
	};

	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		const char *path = test_path("damaged.db");
		struct store_follow *follow;
		struct err read = {0}, followed = {0};
		struct snapshot *snapshot;
		struct maker maker;
		sqlite3 *db;
		bool is_changed;

		unlink(path);
		maker_small(&maker, path);
		maker_finish(&maker, 3100);
		maker_done(&maker);
		CHECK(sqlite3_open(path, &db) == SQLITE_OK);
		CHECK(sqlite3_exec(db, damages[i], NULL, NULL, NULL) == SQLITE_OK);
		sqlite3_close(db);
		CHECK_EQ_U64(read_outcome(path, &read), ERR_DATABASE);
		follow = open_follow(path);
		CHECK(store_follow_update(follow, &is_changed, &followed) < 0);
		CHECK_EQ_STR(followed.sentence, read.sentence);
		memset(&followed, 0, sizeof(followed));
		/* It stays refused. */
		CHECK(store_follow_update(follow, &is_changed, &followed) < 0);
		CHECK(store_follow_snapshot(follow, whole, &snapshot, &followed) < 0);
		CHECK_EQ_STR(followed.sentence, read.sentence);
		store_follow_close(follow);
	}
}

TEST(a_file_that_is_replaced_or_removed_is_refused)
{
	const char *path = test_path("p.db");
	char other[4200];
	struct store_follow *follow;
	struct snapshot *before, *snapshot;
	struct err err = {0};
	struct maker maker;
	bool is_changed;

	maker_small(&maker, path);
	maker_finish(&maker, 3100);
	maker_done(&maker);
	snprintf(other, sizeof(other), "%s.other", path);
	maker_small(&maker, other);
	maker_finish(&maker, 3100);
	maker_done(&maker);
	follow = open_follow(path);
	update(follow);
	before = take(follow, whole);
	CHECK(rename(other, path) == 0);
	/* Open, it goes on with what it has. */
	CHECK(store_follow_snapshot(follow, whole, &snapshot, &err) == 0);
	snapshot_free(snapshot);
	store_follow_let_go(follow);
	CHECK_EQ_I64(store_follow_update(follow, &is_changed, &err), -ESTALE);
	CHECK(strstr(err.sentence, "was replaced by another file"));
	CHECK(unlink(path) == 0);
	CHECK_EQ_I64(store_follow_update(follow, &is_changed, &err), -ENOENT);
	CHECK(store_follow_snapshot(follow, (struct store_window){1000 * MS, 2000 * MS}, &snapshot,
				    &err) < 0);
	CHECK_EQ_STR(before->locations[0].function, "main");
	snapshot_free(before);
	store_follow_close(follow);
}

TEST(another_profile_in_the_same_file_is_refused)
{
	const char *path = test_path("p.db");
	struct store_follow *follow;
	struct err err = {0};
	struct maker maker;
	bool is_changed;
	sqlite3 *db;

	maker_small(&maker, path);
	maker_finish(&maker, 3100);
	maker_done(&maker);
	follow = open_follow(path);
	update(follow);
	store_follow_let_go(follow);
	CHECK(sqlite3_open(path, &db) == SQLITE_OK);
	CHECK(sqlite3_exec(db, "UPDATE recordings SET pid = 1", NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(db);
	CHECK(store_follow_update(follow, &is_changed, &err) < 0);
	CHECK(strstr(err.sentence, "a recording is another one than before"));
	store_follow_close(follow);
}

/* A process writes, this one reads as fast as it can. */
TEST(it_follows_while_another_process_writes)
{
	const char *path = test_path("p.db");
	static struct growing growing;
	struct store_follow *follow;
	struct store_extent extent = {0};
	uint64_t seen = 0;
	int status;
	pid_t child;

	maker_create(&growing.maker, path);
	begin(&growing);
	store_abandon(growing.maker.store, false);
	unlink(path);
	child = fork();
	if (!child) {
		maker_create(&growing.maker, path);
		begin(&growing);
		for (int i = 0; i < 200; i++)
			grow(&growing);
		maker_finish(&growing.maker, 200 * SECOND_MS);
		_exit(0);
	}
	while (store_follow_open(path, &follow, NULL) < 0)
		;
	while (!extent.is_finished) {
		struct snapshot *snapshot;

		update(follow);
		store_follow_extent(follow, &extent);
		CHECK(extent.checkpoint_count >= seen);
		seen = extent.checkpoint_count;
		snapshot = take(follow, whole);
		CHECK_EQ_U64(snapshot->checkpoint_count, seen);
		snapshot_free(snapshot);
		store_follow_let_go(follow);
	}
	CHECK_EQ_U64(seen, 200);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	update(follow);
	check_all(follow, path, 200);
	store_follow_close(follow);
}

KIT_MAIN
