/* Reading: exact numbers, windows, and files that are not what they seem. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/unit/store_maker.h"

static const struct store_window whole = {0, UINT64_MAX};

static uint64_t row_sum(const struct snapshot *snapshot, const char *function, uint32_t event)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < snapshot->row_count; i++) {
		const struct snapshot_row *row = &snapshot->rows[i];
		uint32_t location = snapshot->stacks[row->stack].charged_location;
		const char *name =
			location == SNAPSHOT_NONE ? "none" : snapshot->locations[location].function;

		if (row->event == event && strcmp(name, function) == 0)
			sum += row->count;
	}
	return sum;
}

TEST(round_trip_is_exact)
{
	const char *path = test_path("p.db");
	struct snapshot *snapshot;
	const struct snapshot_frame *frame;
	const struct snapshot_location *location;
	struct maker maker;

	maker_small(&maker, path);
	maker_finish(&maker, 3100);
	maker_done(&maker);
	snapshot = read_snapshot(path, whole);
	CHECK_EQ_STR(snapshot->file, path);
	CHECK_EQ_U64(snapshot->duration_ns, 3100 * MS);
	CHECK_EQ_U64(snapshot->window_from_ns, 0);
	CHECK_EQ_U64(snapshot->window_to_ns, 3100 * MS);
	CHECK_EQ_U64(snapshot->checkpoint_count, 3);
	CHECK_EQ_U64(snapshot->unresolved_count, 0);
	CHECK_EQ_U64(snapshot->losses.count[LOSS_RING_FULL], 3);
	CHECK_EQ_U64(losses_total(&snapshot->losses), 3);
	CHECK_EQ_STR(snapshot_meta_get(snapshot, "process_name"), "burn");
	CHECK(!snapshot_meta_get(snapshot, "no such key"));

	CHECK_EQ_U64(snapshot->recording_count, 1);
	CHECK_EQ_U64(snapshot->recordings[0].pid, 4711);
	CHECK_EQ_STR(snapshot->recordings[0].command_line, "burn --fast");
	CHECK_EQ_U64(snapshot->recordings[0].start_unix_ns, UINT64_C(1767700000000000000));
	CHECK(snapshot->recordings[0].is_finished);
	CHECK_EQ_U64(snapshot->event_count, 2);
	CHECK_EQ_STR(snapshot->events[0].name, "cpu-clock");
	CHECK(snapshot->events[0].is_cpu);
	CHECK_EQ_STR(snapshot->events[1].unit_name, "faults");
	CHECK_EQ_U64(snapshot->thread_count, 2);
	CHECK_EQ_STR(snapshot->threads[1].comm, "io");
	CHECK_EQ_U64(snapshot->threads[1].tid, 4712);
	CHECK_EQ_U64(snapshot->module_count, 3);
	CHECK_EQ_STR(snapshot->modules[0].path, "[unknown]");
	CHECK_EQ_STR(snapshot->modules[1].name, "burn");
	CHECK_EQ_STR(snapshot->modules[1].build_id, "ab");

	CHECK_EQ_U64(snapshot->location_count, 4);
	CHECK_EQ_U64(snapshot->frame_count, 3);
	CHECK_EQ_U64(snapshot->line_count, 4);
	frame = &snapshot->frames[1];
	CHECK_EQ_U64(frame->vaddr, 0x2000);
	CHECK_EQ_U64(frame->quality, SYMBOL_LINE);
	CHECK_EQ_U64(frame->line_count, 2);
	location = &snapshot->locations[snapshot->lines[frame->first_line]];
	CHECK_EQ_STR(location->function, "core::iter::next");
	CHECK(location->is_internal);
	CHECK_EQ_U64(location->address, UINT64_C(1) << 48 | 0x2000);
	location = &snapshot->locations[snapshot->lines[frame->first_line + 1]];
	CHECK_EQ_STR(location->function, "parse");
	CHECK(!location->is_internal);
	CHECK_EQ_U64(location->line, 89);
	CHECK(!location->path);

	CHECK_EQ_U64(snapshot->node_count, 3);
	CHECK_EQ_U64(snapshot->nodes[0].parent, SNAPSHOT_NONE);
	CHECK_EQ_U64(snapshot->nodes[2].parent, 1);
	CHECK_EQ_U64(snapshot->stack_count, 4);
	CHECK_EQ_U64(snapshot->stacks[0].status, STACK_COMPLETE);
	CHECK_EQ_U64(snapshot->stacks[3].status, STACK_EMPTY);
	CHECK_EQ_U64(snapshot->stacks[3].charged_location, SNAPSHOT_NONE);
	CHECK_EQ_STR(snapshot->locations[snapshot->stacks[2].raw_location].function, "malloc");
	CHECK_EQ_STR(snapshot->locations[snapshot->stacks[2].charged_location].function, "parse");

	CHECK_EQ_U64(row_sum(snapshot, "main", 0), 3);
	CHECK_EQ_U64(row_sum(snapshot, "parse", 0), 12);
	CHECK_EQ_U64(row_sum(snapshot, "none", 0), 4);
	CHECK_EQ_U64(row_sum(snapshot, "parse", 1), 9);
	CHECK_EQ_U64(snapshot->row_count, 6);
	snapshot_free(snapshot);
}

TEST(summary_tells_without_samples)
{
	const char *path = test_path("p.db");
	struct store_summary summary;
	struct store_reader *reader;
	struct err err = {0};
	struct stat status;
	struct maker maker;

	maker_small(&maker, path);
	CHECK(store_reader_open(path, &reader, &err) == 0);
	CHECK(store_reader_summary(reader, &summary, &err) == 0);
	CHECK(!summary.is_finished);
	CHECK_EQ_U64(summary.samples, 19);
	CHECK_EQ_U64(store_reader_duration_ns(reader), 3000 * MS);
	store_reader_close(reader);
	maker_finish(&maker, 3100);
	maker_done(&maker);
	CHECK(store_reader_open(path, &reader, &err) == 0);
	CHECK(store_reader_summary(reader, &summary, &err) == 0);
	CHECK(summary.is_finished);
	CHECK_EQ_STR(summary.process_name, "burn");
	CHECK_EQ_U64(summary.pid, 4711);
	CHECK_EQ_U64(summary.duration_ns, 3100 * MS);
	CHECK_EQ_U64(summary.start_unix_ns, UINT64_C(1767700000000000000));
	CHECK(stat(path, &status) == 0);
	CHECK_EQ_U64(summary.bytes, (uint64_t)status.st_size);
	store_reader_close(reader);
	store_reader_close(NULL);
}

/* Threads and stacks are few, so that most rows meet others of their kind. */
static void maker_random_profile(struct maker *maker, const char *path, uint32_t checkpoints)
{
	thread_id threads[3];
	stack_id stacks[8];
	module_id app;

	maker_create(maker, path);
	app = maker_module(maker, "/bin/app", 1);
	for (uint32_t i = 0; i < 3; i++)
		threads[i] = maker_thread(maker, 10 + i, "t");
	for (uint64_t i = 0; i < 8; i++)
		stacks[i] = maker_stack(maker, app, STACK_COMPLETE, 2,
					(const uint64_t[]){0x100 + i, 0x10 + i / 2});
	for (uint32_t checkpoint = 1; checkpoint <= checkpoints; checkpoint++) {
		for (uint32_t i = 0; i < 48; i++) {
			uint64_t count = maker_random(maker, 5);

			if (!maker_random(maker, 3))
				maker_row(maker, i / 24, threads[i / 8 % 3], stacks[i % 8],
					  count + 1, maker_random(maker, count + 1),
					  maker_random(maker, 1000));
		}
		maker_commit(maker, checkpoint * 500);
	}
	maker_finish(maker, checkpoints * 500);
}

/* Every row of the snapshot against the sum of what was recorded; false where one differs. */
static bool is_sum_of(const struct snapshot *snapshot, const struct maker *maker, uint64_t from_ms,
		      uint64_t to_ms)
{
	struct {
		uint64_t count, kernel, value;
	} sums[2][3][8] = {0};
	size_t wanted = 0;

	for (size_t i = 0; i < maker->all.count; i++) {
		const struct made_row *made = &maker->all.items[i];
		const struct delta_row *row = &made->row;
		uint64_t end_ms = made->checkpoint * UINT64_C(500);

		if (end_ms <= from_ms || end_ms > to_ms)
			continue;
		wanted += !sums[row->event_index][row->thread.v - 1][row->stack.v - 1].count;
		sums[row->event_index][row->thread.v - 1][row->stack.v - 1].count += row->count;
		sums[row->event_index][row->thread.v - 1][row->stack.v - 1].kernel +=
			row->kernel_count;
		sums[row->event_index][row->thread.v - 1][row->stack.v - 1].value += row->value;
	}
	for (size_t i = 0; i < snapshot->row_count; i++) {
		const struct snapshot_row *row = &snapshot->rows[i];

		if (sums[row->event][row->thread][row->stack].count != row->count ||
		    sums[row->event][row->thread][row->stack].kernel != row->kernel_count ||
		    sums[row->event][row->thread][row->stack].value != row->value)
			return false;
	}
	return snapshot->row_count == wanted;
}

TEST(windows_give_what_summing_gives)
{
	enum { CHECKPOINTS = 200, WINDOWS = 150 };
	const char *path = test_path("p.db");
	struct store_reader *reader;
	struct err err = {0};
	struct maker maker;

	maker_random_profile(&maker, path, CHECKPOINTS);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT first_checkpoint_id, last_checkpoint_id FROM "
					"rollup_spans"),
		     "1|60\n61|120\n121|180\n");
	CHECK(store_reader_open(path, &reader, &err) == 0);
	for (int i = 0; i < WINDOWS; i++) {
		uint64_t from = maker_random(&maker, CHECKPOINTS * 510);
		uint64_t to = maker_random(&maker, CHECKPOINTS * 510);
		struct snapshot *snapshot;

		/* The ends of spans and of the file as well as anything between. */
		if (i < 9) {
			static const uint64_t edges[] = {0, 30000, 60000, 90000, 100000};

			from = edges[i / 3];
			to = edges[i % 3 + 2];
		}
		CHECK(store_reader_snapshot(reader, (struct store_window){from * MS, to * MS},
					    &snapshot, &err) == 0);
		if (!is_sum_of(snapshot, &maker, from, to))
			FAIL("window %d..%d ms differs", (int)from, (int)to);
		snapshot_free(snapshot);
	}
	store_reader_close(reader);
	maker_done(&maker);
}

/* Roll-ups go on over the seam of two recordings. */
TEST(windows_over_appended_recordings)
{
	const char *path = test_path("p.db");
	struct store_recording recording = maker_recording();
	struct snapshot *snapshot;
	struct maker maker, second;
	struct err err = {0};
	module_id app;
	thread_id thread;
	stack_id stack;

	maker_random_profile(&maker, path, 40);
	maker_init(&second);
	CHECK(store_append(path, &recording, &second.store, &err) == 0);
	app = maker_module(&second, "/bin/app", 1);
	thread = maker_thread(&second, 10, "t");
	stack = maker_stack(&second, app, STACK_COMPLETE, 2, (const uint64_t[]){0x100, 0x10});
	for (uint32_t i = 1; i <= 30; i++) {
		maker_row(&second, 0, thread, stack, 1, 0, 1);
		maker_commit(&second, i * 500);
	}
	maker_finish(&second, 15000);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT first_checkpoint_id, last_checkpoint_id FROM "
					"rollup_spans"),
		     "1|60\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT (SELECT SUM(count) FROM rollups) = (SELECT "
					"SUM(count) FROM samples WHERE checkpoint_id <= 60)"),
		     "1\n");
	/* 20 s + 15 s, the stack is the first recording's first. */
	snapshot = read_snapshot(path, (struct store_window){20000 * MS, UINT64_MAX});
	CHECK_EQ_U64(snapshot->checkpoint_count, 30);
	CHECK_EQ_U64(snapshot->row_count, 1);
	CHECK_EQ_U64(snapshot->rows[0].count, 30);
	CHECK_EQ_U64(snapshot->rows[0].stack, 0);
	CHECK_EQ_U64(snapshot->rows[0].thread, 3);
	snapshot_free(snapshot);
	snapshot = read_snapshot(path, (struct store_window){0, 30000 * MS});
	CHECK_EQ_U64(snapshot->checkpoint_count, 60);
	for (size_t i = 0; i < snapshot->row_count; i++) {
		if (snapshot->rows[i].thread == 3)
			CHECK_EQ_U64(snapshot->rows[i].count, 20);
	}
	snapshot_free(snapshot);
	maker_done(&maker);
	maker_done(&second);
}

TEST(unresolved_frames_are_told_by_place)
{
	const char *path = test_path("p.db");
	const struct snapshot_location *location;
	struct snapshot *snapshot;
	struct maker maker;
	module_id libc;

	maker_create(&maker, path);
	libc = maker_module(&maker, "/usr/lib/libc.so.6", 1);
	maker_row(&maker, 0, maker_thread(&maker, 1, "t"),
		  maker_stack(&maker, libc, STACK_FRAME_POINTERS, 1, (const uint64_t[]){0x2a1f0}),
		  1, 0, 1);
	maker_commit(&maker, 1000);
	maker_finish(&maker, 1000);
	maker_done(&maker);
	snapshot = read_snapshot(path, whole);
	CHECK_EQ_U64(snapshot->unresolved_count, 1);
	CHECK(!snapshot->frames[0].is_resolved);
	CHECK_EQ_U64(snapshot->frames[0].line_count, 1);
	location = &snapshot->locations[snapshot->lines[snapshot->frames[0].first_line]];
	CHECK_EQ_STR(location->function, "libc.so.6+0x2a1f0");
	CHECK_EQ_STR(location->file, "[libc.so.6]");
	CHECK_EQ_U64(location->address, UINT64_C(1) << 48 | 0x2a1f0);
	CHECK(location->is_internal);
	/* Not charged by the recorder: by this reader, to the leaf. */
	CHECK_EQ_U64(snapshot->stacks[0].charged_location,
		     snapshot->lines[snapshot->frames[0].first_line]);
	CHECK_EQ_U64(snapshot->stacks[0].status, STACK_FRAME_POINTERS);
	snapshot_free(snapshot);
}

TEST(older_rules_are_charged_anew)
{
	const char *path = test_path("p.db");
	struct snapshot *snapshot;
	struct maker maker;

	maker_small(&maker, path);
	maker_finish(&maker, 3000);
	maker_done(&maker);
	/* As if an older table had charged libc itself. */
	CHECK_EQ_STR(plain_sqlite(path, "UPDATE stacks SET charged_location_id = (SELECT l.id FROM "
					"locations l JOIN texts t ON t.id = l.function_id WHERE "
					"t.text = 'malloc') WHERE id = 3"),
		     "");
	snapshot = read_snapshot(path, whole);
	CHECK_EQ_U64(row_sum(snapshot, "malloc", 0), 9);
	snapshot_free(snapshot);
	CHECK_EQ_STR(plain_sqlite(path, "UPDATE meta SET value = '0' WHERE "
					"key = 'attribute_version'"),
		     "");
	snapshot = read_snapshot(path, whole);
	CHECK_EQ_U64(row_sum(snapshot, "malloc", 0), 0);
	CHECK_EQ_U64(row_sum(snapshot, "parse", 0), 12);
	snapshot_free(snapshot);
}

TEST(reading_while_recording)
{
	const char *path = test_path("p.db");
	struct store_reader *reader;
	struct snapshot *snapshot;
	struct err err = {0};
	struct maker maker;

	maker_small(&maker, path);
	CHECK(store_reader_open(path, &reader, &err) == 0);
	CHECK(store_reader_snapshot(reader, whole, &snapshot, &err) == 0);
	CHECK_EQ_U64(snapshot->checkpoint_count, 3);
	snapshot_free(snapshot);
	maker_row(&maker, 0, (thread_id){1}, (stack_id){1}, 5, 0, 5);
	maker_commit(&maker, 4000);
	CHECK(store_reader_snapshot(reader, whole, &snapshot, &err) == 0);
	CHECK_EQ_U64(snapshot->checkpoint_count, 4);
	CHECK_EQ_U64(row_sum(snapshot, "main", 0), 8);
	snapshot_free(snapshot);
	store_reader_close(reader);
	maker_finish(&maker, 4000);
	maker_done(&maker);
}

static void copy_bytes(const char *from, const char *to, long length)
{
	FILE *in = fopen(from, "r"), *out = fopen(to, "w");
	static char bytes[1 << 20];
	size_t count;

	CHECK(in && out);
	count = fread(bytes, 1, sizeof(bytes), in);
	CHECK(count < sizeof(bytes) && (length < 0 || (size_t)length <= count));
	count = length < 0 ? count : (size_t)length;
	CHECK(fwrite(bytes, 1, count, out) == count);
	CHECK(fclose(in) == 0 && fclose(out) == 0);
}

TEST(truncated_at_any_length_is_refused)
{
	const char *folder = kit_folder();
	char path[4200], cut[4200];
	struct maker maker;
	struct stat status;
	struct err err;

	snprintf(path, sizeof(path), "%s/p.db", folder);
	snprintf(cut, sizeof(cut), "%s/cut.db", folder);
	maker_small(&maker, path);
	maker_finish(&maker, 3000);
	maker_done(&maker);
	CHECK(stat(path, &status) == 0);
	for (long length = 0; length < status.st_size; length += length < 600 ? 37 : 509) {
		copy_bytes(path, cut, length);
		if (read_outcome(cut, &err) != ERR_DATABASE)
			FAIL("%ld of %ld bytes were taken for a profile", length,
			     (long)status.st_size);
		CHECK(err.sentence[0] && strstr(err.sentence, "cut.db"));
	}
	for (long length = 4096; length < status.st_size; length += 4096) {
		copy_bytes(path, cut, length);
		CHECK_EQ_U64(read_outcome(cut, &err), ERR_DATABASE);
	}
	copy_bytes(path, cut, -1);
	CHECK_EQ_U64(read_outcome(cut, &err), ERR_NONE);
}

/* Any byte may be anything: refused or read, but never a crash. */
TEST(flipped_bytes_do_not_crash)
{
	const char *folder = kit_folder();
	char path[4200], bad[4200];
	struct maker maker;
	struct stat status;
	struct err err;
	int refused = 0;

	snprintf(path, sizeof(path), "%s/p.db", folder);
	snprintf(bad, sizeof(bad), "%s/bad.db", folder);
	maker_small(&maker, path);
	maker_finish(&maker, 3000);
	CHECK(stat(path, &status) == 0);
	for (int i = 0; i < 400; i++) {
		int fd;

		copy_bytes(path, bad, -1);
		fd = open(bad, O_WRONLY);
		CHECK(fd >= 0);
		for (int j = 0; j < 4; j++) {
			char byte = (char)maker_random(&maker, 256);
			off_t at = (off_t)maker_random(&maker, (uint64_t)status.st_size);

			CHECK(pwrite(fd, &byte, 1, at) == 1);
		}
		close(fd);
		switch (read_outcome(bad, &err)) {
		case ERR_NONE:
			break;
		case ERR_DATABASE:
			refused++;
			CHECK(err.sentence[0]);
			break;
		default:
			FAIL("kind %d: %s", err.kind, err.sentence);
		}
	}
	/* Most of a small file is empty space. */
	CHECK_BETWEEN(refused, 5, 395);
	maker_done(&maker);
}

TEST(files_of_other_kinds)
{
	const char *path = test_path("p.db");
	struct err err;
	FILE *file;

	CHECK_EQ_U64(read_outcome(path, &err), ERR_DATABASE);
	CHECK(strstr(err.sentence, "No such file"));
	CHECK_EQ_U64(read_outcome(kit_folder(), &err), ERR_DATABASE);
	CHECK(strstr(err.sentence, "folder"));
	path = test_path("fifo");
	CHECK(mkfifo(path, 0600) == 0);
	CHECK_EQ_U64(read_outcome(path, &err), ERR_DATABASE);

	path = test_path("text.db");
	file = fopen(path, "w");
	CHECK(file);
	for (int i = 0; i < 2000; i++)
		fputs("This is not a database. ", file);
	CHECK(fclose(file) == 0);
	CHECK_EQ_U64(read_outcome(path, &err), ERR_DATABASE);
	CHECK(strstr(err.sentence, "not an SQLite database"));

	path = test_path("other.db");
	CHECK_EQ_STR(plain_sqlite(path, "CREATE TABLE meta(key, value)"), "");
	CHECK_EQ_U64(read_outcome(path, &err), ERR_DATABASE);
	CHECK(strstr(err.sentence, "another program"));
	/* With our mark, and nothing else of ours. */
	CHECK_EQ_STR(plain_sqlite(path, "PRAGMA application_id=1381191750"), "");
	CHECK_EQ_U64(read_outcome(path, &err), ERR_DATABASE);
	CHECK(strstr(err.sentence, "damaged"));
}

TEST(newer_format_wants_an_upgrade)
{
	const char *path = test_path("p.db");
	struct store_recording recording = maker_recording();
	struct store *store = NULL;
	struct maker maker;
	struct err err;

	maker_small(&maker, path);
	maker_finish(&maker, 3000);
	maker_done(&maker);
	CHECK_EQ_STR(plain_sqlite(path, "UPDATE meta SET value = '2' WHERE key = 'version'"), "");
	CHECK_EQ_U64(read_outcome(path, &err), ERR_DATABASE);
	CHECK(strstr(err.sentence, "newer"));
	CHECK(strstr(err.remedy, "Upgrade"));
	memset(&err, 0, sizeof(err));
	CHECK(store_append(path, &recording, &store, &err) < 0);
	CHECK_EQ_U64(err.kind, ERR_DATABASE);
	CHECK(strstr(err.remedy, "Upgrade"));
	CHECK_EQ_STR(plain_sqlite(path, "UPDATE meta SET value = 'x' WHERE key = 'version'"), "");
	CHECK_EQ_U64(read_outcome(path, &err), ERR_DATABASE);
	CHECK(!store);
}

TEST(locked_file_is_said_in_time)
{
	const char *path = test_path("p.db");
	struct timespec before, after;
	struct maker maker;
	sqlite3 *other;
	struct err err;

	maker_small(&maker, path);
	maker_finish(&maker, 3000);
	maker_done(&maker);
	CHECK(sqlite3_open(path, &other) == SQLITE_OK);
	CHECK(sqlite3_exec(other, "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE", NULL, NULL,
			   NULL) == SQLITE_OK);
	clock_gettime(CLOCK_MONOTONIC, &before);
	CHECK_EQ_U64(read_outcome(path, &err), ERR_DATABASE);
	clock_gettime(CLOCK_MONOTONIC, &after);
	CHECK(strstr(err.sentence, "locked"));
	CHECK_BETWEEN((double)(after.tv_sec - before.tv_sec), 0, 5);
	sqlite3_close(other);
	CHECK_EQ_U64(read_outcome(path, &err), ERR_NONE);
}

/* As the owner of a file in a folder that he cannot write. */
static int read_as_nobody(const char *path, struct err *ret_err)
{
	int fds[2], status;
	pid_t child;

	CHECK(pipe(fds) == 0);
	child = fork();
	if (child == 0) {
		struct err err = {0};
		int kind;

		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(99);
		kind = (int)read_outcome(path, &err);
		if (write(fds[1], &err, sizeof(err)) != sizeof(err))
			_exit(98);
		_exit(kind);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
	CHECK(read(fds[0], ret_err, sizeof(*ret_err)) == sizeof(*ret_err));
	close(fds[0]);
	close(fds[1]);
	return WEXITSTATUS(status);
}

TEST(folder_that_cannot_be_written)
{
	const char *folder = kit_folder();
	char path[4200], wal[4300], shm[4300];
	struct err err;
	pid_t child;
	int status;

	if (geteuid() != 0)
		SKIP("needs root, to become another user");
	snprintf(path, sizeof(path), "%s/p.db", folder);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	snprintf(shm, sizeof(shm), "%s-shm", path);
	/* Left in the middle, with all that belongs to it. */
	child = fork();
	if (child == 0) {
		struct maker maker;

		maker_small(&maker, path);
		kill(getpid(), SIGKILL);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	CHECK(chown(path, 65534, 65534) == 0 && chown(wal, 65534, 65534) == 0 &&
	      chown(shm, 65534, 65534) == 0 && chmod(folder, 0755) == 0);
	CHECK_EQ_I64(read_as_nobody(path, &err), ERR_NONE);
	/* Without the -shm, as a copy to read-only media has it. */
	CHECK(unlink(shm) == 0);
	CHECK_EQ_I64(read_as_nobody(path, &err), ERR_DATABASE);
	CHECK(strstr(err.sentence, "-wal"));
	/* In WAL mode, but with nothing in the -wal. */
	CHECK(unlink(wal) == 0);
	CHECK_EQ_I64(read_as_nobody(path, &err), ERR_NONE);
	/* Not his own. */
	CHECK(chown(path, 0, 0) == 0);
	CHECK_EQ_I64(read_as_nobody(path, &err), ERR_DATABASE);
	CHECK(strstr(err.sentence, "Permission denied"));
}

TEST(names_that_sqlite_would_interpret)
{
	static const char *const names[] = {"file:p.db?mode=memory", "a%20b#c.db", "-p.db"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *path = test_path(names[i]);
		struct maker maker;
		struct err err;

		maker_small(&maker, path);
		maker_finish(&maker, 3000);
		maker_done(&maker);
		CHECK(access(path, F_OK) == 0);
		CHECK_EQ_U64(read_outcome(path, &err), ERR_NONE);
	}
	CHECK(chdir(kit_folder()) == 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct maker maker;
		struct err err;

		maker_small(&maker, names[i]);
		maker_finish(&maker, 3000);
		maker_done(&maker);
		CHECK(access(names[i], F_OK) == 0);
		CHECK_EQ_U64(read_outcome(names[i], &err), ERR_NONE);
	}
}

/* Values that no rsprof writes: each makes the file "damaged", by a sentence. */
TEST(hostile_values_are_refused)
{
	static const char *const changes[] = {
		"UPDATE nodes SET parent_id = 3 WHERE id = 1",
		"UPDATE nodes SET parent_id = 1 WHERE id = 1",
		"UPDATE nodes SET parent_id = 'x' WHERE id = 2",
		"UPDATE nodes SET frame_id = 99",
		"UPDATE nodes SET frame_id = -1",
		"UPDATE frames SET module_id = 77",
		"UPDATE frames SET quality = 9",
		"UPDATE frames SET is_resolved = 0",
		"UPDATE frames SET vaddr = 'text'",
		"UPDATE frame_lines SET depth = depth + 5",
		"UPDATE frame_lines SET depth = 1000000 WHERE depth = 1",
		"UPDATE frame_lines SET location_id = 1000",
		"INSERT INTO frame_lines VALUES(1000, 0, 1)",
		"UPDATE stacks SET node_id = 1000",
		"UPDATE stacks SET status = 55",
		"UPDATE stacks SET status = -1",
		"UPDATE stacks SET charged_location_id = 1234 WHERE id = 1",
		"UPDATE locations SET function_id = 1000",
		"UPDATE locations SET path_id = 1000",
		"UPDATE locations SET line = -1",
		"UPDATE locations SET line = 5000000000",
		"UPDATE locations SET addr = -addr",
		"UPDATE texts SET text = CAST(x'00ff' AS BLOB)",
		"UPDATE threads SET recording_id = 9",
		"UPDATE threads SET tid = -4",
		"UPDATE threads SET tid = 4294967296",
		"UPDATE modules SET kind = 17",
		"UPDATE modules SET id = -5 WHERE id = 0",
		"DELETE FROM modules WHERE id = 1",
		"UPDATE events SET name = 'cosmic-rays' WHERE id = 1",
		"DELETE FROM events",
		"UPDATE totals SET count = -1",
		"UPDATE totals SET count = 9223372036854775807",
		"UPDATE totals SET kernel_count = count + 1",
		"UPDATE totals SET value = 1.5",
		"UPDATE totals SET value = 9223372036854775807",
		"UPDATE totals SET stack_id = stack_id + 1000",
		"UPDATE totals SET thread_id = thread_id + 4000000000",
		"UPDATE checkpoints SET timestamp_ms = -timestamp_ms",
		"UPDATE checkpoints SET timestamp_ms = 10000 - timestamp_ms",
		"UPDATE checkpoints SET timestamp_ms = 9223372036854775807",
		"UPDATE checkpoints SET id = -id",
		"UPDATE recordings SET duration_ns = -1",
		"UPDATE recordings SET offset_ns = 'soon'",
		"UPDATE recordings SET is_finished = 7",
		"UPDATE losses SET count = -3",
		"DELETE FROM meta WHERE key = 'version'",
		"UPDATE meta SET value = '-1' WHERE key = 'version'",
		"DROP TABLE losses",
		"ALTER TABLE nodes RENAME TO knots",
		"ALTER TABLE samples ADD COLUMN extra",
		"DROP TABLE totals; CREATE VIEW totals AS WITH RECURSIVE r(i) AS (SELECT 1 UNION "
		"ALL "
		"SELECT i FROM r) SELECT i AS event_id, 1 AS thread_id, 1 AS stack_id, 1 AS count, "
		"0 "
		"AS kernel_count, 0 AS value FROM r",
		"WITH RECURSIVE deep(i) AS (SELECT 4 UNION ALL SELECT i + 1 FROM deep WHERE i < "
		"600) "
		"INSERT INTO nodes SELECT i, i - 1, 1 FROM deep",
		"WITH RECURSIVE long(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM long WHERE i < "
		"1100) "
		"INSERT INTO frame_lines SELECT 1, i, 1 FROM long",
	};
	const char *folder = kit_folder();
	char path[4200], bad[4200];
	struct maker maker;
	struct err err;

	snprintf(path, sizeof(path), "%s/p.db", folder);
	snprintf(bad, sizeof(bad), "%s/bad.db", folder);
	maker_small(&maker, path);
	maker_finish(&maker, 3000);
	maker_done(&maker);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		sqlite3 *db;
		int code;

		copy_bytes(path, bad, -1);
		CHECK(sqlite3_open(bad, &db) == SQLITE_OK);
		code = sqlite3_exec(db, changes[i], NULL, NULL, NULL);
		if (code != SQLITE_OK)
			FAIL("%s: %s", changes[i], sqlite3_errmsg(db));
		sqlite3_close(db);
		if (read_outcome(bad, &err) != ERR_DATABASE)
			FAIL("taken: %s", changes[i]);
		if (!strstr(err.sentence, "damaged"))
			FAIL("%s: %s", changes[i], err.sentence);
	}
	/* A user's own index or view in the file is none of our business. */
	copy_bytes(path, bad, -1);
	CHECK_EQ_STR(plain_sqlite(bad, "CREATE INDEX mine ON samples(stack_id); CREATE VIEW v AS "
				       "SELECT 1"),
		     "");
	CHECK_EQ_U64(read_outcome(bad, &err), ERR_NONE);
}

/* Spans are only read by windows. */
TEST(hostile_spans_are_refused)
{
	static const char *const changes[] = {
		"UPDATE rollup_spans SET first_checkpoint_id = 1",
		"UPDATE rollup_spans SET last_checkpoint_id = -1",
		"UPDATE rollups SET count = -count",
		"UPDATE samples SET thread_id = thread_id + 100",
	};
	const char *folder = kit_folder();
	char path[4200], bad[4200];
	struct maker maker;

	snprintf(path, sizeof(path), "%s/p.db", folder);
	snprintf(bad, sizeof(bad), "%s/bad.db", folder);
	maker_random_profile(&maker, path, 130);
	maker_done(&maker);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		struct snapshot *snapshot = NULL;
		struct store_reader *reader;
		struct err err = {0};

		copy_bytes(path, bad, -1);
		CHECK_EQ_STR(plain_sqlite(bad, changes[i]), "");
		CHECK(store_reader_open(bad, &reader, &err) == 0);
		if (store_reader_snapshot(reader, (struct store_window){500 * MS, 64000 * MS},
					  &snapshot, &err) == 0)
			FAIL("taken: %s", changes[i]);
		CHECK_EQ_U64(err.kind, ERR_DATABASE);
		CHECK(!snapshot);
		store_reader_close(reader);
	}
}

KIT_MAIN
