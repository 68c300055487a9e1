/* The flame graph as people see it, and how they move in it. */
#include "tests/unit/pane_stage.h"

#include "reader/util/mem.h"

static const struct model_request whole = {.to_ns = UINT64_MAX, .chart_to_ns = UINT64_MAX};

static void flame_stage(struct pane_stage *stage, int width, int height)
{
	stage_init(stage, pane_flame_new(), sample_profile(), NULL, width, height);
}

TEST(graph_at_80_columns)
{
	struct pane_stage stage;

	flame_stage(&stage, 80, 10);
	stage_check(
		&stage,
		"┌ CPU flame graph  my-app  100 samples ────────────────────────────────────────┐\n"
		"│▌all                                                                          │\n"
		"│ main                                                             │ [inco…│   │\n"
		"│ parse_header                                         │ …::fill   │ main  │   │\n"
		"│ tokenize      │ read  │                              │ clamp     │ walk  │   │\n"
		"│               │ [kern…│                                          │ walk  │   │\n"
		"│                                                                  │ walk  │   │\n"
		"│                                                                              │\n"
		"│▌all  100.0 %  100 samples                                                    │\n"
		"└──────────────────────────────────────────────────────────────────────────────┘"
		"\n");
	stage_done(&stage);
}

TEST(graph_at_120_columns_in_ascii)
{
	struct pane_stage stage;

	flame_stage(&stage, 120, 9);
	stage.canvas.is_unicode = false;
	stage_press(&stage, ACTION_DOWN);
	stage_check(&stage,
		    "+ CPU flame graph  my-app  100 samples "
		    "--------------------------------------------------------------------------"
		    "------+\n"
		    "| all                                                                     "
		    "                                             |\n"
		    "|>main                                                                    "
		    "                           | [incomple~| [no~|\n"
		    "| parse_header                                                            "
		    "         | Buffer::fill    | main      | [ke~|\n"
		    "| tokenize              | read      |                                     "
		    "         | clamp           | walk      |     |\n"
		    "|                       | [kernel]  |                                     "
		    "                           | walk      |     |\n"
		    "|                                                                         "
		    "                           | walk      |     |\n"
		    "|>main  85.0 %  85 samples  src/main.rs:10                                "
		    "                                             |\n"
		    "+-------------------------------------------------------------------------"
		    "---------------------------------------------+\n");
	stage_done(&stage);
}

TEST(narrow_boxes_lose_their_names_then_themselves)
{
	struct pane_stage stage;

	flame_stage(&stage, 40, 9);
	stage_check(&stage, "┌ CPU flame graph  my-app  100 samp… ──┐\n"
			    "│▌all                                  │\n"
			    "│ main                           │   │ │\n"
			    "│ parse_header             │ fill│   │ │\n"
			    "│ token…│   │              │ cla…│   │ │\n"
			    "│       │   │                    │   │ │\n"
			    "│                                │   │ │\n"
			    "│▌all  100.0 %  100 samples            │\n"
			    "└──────────────────────────────────────┘\n");
	stage_done(&stage);
}

/* What is drawn on which ground. */
static void check_ground(struct pane_stage *stage, int x, int y, enum ground want)
{
	stage_see(stage);
	CHECK_EQ_U64(stage->canvas.cells[y * stage->canvas.width + x].style.ground, want);
}

TEST(grounds_tell_kinds_apart)
{
	struct pane_stage stage;
	struct cell *cells;

	flame_stage(&stage, 80, 10);
	check_ground(&stage, 3, 1, GROUND_SELECTED);
	check_ground(&stage, 20, 5, GROUND_FLAME_KERNEL);
	check_ground(&stage, 70, 2, GROUND_FLAME_LIBRARY);
	cells = &stage.canvas.cells[80 * 3];
	CHECK_BETWEEN(cells[3].style.ground, GROUND_FLAME_0, GROUND_FLAME_5);
	/* The same name, the same ground. */
	CHECK_EQ_U64(stage.canvas.cells[80 * 2 + 3].style.ground, cells[70].style.ground);
	stage_done(&stage);
}

TEST(library_code_is_of_another_ground)
{
	struct pane_stage stage;

	flame_stage(&stage, 80, 10);
	stage.context.model->snapshot->locations[6].is_internal = true;
	stage_next_model(&stage, NULL);
	check_ground(&stage, 20, 4, GROUND_FLAME_LIBRARY);
	stage_done(&stage);
}

TEST(keys_move_to_parent_child_and_neighbour)
{
	struct pane_stage stage;

	flame_stage(&stage, 80, 10);
	stage_check_line(&stage, 8,
			 "│▌all  100.0 %  100 samples"
			 "                                                    │");
	CHECK(stage_press(&stage, ACTION_DOWN) == PANE_NOTHING);
	stage_press(&stage, ACTION_DOWN);
	stage_check_line(
		&stage, 8,
		"│▌parse_header  70.0 %  70 samples  src/parser.rs:142                          │");
	stage_press(&stage, ACTION_RIGHT);
	stage_check_line(
		&stage, 8,
		"│▌Buffer::fill  15.0 %  15 samples  src/buffer.rs:34                           │");
	/* Another's child. */
	stage_press(&stage, ACTION_RIGHT);
	stage_press(&stage, ACTION_UP);
	stage_check_line(
		&stage, 8,
		"│▌[incomplete stack]  10.0 %  10 samples                                       │");
	/* Back to the child one came from; the last of its line stays. */
	stage_press(&stage, ACTION_DOWN);
	stage_press(&stage, ACTION_RIGHT);
	stage_press(&stage, ACTION_RIGHT);
	stage_check_line(
		&stage, 8,
		"│▌[kernel]  5.0 %  5 samples                                                   │");
	stage_press(&stage, ACTION_LEFT);
	stage_press(&stage, ACTION_LEFT);
	stage_press(&stage, ACTION_LEFT);
	stage_press(&stage, ACTION_LEFT);
	stage_press(&stage, ACTION_LAST);
	stage_check_line(
		&stage, 8,
		"│▌tokenize  20.0 %  20 samples  src/parser.rs:89                               │");
	stage_press(&stage, ACTION_FIRST);
	stage_press(&stage, ACTION_UP);
	stage_check_line(
		&stage, 8,
		"│▌all  100.0 %  100 samples                                                    │");
	stage_done(&stage);
}

TEST(zoom_and_back)
{
	struct pane_stage stage;

	flame_stage(&stage, 80, 10);
	stage_press(&stage, ACTION_DOWN);
	CHECK(stage_press(&stage, ACTION_ENTER) == PANE_NOTHING);
	stage_press(&stage, ACTION_DOWN);
	stage_press(&stage, ACTION_ENTER);
	stage_check(
		&stage,
		"┌ CPU flame graph  my-app  100 samples ────────────────────────────────────────┐\n"
		"│ all                                                                          │\n"
		"│ main                                                                         │\n"
		"│▌parse_header                                                                 │\n"
		"│ tokenize             │ read     │                                            │\n"
		"│                      │ [kernel] │                                            │\n"
		"│                                                                              │\n"
		"│                                                                              │\n"
		"│▌parse_header  70.0 %  70 samples  src/parser.rs:142                          │\n"
		"└──────────────────────────────────────────────────────────────────────────────┘"
		"\n");
	/* A caller of the zoom: it becomes the zoom. */
	stage_press(&stage, ACTION_UP);
	stage_press(&stage, ACTION_ENTER);
	stage_check_line(
		&stage, 3,
		"│ parse_header                                                   │ Buffer::fill│");
	CHECK(stage_press(&stage, ACTION_BACK) == PANE_NOTHING);
	stage_check_line(
		&stage, 3,
		"│ parse_header                                         │ …::fill   │ main  │   │");
	CHECK(stage_press(&stage, ACTION_BACK) == PANE_CLOSE);
	stage_done(&stage);
}

TEST(back_goes_one_zoom)
{
	struct pane_stage stage;

	flame_stage(&stage, 80, 10);
	stage_press(&stage, ACTION_DOWN);
	stage_press(&stage, ACTION_ENTER);
	stage_press(&stage, ACTION_LAST);
	stage_press(&stage, ACTION_ENTER);
	stage_check_line(
		&stage, 3,
		"│ parse_header                                                                 │");
	stage_press(&stage, ACTION_BACK);
	stage_check_line(
		&stage, 3,
		"│ parse_header                                                   │ Buffer::fill│");
	stage_press(&stage, ACTION_BACK);
	stage_check_line(
		&stage, 2,
		"│ main                                                             │ [inco…│   │");
	CHECK(stage_press(&stage, ACTION_BACK) == PANE_CLOSE);
	stage_done(&stage);
}

TEST(search_highlights_and_sums)
{
	struct pane_stage stage;

	flame_stage(&stage, 80, 10);
	CHECK(stage.pane->ops->has_search);
	stage.context.filter = "WALK";
	stage_update(&stage);
	stage_check_line(
		&stage, 9,
		"└───────────────────────────────────────────────── matches 10.0 %, 10 samples ─┘");
	check_ground(&stage, 70, 4, GROUND_MATCH);
	CHECK(stage.canvas.cells[80 * 4 + 10].style.ground != GROUND_MATCH);
	stage.context.filter = "";
	stage_update(&stage);
	stage_check_line(
		&stage, 9,
		"└──────────────────────────────────────────────────────────────────────────────┘");
	stage_done(&stage);
}

TEST(mouse_selects_and_zooms)
{
	struct pane_stage stage;

	flame_stage(&stage, 80, 10);
	stage_mouse(&stage, ACTION_CLICK, 20, 4);
	stage_check_line(
		&stage, 8,
		"│▌read  10.0 %  10 samples  [libc.so.6]                                        │");
	stage_mouse(&stage, ACTION_CLICK, 20, 4);
	stage_check_line(
		&stage, 4,
		"│▌read                                                                         │");
	/* Beside all boxes, on the frame, on the words: nothing. */
	stage_mouse(&stage, ACTION_CLICK, 20, 7);
	stage_mouse(&stage, ACTION_CLICK, 0, 1);
	stage_mouse(&stage, ACTION_CLICK, 5, 8);
	stage_mouse(&stage, ACTION_CLICK, 500, 500);
	stage_mouse(&stage, ACTION_CLICK, -5, -5);
	stage_check_line(
		&stage, 4,
		"│▌read                                                                         │");
	stage_done(&stage);
}

/* f0 calls f1 calls f2 …, and the last runs. */
static struct snapshot_builder *deep_profile(uint32_t depth)
{
	struct snapshot_builder *b = builder_new();
	uint32_t cpu = builder_event(b, "cpu-clock", true), thread = builder_thread(b, 1, "a");
	uint32_t app = builder_module(b, "/bin/app"), *frames = mem_array(depth, sizeof(*frames));
	char name[16];

	for (uint32_t i = 0; i < depth; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		frames[depth - 1 - i] =
			builder_frame_at(b, builder_location(b, app, name, "f.c", i + 1));
	}
	builder_row(b, cpu, thread, builder_stack(b, frames, depth, STACK_COMPLETE, 0), 7, 0, 7);
	free(frames);
	return b;
}

TEST(deep_graphs_scroll_with_the_selection)
{
	struct pane_stage stage;

	stage_init(&stage, pane_flame_new(), deep_profile(500), NULL, 40, 8);
	stage_check_line(&stage, 0, "┌ CPU flame graph  my-app  7 sam… ─ ▼ ─┐");
	for (int i = 0; i < 6; i++)
		stage_press(&stage, ACTION_DOWN);
	stage_check(&stage, "┌ CPU flame graph  my-app  7 sa… ─ ▲▼ ─┐\n"
			    "│ f1                                   │\n"
			    "│ f2                                   │\n"
			    "│ f3                                   │\n"
			    "│ f4                                   │\n"
			    "│▌f5                                   │\n"
			    "│▌f5  100.0 %  7 samples  f.c:6        │\n"
			    "└──────────────────────────────────────┘\n");
	stage_press(&stage, ACTION_LAST);
	stage_check_line(&stage, 0, "┌ CPU flame graph  my-app  7 sam… ─ ▲ ─┐");
	stage_check_line(&stage, 5, "│▌f499                                 │");
	stage_press(&stage, ACTION_PAGE_UP);
	stage_check_line(&stage, 6, "│▌f494  100.0 %  7 samples  f.c:495    │");
	stage_press(&stage, ACTION_FIRST);
	stage_check_line(&stage, 1, "│▌all                                  │");
	stage_press(&stage, ACTION_PAGE_DOWN);
	stage_check_line(&stage, 6, "│▌f4  100.0 %  7 samples  f.c:5        │");
	stage_done(&stage);
}

TEST(a_larger_terminal_shows_more_above)
{
	struct pane_stage stage;

	stage_init(&stage, pane_flame_new(), deep_profile(20), NULL, 40, 8);
	stage_press(&stage, ACTION_LAST);
	stage_check_line(&stage, 1, "│ f15                                  │");
	canvas_done(&stage.canvas);
	canvas_init(&stage.canvas, 40, 18, true);
	stage_check_line(&stage, 1, "│ f5                                   │");
	stage_check_line(&stage, 15, "│▌f19                                  │");
	stage_done(&stage);
}

TEST(wheel_scrolls_to_the_ends)
{
	struct pane_stage stage;

	stage_init(&stage, pane_flame_new(), deep_profile(20), NULL, 40, 8);
	stage_mouse(&stage, ACTION_WHEEL_UP, 1, 1);
	stage_check_line(&stage, 1, "│▌all                                  │");
	stage_mouse(&stage, ACTION_WHEEL_DOWN, 1, 1);
	stage_check_line(&stage, 1, "│ f2                                   │");
	stage_check_line(&stage, 6, "│▌all  100.0 %  7 samples              │");
	for (int i = 0; i < 20; i++)
		stage_mouse(&stage, ACTION_WHEEL_DOWN, 1, 1);
	stage_check_line(&stage, 5, "│ f19                                  │");
	stage_mouse(&stage, ACTION_CLICK, 5, 5);
	stage_check_line(&stage, 5, "│▌f19                                  │");
	stage_mouse(&stage, ACTION_WHEEL_UP, 1, 1);
	stage_check_line(&stage, 5, "│ f16                                  │");
	/* A key brings the selection back. */
	stage_press(&stage, ACTION_UP);
	stage_check_line(&stage, 6, "│▌f18  100.0 %  7 samples  f.c:19      │");
	CHECK(strstr(stage_see(&stage), "│▌f18      "));
	stage_done(&stage);
}

TEST(zoom_and_selection_stay_over_models)
{
	struct pane_stage stage;
	struct model_request worker = whole;

	flame_stage(&stage, 80, 10);
	stage_press(&stage, ACTION_DOWN);
	stage_press(&stage, ACTION_DOWN);
	stage_press(&stage, ACTION_ENTER);
	stage_press(&stage, ACTION_DOWN);
	stage_press(&stage, ACTION_RIGHT);
	stage_check_line(
		&stage, 8,
		"│▌read  10.0 %  10 samples  [libc.so.6]                                        │");
	stage_next_model(&stage, NULL);
	stage_check_line(
		&stage, 8,
		"│▌read  10.0 %  10 samples  [libc.so.6]                                        │");
	/* Away and back again. */
	stage.context.table = MODEL_HEAP;
	stage_update(&stage);
	CHECK(strstr(stage_see(&stage), "The heap was not recorded."));
	stage.context.table = MODEL_CPU;
	stage_update(&stage);
	stage_check_line(
		&stage, 8,
		"│▌read  10.0 %  10 samples  [libc.so.6]                                        │");
	/* A thread that never reads: the selection is what is left of its path. */
	strcpy(worker.thread, "12346");
	stage_next_model(&stage, &worker);
	stage_check(
		&stage,
		"┌ CPU flame graph  my-app  thread 12346  35 samples ───────────────────────────┐\n"
		"│ all                                                                          │\n"
		"│ main                                                                         │\n"
		"│▌parse_header                                                                 │\n"
		"│ tokenize                                                                     │\n"
		"│                                                                              │\n"
		"│                                                                              │\n"
		"│                                                                              │\n"
		"│▌parse_header  20.0 %  20 samples  src/parser.rs:142                          │\n"
		"└──────────────────────────────────────────────────────────────────────────────┘"
		"\n");
	stage_done(&stage);
}

TEST(range_and_thread_are_told)
{
	struct pane_stage stage;
	struct model_request request = whole;

	request.from_ns = UINT64_C(120000000000);
	request.to_ns = UINT64_C(210000000000);
	strcpy(request.thread, "worker");
	stage_init(&stage, pane_flame_new(), sample_profile(), &request, 80, 10);
	stage_check_line(
		&stage, 0,
		"┌ CPU flame graph  my-app  2m00s–3m30s  thread worker  45 samples ─────────────┐");
	stage_done(&stage);
}

TEST(empty_graphs_say_why)
{
	struct pane_stage stage;

	flame_stage(&stage, 80, 5);
	stage.context.table = MODEL_HEAP;
	stage_update(&stage);
	stage_check(
		&stage,
		"┌ Memory flame graph  my-app ──────────────────────────────────────────────────┐\n"
		"│                                                                              │\n"
		"│                          The heap was not recorded.                          │\n"
		"│                                                                              │\n"
		"└──────────────────────────────────────────────────────────────────────────────┘"
		"\n");
	stage.context.table = MODEL_WAIT;
	stage_update(&stage);
	stage_check_line(
		&stage, 2,
		"│                           Waits were not recorded.                           │");
	CHECK(stage_press(&stage, ACTION_DOWN) == PANE_IGNORED);
	CHECK(stage_press(&stage, ACTION_BACK) == PANE_CLOSE);
	stage.context.model = NULL;
	stage.context.table = MODEL_CPU;
	stage_update(&stage);
	stage_check_line(
		&stage, 2,
		"│                             Opening the profile.                             │");
	stage_done(&stage);
	stage_init(&stage, pane_flame_new(), builder_new(), NULL, 80, 5);
	stage_check_line(
		&stage, 2,
		"│                        CPU samples were not recorded.                        │");
	stage_done(&stage);
}

TEST(boxes_lead_to_source_and_callers)
{
	struct pane_stage stage;

	flame_stage(&stage, 80, 10);
	CHECK(stage_press(&stage, ACTION_SOURCE) == PANE_NOTHING);
	stage_press(&stage, ACTION_DOWN);
	stage_press(&stage, ACTION_DOWN);
	CHECK(stage_press(&stage, ACTION_SOURCE) == PANE_SOURCE);
	CHECK(row_key_is(&stage.answer.key, "parse_header", "src/parser.rs", 142));
	CHECK(stage_press(&stage, ACTION_CALLERS) == PANE_CALLERS);
	CHECK(row_key_is(&stage.answer.key, "parse_header", "src/parser.rs", 0));
	CHECK(stage_press(&stage, ACTION_FLAME) == PANE_CLOSE);
	CHECK(stage_press(&stage, ACTION_QUIT) == PANE_IGNORED);
	CHECK(stage_press(&stage, ACTION_VIEW_HEAP) == PANE_IGNORED);
	CHECK(stage_press(&stage, ACTION_SORT) == PANE_IGNORED);
	stage_done(&stage);
}

TEST(memory_is_live_or_allocated)
{
	struct snapshot_builder *b = builder_new();
	uint32_t app = builder_module(b, "/bin/app");
	uint32_t keep = builder_location(b, app, "keep", "k.c", 2);
	uint32_t frame = builder_frame_at(b, keep);
	uint32_t stack = builder_stack(b, &frame, 1, STACK_COMPLETE, keep);
	struct pane_stage stage;

	builder_heap_poll(b, (struct snapshot_heap_poll){0});
	builder_heap_poll(b, (struct snapshot_heap_poll){.time_ns = 1000000000});
	builder_heap_row(
		b, 1, stack,
		(struct heap_counts){
			.allocs = 9, .alloc_bytes = 48300000, .frees = 8, .free_bytes = 40000000});
	builder_heap_sum(b);
	stage_init(&stage, pane_flame_new(), b, NULL, 60, 6);
	stage.context.table = MODEL_HEAP;
	stage_update(&stage);
	stage_check_line(&stage, 0, "┌ Memory flame graph  my-app  8.3 MB live ─────────────────┐");
	CHECK(stage_press(&stage, ACTION_SORT) == PANE_NOTHING);
	stage_check_line(&stage, 0, "┌ Memory flame graph  my-app  48.3 MB allocated ───────────┐");
	stage_done(&stage);
}

/* Names that would clear the screen, never end, or are not there. */
TEST(hostile_names_stay_in_their_boxes)
{
	struct snapshot_builder *b = builder_new();
	uint32_t cpu = builder_event(b, "cpu-clock", true), thread = builder_thread(b, 1, "a");
	uint32_t app = builder_module(b, "/bin/app"), frames[3];
	char *endless = mem_alloc(10001);
	struct pane_stage stage;

	memset(endless, 'x', 10000);
	endless[10000] = '\0';
	frames[0] = builder_frame_at(b, builder_location(b, app, "", "", 1));
	frames[1] = builder_frame_at(b, builder_location(b, app, endless, endless, 1));
	frames[2] = builder_frame_at(
		b, builder_location(b, app, "\033[2J\r\nboo\302\233", "\033[31m.c", 4));
	builder_row(b, cpu, thread, builder_stack(b, frames, 3, STACK_COMPLETE, 0), 7, 0, 7);
	stage_init(&stage, pane_flame_new(), b, NULL, 40, 8);
	stage_press(&stage, ACTION_DOWN);
	stage_check(&stage, "┌ CPU flame graph  my-app  7 samples ──┐\n"
			    "│ all                                  │\n"
			    "│▌?[2J??boo?                           │\n"
			    "│ xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…│\n"
			    "│ [unknown]                            │\n"
			    "│                                      │\n"
			    "│▌?[2J?…  100.0 %  7 samples  ?[31m.c:4│\n"
			    "└──────────────────────────────────────┘\n");
	stage_press(&stage, ACTION_DOWN);
	stage_check_line(&stage, 6, "│▌xx…  100.0 %  7 samples  …xxxxxxxxx:1│");
	stage_press(&stage, ACTION_DOWN);
	stage_check_line(&stage, 6, "│▌[unknown]  100.0 %  7 samples        │");
	free(endless);
	stage_done(&stage);
}

/* Nothing is drawn outside, nothing hangs, whatever the size. */
TEST(any_size_and_any_key)
{
	static const enum action actions[] = {
		ACTION_DOWN,	 ACTION_RIGHT,	 ACTION_ENTER, ACTION_LAST,	  ACTION_PAGE_DOWN,
		ACTION_PAGE_UP,	 ACTION_LEFT,	 ACTION_UP,    ACTION_WHEEL_DOWN, ACTION_CLICK,
		ACTION_WHEEL_UP, ACTION_CALLERS, ACTION_FIRST, ACTION_SOURCE,
	};

	for (int size = 0; size < 30; size++) {
		struct pane_stage stage;

		flame_stage(&stage, size * 3, size);
		for (size_t i = 0; i < 200; i++) {
			stage_press(&stage, actions[i * 7 % (sizeof(actions) / sizeof(*actions))]);
			if (i % 17 == 16)
				stage_press(&stage, ACTION_BACK);
			stage_see(&stage);
		}
		stage_done(&stage);
	}
}

KIT_MAIN
