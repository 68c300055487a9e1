/* Tables as they are drawn, which row is chosen, and what keys and the mouse do. */
#include "reader/tui/pane_table.h"

#include "reader/util/clock.h"
#include "tests/unit/pane_rig.h"

/* Twelve seconds of samples: one function grows and falls, one stays, one grows. */
static void record_cpu(struct rig *rig)
{
	rig_use_unicode();
	rig_init(rig);
	rig->cpu = builder_event(rig->snapshot, "cpu-clock", true);
	model_builder_from(rig->models, 311 * SECOND);
	for (uint32_t i = 0; i < 12; i++) {
		rig_bucket(rig, 312 + i, 900);
		rig_sample(rig, i, rig->main_thread, RIG_PARSE, i < 6 ? 8 * i : 8 * (12 - i));
		rig_sample(rig, i, rig->main_thread, RIG_TOKENIZE, 8);
		rig_sample(rig, i, rig->worker, RIG_EXTEND, i);
	}
}

static void start(struct rig *rig, enum model_table table, bool is_narrow)
{
	rig->pane = pane_table_new(table, is_narrow);
	rig->context.table = table;
	canvas_done(&rig->canvas);
	canvas_init(&rig->canvas, 80, 24, true);
}

static void start_cpu(struct rig *rig)
{
	record_cpu(rig);
	rig_build(rig, NULL);
	start(rig, MODEL_CPU, false);
}

/* A heap of two rows; is_sampled: estimates, and blocks that found no room. */
static void record_heap(struct rig *rig, bool is_sampled)
{
	struct snapshot_builder *b;
	uint32_t first, last;

	rig_use_unicode();
	rig_init(rig);
	b = rig->snapshot;
	builder_meta(b, "heap_source", "bpf");
	builder_meta(b, "heap_mode", is_sampled ? "sampled" : "exact");
	if (is_sampled)
		builder_loss(b, LOSS_HEAP_BLOCKS_FULL, 3);
	builder_heap_poll(b, (struct snapshot_heap_poll){0});
	first = builder_heap_poll(b, (struct snapshot_heap_poll){.time_ns = 322 * SECOND});
	last = builder_heap_poll(b, (struct snapshot_heap_poll){.time_ns = 323 * SECOND});
	builder_heap_row(b, first, RIG_EXTEND,
			 (struct heap_counts){
				 .allocs = 48211,
				 .alloc_bytes = 2100000000,
				 .frees = 48000,
				 .free_bytes = 2051700000,
				 .temporary = 6000,
				 .estimated = is_sampled ? 48211 : 0,
				 .untracked = is_sampled ? 2 : 0,
			 });
	builder_heap_row(b, last, RIG_INSERT,
			 (struct heap_counts){.allocs = 3125, .alloc_bytes = 12800000});
	builder_heap_sum(b);
	model_builder_from(rig->models, 321 * SECOND);
	rig_bucket(rig, 322, 0);
	rig_bucket(rig, 323, 0);
	model_builder_heap_row(rig->models,
			       (struct timeline_heap_row){0, RIG_EXTEND, 48300000, 2100000000});
	model_builder_heap_row(rig->models,
			       (struct timeline_heap_row){1, RIG_INSERT, 12800000, 12800000});
	rig_build(rig, NULL);
}

static void record_waits(struct rig *rig)
{
	rig_use_unicode();
	rig_init(rig);
	rig->wait = builder_event(rig->snapshot, "wait-time", false);
	rig_bucket(rig, 1, 0);
	rig_bucket(rig, 2, 0);
	rig_wait(rig, 0, RIG_PARSE, WAIT_RUN_QUEUE, 400, 900 * MS);
	rig_wait(rig, 1, RIG_TOKENIZE, WAIT_LOCK, 12, 100 * MS);
	rig_wait(rig, 1, RIG_PARSE, WAIT_RUN_QUEUE, 1, 600 * MS);
}

static void check_chosen(struct rig *rig, const char *function)
{
	const struct row_key *key = pane_table_selected(rig->pane);

	if (!function) {
		CHECK(!key);
		return;
	}
	CHECK(key);
	CHECK_EQ_STR(key->function, function);
}

static bool has_line(struct rig *rig, int width, int height, const char *words)
{
	char *text = rig_draw(rig, width, height, true);
	bool has = strstr(text, words);

	free(text);
	return has;
}

/* The function of the row that is drawn at that rank. */
static const char *function_at(struct rig *rig, size_t rank)
{
	struct pane_table *table = (struct pane_table *)rig->pane;
	struct table_source source;

	pane_table_refresh(table, &rig->context);
	CHECK(rank < table->order.count);
	table_source_init(&source, rig->model, table->table);
	return table_place(&source, table->order.rows[rank]).function;
}

/* ---- as it looks */

TEST(cpu_at_80_columns)
{
	struct rig rig;

	start_cpu(&rig);
	rig_press(&rig, ACTION_DOWN);
	rig_check(
		&rig, 80, 8, true,
		"┌ Top CPU ─────────────────────────────────────────────────────────────────────┐\n"
		"│   CPU% ▼  Live%   Incl%  Function            Location            Trend       │\n"
		"│▌ 64.0%    29.6%   64.0%  parse_header        src/parser.rs:142    ▂▃▄▅▆▇▆▅▄▃▂│\n"
		"│  21.3%    29.6%   21.3%  tokenize            src/parser.rs:89    ▇▇▇▇▇▇▇▇▇▇▇▇│\n"
		"│  14.7%    40.7%   14.7%  Buffer::extend      src/buffer.rs:34     ▂▂▃▃▄▄▅▅▆▆▇│\n"
		"│                                                                              │\n"
		"│                                                                              │\n"
		"└──────────────────────────────────────────────────────────────────────── 1/3 "
		"─┘\n");
	rig_done(&rig);
}

TEST(cpu_beside_a_chart)
{
	struct rig rig;

	start_cpu(&rig);
	rig_check(&rig, 76, 7, true,
		  "┌ Top CPU ─────────────────────────────────────────────────────────────────┐\n"
		  "│   CPU% ▼  Live%   Incl%  Function            Location            Trend   │\n"
		  "│  64.0%    29.6%   64.0%  parse_header        src/parser.rs:142   ▅▆▇▆▅▄▃▂│\n"
		  "│  21.3%    29.6%   21.3%  tokenize            src/parser.rs:89    ▇▇▇▇▇▇▇▇│\n"
		  "│  14.7%    40.7%   14.7%  Buffer::extend      src/buffer.rs:34    ▃▄▄▅▅▆▆▇│\n"
		  "│                                                                          │\n"
		  "└────────────────────────────────────────────────────────────────────── 3 ─┘\n");
	rig_done(&rig);
}

TEST(cpu_at_200_columns)
{
	struct rig rig;

	start_cpu(&rig);
	rig_check(&rig, 200, 6, true,
		  "┌ Top CPU "
		  "────────────────────────────────────────────────────────────────────────────────"
		  "────────────────────────────────────────────────────────────────────────────────"
		  "─────────────────────────────┐\n"
		  "│   CPU% ▼  Live%   Incl%  Function                                             "
		  "                                           Location                             "
		  "                           Trend       │\n"
		  "│  64.0%    29.6%   64.0%  parse_header                                         "
		  "                                           src/parser.rs:142                    "
		  "                            ▂▃▄▅▆▇▆▅▄▃▂│\n"
		  "│  21.3%    29.6%   21.3%  tokenize                                             "
		  "                                           src/parser.rs:89                     "
		  "                           ▇▇▇▇▇▇▇▇▇▇▇▇│\n"
		  "│  14.7%    40.7%   14.7%  Buffer::extend                                       "
		  "                                           src/buffer.rs:34                     "
		  "                            ▂▂▃▃▄▄▅▅▆▆▇│\n"
		  "└───────────────────────────────────────────────────────────────────────────────"
		  "────────────────────────────────────────────────────────────────────────────────"
		  "─────────────────────────────────── 3 ─┘\n");
	rig_done(&rig);
}

TEST(columns_leave_as_it_gets_narrow)
{
	struct rig rig;

	start_cpu(&rig);
	rig_check(&rig, 74, 6, true,
		  "┌ Top CPU ───────────────────────────────────────────────────────────────┐\n"
		  "│   CPU% ▼  Live%   Incl%  Function           Location           Trend   │\n"
		  "│  64.0%    29.6%   64.0%  parse_header       src/parser.rs:142  ▅▆▇▆▅▄▃▂│\n"
		  "│  21.3%    29.6%   21.3%  tokenize           src/parser.rs:89   ▇▇▇▇▇▇▇▇│\n"
		  "│  14.7%    40.7%   14.7%  Buffer::extend     src/buffer.rs:34   ▃▄▄▅▅▆▆▇│\n"
		  "└──────────────────────────────────────────────────────────────────── 3 ─┘\n");
	rig_check(&rig, 73, 6, true,
		  "┌ Top CPU ──────────────────────────────────────────────────────────────┐\n"
		  "│   CPU% ▼  Live%   Incl%  Function                Location             │\n"
		  "│  64.0%    29.6%   64.0%  parse_header            src/parser.rs:142    │\n"
		  "│  21.3%    29.6%   21.3%  tokenize                src/parser.rs:89     │\n"
		  "│  14.7%    40.7%   14.7%  Buffer::extend          src/buffer.rs:34     │\n"
		  "└─────────────────────────────────────────────────────────────────── 3 ─┘\n");
	rig_check(&rig, 70, 6, true,
		  "┌ Top CPU ───────────────────────────────────────────────────────────┐\n"
		  "│   CPU% ▼  Live%   Incl%  Function              Location            │\n"
		  "│  64.0%    29.6%   64.0%  parse_header          src/parser.rs:142   │\n"
		  "│  21.3%    29.6%   21.3%  tokenize              src/parser.rs:89    │\n"
		  "│  14.7%    40.7%   14.7%  Buffer::extend        src/buffer.rs:34    │\n"
		  "└──────────────────────────────────────────────────────────────── 3 ─┘\n");
	rig_check(&rig, 58, 6, true,
		  "┌ Top CPU ───────────────────────────────────────────────┐\n"
		  "│   CPU% ▼  Incl%  Function            Location          │\n"
		  "│  64.0%    64.0%  parse_header        src/parser.rs:142 │\n"
		  "│  21.3%    21.3%  tokenize            src/parser.rs:89  │\n"
		  "│  14.7%    14.7%  Buffer::extend      src/buffer.rs:34  │\n"
		  "└──────────────────────────────────────────────────── 3 ─┘\n");
	rig_check(&rig, 48, 6, true,
		  "┌ Top CPU ─────────────────────────────────────┐\n"
		  "│   CPU% ▼ Function           Location         │\n"
		  "│  64.0%   parse_header       src/parser.rs:142│\n"
		  "│  21.3%   tokenize           src/parser.rs:89 │\n"
		  "│  14.7%   Buffer::extend     src/buffer.rs:34 │\n"
		  "└────────────────────────────────────────── 3 ─┘\n");
	rig_done(&rig);
}

TEST(cpu_in_ascii)
{
	struct rig rig;

	start_cpu(&rig);
	rig_press(&rig, ACTION_DOWN);
	rig_check(
		&rig, 80, 6, false,
		"+ Top CPU ---------------------------------------------------------------------+\n"
		"|   CPU% v  Live%   Incl%  Function            Location            Trend       |\n"
		"|> 64.0%    29.6%   64.0%  parse_header        src/parser.rs:142    :-=+*#*+=-:|\n"
		"|  21.3%    29.6%   21.3%  tokenize            src/parser.rs:89    ############|\n"
		"|  14.7%    40.7%   14.7%  Buffer::extend      src/buffer.rs:34     ::--==++**#|\n"
		"+------------------------------------------------------------------------ 1/3 "
		"-+\n");
	rig_done(&rig);
}

TEST(memory_in_all_widths)
{
	struct rig rig;

	record_heap(&rig, false);
	start(&rig, MODEL_HEAP, false);
	rig_press(&rig, ACTION_DOWN);
	rig_check(
		&rig, 80, 5, true,
		"┌ Top Memory ──────────────────────────────────────────────────────────────────┐\n"
		"│     Live ▼    Total  Allocs  Function          Location          Trend       │\n"
		"│▌ 48.3 MB     2.1 GB  48,211  Buffer::extend    src/buffer.rs:34            ▇▇│\n"
		"│  12.8 MB    12.8 MB   3,125  Cache::insert     src/cache.rs:201             ▇│\n"
		"└──────────────────────────────────────────────────────────────────────── 1/2 "
		"─┘\n");
	rig_check(&rig, 120, 5, true,
		  "┌ Top Memory "
		  "────────────────────────────────────────────────────────────────────────────────"
		  "──────────────────────────┐\n"
		  "│     Live ▼     Peak     Total  Allocs  Temp%  Function                      "
		  "Location                     Trend       │\n"
		  "│▌ 48.3 MB    48.3 MB    2.1 GB  48,211    12%  Buffer::extend                "
		  "src/buffer.rs:34                       ▇▇│\n"
		  "│  12.8 MB    12.8 MB   12.8 MB   3,125     0%  Cache::insert                 "
		  "src/cache.rs:201                        ▇│\n"
		  "└───────────────────────────────────────────────────────────────────────────────"
		  "───────────────────────────────── 1/2 ─┘\n");
	rig_check(&rig, 76, 5, true,
		  "┌ Top Memory ──────────────────────────────────────────────────────────────┐\n"
		  "│     Live ▼    Total  Allocs  Function          Location          Trend   │\n"
		  "│▌ 48.3 MB     2.1 GB  48,211  Buffer::extend    src/buffer.rs:34        ▇▇│\n"
		  "│  12.8 MB    12.8 MB   3,125  Cache::insert     src/cache.rs:201         ▇│\n"
		  "└──────────────────────────────────────────────────────────────────── 1/2 ─┘\n");
	rig_check(&rig, 50, 5, true,
		  "┌ Top Memory ────────────────────────────────────┐\n"
		  "│     Live ▼ Function           Location         │\n"
		  "│▌ 48.3 MB   Buffer::extend     src/buffer.rs:34 │\n"
		  "│  12.8 MB   Cache::insert      src/cache.rs:201 │\n"
		  "└────────────────────────────────────────── 1/2 ─┘\n");
	rig_done(&rig);
}

TEST(estimates_and_least_values_are_marked)
{
	struct rig rig;

	record_heap(&rig, true);
	start(&rig, MODEL_HEAP, false);
	rig_check(&rig, 120, 5, true,
		  "┌ Top Memory "
		  "────────────────────────────────────────────────────────────────────────────────"
		  "──────────────────────────┐\n"
		  "│        Live ▼        Peak      Total   Allocs  Temp%  Function                "
		  "  Location                 Trend       │\n"
		  "│   ≥~48.3 MB     ≥~48.3 MB    ~2.1 GB  ~48,211    12%  Buffer::extend          "
		  "  src/buffer.rs:34                   ▇▇│\n"
		  "│    ~12.8 MB      ~12.8 MB   ~12.8 MB   ~3,125     0%  Cache::insert           "
		  "  src/cache.rs:201                    ▇│\n"
		  "└───────────────────────────────────────────────────────────────────────────────"
		  "─────────────────────────────────── 2 ─┘\n");
	rig_check(
		&rig, 80, 5, false,
		"+ Top Memory ------------------------------------------------------------------+\n"
		"|        Live v     Total   Allocs  Function               Location            |\n"
		"|  >=~48.3 MB     ~2.1 GB  ~48,211  Buffer::extend         src/buffer.rs:34    |\n"
		"|    ~12.8 MB    ~12.8 MB   ~3,125  Cache::insert          src/cache.rs:201    |\n"
		"+-------------------------------------------------------------------------- 2 "
		"-+\n");
	rig_done(&rig);
}

TEST(waits_in_all_widths)
{
	struct rig rig;

	record_waits(&rig);
	rig_build(&rig, NULL);
	start(&rig, MODEL_WAIT, false);
	rig_check(&rig, 100, 5, true,
		  "┌ Top Wait "
		  "────────────────────────────────────────────────────────────────────────────────"
		  "────────┐\n"
		  "│  Wait% ▼   Wait   Waits  Kind       Function                 Location         "
		  "       Trend       │\n"
		  "│  93.8%    1.50s     401  run queue  parse_header             "
		  "src/parser.rs:142                 ▇▅│\n"
		  "│   6.3%    100ms      12  lock       tokenize                 src/parser.rs:89 "
		  "                  ▇│\n"
		  "└───────────────────────────────────────────────────────────────────────────────"
		  "─────────────── 2 ─┘\n");
	rig_check(
		&rig, 80, 5, true,
		"┌ Top Wait ────────────────────────────────────────────────────────────────────┐\n"
		"│  Wait% ▼   Wait   Waits  Kind       Function              Location           │\n"
		"│  93.8%    1.50s     401  run queue  parse_header          src/parser.rs:142  │\n"
		"│   6.3%    100ms      12  lock       tokenize              src/parser.rs:89   │\n"
		"└────────────────────────────────────────────────────────────────────────── 2 "
		"─┘\n");
	/* Beside a chart. */
	rig_check(&rig, 76, 5, true,
		  "┌ Top Wait ────────────────────────────────────────────────────────────────┐\n"
		  "│  Wait% ▼   Wait   Waits  Kind       Function            Location         │\n"
		  "│  93.8%    1.50s     401  run queue  parse_header        src/parser.rs:142│\n"
		  "│   6.3%    100ms      12  lock       tokenize            src/parser.rs:89 │\n"
		  "└────────────────────────────────────────────────────────────────────── 2 ─┘\n");
	rig_check(&rig, 50, 5, true,
		  "┌ Top Wait ──────────────────────────────────────┐\n"
		  "│  Wait% ▼   Wait  Function        Location      │\n"
		  "│  93.8%    1.50s  parse_header    …parser.rs:142│\n"
		  "│   6.3%    100ms  tokenize        …/parser.rs:89│\n"
		  "└──────────────────────────────────────────── 2 ─┘\n");
	rig_done(&rig);
}

TEST(by_thread)
{
	struct model_request request = {.to_ns = UINT64_MAX, .by_thread = true};
	struct pane_answer answer;
	struct rig rig;

	record_cpu(&rig);
	rig_build(&rig, &request);
	start(&rig, MODEL_CPU, false);
	rig_press(&rig, ACTION_DOWN);
	rig_check(
		&rig, 80, 5, true,
		"┌ Top CPU by thread ───────────────────────────────────────────────────────────┐\n"
		"│   CPU% ▼  Live%  Thread                                          Trend       │\n"
		"│▌ 85.3%    59.3%  my-app (12345)                                  ▂▃▄▄▅▆▇▆▅▄▄▃│\n"
		"│  14.7%    40.7%  worker (12346)                                   ▂▂▃▃▄▄▅▅▆▆▇│\n"
		"└──────────────────────────────────────────────────────────────────────── 1/2 "
		"─┘\n");
	answer = rig_press(&rig, ACTION_ENTER);
	CHECK_EQ_U64(answer.wish, PANE_THREAD);
	CHECK_EQ_STR(answer.key.function, "my-app (12345)");
	CHECK_EQ_U64(rig_press(&rig, ACTION_SOURCE).wish, PANE_NOTHING);
	CHECK_EQ_U64(rig_press(&rig, ACTION_CHART).wish, PANE_CHART);
	rig_done(&rig);
}

TEST(narrow_rows_have_two_lines)
{
	struct rig rig;

	start_cpu(&rig);
	rig.pane->ops->free(rig.pane);
	start(&rig, MODEL_CPU, true);
	rig_press(&rig, ACTION_DOWN);
	rig_check(&rig, 40, 9, true,
		  "┌ Top CPU ─────────────────────────────┐\n"
		  "│   CPU% ▼ Location    Function        │\n"
		  "│▌ 64.0%   src/parser.rs:142           │\n"
		  "│▌         parse_header                │\n"
		  "│  21.3%   src/parser.rs:89            │\n"
		  "│          tokenize                    │\n"
		  "│  14.7%   src/buffer.rs:34            │\n"
		  "│          Buffer::extend              │\n"
		  "└──────────────────────────────── 1/3 ─┘\n");
	rig_check(&rig, 70, 9, true,
		  "┌ Top CPU ───────────────────────────────────────────────────────────┐\n"
		  "│   CPU% ▼ Location    Function                          Trend       │\n"
		  "│▌ 64.0%   src/parser.rs:142                                         │\n"
		  "│▌         parse_header                                   ▂▃▄▅▆▇▆▅▄▃▂│\n"
		  "│  21.3%   src/parser.rs:89                                          │\n"
		  "│          tokenize                                      ▇▇▇▇▇▇▇▇▇▇▇▇│\n"
		  "│  14.7%   src/buffer.rs:34                                          │\n"
		  "│          Buffer::extend                                 ▂▂▃▃▄▄▅▅▆▆▇│\n"
		  "└────────────────────────────────────────────────────────────── 1/3 ─┘\n");
	rig_done(&rig);
}

TEST(narrow_memory)
{
	struct rig rig;

	record_heap(&rig, false);
	start(&rig, MODEL_HEAP, true);
	rig_check(&rig, 40, 7, true,
		  "┌ Top Memory ──────────────────────────┐\n"
		  "│     Live ▼ Location    Function      │\n"
		  "│  48.3 MB   src/buffer.rs:34          │\n"
		  "│            Buffer::extend            │\n"
		  "│  12.8 MB   src/cache.rs:201          │\n"
		  "│            Cache::insert             │\n"
		  "└────────────────────────────────── 2 ─┘\n");
	rig_done(&rig);
}

TEST(a_filter_a_range_and_a_thread_are_told)
{
	struct model_request request = {
		.from_ns = 120 * SECOND, .to_ns = 210 * SECOND, .thread = "my-app"};
	struct rig rig;

	record_cpu(&rig);
	builder_window(rig.snapshot, request.from_ns, request.to_ns);
	rig_build(&rig, &request);
	start(&rig, MODEL_CPU, false);
	rig.context.filter = "PARSE";
	rig_press(&rig, ACTION_SORT_BACK);
	rig_check(
		&rig, 80, 5, true,
		"┌ Top CPU  2m00s–3m30s  thread my-app  /PARSE ─────────────────────────────────┐\n"
		"│   CPU% ▲  Live%   Incl%  Function            Location            Trend       │\n"
		"│  21.3%    29.6%   21.3%  tokenize            src/parser.rs:89    ▇▇▇▇▇▇▇▇▇▇▇▇│\n"
		"│  64.0%    29.6%   64.0%  parse_header        src/parser.rs:142    ▂▃▄▅▆▇▆▅▄▃▂│\n"
		"└────────────────────────────────────────────────────────────────────────── 2 "
		"─┘\n");
	rig_done(&rig);
}

/* The letters of ink and ground: heat by share, the chosen row as a whole, dim locations. */
TEST(styles)
{
	struct str text = {0};
	struct rig rig;

	start_cpu(&rig);
	rig_press(&rig, ACTION_DOWN);
	free(rig_draw(&rig, 80, 6, true));
	CHECK_EQ_U64(rig.canvas.cells[80 * 2 + 5].style.ink, INK_HEAT_4);
	CHECK_EQ_U64(rig.canvas.cells[80 * 4 + 5].style.ink, INK_HEAT_3);
	for (int x = 1; x < 79; x++) {
		CHECK_EQ_U64(rig.canvas.cells[80 * 2 + x].style.ground, GROUND_SELECTED);
		CHECK_EQ_U64(rig.canvas.cells[80 * 3 + x].style.ground, GROUND_NORMAL);
	}
	CHECK_EQ_U64(rig.canvas.cells[80 * 2 + 48].style.ink, INK_DIM);
	CHECK_EQ_U64(rig.canvas.cells[80 * 2 + 78].style.ink, INK_SERIES_CPU);
	str_done(&text);
	rig_done(&rig);
}

/* ---- without rows */

TEST(without_a_model)
{
	struct rig rig;

	rig_use_unicode();
	rig_init(&rig);
	start(&rig, MODEL_CPU, false);
	rig_check(&rig, 40, 5, true,
		  "┌ Top CPU ─────────────────────────────┐\n"
		  "│                                      │\n"
		  "│  reading the profile                 │\n"
		  "│                                      │\n"
		  "└──────────────────────────────────────┘\n");
	CHECK_EQ_U64(rig_press(&rig, ACTION_DOWN).wish, PANE_NOTHING);
	CHECK_EQ_U64(rig_press(&rig, ACTION_ENTER).wish, PANE_NOTHING);
	rig.state.kind = FEED_FAILED;
	strcpy(rig.state.message, "No such file.");
	CHECK(has_line(&rig, 40, 5, "No such file."));
	rig_done(&rig);
}

TEST(what_was_not_recorded)
{
	struct rig rig;

	rig_use_unicode();
	rig_init(&rig);
	builder_meta(rig.snapshot, "heap_source", "off");
	builder_meta(rig.snapshot, "heap_source_reason", "it needs CAP_BPF");
	builder_meta(rig.snapshot, "wait_source_reason", "perf tells no waits");
	builder_meta(rig.snapshot, "cpu_source_reason", "-e wait-time alone\033[2J");
	rig_build(&rig, NULL);
	start(&rig, MODEL_HEAP, false);
	rig_check(&rig, 60, 8, true,
		  "┌ Top Memory ──────────────────────────────────────────────┐\n"
		  "│                                                          │\n"
		  "│  heap: not recorded: it needs CAP_BPF                    │\n"
		  "│                                                          │\n"
		  "│  For heap by line record again: rsprof run -- PROGRAM,   │\n"
		  "│  or as root: rsprof -p PID --heap auto                   │\n"
		  "│                                                          │\n"
		  "└──────────────────────────────────────────────────────────┘\n");
	rig.pane->ops->free(rig.pane);
	start(&rig, MODEL_WAIT, false);
	rig_check(&rig, 60, 8, false,
		  "+ Top Wait ------------------------------------------------+\n"
		  "|                                                          |\n"
		  "|  wait: not recorded: perf tells no waits                 |\n"
		  "|                                                          |\n"
		  "|  For waits by line record again as root: rsprof -p PID   |\n"
		  "|  -e cpu-clock,wait-time                                  |\n"
		  "|                                                          |\n"
		  "+----------------------------------------------------------+\n");
	rig.pane->ops->free(rig.pane);
	start(&rig, MODEL_CPU, false);
	rig_check(&rig, 60, 5, true,
		  "┌ Top CPU ─────────────────────────────────────────────────┐\n"
		  "│                                                          │\n"
		  "│  cpu: not recorded: -e wait-time alone?[2J               │\n"
		  "│                                                          │\n"
		  "└──────────────────────────────────────────────────────────┘\n");
	rig_done(&rig);
}

TEST(a_heap_of_totals)
{
	struct rig rig;

	rig_use_unicode();
	rig_init(&rig);
	builder_meta(rig.snapshot, "heap_source", "totals");
	builder_meta(rig.snapshot, "heap_source_reason", "./app is statically linked");
	builder_heap_poll(rig.snapshot, (struct snapshot_heap_poll){0});
	builder_heap_poll(rig.snapshot, (struct snapshot_heap_poll){.time_ns = SECOND});
	rig_build(&rig, NULL);
	start(&rig, MODEL_HEAP, false);
	CHECK(has_line(&rig, 100, 8,
		       "heap: totals only, not counted by line: ./app is statically linked"));
	rig_done(&rig);
}

TEST(nothing_in_it_yet)
{
	struct model_request request = {.from_ns = SECOND, .to_ns = 2 * SECOND};
	struct rig rig;

	rig_use_unicode();
	rig_init(&rig);
	rig.cpu = builder_event(rig.snapshot, "cpu-clock", true);
	rig_build(&rig, NULL);
	start(&rig, MODEL_CPU, false);
	rig.state.kind = FEED_SAVED;
	CHECK(has_line(&rig, 60, 8, "  no samples   "));
	rig.state.kind = FEED_RECORDING;
	CHECK(has_line(&rig, 60, 8, "  no samples yet   "));
	rig_build(&rig, &request);
	CHECK(has_line(&rig, 60, 8, "  no samples in this range   "));
	rig_done(&rig);
}

TEST(nothing_matches)
{
	struct rig rig;

	start_cpu(&rig);
	rig_press(&rig, ACTION_DOWN);
	rig.context.filter = "no such thing";
	rig_check(&rig, 60, 7, true,
		  "┌ Top CPU  /no such thing ─────────────────────────────────┐\n"
		  "│                                                          │\n"
		  "│  Nothing matches \"no such thing\".                        │\n"
		  "│                                                          │\n"
		  "│  Esc clears the filter.                                  │\n"
		  "│                                                          │\n"
		  "└───────────────────────────────────────────────── 0 of 3 ─┘\n");
	CHECK_EQ_U64(rig_press(&rig, ACTION_DOWN).wish, PANE_NOTHING);
	/* What was chosen is chosen again when it is back. */
	rig.context.filter = "";
	CHECK(has_line(&rig, 60, 7, "▌"));
	check_chosen(&rig, "parse_header");
	rig_done(&rig);
}

/* ---- which row is chosen */

TEST(none_is_chosen_at_first)
{
	struct pane_answer answer;
	struct rig rig;

	start_cpu(&rig);
	check_chosen(&rig, NULL);
	answer = rig_press(&rig, ACTION_CALLERS);
	CHECK_EQ_U64(answer.wish, PANE_CALLERS);
	CHECK_EQ_STR(answer.key.function, "parse_header");
	check_chosen(&rig, NULL);
	answer = rig_press(&rig, ACTION_ENTER);
	CHECK_EQ_U64(answer.wish, PANE_SELECTED);
	check_chosen(&rig, "parse_header");
	CHECK_EQ_U64(rig_press(&rig, ACTION_ENTER).wish, PANE_CHART);
	/* Above the first there is none. */
	answer = rig_press(&rig, ACTION_UP);
	CHECK_EQ_U64(answer.wish, PANE_SELECTED);
	CHECK(!row_key_is_set(&answer.key));
	check_chosen(&rig, NULL);
	rig_done(&rig);
}

TEST(keys_move_the_choice)
{
	struct pane_answer answer;
	struct rig rig;

	start_cpu(&rig);
	answer = rig_press(&rig, ACTION_LAST);
	CHECK_EQ_U64(answer.wish, PANE_SELECTED);
	CHECK_EQ_STR(answer.key.function, "Buffer::extend");
	CHECK_EQ_STR(answer.key.file, "src/buffer.rs");
	CHECK_EQ_U64(answer.key.line, 34);
	rig_press(&rig, ACTION_DOWN);
	check_chosen(&rig, "Buffer::extend");
	rig_press(&rig, ACTION_UP);
	check_chosen(&rig, "tokenize");
	rig_press(&rig, ACTION_FIRST);
	check_chosen(&rig, "parse_header");
	rig_press(&rig, ACTION_PAGE_DOWN);
	check_chosen(&rig, "Buffer::extend");
	rig_press(&rig, ACTION_PAGE_UP);
	check_chosen(&rig, "parse_header");
	answer = rig_press(&rig, ACTION_SOURCE);
	CHECK_EQ_U64(answer.wish, PANE_SOURCE);
	CHECK_EQ_STR(answer.key.function, "parse_header");
	CHECK_EQ_U64(rig_press(&rig, ACTION_ZOOM_IN).wish, PANE_IGNORED);
	CHECK_EQ_U64(rig_press(&rig, ACTION_LEFT).wish, PANE_IGNORED);
	rig_done(&rig);
}

TEST(the_choice_follows_its_row)
{
	struct rig rig;

	start_cpu(&rig);
	rig_press(&rig, ACTION_LAST);
	check_chosen(&rig, "Buffer::extend");
	/* It becomes the first. */
	rig_sample(&rig, 11, rig.worker, RIG_EXTEND, 100000);
	rig_build(&rig, NULL);
	rig.pane->ops->update(rig.pane, &rig.context);
	check_chosen(&rig, "Buffer::extend");
	CHECK(has_line(&rig, 80, 8, " 1/3 "));
	rig_done(&rig);
}

TEST(when_its_row_is_gone_the_nearest_is_chosen)
{
	struct rig rig;

	start_cpu(&rig);
	rig_press(&rig, ACTION_DOWN);
	rig_press(&rig, ACTION_DOWN);
	check_chosen(&rig, "tokenize");
	rig.context.filter = "e";
	rig.pane->ops->update(rig.pane, &rig.context);
	check_chosen(&rig, "tokenize");
	rig.context.filter = "buffer";
	rig.pane->ops->update(rig.pane, &rig.context);
	check_chosen(&rig, "Buffer::extend");
	CHECK(has_line(&rig, 80, 8, " 1/1 of 3 "));
	rig_done(&rig);
}

/* What is not chosen stays the first, whatever comes. */
TEST(without_a_choice_the_top_is_shown)
{
	struct rig rig;

	start_cpu(&rig);
	free(rig_draw(&rig, 80, 8, true));
	rig_sample(&rig, 11, rig.worker, RIG_EXTEND, 100000);
	rig_build(&rig, NULL);
	rig.pane->ops->update(rig.pane, &rig.context);
	CHECK_EQ_STR(function_at(&rig, 0), "Buffer::extend");
	check_chosen(&rig, NULL);
	rig_done(&rig);
}

/* ---- the order */

TEST(the_filter_looks_at_function_file_and_module)
{
	struct rig rig;

	start_cpu(&rig);
	rig.context.filter = "TOKEN";
	CHECK_EQ_STR(function_at(&rig, 0), "tokenize");
	rig.context.filter = "buffer.rs";
	CHECK_EQ_STR(function_at(&rig, 0), "Buffer::extend");
	rig.context.filter = "My-App";
	CHECK_EQ_STR(function_at(&rig, 2), "Buffer::extend");
	rig_done(&rig);
}

TEST(keys_change_the_order)
{
	struct rig rig;

	start_cpu(&rig);
	rig_press(&rig, ACTION_SORT); /* Live% */
	CHECK_EQ_STR(function_at(&rig, 0), "Buffer::extend");
	CHECK(has_line(&rig, 80, 8, "Top CPU, by Live%"));
	CHECK(has_line(&rig, 80, 8, "Live% ▼"));
	rig_press(&rig, ACTION_SORT_BACK);
	CHECK_EQ_STR(function_at(&rig, 2), "Buffer::extend");
	CHECK(has_line(&rig, 80, 8, "Live% ▲"));
	rig_press(&rig, ACTION_SORT); /* Incl% */
	CHECK_EQ_STR(function_at(&rig, 0), "parse_header");
	rig_press(&rig, ACTION_SORT); /* Function */
	CHECK_EQ_STR(function_at(&rig, 0), "Buffer::extend");
	CHECK(has_line(&rig, 80, 8, "Function ▲"));
	rig_press(&rig, ACTION_SORT); /* Location */
	CHECK_EQ_STR(function_at(&rig, 1), "tokenize");
	CHECK_EQ_STR(function_at(&rig, 2), "parse_header");
	rig_press(&rig, ACTION_SORT); /* not by trend: CPU% again */
	CHECK(has_line(&rig, 80, 8, "CPU% ▼"));
	rig_press(&rig, ACTION_SORT_BACK);
	CHECK_EQ_STR(function_at(&rig, 2), "parse_header");
	CHECK(has_line(&rig, 80, 8, "CPU% ▲"));
	rig_done(&rig);
}

TEST(the_mouse_chooses_and_sorts)
{
	struct pane_answer answer;
	struct rig rig;

	start_cpu(&rig);
	free(rig_draw(&rig, 80, 8, true));
	answer = rig_input(&rig, (struct input){.action = ACTION_CLICK, .x = 30, .y = 3});
	CHECK_EQ_U64(answer.wish, PANE_SELECTED);
	check_chosen(&rig, "tokenize");
	answer = rig_input(&rig, (struct input){.action = ACTION_CLICK, .x = 30, .y = 6});
	CHECK_EQ_U64(answer.wish, PANE_NOTHING);
	rig_input(&rig, (struct input){.action = ACTION_CLICK, .x = 30, .y = 1});
	CHECK(has_line(&rig, 80, 8, "Function ▲"));
	rig_input(&rig, (struct input){.action = ACTION_CLICK, .x = 30, .y = 1});
	CHECK(has_line(&rig, 80, 8, "Function ▼"));
	check_chosen(&rig, "tokenize");
	/* The frame, and outside of it. */
	answer = rig_input(&rig, (struct input){.action = ACTION_CLICK, .x = 30, .y = 0});
	CHECK_EQ_U64(answer.wish, PANE_IGNORED);
	answer = rig_input(&rig, (struct input){.action = ACTION_CLICK, .x = -5, .y = 90});
	CHECK_EQ_U64(answer.wish, PANE_IGNORED);
	rig_done(&rig);
}

/* Many rows by hand; names differ behind a long common beginning. */
struct crowd {
	struct model model;
	struct snapshot snapshot;
	struct view view;
	struct view_row *rows;
	struct model_trend *trends;
	double *live;
	char (*names)[80];
};

static void crowd_init(struct crowd *crowd, struct rig *rig, uint32_t count)
{
	*crowd = (struct crowd){
		.rows = calloc(count, sizeof(*crowd->rows)),
		.trends = calloc(count, sizeof(*crowd->trends)),
		.live = calloc(count, sizeof(*crowd->live)),
		.names = calloc(count, sizeof(*crowd->names)),
	};
	CHECK(crowd->rows && crowd->trends && crowd->live && crowd->names);
	for (uint32_t i = 0; i < count; i++) {
		snprintf(crowd->names[i], sizeof(*crowd->names),
			 "<alloc::vec::Vec<T> as core::Drop>::module_%u::function_%u", i % 97,
			 (uint32_t)((uint64_t)i * 7919 % count));
		crowd->rows[i] = (struct view_row){
			.self = count - i,
			.self_pct = 100.0 * (count - i) / count,
			.incl_pct = (double)(i * UINT64_C(31) % 1000) / 10,
			.function = crowd->names[i],
			.file = i % 3 ? "src/some/where/in/it.rs" : "src/else.rs",
			.module = "my-app",
			.line = i % 1000,
		};
		crowd->live[i] = (double)(i * UINT64_C(17) % 100);
	}
	crowd->view = (struct view){.rows = crowd->rows, .row_count = count};
	crowd->model = (struct model){
		.serial = 1,
		.snapshot = &crowd->snapshot,
		.cpu = &crowd->view,
		.request = {.to_ns = UINT64_MAX},
	};
	crowd->model.tables[MODEL_CPU] = (struct model_rows){
		.is_there = true,
		.row_count = count,
		.trends = crowd->trends,
		.live_pct = crowd->live,
	};
	rig_use_unicode();
	rig_init(rig);
	start(rig, MODEL_CPU, false);
	rig->model = &crowd->model;
	rig->context.model = &crowd->model;
}

static void crowd_done(struct crowd *crowd, struct rig *rig)
{
	rig_done(rig);
	free(crowd->rows);
	free(crowd->trends);
	free(crowd->live);
	free(crowd->names);
}

static const uint32_t *order_of(struct rig *rig, size_t *ret_count)
{
	struct pane_table *table = (struct pane_table *)rig->pane;

	pane_table_refresh(table, &rig->context);
	*ret_count = table->order.count;
	return table->order.rows;
}

TEST(many_rows_are_in_order_by_each_column)
{
	struct crowd crowd;
	struct rig rig;
	size_t count;
	const uint32_t *rows;

	crowd_init(&crowd, &rig, 20000);
	for (int pass = 0; pass < 4; pass++) {
		rig_press(&rig, ACTION_SORT);
		rows = order_of(&rig, &count);
		CHECK_EQ_U64(count, 20000);
		for (size_t i = 1; i < count; i++) {
			const struct view_row *a = &crowd.rows[rows[i - 1]],
					      *b = &crowd.rows[rows[i]];
			double live_a = crowd.live[rows[i - 1]], live_b = crowd.live[rows[i]];
			int order = 0;

			if (pass == 0)
				order = (live_a < live_b) - (live_a > live_b);
			else if (pass == 1)
				order = (a->incl_pct < b->incl_pct) - (a->incl_pct > b->incl_pct);
			else if (pass == 2)
				order = strcmp(a->function, b->function);
			else
				order = strcmp(a->file, b->file);
			if (pass > 1 && !order)
				order = (a->line > b->line) - (a->line < b->line);
			if (!order)
				order = (rows[i - 1] > rows[i]) - (rows[i - 1] < rows[i]);
			if (order >= 0)
				FAIL("by column %d: rank %zu is before %zu", pass + 1, i, i - 1);
		}
	}
	crowd_done(&crowd, &rig);
}

/* Names that would make a sort by halves go deep or slow. */
TEST(names_that_are_alike)
{
	struct crowd crowd;
	struct rig rig;
	size_t count;
	const uint32_t *rows;

	crowd_init(&crowd, &rig, 5000);
	for (uint32_t i = 0; i < 5000; i++) {
		memset(crowd.names[i], 'a', sizeof(*crowd.names));
		crowd.names[i][i < 1000 ? 79 : i % 80] = '\0';
		crowd.rows[i].line = 1;
	}
	for (int i = 0; i < 3; i++)
		rig_press(&rig, ACTION_SORT);
	rows = order_of(&rig, &count);
	for (size_t i = 1; i < count; i++) {
		size_t before = strlen(crowd.names[rows[i - 1]]);
		size_t after = strlen(crowd.names[rows[i]]);

		CHECK(before < after || (before == after && rows[i - 1] < rows[i]));
	}
	crowd_done(&crowd, &rig);
}

TEST(scrolling)
{
	struct crowd crowd;
	struct rig rig;

	crowd_init(&crowd, &rig, 1204);
	rig_press(&rig, ACTION_DOWN);
	CHECK(has_line(&rig, 80, 24, " 1/1,204 "));
	/* 21 rows are seen. */
	for (int i = 0; i < 20; i++)
		rig_press(&rig, ACTION_DOWN);
	CHECK(has_line(&rig, 80, 24, "│▌ 98.3%"));
	CHECK_EQ_U64(((struct pane_table *)rig.pane)->top, 0);
	rig_press(&rig, ACTION_DOWN);
	CHECK_EQ_U64(((struct pane_table *)rig.pane)->top, 1);
	rig_press(&rig, ACTION_PAGE_DOWN);
	CHECK_EQ_U64(((struct pane_table *)rig.pane)->selected, 41);
	CHECK_EQ_U64(((struct pane_table *)rig.pane)->top, 21);
	rig_press(&rig, ACTION_PAGE_UP);
	rig_press(&rig, ACTION_PAGE_UP);
	CHECK_EQ_U64(((struct pane_table *)rig.pane)->selected, 1);
	CHECK_EQ_U64(((struct pane_table *)rig.pane)->top, 1);
	rig_press(&rig, ACTION_LAST);
	CHECK(has_line(&rig, 80, 24, " 1,204/1,204 "));
	CHECK_EQ_U64(((struct pane_table *)rig.pane)->top, 1204 - 21);
	/* A larger screen leaves no room empty, a smaller one shows what is chosen. */
	free(rig_draw(&rig, 80, 54, true));
	CHECK_EQ_U64(((struct pane_table *)rig.pane)->top, 1204 - 51);
	free(rig_draw(&rig, 80, 14, true));
	CHECK_EQ_U64(((struct pane_table *)rig.pane)->top, 1204 - 11);
	crowd_done(&crowd, &rig);
}

TEST(the_wheel_scrolls_away_from_the_choice)
{
	struct crowd crowd;
	struct rig rig;

	crowd_init(&crowd, &rig, 1204);
	rig_press(&rig, ACTION_DOWN);
	free(rig_draw(&rig, 80, 24, true));
	rig_press(&rig, ACTION_WHEEL_UP);
	CHECK_EQ_U64(((struct pane_table *)rig.pane)->top, 0);
	for (int i = 0; i < 10; i++)
		rig_press(&rig, ACTION_WHEEL_DOWN);
	CHECK(!has_line(&rig, 80, 24, "▌"));
	CHECK_EQ_U64(((struct pane_table *)rig.pane)->top, 30);
	check_chosen(&rig, crowd.names[0]);
	rig.pane->ops->update(rig.pane, &rig.context);
	free(rig_draw(&rig, 80, 24, true));
	CHECK_EQ_U64(((struct pane_table *)rig.pane)->top, 30);
	rig_press(&rig, ACTION_DOWN);
	CHECK(has_line(&rig, 80, 24, "▌"));
	for (int i = 0; i < 500; i++)
		rig_press(&rig, ACTION_WHEEL_DOWN);
	CHECK_EQ_U64(((struct pane_table *)rig.pane)->top, 1204 - 21);
	crowd_done(&crowd, &rig);
}

/* ---- bad input */

TEST(hostile_names_stay_in_their_cells)
{
	static char name[10001];
	struct crowd crowd;
	struct rig rig;
	char *got;

	crowd_init(&crowd, &rig, 3);
	memset(name, 'x', sizeof(name) - 1);
	crowd.rows[0].function = "\033[2J\033]0;gone\a\n\r\t";
	crowd.rows[0].file = "a\nb\x80\xff.rs";
	crowd.rows[1].function = crowd.rows[1].file = name;
	crowd.rows[2].function = "日本語::関数";
	crowd.rows[2].line = 4294967295u;
	rig.context.filter = "";
	got = rig_draw(&rig, 80, 8, true);
	for (const char *at = got; *at; at++)
		CHECK((unsigned char)*at >= ' ' || *at == '\n');
	CHECK(strstr(got, "日本語::関数"));
	free(got);
	rig_check(&rig, 60, 6, false,
		  "+ Top CPU -------------------------------------------------+\n"
		  "|  Self% v  Incl%  Function             Location           |\n"
		  "| 100.0%     0.0%  ?[2J?]0;gone????     a?b??.rs           |\n"
		  "|  66.7%     3.1%  xxxxxxxxxxxxxxxxxx~  ~xxxxxxxxxxxxxxxx:1|\n"
		  "|  33.3%     6.2%  ???::??              ~/it.rs:4294967295 |\n"
		  "+------------------------------------------------------ 3 -+\n");
	for (int i = 0; i < 5; i++)
		rig_press(&rig, ACTION_SORT);
	crowd_done(&crowd, &rig);
}

/* Whatever the size: nothing is drawn outside, nothing ends. */
TEST(any_size)
{
	struct rig rig;

	start_cpu(&rig);
	rig_press(&rig, ACTION_DOWN);
	for (int width = 0; width < 90; width += 3) {
		for (int height = 0; height < 9; height++) {
			free(rig_draw(&rig, width, height, width % 2));
			rig_press(&rig, ACTION_PAGE_DOWN);
			rig_press(&rig, ACTION_WHEEL_DOWN);
			rig_press(&rig, ACTION_SORT);
			rig_press(&rig, ACTION_PAGE_UP);
		}
	}
	rig_done(&rig);
}

KIT_MAIN
