/* The heap in files that are damaged, cut off in the midst of it, or hold what nobody can allocate.
 */
#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "reader/store/heap_sums.h"
#include "tests/unit/store_heap.h"

/* A target may ask for 64 TB a thousand times a second: the file stays readable, and no number
 * turns negative. */
TEST(numbers_beyond_what_the_file_holds_stay_there)
{
	const char *path = test_path("huge.db");
	const uint64_t huge = UINT64_C(5) << 61; /* more than half of 2^64 */
	struct heap_counts sum = {0};
	struct snapshot *snapshot;
	struct maker maker;

	maker_create(&maker, path);
	make_stacks(&maker);
	for (uint64_t i = 1; i <= 61; i++) {
		struct heap_counts counts = {huge, huge - 1, huge, huge - 1, 0,
					     0,	   huge,     huge, huge,     huge};

		maker_heap(&maker, (stack_id){1}, counts);
		maker_heap(&maker, (stack_id){2}, allocs(UINT64_C(1) << 62, UINT64_C(1) << 62));
		maker.heap.cost_ns = huge;
		maker_commit(&maker, i * SECOND_MS);
	}
	maker_finish(&maker, 61 * SECOND_MS);
	maker_done(&maker);
	CHECK_EQ_STR(plain_sqlite(path,
				  "SELECT total_allocs, typeof(total_allocs), total_free_bytes, "
				  "live_bytes >= 0 FROM heap_stacks"),
		     "9223372036854775807|integer|9223372036854775807|1\n"
		     "9223372036854775807|integer|0|1\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT total_allocs, typeof(live_bytes) FROM heap_samples "
					"WHERE total_allocs > 0"),
		     "9223372036854775807|integer\n9223372036854775807|integer\n");
	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	CHECK_EQ_U64(snapshot->heap_polls[61].state.cost_ns, INT64_MAX);
	for (size_t i = 0; i < snapshot->heap_row_count; i++) {
		const struct heap_counts *counts = &snapshot->heap_rows[i].counts;
		uint64_t numbers[HEAP_COLUMNS], sums[HEAP_COLUMNS];

		heap_counts_add(&sum, counts);
		memcpy(numbers, counts, sizeof(numbers));
		memcpy(sums, &sum, sizeof(sums));
		for (int column = 0; column < HEAP_COLUMNS; column++)
			CHECK(numbers[column] <= INT64_MAX && sums[column] <= INT64_MAX);
	}
	CHECK_EQ_U64(sum.allocs, INT64_MAX);
	snapshot_free(snapshot);
}

/* Copies the file, changes the copy, and opens that. */
static enum err_kind outcome_of(const char *path, const char *change, uint32_t first, uint32_t last,
				struct err *err)
{
	struct store_window window = {(first - 1) * SECOND_MS * MS, last * SECOND_MS * MS};
	struct store_reader *reader;
	struct snapshot *snapshot;
	char bad[4200], command[16384];

	snprintf(bad, sizeof(bad), "%s.bad", path);
	snprintf(command, sizeof(command), "cp '%s' '%s'", path, bad);
	CHECK_EQ_I64(system(command), 0);
	CHECK_EQ_STR(plain_sqlite(bad, change), "");
	memset(err, 0, sizeof(*err));
	if (store_reader_open(bad, &reader, err) < 0)
		return err->kind;
	if (store_reader_snapshot(reader, window, &snapshot, err) == 0)
		snapshot_free(snapshot);
	store_reader_close(reader);
	return err->kind;
}

TEST(rows_that_cannot_be_are_damage)
{
	static const char *const damages[] = {
		"UPDATE heap_changes SET allocs = -1",
		"UPDATE heap_changes SET free_bytes = -9223372036854775807 - 1",
		"UPDATE heap_changes SET estimated = 'many'",
		"UPDATE heap_changes SET reallocs = 1.5",
		"UPDATE heap_changes SET growth_bytes = 1e30",
		"UPDATE heap_changes SET stack_id = 99 WHERE stack_id = 1",
		"UPDATE heap_changes SET stack_id = -1 WHERE stack_id = 1",
		"UPDATE heap_changes SET stack_id = 'x' WHERE stack_id = 1",
		"UPDATE heap_checkpoints SET live_bytes = -1",
		"UPDATE heap_checkpoints SET live_blocks = 0.5",
		"UPDATE heap_checkpoints SET unknown_frees = 'x'",
		"UPDATE heap_checkpoints SET mmap_bytes = -4096",
		"UPDATE heap_checkpoints SET brk_bytes = 'x'",
		"UPDATE heap_checkpoints SET hits = 9223372036854775808",
		"UPDATE heap_checkpoints SET cost_ns = -1 WHERE checkpoint_id = 69",
		"UPDATE checkpoints SET rss_anonymous_bytes = -1",
		"UPDATE checkpoints SET rss_bytes = 'x'",
		"UPDATE checkpoints SET recording_id = 7",
		"INSERT INTO heap_peaks VALUES(75, 1, -1)",
		"INSERT INTO heap_peaks VALUES(75, 99, 1)",
		"INSERT INTO heap_peaks VALUES(75, 1, 'x')",
		"UPDATE heap_rollups SET frees = -1",
		"UPDATE heap_rollups SET stack_id = 77 WHERE stack_id = 1",
		"UPDATE heap_rollups SET temporary = x'00'",
		"DELETE FROM checkpoints WHERE id = 75",
		"DELETE FROM checkpoints WHERE id BETWEEN 72 AND 80",
	};
	/* Absurd, but nothing comes to harm; or nothing depends on them. */
	static const char *const harmless[] = {
		"DELETE FROM heap_changes",
		"DELETE FROM heap_rollups",
		"DELETE FROM heap_checkpoints WHERE checkpoint_id <> 80",
		"DELETE FROM heap_stacks",
		"UPDATE heap_changes SET frees = 9223372036854775807, free_bytes = "
		"9223372036854775807, untracked_bytes = 9223372036854775807",
		"UPDATE heap_checkpoints SET live_bytes = 9223372036854775807, "
		"brk_bytes = -9223372036854775807 - 1",
		"INSERT INTO heap_changes VALUES(500, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)",
		"INSERT INTO heap_peaks VALUES(500, 1, 1), (-1, 1, 1), (75, 1, "
		"9223372036854775807)",
		"UPDATE rollup_spans SET last_checkpoint_id = 59",
		"DELETE FROM rollup_spans",
	};
	const char *path = test_path("good.db");
	struct maker maker;
	struct err err;

	maker_create(&maker, path);
	make_stacks(&maker);
	record_random(&maker, 100);
	maker_finish(&maker, 100 * SECOND_MS);
	maker_done(&maker);
	/* From checkpoint 69 on: what is before is read from the roll-up. */
	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		if (outcome_of(path, damages[i], 70, 100, &err) != ERR_DATABASE ||
		    !strstr(err.sentence, "damaged"))
			FAIL("%s: %s", damages[i], err.sentence);
	}
	for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++) {
		if (outcome_of(path, harmless[i], 70, 100, &err) != ERR_NONE)
			FAIL("%s: %s", harmless[i], err.sentence);
	}
	CHECK_EQ_U64(outcome_of(path, "", 70, 100, &err), ERR_NONE);
}

/* Each row's columns, stack and checkpoint, one after another, by bytes that SQLite does not check.
 */
TEST(flipped_bytes_do_not_crash)
{
	const char *path = test_path("flip.db");
	char bad[4200];
	struct maker maker;
	struct err err;
	FILE *file;
	static char bytes[1 << 20];
	size_t size;
	int sound = 0, refused = 0;

	maker_create(&maker, path);
	make_stacks(&maker);
	record_random(&maker, 70);
	maker_finish(&maker, 70 * SECOND_MS);
	file = fopen(path, "rb");
	CHECK(file);
	size = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	CHECK(size > 4096 && size < sizeof(bytes));
	snprintf(bad, sizeof(bad), "%s.bad", path);
	for (int i = 0; i < 400; i++) {
		size_t at = 4096 + maker_random(&maker, size - 4096);
		char before = bytes[at];

		bytes[at] = (char)(before ^ (1 << maker_random(&maker, 8)));
		file = fopen(bad, "wb");
		CHECK(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
		bytes[at] = before;
		if (read_outcome(bad, &err) == ERR_NONE)
			sound++;
		else
			refused++;
	}
	/* Some hit the tables' tree, some a number that stays a number. */
	CHECK(sound > 0 && refused > 0);
	maker_done(&maker);
}

static void record_until_killed(const char *path, int ready)
{
	struct maker maker;

	maker_create(&maker, path);
	make_stacks(&maker);
	record_random(&maker, 75);
	CHECK_EQ_I64(write(ready, "x", 1), 1);
	for (;;)
		record_random(&maker, 1);
}

TEST(a_killed_recording_is_whole_up_to_a_checkpoint)
{
	const char *path = test_path("killed.db");
	struct snapshot *snapshot;
	int pipes[2], status;
	pid_t child;
	char byte;

	CHECK_EQ_I64(pipe(pipes), 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		record_until_killed(path, pipes[1]);
		_exit(0);
	}
	CHECK_EQ_I64(read(pipes[0], &byte, 1), 1);
	kill(child, SIGKILL);
	CHECK_EQ_I64(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status));
	close(pipes[0]);
	close(pipes[1]);
	check_tables_agree(path);
	CHECK_EQ_STR(plain_sqlite(path,
				  "SELECT COUNT(*) - (SELECT COUNT(*) FROM heap_checkpoints), "
				  "COUNT(*) >= 75 FROM checkpoints"),
		     "0|1\n");
	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	CHECK(snapshot->heap_poll_count >= 76);
	snapshot_free(snapshot);
}

TEST(a_full_disk_keeps_whole_checkpoints)
{
	const char *folder = kit_folder();
	struct snapshot *snapshot;
	struct err err = {0};
	struct maker maker;
	char path[4200];
	int ret = 0;
	uint32_t committed = 0;

	/* A namespace of its own: the mount ends with the test, however that ends. */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("rsprof-test", folder, "tmpfs", 0, "size=1m"))
		SKIP("a small tmpfs cannot be mounted: %s", strerror(errno));
	snprintf(path, sizeof(path), "%s/p.db", folder);
	maker_create(&maker, path);
	make_stacks(&maker);
	while (ret == 0 && committed < 5000) {
		random_heap(&maker);
		ret = maker_try_commit(&maker, (committed + 1) * SECOND_MS, &err);
		committed += ret == 0;
	}
	CHECK_EQ_I64(ret, -ENOSPC);
	store_abandon(maker.store, false);
	while (maker.all_heap.items[maker.all_heap.count - 1].checkpoint > committed)
		maker.all_heap.count--;
	check_tables_agree(path);
	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	CHECK_EQ_U64(snapshot->checkpoint_count, committed);
	check_polls(snapshot, &maker, 0);
	snapshot_free(snapshot);
	maker_done(&maker);
}

/* Versions that were never released had the same number: said, not guessed at. */
TEST(a_file_without_the_tables_is_refused_by_a_sentence)
{
	const char *path = test_path("old.db");
	struct maker maker;
	struct err err;

	maker_small(&maker, path);
	maker_finish(&maker, 3000);
	maker_done(&maker);
	CHECK_EQ_U64(outcome_of(path, "DROP TABLE heap_changes", 1, 3, &err), ERR_DATABASE);
	CHECK(strstr(err.sentence, "is damaged: the table heap_changes is missing."));
	CHECK_EQ_U64(outcome_of(path, "ALTER TABLE checkpoints DROP COLUMN rss_anonymous_bytes", 1,
				3, &err),
		     ERR_DATABASE);
	CHECK(strstr(err.sentence, "the table checkpoints is not as rsprof makes it."));
}

KIT_MAIN
