/* Callers and callees as people see them. */
#include "tests/unit/pane_stage.h"

#include "reader/util/mem.h"

static void tree_stage(struct pane_stage *stage, const char *function, const char *file,
		       uint32_t line, int width, int height)
{
	struct row_key key = {0};

	row_key_set(&key, function, file, NULL, line);
	stage_init(stage, pane_tree_new(&key), sample_profile(), NULL, width, height);
	row_key_done(&key);
}

TEST(tree_at_80_columns)
{
	struct pane_stage stage;

	tree_stage(&stage, "parse_header", "src/parser.rs", 142, 80, 10);
	stage_check(
		&stage,
		"┌ parse_header  src/parser.rs:142  my-app ──────────────────────── 70 samples ─┐\n"
		"│  Share           Of all  Function                         Location           │\n"
		"│▌100.0% ▄▄▄▄▄▄▄▄   70.0%  ▾ Callers                                           │\n"
		"│ 100.0% ▄▄▄▄▄▄▄▄   70.0%      main                         src/main.rs:10     │\n"
		"│ 100.0% ▄▄▄▄▄▄▄▄   70.0%  ▾ Callees                        in itself: 57.1%   │\n"
		"│  28.6% ▄▄         20.0%      tokenize                     src/parser.rs:89   │\n"
		"│  14.3% ▄          10.0%    ▸ read                         [libc.so.6]        │\n"
		"│                                                                              │\n"
		"│                                                                              │\n"
		"└──────────────────────────────────────────────────────────────────────── 1/5 "
		"─┘\n");
	stage_done(&stage);
}

TEST(tree_at_140_columns_in_ascii)
{
	struct pane_stage stage;

	tree_stage(&stage, "walk", "src/tree.rs", 5, 140, 11);
	stage.canvas.is_unicode = false;
	stage_check(&stage,
		    "+ walk  src/tree.rs:5  my-app "
		    "--------------------------------------------------------------------------"
		    "---------------------- 10 samples -+\n"
		    "|  Share                   Of all              Function                   "
		    "                               Location                          |\n"
		    "|>100.0% ================   10.0%  10 samples  - Callers                  "
		    "                                                                 |\n"
		    "| 100.0% ================   10.0%  10 samples    - main                   "
		    "                               src/main.rs:10                    |\n"
		    "| 100.0% ================   10.0%  10 samples        [incomplete stack]   "
		    "                                                                 |\n"
		    "| 100.0% ================   10.0%  10 samples  - Callees                  "
		    "                                                                 |\n"
		    "| 100.0% ================   10.0%  10 samples    - walk                   "
		    "                               src/tree.rs:5                     |\n"
		    "| 100.0% ================   10.0%  10 samples        walk                 "
		    "                               src/tree.rs:5                     |\n"
		    "|                                                                         "
		    "                                                                 |\n"
		    "|                                                                         "
		    "                                                                 |\n"
		    "+-------------------------------------------------------------------------"
		    "----------------------------------------------------------- 1/6 -+\n");
	stage_done(&stage);
}

TEST(rows_open_and_close)
{
	struct pane_stage stage;

	tree_stage(&stage, "main", "src/main.rs", 10, 80, 12);
	stage_check(
		&stage,
		"┌ main  src/main.rs:10  my-app ─────────────────────────────────── 95 samples ─┐\n"
		"│  Share           Of all  Function                         Location           │\n"
		"│▌100.0% ▄▄▄▄▄▄▄▄   95.0%  ▾ Callers                                           │\n"
		"│  10.5% ▄          10.0%      [incomplete stack]                              │\n"
		"│ 100.0% ▄▄▄▄▄▄▄▄   95.0%  ▾ Callees                                           │\n"
		"│  73.7% ▄▄▄▄▄▄     70.0%    ▸ parse_header                 src/parser.rs:142  │\n"
		"│  15.8% ▄          15.0%    ▸ Buffer::fill                 src/buffer.rs:34   │\n"
		"│  10.5% ▄          10.0%    ▸ walk                         src/tree.rs:5      │\n"
		"│                                                                              │\n"
		"│                                                                              │\n"
		"│                                                                              │\n"
		"└──────────────────────────────────────────────────────────────────────── 1/6 "
		"─┘\n");
	/* To Callees, its first child, which is opened. */
	for (int i = 0; i < 3; i++)
		CHECK(stage_press(&stage, ACTION_DOWN) == PANE_NOTHING);
	stage_press(&stage, ACTION_RIGHT);
	stage_check(
		&stage,
		"┌ main  src/main.rs:10  my-app ─────────────────────────────────── 95 samples ─┐\n"
		"│  Share           Of all  Function                         Location           │\n"
		"│ 100.0% ▄▄▄▄▄▄▄▄   95.0%  ▾ Callers                                           │\n"
		"│  10.5% ▄          10.0%      [incomplete stack]                              │\n"
		"│ 100.0% ▄▄▄▄▄▄▄▄   95.0%  ▾ Callees                                           │\n"
		"│▌ 73.7% ▄▄▄▄▄▄     70.0%    ▾ parse_header                 src/parser.rs:142  │\n"
		"│  21.1% ▄▄         20.0%        tokenize                   src/parser.rs:89   │\n"
		"│  10.5% ▄          10.0%      ▸ read                       [libc.so.6]        │\n"
		"│  15.8% ▄          15.0%    ▸ Buffer::fill                 src/buffer.rs:34   │\n"
		"│  10.5% ▄          10.0%    ▸ walk                         src/tree.rs:5      │\n"
		"│                                                                              │\n"
		"└──────────────────────────────────────────────────────────────────────── 4/8 "
		"─┘\n");
	/* Into it; then back and closed; then the section. */
	stage_press(&stage, ACTION_RIGHT);
	stage_check_line(
		&stage, 6,
		"│▌ 21.1% ▄▄         20.0%        tokenize                   src/parser.rs:89   │");
	stage_press(&stage, ACTION_LEFT);
	stage_press(&stage, ACTION_LEFT);
	stage_press(&stage, ACTION_LEFT);
	stage_press(&stage, ACTION_ENTER);
	stage_check(
		&stage,
		"┌ main  src/main.rs:10  my-app ─────────────────────────────────── 95 samples ─┐\n"
		"│  Share           Of all  Function                         Location           │\n"
		"│ 100.0% ▄▄▄▄▄▄▄▄   95.0%  ▾ Callers                                           │\n"
		"│  10.5% ▄          10.0%      [incomplete stack]                              │\n"
		"│▌100.0% ▄▄▄▄▄▄▄▄   95.0%  ▸ Callees                                           │\n"
		"│                                                                              │\n"
		"│                                                                              │\n"
		"│                                                                              │\n"
		"│                                                                              │\n"
		"│                                                                              │\n"
		"│                                                                              │\n"
		"└──────────────────────────────────────────────────────────────────────── 3/3 "
		"─┘\n");
	stage_press(&stage, ACTION_ENTER);
	stage_press(&stage, ACTION_LAST);
	stage_check(
		&stage,
		"┌ main  src/main.rs:10  my-app ─────────────────────────────────── 95 samples ─┐\n"
		"│  Share           Of all  Function                         Location           │\n"
		"│ 100.0% ▄▄▄▄▄▄▄▄   95.0%  ▾ Callers                                           │\n"
		"│  10.5% ▄          10.0%      [incomplete stack]                              │\n"
		"│ 100.0% ▄▄▄▄▄▄▄▄   95.0%  ▾ Callees                                           │\n"
		"│  73.7% ▄▄▄▄▄▄     70.0%    ▸ parse_header                 src/parser.rs:142  │\n"
		"│  15.8% ▄          15.0%    ▸ Buffer::fill                 src/buffer.rs:34   │\n"
		"│▌ 10.5% ▄          10.0%    ▸ walk                         src/tree.rs:5      │\n"
		"│                                                                              │\n"
		"│                                                                              │\n"
		"│                                                                              │\n"
		"└──────────────────────────────────────────────────────────────────────── 6/6 "
		"─┘\n");
	stage_done(&stage);
}

TEST(selection_and_open_rows_stay_over_models)
{
	struct pane_stage stage;

	tree_stage(&stage, "main", "src/main.rs", 10, 80, 14);
	stage_press(&stage, ACTION_DOWN);
	stage_press(&stage, ACTION_DOWN);
	stage_press(&stage, ACTION_DOWN);
	stage_press(&stage, ACTION_ENTER);
	stage_press(&stage, ACTION_DOWN);
	stage_press(&stage, ACTION_DOWN);
	stage_check_line(
		&stage, 7,
		"│▌ 10.5% ▄          10.0%      ▸ read                       [libc.so.6]        │");
	stage_next_model(&stage, NULL);
	stage_check_line(
		&stage, 7,
		"│▌ 10.5% ▄          10.0%      ▸ read                       [libc.so.6]        │");
	/* Away and back again. */
	stage.context.table = MODEL_HEAP;
	stage_update(&stage);
	CHECK(strstr(stage_see(&stage), "The heap was not recorded."));
	stage.context.table = MODEL_CPU;
	stage_update(&stage);
	stage_check_line(
		&stage, 7,
		"│▌ 10.5% ▄          10.0%      ▸ read                       [libc.so.6]        │");
	stage_done(&stage);
}

TEST(mouse_selects_opens_and_scrolls)
{
	struct pane_stage stage;

	tree_stage(&stage, "main", "src/main.rs", 10, 80, 7);
	stage_mouse(&stage, ACTION_CLICK, 40, 5);
	stage_check_line(
		&stage, 5,
		"│▌ 73.7% ▄▄▄▄▄▄     70.0%    ▸ parse_header                 src/parser.rs:142  │");
	stage_mouse(&stage, ACTION_CLICK, 40, 5);
	stage_check_line(
		&stage, 5,
		"│▌ 73.7% ▄▄▄▄▄▄     70.0%    ▾ parse_header                 src/parser.rs:142  │");
	stage_mouse(&stage, ACTION_WHEEL_DOWN, 40, 3);
	stage_check_line(
		&stage, 5,
		"│▌ 15.8% ▄          15.0%    ▸ Buffer::fill                 src/buffer.rs:34   │");
	stage_mouse(&stage, ACTION_WHEEL_UP, 40, 3);
	stage_mouse(&stage, ACTION_WHEEL_UP, 40, 3);
	stage_check_line(
		&stage, 2,
		"│▌100.0% ▄▄▄▄▄▄▄▄   95.0%  ▾ Callers                                           │");
	stage_mouse(&stage, ACTION_CLICK, 40, 1);
	stage_mouse(&stage, ACTION_CLICK, 400, 400);
	stage_check_line(
		&stage, 6,
		"└──────────────────────────────────────────────────────────────────────── 1/8 ─┘");
	stage_done(&stage);
}

TEST(rows_lead_further)
{
	struct pane_stage stage;

	tree_stage(&stage, "parse_header", "src/parser.rs", 142, 80, 12);
	CHECK(stage_press(&stage, ACTION_SOURCE) == PANE_SOURCE);
	CHECK(row_key_is(&stage.answer.key, "parse_header", "src/parser.rs", 142));
	CHECK(stage_press(&stage, ACTION_CALLERS) == PANE_NOTHING);
	stage_press(&stage, ACTION_DOWN);
	CHECK(stage_press(&stage, ACTION_SOURCE) == PANE_SOURCE);
	CHECK(row_key_is(&stage.answer.key, "main", "src/main.rs", 10));
	CHECK(stage_press(&stage, ACTION_CALLERS) == PANE_CALLERS);
	CHECK(row_key_is(&stage.answer.key, "main", "src/main.rs", 10));
	CHECK(stage_press(&stage, ACTION_FLAME) == PANE_FLAME);
	CHECK(stage_press(&stage, ACTION_HELP) == PANE_IGNORED);
	CHECK(stage_press(&stage, ACTION_BACK) == PANE_CLOSE);
	stage_done(&stage);
}

TEST(matches_are_marked)
{
	struct pane_stage stage;

	tree_stage(&stage, "parse_header", "src/parser.rs", 142, 80, 12);
	stage.context.filter = "TOKEN";
	stage_update(&stage);
	stage_see(&stage);
	CHECK_EQ_U64(stage.canvas.cells[80 * 5 + 40].style.ground, GROUND_MATCH);
	CHECK_EQ_U64(stage.canvas.cells[80 * 6 + 40].style.ground, GROUND_NORMAL);
	stage_done(&stage);
}

TEST(nothing_to_show_is_said)
{
	struct pane_stage stage;
	struct row_key none = {0};
	struct model_request threads = {.to_ns = UINT64_MAX, .by_thread = true};

	tree_stage(&stage, "elsewhere", "src/main.rs", 10, 80, 5);
	stage_check(
		&stage,
		"┌ elsewhere  src/main.rs:10  my-app ───────────────────────────────────────────┐\n"
		"│                                                                              │\n"
		"│                  It is on no stack of this range and view.                   │\n"
		"│                                                                              │\n"
		"└──────────────────────────────────────────────────────────────────────────────┘"
		"\n");
	CHECK(stage_press(&stage, ACTION_DOWN) == PANE_IGNORED);
	stage_next_model(&stage, &threads);
	CHECK(strstr(stage_see(&stage), "A thread has no callers: press t for places."));
	stage.context.model = NULL;
	stage_update(&stage);
	CHECK(strstr(stage_see(&stage), "Opening the profile."));
	stage_done(&stage);
	stage_init(&stage, pane_tree_new(&none), sample_profile(), NULL, 80, 5);
	CHECK(strstr(stage_see(&stage), "No row is selected."));
	stage_done(&stage);
}

/* f0 calls f1 calls f2 …: a chain of single callers. */
TEST(chains_are_opened_to_a_depth)
{
	struct snapshot_builder *b = builder_new();
	uint32_t cpu = builder_event(b, "cpu-clock", true), thread = builder_thread(b, 1, "a");
	uint32_t app = builder_module(b, "/bin/app"), frames[40];
	struct row_key key = {0};
	struct pane_stage stage;
	char name[16];

	for (uint32_t i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "f%u", 39 - i);
		frames[i] = builder_frame_at(b, builder_location(b, app, name, "f.c", 40 - i));
	}
	builder_row(b, cpu, thread, builder_stack(b, frames, 40, STACK_COMPLETE, 0), 7, 0, 7);
	row_key_set(&key, "f39", "f.c", NULL, 40);
	stage_init(&stage, pane_tree_new(&key), b, NULL, 80, 40);
	CHECK(strstr(stage_see(&stage), " ▾ f27 "));
	CHECK(strstr(stage_see(&stage), " ▸ f26 "));
	CHECK(!strstr(stage_see(&stage), " f25 "));
	row_key_done(&key);
	stage_done(&stage);
}

TEST(hostile_names_stay_in_their_cells)
{
	struct snapshot_builder *b = builder_new();
	uint32_t cpu = builder_event(b, "cpu-clock", true), thread = builder_thread(b, 1, "a");
	uint32_t app = builder_module(b, "/bin/app"), frames[3];
	char *endless = mem_alloc(10001);
	struct row_key key = {0};
	struct pane_stage stage;

	memset(endless, 'x', 10000);
	endless[10000] = '\0';
	frames[0] = builder_frame_at(b, builder_location(b, app, "", "", 1));
	frames[1] = builder_frame_at(b, builder_location(b, app, endless, endless, 1));
	frames[2] = builder_frame_at(
		b, builder_location(b, app, "\033[2J\r\nboo\302\233", "\033[31m.c", 4));
	builder_row(b, cpu, thread, builder_stack(b, frames, 3, STACK_COMPLETE, 0), 7, 0, 7);
	row_key_set(&key, endless, endless, NULL, 1);
	stage_init(&stage, pane_tree_new(&key), b, NULL, 80, 8);
	stage_check(
		&stage,
		"┌ xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… ─ 7 samples ─┐\n"
		"│  Share           Of all  Function                         Location           │\n"
		"│▌100.0% ▄▄▄▄▄▄▄▄  100.0%  ▾ Callers                                           │\n"
		"│ 100.0% ▄▄▄▄▄▄▄▄  100.0%      ?[2J??boo?                   ?[31m.c:4          │\n"
		"│ 100.0% ▄▄▄▄▄▄▄▄  100.0%  ▾ Callees                                           │\n"
		"│ 100.0% ▄▄▄▄▄▄▄▄  100.0%      [unknown]                                       │\n"
		"│                                                                              │\n"
		"└──────────────────────────────────────────────────────────────────────── 1/4 "
		"─┘\n");
	free(endless);
	row_key_done(&key);
	stage_done(&stage);
}

TEST(any_size_and_any_key)
{
	static const enum action actions[] = {
		ACTION_DOWN, ACTION_RIGHT,    ACTION_ENTER, ACTION_LAST,    ACTION_PAGE_DOWN,
		ACTION_LEFT, ACTION_UP,	      ACTION_CLICK, ACTION_PAGE_UP, ACTION_WHEEL_DOWN,
		ACTION_SORT, ACTION_WHEEL_UP, ACTION_FIRST, ACTION_SOURCE,
	};

	for (int size = 0; size < 30; size++) {
		struct pane_stage stage;

		tree_stage(&stage, "main", "src/main.rs", 10, size * 5, size);
		for (size_t i = 0; i < 200; i++) {
			stage_press(&stage, actions[i * 5 % (sizeof(actions) / sizeof(*actions))]);
			stage_see(&stage);
		}
		stage_done(&stage);
	}
}

KIT_MAIN
