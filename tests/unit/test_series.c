/* Numbers over time and their axes, each compared with what a person works out on paper. */
#include "reader/view/axis.h"
#include "reader/view/series.h"
#include "tests/unit/pane_rig.h"

static void check_point(const struct series *series, size_t index, double want)
{
	CHECK(index < series->count);
	CHECK(series->points[index].is_known);
	CHECK_BETWEEN(series->points[index].value, want - 1e-9, want + 1e-9);
}

/* Two threads, 40 and 20 samples, 0.5 s of CPU time in one second and 0.6 s in the next three. */
static void record_cpu(struct rig *rig)
{
	rig_init(rig);
	rig->cpu = builder_event(rig->snapshot, "cpu-clock", true);
	model_builder_from(rig->models, 10 * SECOND);
	rig_bucket(rig, 11, 500);
	rig_bucket(rig, 14, 600);
	rig_sample(rig, 0, rig->main_thread, RIG_PARSE, 30);
	rig_sample(rig, 0, rig->worker, RIG_TOKENIZE, 10);
	rig_sample(rig, 1, rig->worker, RIG_PARSE, 5);
	rig_sample(rig, 1, rig->worker, RIG_TOKENIZE, 15);
}

static uint32_t row_named(const struct rig *rig, enum model_table table, const char *function,
			  const char *file, uint32_t line)
{
	struct row_key key = {0};
	uint32_t row;

	row_key_set(&key, function, file, NULL, line);
	row = series_row(rig->model, table, &key);
	row_key_done(&key);
	return row;
}

TEST(a_row_has_its_samples_share_of_the_cpu_time)
{
	struct series series;
	struct rig rig;

	record_cpu(&rig);
	rig_build(&rig, NULL);
	series_init(&series, rig.model, SERIES_CPU,
		    row_named(&rig, MODEL_CPU, "parse_header", "src/parser.rs", 142));
	CHECK_EQ_U64(series.unit, SERIES_CORE_PCT);
	CHECK_EQ_U64(series.count, 2);
	/* 30 of 40 of 0.5 s in 1 s; 5 of 20 of 0.6 s in 3 s */
	check_point(&series, 0, 37.5);
	check_point(&series, 1, 5);
	CHECK_EQ_U64(series.points[1].from_ns, 11 * SECOND);
	CHECK_EQ_U64(series_point_ns(&series, 1), 12500 * MS);
	series_done(&series);
	rig_done(&rig);
}

TEST(the_whole_has_the_cpu_time)
{
	struct series series;
	struct rig rig;

	record_cpu(&rig);
	rig_bucket(&rig, 15, 2500);
	rig_build(&rig, NULL);
	series_init(&series, rig.model, SERIES_CPU, SNAPSHOT_NONE);
	check_point(&series, 0, 50);
	check_point(&series, 1, 20);
	/* Without a sample, and of several cores. */
	check_point(&series, 2, 250);
	series_done(&series);
	rig_done(&rig);
}

TEST(a_row_that_is_none_is_not_found)
{
	struct rig rig;

	record_cpu(&rig);
	rig_build(&rig, NULL);
	CHECK_EQ_U64(row_named(&rig, MODEL_CPU, "parse_header", "src/parser.rs", 143),
		     SNAPSHOT_NONE);
	CHECK_EQ_U64(row_named(&rig, MODEL_HEAP, "parse_header", "src/parser.rs", 142),
		     SNAPSHOT_NONE);
	CHECK_EQ_U64(series_row(rig.model, MODEL_CPU, NULL), SNAPSHOT_NONE);
	CHECK_EQ_U64(series_row(rig.model, MODEL_CPU, &rig.selected), SNAPSHOT_NONE);
	rig_done(&rig);
}

TEST(rows_that_are_threads_have_their_threads_samples)
{
	struct model_request request = {.to_ns = UINT64_MAX, .by_thread = true};
	struct series series;
	struct rig rig;

	record_cpu(&rig);
	rig_build(&rig, &request);
	series_init(&series, rig.model, SERIES_CPU,
		    row_named(&rig, MODEL_CPU, "worker (12346)", "", 0));
	/* 10 of 40 of 50 %; all of 20 % */
	check_point(&series, 0, 12.5);
	check_point(&series, 1, 20);
	series_done(&series);
	rig_done(&rig);
}

TEST(of_one_thread_the_whole_is_that_thread)
{
	struct model_request request = {.to_ns = UINT64_MAX, .thread = "worker"};
	struct series series;
	struct rig rig;

	record_cpu(&rig);
	rig_build(&rig, &request);
	series_init(&series, rig.model, SERIES_CPU, SNAPSHOT_NONE);
	check_point(&series, 0, 12.5);
	check_point(&series, 1, 20);
	series_done(&series);
	series_init(&series, rig.model, SERIES_CPU,
		    row_named(&rig, MODEL_CPU, "parse_header", "src/parser.rs", 142));
	check_point(&series, 0, 0);
	check_point(&series, 1, 5);
	series_done(&series);
	rig_done(&rig);
}

/* Without CPU times: a sample is a hundredth of a second. */
TEST(without_cpu_times_samples_are_times)
{
	struct series series;
	struct rig rig;

	rig_init(&rig);
	rig.cpu = builder_event(rig.snapshot, "cpu-clock", true);
	builder_meta(rig.snapshot, "cpu_freq_hz", "100");
	rig_bucket(&rig, 1, 0);
	rig_bucket(&rig, 3, 0);
	rig_sample(&rig, 0, rig.main_thread, RIG_PARSE, 30);
	rig_sample(&rig, 1, rig.main_thread, RIG_PARSE, 300);
	rig_build(&rig, NULL);
	series_init(&series, rig.model, SERIES_CPU, 0);
	CHECK_EQ_U64(series.unit, SERIES_CORE_PCT);
	check_point(&series, 0, 30);
	check_point(&series, 1, 150);
	series_done(&series);
	rig_done(&rig);
}

TEST(without_any_clock_samples_are_counted)
{
	struct series series;
	struct rig rig;

	rig_init(&rig);
	rig.cpu = builder_event(rig.snapshot, "page-faults", false);
	builder_meta(rig.snapshot, "cpu_freq_hz", "100");
	/* Its CPU time is not what page faults share. */
	rig_bucket(&rig, 1, 500);
	rig_bucket(&rig, 3, 500);
	rig_sample(&rig, 0, rig.main_thread, RIG_PARSE, 30);
	rig_sample(&rig, 1, rig.main_thread, RIG_PARSE, 300);
	rig_build(&rig, NULL);
	series_init(&series, rig.model, SERIES_CPU, SNAPSHOT_NONE);
	CHECK_EQ_U64(series.unit, SERIES_PER_S);
	check_point(&series, 0, 30);
	check_point(&series, 1, 150);
	series_done(&series);
	rig_done(&rig);
}

TEST(waits_are_time_per_second)
{
	struct series series;
	struct rig rig;

	rig_init(&rig);
	rig.cpu = builder_event(rig.snapshot, "cpu-clock", true);
	rig.wait = builder_event(rig.snapshot, "wait-time", false);
	rig_bucket(&rig, 1, 500);
	rig_bucket(&rig, 3, 500);
	rig_sample(&rig, 0, rig.main_thread, RIG_PARSE, 9);
	rig_wait(&rig, 0, RIG_PARSE, WAIT_LOCK, 2, 310 * MS);
	rig_wait(&rig, 0, RIG_INSERT, WAIT_IO, 1, 40 * MS);
	rig_wait(&rig, 1, RIG_PARSE, WAIT_IO, 7, 3 * SECOND);
	rig_build(&rig, NULL);
	series_init(&series, rig.model, SERIES_WAIT,
		    row_named(&rig, MODEL_WAIT, "parse_header", "src/parser.rs", 142));
	check_point(&series, 0, 310e6);
	check_point(&series, 1, 1.5e9);
	series_done(&series);
	series_init(&series, rig.model, SERIES_WAIT, SNAPSHOT_NONE);
	check_point(&series, 0, 350e6);
	series_done(&series);
	rig_done(&rig);
}

/* A heap of two stacks; counted in the last four of five seconds. */
static void record_heap(struct rig *rig)
{
	static const struct timeline_heap_row changes[] = {
		{1, RIG_EXTEND, 3000, 4000},
		{1, RIG_INSERT, 500, 500},
		{3, RIG_EXTEND, -6000, 0},
		{4, RIG_EXTEND, -9000, 0}, /* a damaged file: more than there was */
	};

	rig_init(rig);
	builder_meta(rig->snapshot, "heap_source", "bpf");
	builder_heap_poll(rig->snapshot, (struct snapshot_heap_poll){0});
	builder_heap_poll(rig->snapshot, (struct snapshot_heap_poll){.time_ns = 5 * SECOND});
	builder_heap_row(rig->snapshot, 1, RIG_EXTEND,
			 (struct heap_counts){.allocs = 9, .alloc_bytes = 9000});
	builder_heap_row(rig->snapshot, 1, RIG_INSERT,
			 (struct heap_counts){.allocs = 1, .alloc_bytes = 500});
	builder_heap_sum(rig->snapshot);
	for (uint64_t i = 0; i < 5; i++)
		model_builder_bucket(rig->models, (struct timeline_bucket){
							  .end_ns = (i + 1) * SECOND,
							  .rss_bytes = i == 2 ? 0 : 70000 + i,
							  .is_heap_counted = i > 0,
							  .heap_live_bytes = i * 1000,
						  });
	model_builder_held(rig->models, RIG_EXTEND, 4000);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
		model_builder_heap_row(rig->models, changes[i]);
}

TEST(a_row_of_the_heap_is_what_it_held_and_its_changes)
{
	struct series series;
	struct rig rig;

	record_heap(&rig);
	rig_build(&rig, NULL);
	series_init(&series, rig.model, SERIES_HEAP,
		    row_named(&rig, MODEL_HEAP, "Buffer::extend", "src/buffer.rs", 34));
	CHECK_EQ_U64(series.unit, SERIES_BYTES);
	CHECK(!series.points[0].is_known);
	check_point(&series, 1, 7000);
	check_point(&series, 2, 7000);
	check_point(&series, 3, 1000);
	check_point(&series, 4, 0);
	CHECK_EQ_U64(series_point_ns(&series, 1), 2 * SECOND);
	series_done(&series);
	series_init(&series, rig.model, SERIES_HEAP,
		    row_named(&rig, MODEL_HEAP, "Cache::insert", "src/cache.rs", 201));
	check_point(&series, 4, 500);
	series_done(&series);
	rig_done(&rig);
}

TEST(heap_and_rss_of_all_are_what_the_buckets_say)
{
	struct series heap, rss;
	struct rig rig;

	record_heap(&rig);
	rig_build(&rig, NULL);
	series_init(&heap, rig.model, SERIES_HEAP, SNAPSHOT_NONE);
	series_init(&rss, rig.model, SERIES_RSS, SNAPSHOT_NONE);
	CHECK(!heap.points[0].is_known);
	check_point(&heap, 4, 4000);
	check_point(&rss, 0, 70000);
	CHECK(!rss.points[2].is_known);
	series_done(&heap);
	series_done(&rss);
	rig_done(&rig);
}

/* The second recording begins at 2.5 s: blocks of the first are not known. */
TEST(another_recording_stands_apart)
{
	struct snapshot_recording recordings[2];
	struct snapshot *snapshot;
	struct series series;
	struct rig rig;

	record_heap(&rig);
	rig_build(&rig, NULL);
	snapshot = rig.model->snapshot;
	recordings[0] = recordings[1] = snapshot->recordings[0];
	recordings[1].offset_ns = 2500 * MS;
	snapshot->recordings = recordings;
	snapshot->recording_count = 2;
	series_init(&series, rig.model, SERIES_HEAP, 0);
	CHECK(!series.points[1].is_known && series.points[2].is_known);
	CHECK(!series.points[1].is_apart && series.points[2].is_apart &&
	      !series.points[3].is_apart);
	series_done(&series);
	recordings[1].offset_ns = 3 * SECOND;
	series_init(&series, rig.model, SERIES_RSS, SNAPSHOT_NONE);
	CHECK(!series.points[2].is_apart && series.points[3].is_apart);
	series_done(&series);
	rig_done(&rig);
}

TEST(damage_gives_no_wrong_number)
{
	struct series series;
	struct rig rig;

	record_cpu(&rig);
	/* Back in time, and as long as nothing. */
	rig_bucket(&rig, 12, 100);
	model_builder_row(rig.models, (struct timeline_row){.bucket = 77, .count = 1000});
	model_builder_row(rig.models, (struct timeline_row){.event = 5, .count = 1000});
	/* Of the event, but of nobody's stack. */
	model_builder_row(rig.models, (struct timeline_row){.stack = 1000, .count = 40});
	model_builder_held(rig.models, 5000, 1);
	model_builder_heap_row(rig.models, (struct timeline_heap_row){90, 1, 1, 1});
	model_builder_heap_row(rig.models, (struct timeline_heap_row){0, 5000, 1, 1});
	rig_build(&rig, NULL);
	series_init(&series, rig.model, SERIES_CPU, 0);
	check_point(&series, 0, 18.75);
	CHECK(!series.points[2].is_known);
	CHECK_EQ_U64(series.points[2].from_ns, series.points[2].to_ns);
	series_done(&series);
	series_init(&series, rig.model, SERIES_HEAP, 0);
	series_done(&series);
	rig_done(&rig);
}

TEST(a_model_without_a_chart_has_no_points)
{
	struct timeline *chart;
	struct series series;
	struct rig rig;

	record_cpu(&rig);
	rig_build(&rig, NULL);
	chart = rig.model->chart;
	rig.model->chart = NULL;
	for (int kind = SERIES_CPU; kind <= SERIES_WAIT; kind++) {
		series_init(&series, rig.model, (enum series_kind)kind, 0);
		CHECK_EQ_U64(series.count, 0);
		series_done(&series);
	}
	rig.model->chart = chart;
	rig_done(&rig);
}

TEST(times_are_found_in_their_bucket)
{
	struct series series;
	struct rig rig;

	record_cpu(&rig);
	rig_build(&rig, NULL);
	series_init(&series, rig.model, SERIES_CPU, SNAPSHOT_NONE);
	CHECK(series_find(&series, 10 * SECOND - 1) == SIZE_MAX);
	CHECK_EQ_U64(series_find(&series, 10 * SECOND), 0);
	CHECK_EQ_U64(series_find(&series, 11 * SECOND), 0);
	CHECK_EQ_U64(series_find(&series, 11 * SECOND + 1), 1);
	CHECK_EQ_U64(series_find(&series, 14 * SECOND), 1);
	CHECK(series_find(&series, 14 * SECOND + 1) == SIZE_MAX);
	series_done(&series);
	rig_done(&rig);
}

/* ---- axes */

static void check_axis(const struct axis *axis, double low, double high, double step)
{
	CHECK_BETWEEN(axis->low, low * 0.999999, low * 1.000001);
	CHECK_BETWEEN(axis->high, high * 0.999999, high * 1.000001);
	CHECK_BETWEEN(axis->step, step * 0.999999, step * 1.000001);
	CHECK_EQ_U64(axis->steps, (uint64_t)((high - low) / step + 0.5));
}

TEST(axes_have_steps_of_1_2_and_5)
{
	struct axis axis;

	axis_init(&axis, 3, 37.5, true, 0.1, 2);
	check_axis(&axis, 0, 40, 20);
	axis_init(&axis, 3, 37.5, true, 0.1, 5);
	check_axis(&axis, 0, 40, 10);
	axis_init(&axis, 31, 37.5, false, 0.1, 4);
	check_axis(&axis, 30, 38, 2);
	axis_init(&axis, 0, 0, true, 0.1, 5);
	check_axis(&axis, 0, 0.1, 0.1);
	axis_init(&axis, 0, 1.2e19, true, 1e17, 3);
	check_axis(&axis, 0, 1.5e19, 5e18);
	axis_init(&axis, 0, 0.0004, true, 0.1, 3);
	check_axis(&axis, 0, 0.1, 0.1);
	axis_init(&axis, 100, 100, true, 0.1, 4);
	check_axis(&axis, 0, 100, 50);
	axis_init(&axis, 1, 2, true, 0.1, 0);
	check_axis(&axis, 0, 2, 2);
}

TEST(axes_never_have_more_steps_than_there_is_room)
{
	for (double high = 0.01; high < 1e19; high *= 1.37) {
		for (int steps = 1; steps < 8; steps++) {
			struct axis axis;

			axis_init(&axis, high * 0.83, high, false, 0.001, steps);
			CHECK(axis.low <= high * 0.83 * 1.000001);
			CHECK(axis.high >= high * 0.999999);
			CHECK_BETWEEN(axis.steps, 1, steps > 1 ? steps : 2);
			axis_init(&axis, 0, high, true, 0.001, steps);
			CHECK_BETWEEN(axis.steps, 1, steps);
		}
	}
}

TEST(labels_of_an_axis_differ)
{
	for (int unit = SERIES_CORE_PCT; unit <= SERIES_WAIT_PER_S; unit++) {
		/* More than that is no share. */
		double most = unit == SERIES_CORE_PCT ? 1e11 : 1e17;

		for (double high = 1; high < most; high *= 1.61) {
			char before[FMT_MAX] = "", label[FMT_MAX];
			struct axis axis;

			axis_init(&axis, high, high * 1.0001, false,
				  series_step_min((enum series_unit)unit, high * 1.0001), 5);
			for (int i = 0; i <= axis.steps; i++) {
				series_label(label, (enum series_unit)unit,
					     axis.low + i * axis.step, axis.step);
				if (!strcmp(label, before))
					FAIL("\"%s\" twice: unit %d, up to %g", label, unit, high);
				strcpy(before, label);
			}
		}
	}
}

TEST(values_are_told_in_their_unit)
{
	char text[FMT_MAX];

	CHECK_EQ_STR(series_value(text, SERIES_CORE_PCT, 18.42), "18.4%");
	CHECK_EQ_STR(series_value(text, SERIES_BYTES, 48.3e6), "48.3 MB");
	CHECK_EQ_STR(series_value(text, SERIES_WAIT_PER_S, 310e6), "310ms/s");
	CHECK_EQ_STR(series_value(text, SERIES_PER_S, 1234), "1,234/s");
	CHECK_EQ_STR(series_value(text, SERIES_PER_S, 0.5), "0.5/s");
	CHECK_EQ_STR(series_value(text, SERIES_CORE_PCT, 12800), "12,800%");
	CHECK_EQ_STR(series_label(text, SERIES_CORE_PCT, 20, 20), "20%");
	CHECK_EQ_STR(series_label(text, SERIES_CORE_PCT, 0.2, 0.2), "0.2%");
	CHECK_EQ_STR(series_value(text, SERIES_BYTES, 1e30), "18.4 EB");
}

TEST(times_have_steps_of_clocks)
{
	CHECK_EQ_U64(axis_time_step(60 * SECOND, 4), 15 * SECOND);
	CHECK_EQ_U64(axis_time_step(60 * SECOND, 5), 15 * SECOND);
	CHECK_EQ_U64(axis_time_step(60 * SECOND, 6), 10 * SECOND);
	CHECK_EQ_U64(axis_time_step(5 * SECOND, 5), 1 * SECOND);
	CHECK_EQ_U64(axis_time_step(86400 * SECOND, 4), 21600 * SECOND);
	CHECK_EQ_U64(axis_time_step(1, 5), 100 * MS);
	CHECK_EQ_U64(axis_time_step(0, 0), 100 * MS);
	/* Weeks, and what a damaged file may say. */
	CHECK_EQ_U64(axis_time_step(30 * 86400 * SECOND, 10), 4 * 86400 * SECOND);
	CHECK(axis_time_step(UINT64_MAX, 1) > UINT64_MAX / 2);
}

KIT_MAIN
