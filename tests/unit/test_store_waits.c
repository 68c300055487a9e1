/* Waits in the database: kinds apart, in every sum; steps; and files that claim what cannot be. */
#include "reader/util/str.h"
#include "tests/unit/store_maker.h"

enum { CPU, WAIT };

/* Events are cpu-clock and wait-time. */
static struct store_recording wait_recording(void)
{
	struct store_recording recording = maker_recording();

	maker_events[WAIT] = event_kind_by_name("wait-time", 9);
	return recording;
}

static void create(struct maker *maker, const char *path)
{
	struct store_recording recording = wait_recording();
	struct err err = {0};

	maker_init(maker);
	if (store_create(path, &recording, &maker->store, &err) < 0)
		FAIL("store_create: %s", err.sentence);
}

static void append(struct maker *maker, const char *path)
{
	struct store_recording recording = wait_recording();
	struct err err = {0};

	maker_init(maker);
	if (store_append(path, &recording, &maker->store, &err) < 0)
		FAIL("store_append: %s", err.sentence);
}

static void add_wait(struct maker *maker, thread_id thread, stack_id stack, enum wait_kind kind,
		     uint64_t waits, uint64_t wait_ns, uint64_t run_ns)
{
	struct delta_row row = {.thread = thread,
				.stack = stack,
				.event_index = WAIT,
				.kind = kind,
				.count = waits,
				.value = wait_ns,
				.run_ns = run_ns};

	*vec_add(&maker->rows) = row;
	*vec_add(&maker->all) = (struct made_row){maker->checkpoint + 1, row};
}

struct place_of_waits {
	thread_id thread;
	stack_id stack, other;
};

static struct place_of_waits make_places(struct maker *maker)
{
	module_id app = maker_module(maker, "/usr/bin/burn", 0xab);

	return (struct place_of_waits){
		maker_thread(maker, 4711, "burn"),
		maker_stack(maker, app, STACK_COMPLETE, 1, (const uint64_t[]){0x1000}),
		maker_stack(maker, app, STACK_COMPLETE, 2, (const uint64_t[]){0x2000, 0x1000}),
	};
}

struct wait_sums {
	uint64_t count, value, run_ns;
};

/* By event and kind. */
static void sum_snapshot(const struct snapshot *snapshot, struct wait_sums sums[2][WAIT_KINDS])
{
	memset(sums, 0, sizeof(struct wait_sums[2][WAIT_KINDS]));
	for (size_t i = 0; i < snapshot->row_count; i++) {
		const struct snapshot_row *row = &snapshot->rows[i];
		struct wait_sums *sum = &sums[row->event][row->kind];

		sum->count += row->count;
		sum->value += row->value;
		sum->run_ns += row->run_ns;
	}
}

static void check_window(const char *path, const struct maker *maker, uint32_t first, uint32_t last)
{
	struct store_window window = {(first - 1) * 1000 * MS, last * 1000 * MS};
	struct snapshot *snapshot = read_snapshot(path, window);
	struct wait_sums want[2][WAIT_KINDS] = {0}, got[2][WAIT_KINDS];

	for (size_t i = 0; i < maker->all.count; i++) {
		const struct made_row *made = &maker->all.items[i];
		struct wait_sums *sum = &want[made->row.event_index][made->row.kind];

		if (made->checkpoint < first || made->checkpoint > last)
			continue;
		sum->count += made->row.count;
		sum->value += made->row.value;
		sum->run_ns += made->row.run_ns;
	}
	sum_snapshot(snapshot, got);
	if (memcmp(want, got, sizeof(want)))
		FAIL("checkpoints %u to %u have other sums", first, last);
	snapshot_free(snapshot);
}

TEST(kinds_are_apart_and_cpu_samples_stay_what_they_are)
{
	const char *path = test_path("waits.db");
	struct wait_sums sums[2][WAIT_KINDS];
	struct store_summary summary;
	struct store_reader *reader;
	struct snapshot *snapshot;
	struct place_of_waits at;
	struct maker maker;
	struct err err = {0};

	create(&maker, path);
	at = make_places(&maker);
	maker_row(&maker, CPU, at.thread, at.stack, 4, 1, 4);
	add_wait(&maker, at.thread, at.stack, WAIT_LOCK, 3, 300 * MS, 50 * MS);
	add_wait(&maker, at.thread, at.stack, WAIT_SLEEP, 1, 200 * MS, 20 * MS);
	maker_commit(&maker, 1000);
	add_wait(&maker, at.thread, at.stack, WAIT_LOCK, 2, 100 * MS, 5 * MS);
	add_wait(&maker, at.thread, at.other, WAIT_POLL, 0, 70 * MS, 0);
	add_wait(&maker, at.thread, at.other, WAIT_NONE, 0, 0, 11 * MS);
	maker_row(&maker, CPU, at.thread, at.other, 2, 0, 2);
	maker_commit(&maker, 2000);
	maker_finish(&maker, 2000);
	maker_done(&maker);

	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	CHECK_EQ_U64(snapshot->row_count, 6);
	sum_snapshot(snapshot, sums);
	CHECK_EQ_U64(sums[CPU][WAIT_NONE].count, 6);
	CHECK_EQ_U64(sums[CPU][WAIT_NONE].run_ns, 0);
	CHECK_EQ_U64(sums[WAIT][WAIT_LOCK].count, 5);
	CHECK_EQ_U64(sums[WAIT][WAIT_LOCK].value, 400 * MS);
	CHECK_EQ_U64(sums[WAIT][WAIT_LOCK].run_ns, 55 * MS);
	CHECK_EQ_U64(sums[WAIT][WAIT_SLEEP].value, 200 * MS);
	CHECK_EQ_U64(sums[WAIT][WAIT_POLL].count, 0);
	CHECK_EQ_U64(sums[WAIT][WAIT_POLL].value, 70 * MS);
	CHECK_EQ_U64(sums[WAIT][WAIT_NONE].run_ns, 11 * MS);
	snapshot_free(snapshot);

	CHECK_EQ_I64(store_reader_open(path, &reader, &err), 0);
	CHECK_EQ_I64(store_reader_summary(reader, &summary, &err), 0);
	CHECK_EQ_U64(summary.samples, 6);
	store_reader_close(reader);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT checkpoint_id, thread_id, count FROM cpu_samples"),
		     "1|1|4\n2|1|2\n");
	CHECK_EQ_STR(plain_sqlite(path, "SELECT checkpoint_id, thread_id, kind, waits, wait_ns, "
					"run_ns FROM wait_samples w JOIN symbols s USING (addr) "
					"ORDER BY checkpoint_id, kind"),
		     "1|1|lock|3|300000000|50000000\n1|1|sleep|1|200000000|20000000\n"
		     "2|1||0|0|11000000\n2|1|lock|2|100000000|5000000\n2|1|poll|0|70000000|0\n");
}

TEST(a_file_of_waits_alone_has_no_samples)
{
	const char *path = test_path("alone.db");
	struct store_recording recording = wait_recording();
	struct store_summary summary;
	struct store_reader *reader;
	struct place_of_waits at;
	struct maker maker;
	struct err err = {0};

	recording.events = maker_events + WAIT;
	recording.event_count = 1;
	maker_init(&maker);
	CHECK_EQ_I64(store_create(path, &recording, &maker.store, &err), 0);
	at = make_places(&maker);
	add_wait(&maker, at.thread, at.stack, WAIT_IO, 9, 300, 50);
	maker.rows.items[0].event_index = 0;
	maker_commit(&maker, 1000);
	maker_finish(&maker, 1000);
	maker_done(&maker);
	CHECK_EQ_I64(store_reader_open(path, &reader, &err), 0);
	CHECK_EQ_I64(store_reader_summary(reader, &summary, &err), 0);
	CHECK_EQ_U64(summary.samples, 0);
	store_reader_close(reader);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) FROM cpu_samples; SELECT SUM(waits), kind "
					"FROM wait_samples"),
		     "0\n9|io\n");
}

/* The view's words are the table's of core. */
TEST(every_kind_is_called_by_its_name)
{
	const char *path = test_path("kinds.db");
	struct place_of_waits at;
	struct maker maker;
	struct str want = {0};

	create(&maker, path);
	at = make_places(&maker);
	for (int kind = 0; kind < WAIT_KINDS; kind++) {
		add_wait(&maker, at.thread, at.stack, (enum wait_kind)kind, 1, 1, 1);
		str_addf(&want, "%d|%s\n", kind, wait_kind_names[kind]);
	}
	maker_commit(&maker, 1000);
	maker_finish(&maker, 1000);
	maker_done(&maker);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT row_number() OVER () - 1, kind FROM wait_samples"),
		     str_text(&want));
	str_done(&want);
}

/* 60 checkpoints make a roll-up. */
static void add_random(struct maker *maker, const struct place_of_waits *at, uint32_t checkpoints)
{
	for (uint32_t i = 0; i < checkpoints; i++) {
		for (int kind = 0; kind < WAIT_KINDS; kind++) {
			if (maker_random(maker, 3))
				add_wait(maker, at->thread,
					 maker_random(maker, 2) ? at->stack : at->other,
					 (enum wait_kind)kind, maker_random(maker, 9),
					 maker_random(maker, 1000000), maker_random(maker, 5000));
		}
		maker_row(maker, CPU, at->thread, at->stack, 1 + maker_random(maker, 5), 0, 1);
		maker_commit(maker, (maker->checkpoint + 1) * 1000);
	}
}

TEST(windows_add_up_by_kind)
{
	static const uint32_t windows[][2] = {{1, 130},	 {1, 60},   {60, 60},  {30, 129},
					      {61, 120}, {59, 122}, {125, 130}};
	const char *path = test_path("windows.db");
	struct place_of_waits at;
	struct maker maker;

	create(&maker, path);
	at = make_places(&maker);
	add_random(&maker, &at, 130);
	maker_finish(&maker, 130000);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) FROM rollup_spans"), "2\n");
	for (size_t i = 0; i < sizeof(windows) / sizeof(*windows); i++)
		check_window(path, &maker, windows[i][0], windows[i][1]);
	maker_done(&maker);
}

TEST(appended_waits_go_on_in_totals_and_roll_ups)
{
	const char *path = test_path("appended.db");
	struct place_of_waits at;
	struct maker first, second;

	create(&first, path);
	at = make_places(&first);
	add_random(&first, &at, 40);
	maker_finish(&first, 40000);
	append(&second, path);
	at = make_places(&second);
	add_random(&second, &at, 40);
	maker_finish(&second, 40000);
	for (size_t i = 0; i < second.all.count; i++) {
		struct made_row made = second.all.items[i];

		made.checkpoint += 40;
		*vec_add(&first.all) = made;
	}
	CHECK_EQ_STR(plain_sqlite(path, "SELECT COUNT(*) FROM rollup_spans"), "1\n");
	check_window(path, &first, 1, 80);
	check_window(path, &first, 1, 60);
	check_window(path, &first, 41, 80);
	maker_done(&first);
	maker_done(&second);
}

static void commit_step(struct maker *maker, uint64_t end_ms, const struct delta_step *steps,
			size_t count)
{
	struct delta *delta = maker_delta(maker, end_ms);
	struct err err = {0};

	delta->steps = steps;
	delta->step_count = count;
	if (store_commit(maker->store, &delta, 1, NULL, &err) < 0)
		FAIL("store_commit: %s", err.sentence);
	delta_release(delta);
}

TEST(steps_are_read_in_recorded_time)
{
	static const struct delta_step steps[] = {
		{1500 * MS, "wait", "stacks of 1 of 2 waits", "cost 7.1 %"},
		{1500 * MS + 10, "wait", "stacks of 1 of 4 waits", "cost 9.0 %"},
		{1900 * MS, "wait", "stacks of 1 of 8 waits", "cost 6.0 %"},
	};
	const char *path = test_path("steps.db");
	const struct snapshot_step *step;
	struct snapshot *snapshot;
	struct maker maker;

	create(&maker, path);
	commit_step(&maker, 2000, steps, 3);
	maker_finish(&maker, 2500);
	maker_done(&maker);
	append(&maker, path);
	commit_step(&maker, 2000, steps, 1);
	maker_finish(&maker, 2000);
	maker_done(&maker);

	snapshot = read_snapshot(path, (struct store_window){0, UINT64_MAX});
	/* cpu, heap and wait at the beginning of each, then these; of two in a millisecond the
	 * later. */
	CHECK_EQ_U64(snapshot->step_count, 3 + 2 + 3 + 1);
	CHECK_EQ_STR(snapshot->steps[0].signal, "cpu");
	CHECK_EQ_STR(snapshot->steps[0].mode, "perf");
	CHECK_EQ_U64(snapshot->steps[0].time_ns, 0);
	step = &snapshot->steps[3];
	CHECK_EQ_STR(step->signal, "wait");
	CHECK_EQ_STR(step->mode, "stacks of 1 of 4 waits");
	CHECK_EQ_STR(step->reason, "cost 9.0 %");
	CHECK_EQ_U64(step->time_ns, 1500 * MS);
	CHECK_EQ_U64(step->recording, 0);
	CHECK_EQ_U64(snapshot->steps[4].time_ns, 1900 * MS);
	CHECK_EQ_U64(snapshot->steps[5].time_ns, 2500 * MS);
	CHECK_EQ_U64(snapshot->steps[5].recording, 1);
	CHECK_EQ_STR(snapshot->steps[8].mode, "stacks of 1 of 2 waits");
	CHECK_EQ_U64(snapshot->steps[8].time_ns, 4000 * MS);
	snapshot_free(snapshot);
}

TEST(numbers_of_waits_that_cannot_be_are_damage)
{
	static const char *const damages[] = {
		"UPDATE totals SET kind = 9 WHERE kind = 3",
		"UPDATE totals SET kind = -1 WHERE kind = 3",
		"UPDATE totals SET kind = 4294967299 WHERE kind = 3",
		"UPDATE totals SET kind = 'lock' WHERE kind = 3",
		"UPDATE totals SET run_ns = -1",
		"UPDATE totals SET run_ns = 1.5",
		"UPDATE totals SET run_ns = 9223372036854775807",
		"UPDATE steps SET recording_id = 7",
		"UPDATE steps SET timestamp_ms = -1 WHERE signal = 'wait'",
		"UPDATE steps SET timestamp_ms = 9223372036854775807 WHERE signal = 'wait'",
		"UPDATE steps SET mode = x'00'",
	};
	const char *path = test_path("good.db");
	struct place_of_waits at;
	char bad[4200], command[16384];
	struct maker maker;
	struct err err;

	create(&maker, path);
	at = make_places(&maker);
	for (int kind = 0; kind < WAIT_KINDS; kind++)
		add_wait(&maker, at.thread, at.stack, (enum wait_kind)kind, 1, 1, 1);
	maker_commit(&maker, 1000);
	maker_finish(&maker, 1000);
	maker_done(&maker);
	snprintf(bad, sizeof(bad), "%s.bad", path);
	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		snprintf(command, sizeof(command), "cp '%s' '%s'", path, bad);
		CHECK_EQ_I64(system(command), 0);
		CHECK_EQ_STR(plain_sqlite(bad, damages[i]), "");
		if (read_outcome(bad, &err) != ERR_DATABASE || !strstr(err.sentence, "damaged"))
			FAIL("%s: %s", damages[i], err.sentence);
	}
	CHECK_EQ_I64(read_outcome(path, &err), ERR_NONE);
}

KIT_MAIN
