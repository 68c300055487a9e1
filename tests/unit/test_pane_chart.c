/* Charts as they are drawn, what time they show, and what keys and the mouse do. */
#include "reader/tui/pane_chart.h"

#include "tests/unit/pane_rig.h"

/* So many seconds from the beginning of the file, of this much CPU time each. */
static void record(struct rig *rig, const uint64_t *cpu_ms, size_t count)
{
	rig_use_unicode();
	rig_init(rig);
	rig->cpu = builder_event(rig->snapshot, "cpu-clock", true);
	for (size_t i = 0; i < count; i++) {
		rig_bucket(rig, i + 1, cpu_ms[i]);
		rig_sample(rig, (uint32_t)i, rig->main_thread, RIG_PARSE, 3);
		rig_sample(rig, (uint32_t)i, rig->worker, RIG_TOKENIZE, 1);
	}
	rig->context.is_focused = false;
}

/* The whole of what was recorded, which is length_s long. */
static void start(struct rig *rig, uint64_t length_s)
{
	struct model_request request = {.to_ns = UINT64_MAX, .chart_to_ns = UINT64_MAX};

	rig_build(rig, &request);
	rig->model->snapshot->duration_ns = length_s * SECOND;
	rig->pane = pane_chart_new();
	canvas_done(&rig->canvas);
	canvas_init(&rig->canvas, 50, 10, true);
}

/* A minute of which each second is one percent busier. */
static void start_minute(struct rig *rig)
{
	uint64_t cpu_ms[60];

	for (size_t i = 0; i < 60; i++)
		cpu_ms[i] = 10 * i;
	record(rig, cpu_ms, 60);
	start(rig, 60);
}

static struct pane_answer press_key(struct rig *rig, enum action action, unsigned int key)
{
	return rig_input(rig, (struct input){.action = action, .key = key});
}

static bool has_words(struct rig *rig, int width, int height, const char *words)
{
	char *text = rig_draw(rig, width, height, true);
	bool has = strstr(text, words);

	free(text);
	return has;
}

static void check_asked(const struct pane_answer *answer, uint64_t from_ns, uint64_t to_ns,
			uint64_t last_ns)
{
	CHECK_EQ_U64(answer->wish, PANE_ASK);
	CHECK_EQ_U64(answer->request.chart_from_ns, from_ns);
	CHECK_EQ_U64(answer->request.chart_to_ns, to_ns);
	CHECK_EQ_U64(answer->request.chart_last_ns, last_ns);
}

/* The feed answers: a model as it was asked for. */
static void answer_ask(struct rig *rig, const struct pane_answer *answer, uint64_t length_s)
{
	CHECK_EQ_U64(answer->wish, PANE_ASK);
	rig_build(rig, &answer->request);
	rig->model->snapshot->duration_ns = length_s * SECOND;
}

/* ---- shapes */

TEST(a_ramp)
{
	struct rig rig;

	start_minute(&rig);
	rig_check(&rig, 50, 10, true,
		  "┌ CPU  0s–1m00s ─────────────── 100% = one core ─┐\n"
		  "│60%┤                                     ⢀⣀⣠⠤⠖⠒⠃│\n"
		  "│   │                              ⣀⣀⡤⠤⠖⠒⠋⠉      │\n"
		  "│40%┤                       ⣀⣀⡤⠴⠒⠚⠉⠁             │\n"
		  "│   │               ⢀⣀⣠⠤⠴⠒⠚⠉⠁                    │\n"
		  "│20%┤        ⢀⣀⣠⠤⠖⠒⠋⠉                            │\n"
		  "│   │⢀⣀⣀⡤⠤⠖⠒⠋⠉                                   │\n"
		  "│ 0%┼┬──────────┬──────────┬─────────┬──────────┬│\n"
		  "│   0s         15s        30s       45s     1m00s│\n"
		  "└───────────────────────────────── 1m00s  59.0% ─┘\n");
	rig_done(&rig);
}

TEST(a_ramp_in_ascii)
{
	struct rig rig;

	start_minute(&rig);
	rig_check(&rig, 50, 10, false,
		  "+ CPU  0s-1m00s --------------- 100% = one core -+\n"
		  "|60%|                                     ...--''|\n"
		  "|   |                              ...--'''      |\n"
		  "|40%|                       ...-''''             |\n"
		  "|   |               ...--''''                    |\n"
		  "|20%|        ...--'''                            |\n"
		  "|   |....--'''                                   |\n"
		  "| 0%++----------+----------+---------+----------+|\n"
		  "|   0s         15s        30s       45s     1m00s|\n"
		  "+--------------------------------- 1m00s  59.0% -+\n");
	rig_done(&rig);
}

TEST(a_step)
{
	static const uint64_t cpu_ms[] = {0, 0, 0, 0, 1000, 1000, 1000, 1000};
	struct rig rig;

	record(&rig, cpu_ms, 8);
	start(&rig, 8);
	rig_check(&rig, 50, 9, true,
		  "┌ CPU  0s–8s ────────────────── 100% = one core ─┐\n"
		  "│100%┤                       ⡴⠋⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠁  │\n"
		  "│    │                      ⡼⠁                   │\n"
		  "│ 50%┤                     ⡼⠁                    │\n"
		  "│    │                    ⡼⠁                     │\n"
		  "│    │  ⢀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⡼⠁                      │\n"
		  "│  0%┼┬──────────┬─────────┬──────────┬─────────┬│\n"
		  "│    0s         2s        4s         6s        8s│\n"
		  "└─────────────────────────────────── 8s  100.0% ─┘\n");
	rig_done(&rig);
}

TEST(a_row_is_a_part_of_the_whole)
{
	static const uint64_t cpu_ms[] = {800, 800, 800, 800};
	struct rig rig;

	record(&rig, cpu_ms, 4);
	start(&rig, 4);
	CHECK(has_words(&rig, 50, 9, " CPU  0s–4s "));
	CHECK(has_words(&rig, 50, 9, " 4s  80.0% "));
	row_key_set(&rig.selected, "parse_header", "src/parser.rs", NULL, 142);
	rig_check(&rig, 50, 7, true,
		  "┌ parse_header  0s–4s ───────── 100% = one core ─┐\n"
		  "│100%┤                                           │\n"
		  "│    │     ⠐⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠂     │\n"
		  "│    │                                           │\n"
		  "│  0%┼┬──────────┬─────────┬──────────┬─────────┬│\n"
		  "│    0s         1s        2s         3s        4s│\n"
		  "└──────────────────────────────────── 4s  60.0% ─┘\n");
	row_key_set(&rig.selected, "tokenize", "src/parser.rs", NULL, 89);
	CHECK(has_words(&rig, 50, 9, " 4s  20.0% "));
	row_key_set(&rig.selected, "gone", "src/gone.rs", NULL, 1);
	rig_check(&rig, 50, 5, true,
		  "┌ gone  0s–4s ───────────────────────────────────┐\n"
		  "│                                                │\n"
		  "│  this row is not in what is shown              │\n"
		  "│                                                │\n"
		  "└────────────────────────────────────────────────┘\n");
	rig_done(&rig);
}

/* As wide as its bucket. */
TEST(a_single_point)
{
	static const uint64_t cpu_ms[] = {500};
	struct rig rig;

	record(&rig, cpu_ms, 1);
	start(&rig, 4);
	rig_check(&rig, 40, 7, true,
		  "┌ CPU  0s–4s ──────── 100% = one core ─┐\n"
		  "│50%┤⠉⠉⠉⠉⠉⠉⠉⠉⠉                         │\n"
		  "│   │                                  │\n"
		  "│   │                                  │\n"
		  "│ 0%┼┬────────────────┬───────────────┬│\n"
		  "│   0s               2s              4s│\n"
		  "└────────────────────────── 1s  50.0% ─┘\n");
	rig_done(&rig);
}

TEST(no_point)
{
	struct rig rig;

	record(&rig, NULL, 0);
	start(&rig, 0);
	rig_check(&rig, 40, 5, true,
		  "┌ CPU  0s–0s ──────────────────────────┐\n"
		  "│                                      │\n"
		  "│  nothing recorded in this time       │\n"
		  "│                                      │\n"
		  "└──────────────────────────────────────┘\n");
	/* It comes later. */
	timeline_free(rig.model->chart);
	rig.model->chart = NULL;
	rig.model->serial++;
	CHECK(has_words(&rig, 50, 5, "reading what was recorded in this time"));
	rig.model->tables[MODEL_CPU].is_there = false;
	CHECK(has_words(&rig, 50, 5, "cpu: not recorded"));
	rig.context.model = NULL;
	rig_check(&rig, 40, 5, true,
		  "┌ CPU ─────────────────────────────────┐\n"
		  "│                                      │\n"
		  "│  reading the profile                 │\n"
		  "│                                      │\n"
		  "└──────────────────────────────────────┘\n");
	for (int action = ACTION_NONE; action <= ACTION_RESIZE; action++)
		rig_press(&rig, (enum action)action);
	rig_done(&rig);
}

/* Of two recordings: 2 s each, not joined. */
TEST(a_gap_where_another_recording_begins)
{
	static const uint64_t cpu_ms[] = {500, 500, 500, 500};
	struct snapshot_recording recordings[2];
	struct rig rig;

	record(&rig, cpu_ms, 4);
	start(&rig, 4);
	recordings[0] = recordings[1] = rig.model->snapshot->recordings[0];
	recordings[1].offset_ns = 2 * SECOND;
	rig.model->snapshot->recordings = recordings;
	rig.model->snapshot->recording_count = 2;
	rig_check(&rig, 40, 7, true,
		  "┌ CPU  0s–4s ──────── 100% = one core ─┐\n"
		  "│50%┤    ⠉⠉⠉⠉⠉⠉⠉⠉⠉        ⠉⠉⠉⠉⠉⠉⠉⠉⠉    │\n"
		  "│   │                                  │\n"
		  "│   │                                  │\n"
		  "│ 0%┼┬────────────────┬───────────────┬│\n"
		  "│   0s               2s              4s│\n"
		  "└────────────────────────── 4s  50.0% ─┘\n");
	rig_done(&rig);
}

TEST(huge_and_tiny_values)
{
	static const uint64_t huge[] = {1000, 128000, 64000};
	static const uint64_t tiny[] = {0, 1, 0};
	struct rig rig;

	record(&rig, huge, 3);
	start(&rig, 3);
	rig_check(&rig, 40, 8, true,
		  "┌ CPU  0s–3s ──────── 100% = one core ─┐\n"
		  "│20,000%┤                              │\n"
		  "│       │             ⣀⡤⠤⣄⣀⡀           │\n"
		  "│10,000%┤         ⣀⡤⠖⠋⠁    ⠉⠉⠓⠒⠦⠤⣄     │\n"
		  "│       │     ⣀⣠⠴⠋⠁                    │\n"
		  "│     0%┼┬─────────┬────────┬─────────┬│\n"
		  "│       0s        1s       2s        3s│\n"
		  "└───────────────────────── 3s  6,400% ─┘\n");
	rig_done(&rig);
	record(&rig, tiny, 3);
	start(&rig, 3);
	rig_check(&rig, 40, 8, true,
		  "┌ CPU  0s–3s ──────── 100% = one core ─┐\n"
		  "│1.0%┤                                 │\n"
		  "│    │                                 │\n"
		  "│0.5%┤                                 │\n"
		  "│    │     ⢀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣠⠤⣄⣀⣀⣀⣀⣀⣀⣀⣀⣀⡀     │\n"
		  "│0.0%┼┬──────────┬─────────┬──────────┬│\n"
		  "│    0s         1s        2s         3s│\n"
		  "└─────────────────────────── 3s  0.0% ─┘\n");
	rig_done(&rig);
}

TEST(values_that_no_axis_was_made_for)
{
	struct rig rig;

	rig_use_unicode();
	rig_init(&rig);
	builder_meta(rig.snapshot, "heap_source", "bpf");
	model_builder_bucket(rig.models, (struct timeline_bucket){
						 .end_ns = SECOND,
						 .is_heap_counted = true,
						 .heap_live_bytes = UINT64_MAX,
						 .rss_bytes = 1,
					 });
	model_builder_bucket(rig.models, (struct timeline_bucket){
						 .end_ns = UINT64_MAX,
						 .is_heap_counted = true,
						 .heap_live_bytes = 0,
						 .rss_bytes = UINT64_MAX,
					 });
	start(&rig, 2);
	rig.context.table = MODEL_HEAP;
	CHECK(has_words(&rig, 60, 10, " EB"));
	for (int i = 0; i < 80; i++) {
		rig_press(&rig, ACTION_ZOOM_IN);
		rig_press(&rig, ACTION_LEFT);
		free(rig_draw(&rig, 60, 10, true));
	}
	rig.context.is_chart_from_zero = false;
	for (int i = 0; i < 80; i++) {
		rig_press(&rig, ACTION_ZOOM_OUT);
		free(rig_draw(&rig, 60, 10, true));
	}
	rig_done(&rig);
}

/* Memory without a row: two lines, told apart by dashes and words. */
TEST(heap_and_rss)
{
	struct rig rig;

	rig_use_unicode();
	rig_init(&rig);
	builder_meta(rig.snapshot, "heap_source", "bpf");
	for (uint64_t i = 0; i < 10; i++)
		model_builder_bucket(rig.models, (struct timeline_bucket){
							 .end_ns = (i + 1) * SECOND,
							 .rss_bytes = 131000000,
							 .is_heap_counted = true,
							 .heap_live_bytes = i * 9000000,
						 });
	start(&rig, 10);
	rig.context.table = MODEL_HEAP;
	rig.context.is_focused = false;
	rig_check(&rig, 60, 12, true,
		  "┌ Memory  0s–10s ───────────────────────────── bytes held ─┐\n"
		  "│         ⠒⠒⠒ heap live   ⠒ ⠒ RSS                          │\n"
		  "│150.0 MB┤                                                 │\n"
		  "│        │      ⠉ ⠉ ⠉ ⠉ ⠉ ⠉ ⠉ ⠉ ⠉ ⠉ ⠉ ⠉ ⠉ ⠉ ⠉ ⠉ ⠉ ⠉ ⠉ ⠉ ⠉ ⠉│\n"
		  "│100.0 MB┤                                                 │\n"
		  "│        │                                         ⣀⣀⣠⠤⠤⠴⠒⠒│\n"
		  "│ 50.0 MB┤                             ⢀⣀⣀⣠⠤⠤⠖⠒⠒⠋⠉⠉⠁       │\n"
		  "│        │                  ⣀⣀⣠⠤⠤⠴⠒⠒⠚⠉⠉⠉                   │\n"
		  "│        │     ⣀⣀⣀⣀⡤⠤⠤⠖⠒⠒⠋⠉⠉⠁                              │\n"
		  "│     0 B┼┬───────────────────────┬───────────────────────┬│\n"
		  "│        0s                      5s                     10s│\n"
		  "└─────────────────── 10s  heap live 81.0 MB  RSS 131.0 MB ─┘\n");
	rig_check(&rig, 60, 12, false,
		  "+ Memory  0s-10s ----------------------------- bytes held -+\n"
		  "|         ''' heap live   ' ' RSS                          |\n"
		  "|150.0 MB|                                                 |\n"
		  "|        |      ' ' ' ' ' ' ' ' ' ' ' ' ' ' ' ' ' ' ' ' ' '|\n"
		  "|100.0 MB|                                                 |\n"
		  "|        |                                         ...---''|\n"
		  "| 50.0 MB|                             ....---''''''       |\n"
		  "|        |                  ...---''''''                   |\n"
		  "|        |     .....---''''''                              |\n"
		  "|     0 B++-----------------------+-----------------------+|\n"
		  "|        0s                      5s                     10s|\n"
		  "+------------------- 10s  heap live 81.0 MB  RSS 131.0 MB -+\n");
	CHECK_EQ_U64(rig.canvas.cells[60 * 1 + 10].style.ink, INK_SERIES_HEAP);
	rig_done(&rig);
}

TEST(waits)
{
	struct rig rig;

	rig_use_unicode();
	rig_init(&rig);
	rig.wait = builder_event(rig.snapshot, "wait-time", false);
	for (uint32_t i = 0; i < 4; i++) {
		rig_bucket(&rig, i + 1, 0);
		rig_wait(&rig, i, RIG_PARSE, WAIT_LOCK, 1, (i + 1) * 100 * MS);
	}
	start(&rig, 4);
	rig.context.table = MODEL_WAIT;
	rig.context.is_focused = false;
	rig_check(&rig, 50, 9, true,
		  "┌ Waits  0s–4s ────────────── waited per second ─┐\n"
		  "│400ms┤                             ⣀⣀⡤⠤⠖⠒⠚⠉     │\n"
		  "│     │                     ⣀⣀⡤⠤⠖⠒⠋⠉⠁            │\n"
		  "│200ms┤            ⢀⣀⣠⠤⠴⠒⠚⠉⠉⠁                    │\n"
		  "│     │     ⣀⡤⠤⠴⠒⠚⠉⠉                             │\n"
		  "│     │                                          │\n"
		  "│   0s┼┬─────────┬──────────┬─────────┬─────────┬│\n"
		  "│     0s        1s         2s        3s        4s│\n"
		  "└────────────────────────────────── 4s  400ms/s ─┘\n");
	rig_done(&rig);
}

TEST(not_from_zero)
{
	static const uint64_t cpu_ms[] = {910, 920, 930, 940};
	struct rig rig;

	record(&rig, cpu_ms, 4);
	start(&rig, 4);
	rig.context.is_chart_from_zero = false;
	rig_check(&rig, 50, 9, true,
		  "┌ CPU  0s–4s ────────────────── 100% = one core ─┐\n"
		  "│94%┤                              ⢀⣀⣠⠤⠤⠖⠒⠋⠁     │\n"
		  "│   │                      ⣀⣀⡤⠤⠖⠒⠚⠉⠉             │\n"
		  "│92%┤             ⣀⣀⡤⠤⠴⠒⠚⠉⠉⠁                     │\n"
		  "│   │     ⢀⣠⠤⠴⠒⠒⠋⠉⠁                              │\n"
		  "│   │                                            │\n"
		  "│90%┼┬──────────┬──────────┬─────────┬──────────┬│\n"
		  "│   0s         1s         2s        3s         4s│\n"
		  "└──────────────────────────────────── 4s  94.0% ─┘\n");
	rig_done(&rig);
}

TEST(hours_have_their_seconds)
{
	struct model_request request = {
		.to_ns = UINT64_MAX, .chart_from_ns = 7200 * SECOND, .chart_to_ns = 7260 * SECOND};
	struct rig rig;

	rig_use_unicode();
	rig_init(&rig);
	rig.cpu = builder_event(rig.snapshot, "cpu-clock", true);
	model_builder_from(rig.models, 7200 * SECOND);
	rig_bucket(&rig, 7260, 60000);
	rig_sample(&rig, 0, 0, RIG_PARSE, 1);
	start(&rig, 86400);
	rig_build(&rig, &request);
	rig.context.is_focused = false;
	CHECK(has_words(&rig, 60, 8, " 02:00:15     02:00:30 "));
	CHECK(has_words(&rig, 60, 8, " CPU  2h00m–2h01m "));
	rig_done(&rig);
}

/* ---- live */

TEST(while_it_grows_it_grows_into_its_room)
{
	static const uint64_t cpu_ms[] = {500, 500, 500, 500, 500, 500};
	struct rig rig;

	record(&rig, cpu_ms, 6);
	rig_build(&rig, NULL);
	rig.model->snapshot->duration_ns = 6 * SECOND;
	rig.pane = pane_chart_new();
	rig.state.kind = FEED_RECORDING;
	rig_check(&rig, 50, 7, true,
		  "┌ CPU  0s–6s ────────────────── 100% = one core ─┐\n"
		  "│50%┤⠈⠉⠉⠉⠁                                       │\n"
		  "│   │                                            │\n"
		  "│   │                                            │\n"
		  "│ 0%┼┬──────────┬──────────┬─────────┬──────────┬│\n"
		  "│   0s         15s        30s       45s     1m00s│\n"
		  "└──────────────────────────────────── 6s  50.0% ─┘\n");
	rig.state.kind = FEED_ENDED;
	rig_check(&rig, 50, 7, true,
		  "┌ CPU  0s–6s ────────────────── 100% = one core ─┐\n"
		  "│50%┤   ⠈⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠁   │\n"
		  "│   │                                            │\n"
		  "│   │                                            │\n"
		  "│ 0%┼┬─────────────┬──────────────┬─────────────┬│\n"
		  "│   0s            2s             4s            6s│\n"
		  "└──────────────────────────────────── 6s  50.0% ─┘\n");
	rig_done(&rig);
}

TEST(it_follows_the_end)
{
	struct rig rig;

	start_minute(&rig);
	rig_build(&rig, NULL);
	rig.model->snapshot->duration_ns = 90 * SECOND;
	CHECK(has_words(&rig, 60, 8, " CPU  last 60 s "));
	rig_done(&rig);
}

/* ---- keys */

TEST(zoom_in_keeps_the_end)
{
	struct pane_answer answer;
	struct rig rig;

	start_minute(&rig);
	answer = rig_press(&rig, ACTION_ZOOM_IN);
	check_asked(&answer, 0, UINT64_MAX, 30 * SECOND);
	/* Before the feed has answered. */
	CHECK(has_words(&rig, 60, 8, " CPU  last 30 s "));
	answer = rig_press(&rig, ACTION_ZOOM_IN);
	check_asked(&answer, 0, UINT64_MAX, 15 * SECOND);
	answer_ask(&rig, &answer, 60);
	answer = rig_press(&rig, ACTION_ZOOM_IN);
	check_asked(&answer, 0, UINT64_MAX, 7500 * MS);
	answer = rig_press(&rig, ACTION_ZOOM_IN);
	check_asked(&answer, 0, UINT64_MAX, 5 * SECOND);
	CHECK_EQ_U64(rig_press(&rig, ACTION_ZOOM_IN).wish, PANE_NOTHING);
	for (int i = 0; i < 3; i++)
		answer = rig_press(&rig, ACTION_ZOOM_OUT);
	check_asked(&answer, 0, UINT64_MAX, 40 * SECOND);
	answer = rig_press(&rig, ACTION_ZOOM_OUT);
	check_asked(&answer, 0, UINT64_MAX, 0);
	CHECK_EQ_U64(rig_press(&rig, ACTION_ZOOM_OUT).wish, PANE_NOTHING);
	rig_done(&rig);
}

TEST(zoom_in_around_the_cursor)
{
	struct pane_answer answer;
	struct rig rig;

	start_minute(&rig);
	free(rig_draw(&rig, 66, 10, true));
	/* The plot is 60 columns wide, the first of them 0 s. */
	answer = rig_input(&rig, (struct input){.action = ACTION_CLICK, .x = 5, .y = 4});
	CHECK_EQ_U64(answer.wish, PANE_NOTHING);
	answer = rig_press(&rig, ACTION_ZOOM_IN);
	check_asked(&answer, 0, 30 * SECOND, 0);
	rig_press(&rig, ACTION_LAST);
	answer = rig_press(&rig, ACTION_ZOOM_OUT);
	check_asked(&answer, 0, UINT64_MAX, 0);
	rig_done(&rig);
}

TEST(the_wheel_zooms_where_it_is)
{
	struct pane_answer answer;
	struct rig rig;

	start_minute(&rig);
	free(rig_draw(&rig, 66, 10, true));
	rig_press(&rig, ACTION_FIRST);
	answer = rig_input(&rig, (struct input){.action = ACTION_WHEEL_UP, .x = 64, .y = 4});
	check_asked(&answer, 30 * SECOND, 60 * SECOND, 0);
	answer = rig_input(&rig, (struct input){.action = ACTION_WHEEL_DOWN, .x = 64, .y = 4});
	check_asked(&answer, 0, UINT64_MAX, 0);
	rig_done(&rig);
}

TEST(pan)
{
	struct pane_answer answer;
	struct rig rig;

	start_minute(&rig);
	CHECK_EQ_U64(press_key(&rig, ACTION_LEFT, 'h').wish, PANE_NOTHING);
	CHECK_EQ_U64(press_key(&rig, ACTION_RIGHT, 'l').wish, PANE_NOTHING);
	rig_press(&rig, ACTION_ZOOM_IN);
	rig_press(&rig, ACTION_ZOOM_IN);
	answer = rig_press(&rig, ACTION_ZOOM_IN);
	rig_press(&rig, ACTION_ZOOM_OUT);
	answer = rig_press(&rig, ACTION_ZOOM_OUT);
	check_asked(&answer, 0, UINT64_MAX, 30 * SECOND);
	answer = press_key(&rig, ACTION_LEFT, 'h');
	check_asked(&answer, 22500 * MS, 52500 * MS, 0);
	answer = press_key(&rig, ACTION_LEFT, 'h');
	check_asked(&answer, 15 * SECOND, 45 * SECOND, 0);
	answer = press_key(&rig, ACTION_LEFT, 'h');
	answer = press_key(&rig, ACTION_LEFT, 'h');
	check_asked(&answer, 0, 30 * SECOND, 0);
	CHECK_EQ_U64(press_key(&rig, ACTION_LEFT, 'h').wish, PANE_NOTHING);
	for (int i = 0; i < 4; i++)
		answer = press_key(&rig, ACTION_RIGHT, 'l');
	check_asked(&answer, 0, UINT64_MAX, 30 * SECOND);
	rig_done(&rig);
}

TEST(the_cursor_reads_values)
{
	static const uint64_t cpu_ms[] = {100, 200, 300, 400};
	struct rig rig;

	record(&rig, cpu_ms, 4);
	start(&rig, 4);
	CHECK(has_words(&rig, 50, 9, " 4s  40.0% "));
	press_key(&rig, ACTION_LEFT, KEY_IS_LEFT);
	CHECK(has_words(&rig, 50, 9, " 3s  30.0% "));
	press_key(&rig, ACTION_LEFT, KEY_IS_LEFT);
	rig_check(&rig, 50, 9, true,
		  "┌ CPU  0s–4s ────────────────── 100% = one core ─┐\n"
		  "│40%┤                │             ⢀⣀⣠⠤⠤⠖⠒⠋⠁     │\n"
		  "│   │                │     ⣀⣀⡤⠤⠖⠒⠚⠉⠉             │\n"
		  "│20%┤             ⣀⣀⡤⠤⠴⠒⠚⠉⠉⠁                     │\n"
		  "│   │     ⢀⣠⠤⠴⠒⠒⠋⠉⠁  │                           │\n"
		  "│   │                │                           │\n"
		  "│ 0%┼┬──────────┬──────────┬─────────┬──────────┬│\n"
		  "│   0s         1s         2s        3s         4s│\n"
		  "└──────────────────────────────────── 2s  20.0% ─┘\n");
	rig_press(&rig, ACTION_FIRST);
	CHECK(has_words(&rig, 50, 9, " 1s  10.0% "));
	CHECK_EQ_U64(press_key(&rig, ACTION_LEFT, KEY_IS_LEFT).wish, PANE_NOTHING);
	CHECK(has_words(&rig, 50, 9, " 1s  10.0% "));
	for (int i = 0; i < 5; i++)
		press_key(&rig, ACTION_RIGHT, KEY_IS_RIGHT);
	CHECK(has_words(&rig, 50, 9, " 4s  40.0% "));
	rig_done(&rig);
}

/* Beyond what is shown, the time that is shown goes with it. */
TEST(the_cursor_takes_the_window_along)
{
	struct pane_answer answer;
	struct rig rig;

	start_minute(&rig);
	rig_press(&rig, ACTION_ZOOM_IN);
	answer = rig_press(&rig, ACTION_ZOOM_IN);
	check_asked(&answer, 0, UINT64_MAX, 15 * SECOND);
	for (int i = 0; i < 14; i++)
		CHECK_EQ_U64(press_key(&rig, ACTION_LEFT, KEY_IS_LEFT).wish, PANE_NOTHING);
	answer = press_key(&rig, ACTION_LEFT, KEY_IS_LEFT);
	check_asked(&answer, 41250 * MS, 56250 * MS, 0);
	rig_done(&rig);
}

/* A column a second: the first is the 6th of the pane. */
static void click_at(struct rig *rig, int second)
{
	rig_input(rig, (struct input){.action = ACTION_CLICK, .x = 6 + second, .y = 3});
}

TEST(a_range_is_marked)
{
	struct pane_answer answer;
	struct rig rig;

	start_minute(&rig);
	free(rig_draw(&rig, 68, 8, true));
	click_at(&rig, 20);
	answer = rig_press(&rig, ACTION_RANGE_FROM);
	CHECK_EQ_U64(answer.wish, PANE_MARK);
	CHECK_EQ_U64(answer.time_ns, 19 * SECOND);
	rig.context.mark_ns = answer.time_ns;
	click_at(&rig, 40);
	rig_check(&rig, 68, 8, true,
		  "┌ CPU  0s–1m00s ───────────────────────────────── 100% = one core ─┐\n"
		  "│100%┤                                        │                    │\n"
		  "│    │                                        │             ⣀⣀⣀⣀⣀⣀⡀│\n"
		  "│ 50%┤                            ⢀⣀⣀⣀⣀⣀⣀⡤⠤⠤⠤⠤⠤⠴⠒⠒⠒⠒⠒⠒⠋⠉⠉⠉⠉⠉⠁      │\n"
		  "│    │⢀⣀⣀⣀⣀⣀⣀⣀⣀⣀⡤⠤⠤⠤⠤⠤⠖⠒⠒⠒⠒⠒⠚⠉⠉⠉⠉⠉⠉           │                    │\n"
		  "│  0%┼┬─────────┬────────[┬─────────┬─────────]─────────┬─────────┬│\n"
		  "│    0s        10s       20s       30s       40s       50s    1m00s│\n"
		  "└───────────────────────────────────────────────────── 40s  39.0% ─┘\n");
	for (int x = 0; x < 68; x++)
		CHECK_EQ_U64(rig.canvas.cells[68 * 2 + x].style.ground,
			     x >= 6 + 19 && x <= 6 + 40 ? GROUND_RANGE : GROUND_NORMAL);
	answer = rig_press(&rig, ACTION_RANGE_TO);
	CHECK_EQ_U64(answer.wish, PANE_RANGE);
	CHECK_EQ_U64(answer.time_ns, 19 * SECOND);
	CHECK_EQ_U64(answer.to_ns, 40 * SECOND);
	/* From right to left it is the same, and never nothing. */
	click_at(&rig, 10);
	answer = rig_press(&rig, ACTION_RANGE_TO);
	CHECK_EQ_U64(answer.time_ns, 9 * SECOND);
	CHECK_EQ_U64(answer.to_ns, 20 * SECOND);
	click_at(&rig, 20);
	answer = rig_press(&rig, ACTION_RANGE_TO);
	CHECK_EQ_U64(answer.time_ns, 19 * SECOND);
	CHECK_EQ_U64(answer.to_ns, 20 * SECOND);
	/* Without a mark from where the chart begins. */
	rig.context.mark_ns = UINT64_MAX;
	answer = rig_press(&rig, ACTION_RANGE_TO);
	CHECK_EQ_U64(answer.time_ns, 0);
	rig_done(&rig);
}

TEST(the_range_of_the_tables_is_shown)
{
	struct model_request request = {
		.from_ns = 30 * SECOND, .to_ns = 45 * SECOND, .chart_to_ns = UINT64_MAX};
	struct rig rig;

	start_minute(&rig);
	rig_build(&rig, &request);
	rig.model->snapshot->duration_ns = 60 * SECOND;
	rig_check(&rig, 66, 8, false,
		  "+ CPU  0s-1m00s ------------------------------- 100% = one core -+\n"
		  "|100%|                                                           |\n"
		  "|    |                                                    .......|\n"
		  "| 50%|                            .......------''''''''''''      |\n"
		  "|    |..........------'''''''''''''                              |\n"
		  "|  0%++--------------+-------------[--------------]-------------+|\n"
		  "|    0s             15s           30s            45s        1m00s|\n"
		  "+------------------------------------------------- 1m00s  59.0% -+\n");
	rig_done(&rig);
}

TEST(keys_that_are_not_its_own)
{
	struct rig rig;

	start_minute(&rig);
	CHECK_EQ_U64(rig_press(&rig, ACTION_ENTER).wish, PANE_CHART);
	CHECK_EQ_U64(rig_press(&rig, ACTION_CHART).wish, PANE_CHART);
	CHECK_EQ_U64(rig_press(&rig, ACTION_SORT).wish, PANE_IGNORED);
	CHECK_EQ_U64(rig_press(&rig, ACTION_DOWN).wish, PANE_IGNORED);
	CHECK_EQ_U64(rig_press(&rig, ACTION_BACK).wish, PANE_IGNORED);
	rig_done(&rig);
}

/* Until the chart of a new model is read, the old one stays. */
TEST(what_comes_later_leaves_what_is_there)
{
	struct timeline *chart;
	struct rig rig;

	start_minute(&rig);
	CHECK(has_words(&rig, 50, 10, " 1m00s  59.0% "));
	rig_build(&rig, NULL);
	chart = rig.model->chart;
	rig.model->chart = NULL;
	CHECK(has_words(&rig, 50, 10, " 1m00s  59.0% "));
	/* Not of another row. */
	row_key_set(&rig.selected, "tokenize", "src/parser.rs", NULL, 89);
	CHECK(has_words(&rig, 50, 10, "reading what was recorded"));
	rig.model->chart = chart;
	rig_done(&rig);
}

TEST(any_size)
{
	struct rig rig;

	start_minute(&rig);
	rig.context.is_focused = true;
	for (int width = 0; width < 70; width += 3) {
		for (int height = 0; height < 14; height++) {
			free(rig_draw(&rig, width, height, width % 2));
			rig_press(&rig, ACTION_LEFT);
			rig_press(&rig, height % 2 ? ACTION_ZOOM_IN : ACTION_ZOOM_OUT);
			rig_input(&rig, (struct input){.action = ACTION_CLICK,
						       .x = width / 2,
						       .y = height / 2});
		}
	}
	rig_done(&rig);
}

KIT_MAIN
