/* Tables as they are drawn, with rows and without. */
#include "tests/unit/pane_table_rig.h"

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

KIT_MAIN
