/* Writing: files, transactions, appending, and ends of every kind. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/store_maker.h"

static bool exists(const char *path, const char *suffix)
{
	char name[4200];

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	return access(name, F_OK) == 0;
}

TEST(clean_end_leaves_one_private_file)
{
	const char *path = test_path("p.db");
	struct maker maker;
	struct stat status;

	maker_small(&maker, path);
	CHECK(exists(path, "-wal"));
	maker_finish(&maker, 3000);
	CHECK(stat(path, &status) == 0);
	CHECK_EQ_U64(status.st_mode & 07777, 0600);
	CHECK(!exists(path, "-wal"));
	CHECK(!exists(path, "-shm"));
	CHECK(!exists(path, "-journal"));
	CHECK_EQ_STR(plain_sqlite(path, "PRAGMA journal_mode"), "delete\n");
	CHECK_EQ_STR(plain_sqlite(path, "PRAGMA integrity_check"), "ok\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT is_finished, duration_ns FROM recordings"),
		     "1|3000000000\n");
	maker_done(&maker);
}

TEST(documented_queries_run_in_plain_sqlite)
{
	const char *path = test_path("p.db");
	struct maker maker;
	char sql[512];
	long long addr;

	maker_small(&maker, path);
	maker_finish(&maker, 3000);
	maker_done(&maker);
	/* checkpoint, thread, addr, count: main has its own address, parse was first seen as the
	 * caller of an inlined function, its location is the third. */
	snprintf(sql, sizeof(sql), "1|1|%llu|2\n1|1|%llu|5\n2|2|%llu|7\n3|1|%llu|1\n3|2|0|4\n",
		 1ull << 48 | 0x1000, 1ull << 62 | 3, 1ull << 62 | 3, 1ull << 48 | 0x1000);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT * FROM cpu_samples LIMIT 10"), sql);
	CHECK_EQ_STR(plain_sqlite(path,
				  "SELECT file, line, SUM(count) FROM cpu_samples c JOIN symbols s "
				  "ON c.addr = s.addr GROUP BY c.addr ORDER BY 3 DESC LIMIT 10"),
		     "src/parser.rs|89|12\n[no user stack]|0|4\nsrc/main.rs|142|3\n");
	CHECK_EQ_STR(plain_sqlite(path,
				  "SELECT function, file, line, total_alloc_bytes - "
				  "total_free_bytes AS leaked, total_allocs - total_frees AS "
				  "leaked_count FROM heap_samples WHERE total_allocs > total_frees "
				  "ORDER BY leaked DESC LIMIT 20"),
		     "");
	addr = (long long)(1ull << 62 | 3);
	CHECK_EQ_STR(plain_sqlite(path,
				  "SELECT cp.timestamp_ms, c.count FROM cpu_samples c JOIN "
				  "checkpoints cp ON c.checkpoint_id = cp.id WHERE c.addr = ? "
				  "ORDER BY 1"),
		     "");
	snprintf(sql, sizeof(sql),
		 "SELECT cp.timestamp_ms, c.count FROM cpu_samples c JOIN checkpoints cp ON "
		 "c.checkpoint_id = cp.id WHERE c.addr = %lld ORDER BY 1",
		 addr);
	CHECK_EQ_STR(plain_sqlite(path, sql), "1000|5\n2000|7\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT * FROM meta WHERE key IN ('version', 'pid', "
					"'process_name', 'exe_path', 'checkpoint_interval_ms', "
					"'cpu_freq_hz', 'cpu_source', 'heap_source', "
					"'complete_stacks_pct')"),
		     "checkpoint_interval_ms|1000\ncomplete_stacks_pct|99.90\ncpu_freq_hz|99\n"
		     "cpu_source|perf\nexe_path|/usr/bin/burn\nheap_source|off\npid|4711\n"
		     "process_name|burn\nversion|1\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) FROM meta WHERE key = 'start_time' AND "
					"value LIKE '20__-__-__T__:__:__+__:__'"),
		     "1\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) - COUNT(DISTINCT addr) FROM symbols"),
		     "0\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) FROM cpu_samples WHERE addr NOT IN "
					"(SELECT addr FROM symbols)"),
		     "0\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT * FROM losses"), "1|ring_full|3\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT signal, mode FROM steps"),
		     "cpu|perf\nheap|off\nwait|off\n");
}

TEST(uncharged_stacks_have_a_symbol)
{
	const char *path = test_path("p.db");
	struct maker maker;
	module_id app;
	thread_id thread;
	stack_id odd;

	maker_create(&maker, path);
	app = maker_module(&maker, "/opt/lib/odd.so", 1);
	thread = maker_thread(&maker, 1, "t");
	maker_row(&maker, 0, thread,
		  maker_stack(&maker, app, STACK_COMPLETE, 1, (const uint64_t[]){0xabc}), 1, 0, 1);
	/* An address that does not fit the rule, and the unknown module's address 0. */
	odd = maker_stack(&maker, app, STACK_COMPLETE, 1,
			  (const uint64_t[]){UINT64_C(0xffffffffff600000)});
	maker_row(&maker, 0, thread, odd, 2, 0, 2);
	maker_row(&maker, 0, thread,
		  maker_stack(&maker, (module_id){0}, STACK_NO_MAPPING, 1, (const uint64_t[]){0}),
		  3, 0, 3);
	maker_commit(&maker, 1000);
	CHECK_EQ_STR(plain_sqlite(path,
				  "SELECT s.function, s.file, s.line, c.count FROM "
				  "cpu_samples c JOIN symbols s ON s.addr = c.addr ORDER BY 4"),
		     "odd.so+0xabc|[odd.so]|0|1\nodd.so+0xffffffffff600000|[odd.so]|0|2\n"
		     "[unknown]+0x0|[unknown]|0|3\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT MIN(addr) > 0 FROM cpu_samples"), "1\n");
	/* Resolved in one commit, charged in the next. */
	maker_resolve(&maker, 0xabc, (struct source_line){"late", "late.c", NULL, 4}, NULL);
	maker_commit(&maker, 2000);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT s.function, s.file, s.line, c.count FROM "
					"cpu_samples c JOIN symbols s ON s.addr = c.addr "
					"WHERE c.count = 1"),
		     "late|late.c|4|1\n");
	maker_charge(&maker, odd, UINT64_C(0xffffffffff600000), 0, STACK_BROKEN);
	maker_commit(&maker, 3000);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) - COUNT(DISTINCT addr) FROM symbols"),
		     "0\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) FROM cpu_samples c JOIN symbols s ON "
					"s.addr = c.addr"),
		     "3\n");
	maker_finish(&maker, 3000);
	maker_done(&maker);
}

TEST(locations_exist_once)
{
	const char *path = test_path("p.db");
	const struct source_line line = {"f", "f.c", "/src/f.c", 10};
	struct maker maker;
	module_id app;
	thread_id thread;
	stack_id stack;

	maker_create(&maker, path);
	app = maker_module(&maker, "/bin/app", 1);
	thread = maker_thread(&maker, 1, "t");
	stack = maker_stack(&maker, app, STACK_COMPLETE, 3, (const uint64_t[]){0x10, 0x20, 0x30});
	maker_row(&maker, 0, thread, stack, 1, 0, 1);
	maker_resolve(&maker, 0x10, line, NULL);
	maker_resolve(&maker, 0x20, line, NULL);
	maker_resolve(&maker, 0x30, line, &line);
	maker_charge(&maker, stack, 0x30, 1, STACK_COMPLETE);
	maker_commit(&maker, 1000);
	maker_finish(&maker, 1000);
	maker_done(&maker);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*), MIN(line) FROM locations"), "1|10\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) FROM frame_lines"), "4\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) FROM texts"), "3\n");
}

TEST(never_overwrites)
{
	const char *path = test_path("p.db");
	struct store_recording recording = maker_recording();
	struct store *store = NULL;
	struct err err = {0};
	char target[4200];
	FILE *file = fopen(path, "w");

	CHECK(file && fputs("mine", file) >= 0 && fclose(file) == 0);
	CHECK(store_create(path, &recording, &store, &err) == -EEXIST);
	CHECK_EQ_U64(err.kind, ERR_DATABASE);
	CHECK(strstr(err.sentence, "exists already"));
	CHECK(strstr(err.remedy, "--append"));
	file = fopen(path, "r");
	CHECK(file && fgets(target, sizeof(target), file) && fclose(file) == 0);
	CHECK_EQ_STR(target, "mine");
	/* A link that leads nowhere yet is not followed either. */
	CHECK(unlink(path) == 0);
	snprintf(target, sizeof(target), "%s.target", path);
	CHECK(symlink(target, path) == 0);
	CHECK(store_create(path, &recording, &store, &err) == -EEXIST);
	CHECK(access(target, F_OK) != 0);
	CHECK(!store);
}

TEST(folder_that_is_not_there)
{
	struct store_recording recording = maker_recording();
	struct store *store = NULL;
	struct err err = {0};
	char path[4200];

	snprintf(path, sizeof(path), "%s/no/such/p.db", kit_folder());
	CHECK(store_create(path, &recording, &store, &err) == -ENOENT);
	CHECK_EQ_U64(err.kind, ERR_GENERAL);
	CHECK(strstr(err.sentence, "does not exist"));
	CHECK(store_create("", &recording, &store, &err) == -EINVAL);
	CHECK(!store);
}

/* Runs as nobody in a child, since the kit's folder is the caller's. */
TEST(folder_that_cannot_be_written)
{
	const char *path = test_path("p.db");
	struct store_recording recording = maker_recording();
	int status;
	pid_t child;

	if (geteuid() != 0)
		SKIP("needs root, to become another user");
	child = fork();
	if (child == 0) {
		struct store *store = NULL;
		struct err err = {0};
		int ret;

		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(2);
		ret = store_create(path, &recording, &store, &err);
		_exit(ret < 0 && err.kind == ERR_GENERAL && err.remedy[0] ? 0 : 1);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status));
	CHECK_EQ_I64(WEXITSTATUS(status), 0);
	CHECK(access(path, F_OK) != 0);
}

TEST(abandoned_before_it_began)
{
	const char *path = test_path("p.db");
	struct maker maker;

	maker_create(&maker, path);
	store_abandon(maker.store, true);
	CHECK(!exists(path, ""));
	CHECK(!exists(path, "-wal"));
	CHECK(!exists(path, "-shm"));
	maker_done(&maker);
	store_abandon(NULL, true);
}

TEST(abandoned_in_the_middle_stays_readable)
{
	const char *path = test_path("p.db");
	struct snapshot *snapshot;
	struct maker maker;

	maker_small(&maker, path);
	store_abandon(maker.store, false);
	maker_done(&maker);
	CHECK(!exists(path, "-wal"));
	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	CHECK_EQ_U64(snapshot->checkpoint_count, 3);
	CHECK_EQ_U64(snapshot->duration_ns, 3000 * MS);
	CHECK(!snapshot->recordings[0].is_finished);
	snapshot_free(snapshot);
}

/* Commits n checkpoints of a sample each, then dies without a word. */
static void record_and_die(const char *path, uint32_t checkpoints)
{
	struct maker maker;
	module_id app;
	thread_id thread;

	maker_create(&maker, path);
	app = maker_module(&maker, "/bin/app", 1);
	thread = maker_thread(&maker, 1, "t");
	for (uint32_t i = 1; i <= checkpoints; i++) {
		uint64_t vaddr = 0x1000 + i;

		maker_row(&maker, 0, thread, maker_stack(&maker, app, STACK_COMPLETE, 1, &vaddr), i,
			  0, i);
		maker_commit(&maker, i * 1000);
	}
	kill(getpid(), SIGKILL);
}

TEST(killed_recording_holds_every_commit)
{
	static const uint32_t counts[] = {0, 1, 7, 59, 60, 61, 130};

	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		const char *path = test_path("p.db");
		struct snapshot *snapshot;
		uint64_t sum = 0;
		int status;
		pid_t child = fork();

		if (child == 0)
			record_and_die(path, counts[i]);
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
		CHECK_EQ_U64(snapshot->checkpoint_count, counts[i]);
		CHECK_EQ_U64(snapshot->duration_ns, counts[i] * 1000 * MS);
		for (size_t row = 0; row < snapshot->row_count; row++)
			sum += snapshot->rows[row].count;
		CHECK_EQ_U64(sum, counts[i] * (counts[i] + 1) / 2);
		CHECK_EQ_U64(snapshot->unresolved_count, counts[i]);
		snapshot_free(snapshot);
	}
}

static void append(struct maker *maker, const char *path, struct store_recording *recording)
{
	struct err err = {0};

	maker_init(maker);
	if (store_append(path, recording, &maker->store, &err) < 0)
		FAIL("store_append: %s", err.sentence);
}

TEST(append_shares_what_is_known)
{
	const char *path = test_path("p.db");
	const struct source_line main_line = {"main", "src/main.rs", "/home/me/src/main.rs", 142};
	const struct source_line new_line = {"fresh", "src/fresh.rs", NULL, 1};
	struct store_recording recording = maker_recording();
	struct snapshot *snapshot;
	struct maker maker;
	module_id libc, app;
	thread_id thread;
	stack_id in_main, in_fresh;

	maker_small(&maker, path);
	maker_finish(&maker, 3500);
	maker_done(&maker);

	recording.pid = 4800;
	append(&maker, path, &recording);
	/* Told in another order than the first time. */
	libc = maker_module(&maker, "/usr/lib/libc.so.6", 0xcd);
	app = maker_module(&maker, "/usr/bin/burn", 0xab);
	CHECK(libc.v == 1 && app.v == 2);
	thread = maker_thread(&maker, 4800, "burn");
	in_fresh = maker_stack(&maker, app, STACK_COMPLETE, 2, (const uint64_t[]){0x3000, 0x1000});
	in_main = maker_stack(&maker, app, STACK_FRAME_POINTERS, 1, (const uint64_t[]){0x1000});
	maker_row(&maker, 0, thread, in_main, 10, 0, 100);
	maker_row(&maker, 0, thread, in_fresh, 20, 5, 200);
	maker_resolve(&maker, 0x1000, main_line, NULL);
	maker_resolve(&maker, 0x3000, new_line, NULL);
	maker_charge(&maker, in_main, 0x1000, 0, STACK_COMPLETE);
	maker_charge(&maker, in_fresh, 0x3000, 0, STACK_COMPLETE);
	maker.losses.count[LOSS_RING_FULL] = 2;
	maker_commit(&maker, 1000);
	maker_finish(&maker, 1000);
	maker_done(&maker);

	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) FROM modules"), "3\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) FROM frames"), "4\n");
	/* main; parse over main; libc over parse over main; and now fresh over main. */
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) FROM nodes"), "4\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) FROM stacks"), "5\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT id, timestamp_ms, recording_id FROM checkpoints"),
		     "1|1000|1\n2|2000|1\n3|3000|1\n4|4500|2\n");
	CHECK_EQ_STR(plain_sqlite(path,
				  "SELECT file, line, SUM(count) FROM cpu_samples c JOIN "
				  "symbols s ON c.addr = s.addr GROUP BY c.addr ORDER BY 3 DESC"),
		     "src/fresh.rs|1|20\nsrc/main.rs|142|13\nsrc/parser.rs|89|12\n"
		     "[no user stack]|0|4\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT value FROM meta WHERE key = 'attribute_version'"),
		     "1\n");
	CHECK_EQ_STR(plain_sqlite(path, "PRAGMA integrity_check"), "ok\n");
	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	CHECK_EQ_U64(snapshot->recording_count, 2);
	CHECK_EQ_U64(snapshot->recordings[1].offset_ns, 3500 * MS);
	CHECK_EQ_U64(snapshot->recordings[1].pid, 4800);
	CHECK_EQ_U64(snapshot->duration_ns, 4500 * MS);
	CHECK_EQ_U64(snapshot->losses.count[LOSS_RING_FULL], 5);
	CHECK_EQ_U64(snapshot->event_count, 2);
	CHECK_EQ_U64(snapshot->thread_count, 3);
	snapshot_free(snapshot);
	/* By window the second recording alone. */
	snapshot = read_snapshot(path, (struct store_window){3500 * MS, UINT64_MAX});
	CHECK_EQ_U64(snapshot->checkpoint_count, 1);
	CHECK_EQ_U64(snapshot->row_count, 2);
	snapshot_free(snapshot);
}

TEST(append_keeps_the_better_resolution)
{
	const char *path = test_path("p.db");
	struct store_recording recording = maker_recording();
	struct snapshot *snapshot;
	struct maker maker;
	module_id app;
	thread_id thread;
	stack_id in_main;

	maker_small(&maker, path);
	maker_finish(&maker, 3000);
	maker_done(&maker);
	append(&maker, path, &recording);
	app = maker_module(&maker, "/usr/bin/burn", 0xab);
	thread = maker_thread(&maker, 4711, "burn");
	in_main = maker_stack(&maker, app, STACK_COMPLETE, 1, (const uint64_t[]){0x1000});
	maker_row(&maker, 0, thread, in_main, 1, 0, 1);
	maker_resolve(&maker, 0x1000, (struct source_line){"burn+0x1000", "[burn]", NULL, 0}, NULL);
	maker.frames.items[0].quality = SYMBOL_NONE;
	maker_charge(&maker, in_main, 0x1000, 0, STACK_COMPLETE);
	maker_commit(&maker, 1000);
	maker_finish(&maker, 1000);
	maker_done(&maker);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT value FROM meta WHERE key = 'attribute_version'"),
		     "0\n");
	snapshot = read_snapshot(path, (struct store_window){3000 * MS, UINT64_MAX});
	CHECK_EQ_U64(snapshot->row_count, 1);
	CHECK_EQ_STR(snapshot->locations[snapshot->stacks[snapshot->rows[0].stack].charged_location]
			     .function,
		     "main");
	snapshot_free(snapshot);
}

TEST(append_of_another_build_is_refused)
{
	const char *path = test_path("p.db");
	struct store_recording recording = maker_recording();
	struct store *store = NULL;
	struct maker maker;
	struct err err = {0};

	maker_small(&maker, path);
	/* While it is being recorded to. */
	CHECK(store_append(path, &recording, &store, &err) == -EBUSY);
	CHECK(strstr(err.sentence, "Another rsprof"));
	maker_finish(&maker, 3000);
	maker_done(&maker);
	recording.exe_build_id = "123456";
	CHECK(store_append(path, &recording, &store, &err) == -EINVAL);
	CHECK_EQ_U64(err.kind, ERR_DATABASE);
	CHECK(strstr(err.sentence, "another build"));
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) FROM recordings"), "1\n");
	CHECK_EQ_STR(plain_sqlite(path, "PRAGMA journal_mode"), "delete\n");
	CHECK(!store);
}

TEST(append_that_never_began_leaves_nothing)
{
	const char *path = test_path("p.db");
	struct store_recording recording = maker_recording();
	struct store_fact fact = {"cpu_source", "ptrace"};
	struct maker maker;

	maker_small(&maker, path);
	maker_finish(&maker, 3000);
	maker_done(&maker);
	recording.facts = &fact;
	recording.fact_count = 1;
	append(&maker, path, &recording);
	store_abandon(maker.store, false);
	maker_done(&maker);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) FROM recordings"), "1\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT value FROM meta WHERE key = 'cpu_source'"),
		     "perf\n");
	CHECK(!exists(path, "-wal"));
}

TEST(append_to_what_is_not_ours_changes_nothing)
{
	const char *path = test_path("p.db");
	struct store_recording recording = maker_recording();
	struct store *store = NULL;
	struct err err = {0};

	CHECK_EQ_STR(plain_sqlite(path, "PRAGMA journal_mode=WAL; CREATE TABLE t(a); "
					"INSERT INTO t VALUES(1)"),
		     "wal\n");
	CHECK(store_append(path, &recording, &store, &err) < 0);
	CHECK_EQ_U64(err.kind, ERR_DATABASE);
	CHECK(strstr(err.sentence, "another program"));
	CHECK_EQ_STR(plain_sqlite(path, "PRAGMA journal_mode"), "wal\n");
	CHECK(store_append(test_path("none.db"), &recording, &store, &err) == -ENOENT);
	CHECK_EQ_U64(err.kind, ERR_DATABASE);
	CHECK(!store);
}

/* Fills the disk while recording: the commit says so, and what was committed can be read. */
TEST(disk_full_stops_loudly)
{
	const char *folder = kit_folder();
	struct maker maker;
	struct snapshot *snapshot;
	struct err err = {0};
	module_id app;
	thread_id thread;
	uint32_t committed = 0;
	uint64_t sum = 0;
	char path[4200];
	int ret = 0;

	/* A namespace of its own: the mount ends with the test, however that ends. */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("rsprof-test", folder, "tmpfs", 0, "size=1m"))
		SKIP("a small tmpfs cannot be mounted: %s", strerror(errno));
	snprintf(path, sizeof(path), "%s/p.db", folder);
	maker_create(&maker, path);
	app = maker_module(&maker, "/bin/app", 1);
	thread = maker_thread(&maker, 1, "t");
	while (ret == 0 && committed < 1000) {
		for (int i = 0; i < 100; i++) {
			uint64_t vaddr = 0x1000 + maker_random(&maker, 1 << 20);

			maker_row(&maker, 0, thread,
				  maker_stack(&maker, app, STACK_COMPLETE, 1, &vaddr), 1, 0, 1);
			/* A stack twice in one checkpoint is one row. */
			for (size_t j = 0; j + 1 < maker.rows.count; j++) {
				if (maker.rows.items[j].stack.v ==
				    maker.rows.items[maker.rows.count - 1].stack.v) {
					maker.rows.count--;
					break;
				}
			}
		}
		ret = maker_try_commit(&maker, (committed + 1) * 1000, &err);
		committed += ret == 0;
	}
	CHECK_BETWEEN(committed, 10, 900);
	CHECK_EQ_I64(ret, -ENOSPC);
	CHECK_EQ_U64(err.kind, ERR_DATABASE);
	CHECK(strstr(err.sentence, "disk is full"));
	/* And goes on saying it. */
	memset(&err, 0, sizeof(err));
	CHECK(maker_try_commit(&maker, 5000000, &err) == -ENOSPC);
	CHECK(strstr(err.sentence, "disk is full"));
	store_abandon(maker.store, false);
	maker_done(&maker);
	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	CHECK_EQ_U64(snapshot->checkpoint_count, committed);
	for (size_t row = 0; row < snapshot->row_count; row++)
		sum += snapshot->rows[row].count;
	CHECK_BETWEEN(sum, committed * 99, committed * 100);
	snapshot_free(snapshot);
}

TEST(sudo_gives_the_file_away)
{
	const char *path = test_path("p.db");
	struct maker maker;
	struct stat status;

	if (geteuid() != 0)
		SKIP("needs root, to give a file away");
	setenv("SUDO_UID", "65534", 1);
	setenv("SUDO_GID", "65533", 1);
	maker_small(&maker, path);
	maker_finish(&maker, 3000);
	maker_done(&maker);
	CHECK(stat(path, &status) == 0);
	CHECK_EQ_U64(status.st_uid, 65534);
	CHECK_EQ_U64(status.st_gid, 65533);
}

TEST(several_deltas_in_one_commit)
{
	const char *path = test_path("p.db");
	struct delta *deltas[3];
	struct snapshot *snapshot;
	struct maker maker;
	struct err err = {0};
	module_id app;
	thread_id thread;

	maker_create(&maker, path);
	app = maker_module(&maker, "/bin/app", 1);
	thread = maker_thread(&maker, 1, "t");
	for (uint32_t i = 0; i < 3; i++) {
		uint64_t vaddr = 0x10 + i;

		maker_row(&maker, 0, thread, maker_stack(&maker, app, STACK_COMPLETE, 1, &vaddr),
			  1 + i, 0, 1);
		deltas[i] = maker_delta(&maker, (i + 1) * 100);
	}
	CHECK(store_commit(maker.store, deltas, 3, NULL, &err) == 0);
	for (int i = 0; i < 3; i++)
		delta_release(deltas[i]);
	CHECK(store_commit(maker.store, NULL, 0, NULL, &err) == 0);
	maker_finish(&maker, 300);
	maker_done(&maker);
	snapshot = read_snapshot(path, (struct store_window){100 * MS, 300 * MS});
	CHECK_EQ_U64(snapshot->checkpoint_count, 2);
	CHECK_EQ_U64(snapshot->row_count, 2);
	snapshot_free(snapshot);
}

KIT_MAIN
