/* The source pane: what it draws, how it moves, and that models come and go under it. */
#include "tests/lib/kit.h"

#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

#include "reader/tui/pane.h"
#include "tests/unit/annotate_profile.h"

struct rig {
	struct snapshot_builder *builder;
	struct model model;
	struct pane_context context;
	struct row_key key;
	struct pane *pane;
	struct canvas canvas;
	char path[512]; /* of the source */
};

static void write_source(struct rig *rig, size_t lines)
{
	FILE *file = fopen(rig->path, "w");

	CHECK(file);
	for (size_t i = 1; i <= lines; i++)
		fprintf(file, i == 142 ? "\tlet \033[2J = \"%0200zu\";\n" : "line %zu\n", i);
	CHECK(fclose(file) == 0);
}

static void rig_update(struct rig *rig)
{
	rig->model.serial++;
	rig->model.snapshot = (struct snapshot *)builder_snapshot(rig->builder);
	rig->pane->ops->update(rig->pane, &rig->context);
}

/* With lines 0 there is no source. */
static void rig_open(struct rig *rig, int width, int height, size_t lines, uint32_t line)
{
	if (!setlocale(LC_ALL, "C.UTF-8"))
		SKIP("no locale C.UTF-8");
	unsetenv("RSPROF_SOURCE_PATH");
	memset(rig, 0, sizeof(*rig));
	snprintf(rig->path, sizeof(rig->path), "%s", lines ? kit_folder() : ANNOTATE_ROOT "src");
	strcat(rig->path, "/parser.rs");
	if (lines)
		write_source(rig, lines);
	rig->builder = annotate_profile_of(rig->path);
	builder_start(rig->builder, UINT64_C(1) << 62);
	rig->context =
		(struct pane_context){.model = &rig->model, .filter = "", .is_focused = true};
	row_key_set(&rig->key, "app::parse_header", "src/parser.rs", rig->path, line);
	canvas_init(&rig->canvas, width, height, true);
	rig->pane = pane_source_new(&rig->key);
	rig_update(rig);
}

static void rig_close(struct rig *rig)
{
	rig->pane->ops->free(rig->pane);
	row_key_done(&rig->key);
	canvas_done(&rig->canvas);
	builder_free(rig->builder);
}

static enum pane_wish press_at(struct rig *rig, enum action action, int x, int y)
{
	const struct input input = {.action = action, .x = x, .y = y};

	return rig->pane->ops->act(rig->pane, &rig->context, &input, canvas_area(&rig->canvas))
		.wish;
}

static void press(struct rig *rig, enum action action)
{
	CHECK_EQ_I64(press_at(rig, action, 0, 0), PANE_NOTHING);
}

static void draw(struct rig *rig)
{
	canvas_clear(&rig->canvas);
	rig->pane->ops->draw(rig->pane, &rig->context, &rig->canvas, canvas_area(&rig->canvas));
}

static void check_drawn(struct rig *rig, const char *want)
{
	struct str text = {0};

	draw(rig);
	canvas_print(&rig->canvas, &text);
	CHECK_EQ_STR(str_text(&text), want);
	str_done(&text);
}

static void check_has(struct rig *rig, const char *part)
{
	struct str text = {0};

	draw(rig);
	canvas_print(&rig->canvas, &text);
	if (!strstr(str_text(&text), part))
		FAIL("\"%s\" is not in:\n%s", part, str_text(&text));
	str_done(&text);
}

/* The line that is marked, by its number. */
static void check_cursor(struct rig *rig, unsigned int line)
{
	struct str text = {0};
	const char *mark;

	draw(rig);
	canvas_print(&rig->canvas, &text);
	mark = strstr(str_text(&text), "▌");
	CHECK(mark);
	CHECK_EQ_U64(strtoul(mark + strlen("▌"), NULL, 10), line);
	str_done(&text);
}

TEST(the_row_is_in_the_middle)
{
	struct rig rig;

	rig_open(&rig, 80, 12, 300, 142);
	check_drawn(
		&rig,
		"┌ src/parser.rs  (unchanged since recording) ──────────────────────────────────┐\n"
		"│   CPU%      Live   line                                                      │\n"
		"│                –    138  line 138                                            │\n"
		"│                –    139  line 139                                            │\n"
		"│                –    140  line 140                                            │\n"
		"│                –    141  line 141                                            │\n"
		"│  45.0%         –  ▌ 142          let ?[2J = "
		"\"0000000000000000000000000000000…│\n"
		"│                –    143  line 143                                            │\n"
		"│                –    144  line 144                                            │\n"
		"│                –    145  line 145                                            │\n"
		"│                –    146  line 146                                            │\n"
		"└──────────────────────────────────────────────────────────────────── 142/300 "
		"─┘\n");
	rig_close(&rig);
}

TEST(a_wide_screen_has_all_columns)
{
	struct rig rig;

	rig_open(&rig, 120, 5, 300, 89);
	rig.context.table = MODEL_WAIT;
	check_has(&rig, "   CPU%   Incl%      Live      Wait   line");
	check_has(&rig, "  20.0%   20.0%    4.1 KB         –  ▌  89  line 89");
	press(&rig, ACTION_ENTER);
	check_has(&rig, "  45.0%   45.0%         –     300ms  ▌ 142  ");
	rig_close(&rig);
}

TEST(a_narrow_pane_has_the_column_of_its_view)
{
	struct rig rig;

	rig_open(&rig, 40, 5, 300, 89);
	check_has(&rig, "│   CPU%   line");
	rig.context.table = MODEL_HEAP;
	check_has(&rig, "│     Live   line");
	check_has(&rig, "│   4.1 KB  ▌  89  line 89");
	rig.context.table = MODEL_WAIT;
	check_has(&rig, "│     Wait   line");
	rig_close(&rig);
}

TEST(keys_move_and_stay_within_the_file)
{
	struct rig rig;

	rig_open(&rig, 80, 12, 300, 142);
	press(&rig, ACTION_DOWN);
	check_cursor(&rig, 143);
	press(&rig, ACTION_UP);
	press(&rig, ACTION_UP);
	check_cursor(&rig, 141);
	press(&rig, ACTION_PAGE_DOWN);
	check_cursor(&rig, 149);
	press(&rig, ACTION_PAGE_UP);
	check_cursor(&rig, 141);
	press(&rig, ACTION_FIRST);
	check_cursor(&rig, 1);
	press(&rig, ACTION_UP);
	press(&rig, ACTION_PAGE_UP);
	check_cursor(&rig, 1);
	press(&rig, ACTION_LAST);
	check_cursor(&rig, 300);
	press(&rig, ACTION_DOWN);
	press(&rig, ACTION_PAGE_DOWN);
	check_cursor(&rig, 300);
	press(&rig, ACTION_WHEEL_UP);
	check_cursor(&rig, 297);
	/* The last line is still at the foot. */
	check_has(&rig, "300  line 300");
	CHECK_EQ_I64(press_at(&rig, ACTION_CLICK, 5, 2), PANE_NOTHING);
	check_cursor(&rig, 292);
	CHECK_EQ_I64(press_at(&rig, ACTION_CLICK, 5, 0), PANE_IGNORED);
	CHECK_EQ_I64(press_at(&rig, ACTION_CLICK, 5, 11), PANE_IGNORED);
	rig_close(&rig);
}

TEST(the_next_hot_line_is_one_of_the_view)
{
	struct rig rig;

	rig_open(&rig, 80, 12, 300, 1);
	press(&rig, ACTION_ENTER);
	check_cursor(&rig, 89);
	press(&rig, ACTION_ZOOM_IN);
	check_cursor(&rig, 142);
	/* Lines 150 and 200 called what was hot: around to the first. */
	press(&rig, ACTION_ENTER);
	check_cursor(&rig, 89);
	press(&rig, ACTION_ZOOM_OUT);
	check_cursor(&rig, 142);
	rig.context.table = MODEL_HEAP;
	press(&rig, ACTION_ENTER);
	check_cursor(&rig, 89);
	press(&rig, ACTION_ENTER);
	check_cursor(&rig, 89);
	rig_close(&rig);
}

TEST(text_scrolls_sideways)
{
	struct rig rig;

	rig_open(&rig, 80, 12, 300, 142);
	press(&rig, ACTION_RIGHT);
	check_has(&rig, "▌ 142  let ?[2J = \"000");
	press(&rig, ACTION_RIGHT);
	check_has(&rig, "▌ 142   = \"000");
	for (int i = 0; i < 2000; i++)
		press(&rig, ACTION_RIGHT);
	check_has(&rig, "▌ 142   ");
	for (int i = 0; i < 2000; i++)
		press(&rig, ACTION_LEFT);
	check_has(&rig, "▌ 142          let ?[2J = \"000");
	rig_close(&rig);
}

TEST(a_new_model_renews_the_numbers_and_moves_nothing)
{
	struct rig rig;
	uint32_t stack;

	rig_open(&rig, 80, 12, 300, 142);
	press(&rig, ACTION_DOWN);
	press(&rig, ACTION_DOWN);
	/* The 100 samples of before and 100 more. */
	stack = 1;
	builder_row(rig.builder, 0, 0, stack, 100, 0, 100);
	rig_update(&rig);
	check_cursor(&rig, 144);
	check_has(&rig, "72.5%         –    142 ");
	check_has(&rig, "138  line 138");
	/* The same model again is no work, and no other one. */
	rig.pane->ops->update(rig.pane, &rig.context);
	check_cursor(&rig, 144);
	rig.context.model = NULL;
	rig.pane->ops->update(rig.pane, &rig.context);
	check_cursor(&rig, 144);
	rig_close(&rig);
}

TEST(the_file_is_read_once)
{
	struct rig rig;

	rig_open(&rig, 80, 12, 300, 142);
	CHECK(unlink(rig.path) == 0);
	rig_update(&rig);
	check_has(&rig, "unchanged since recording");
	check_has(&rig, "140  line 140");
	rig_close(&rig);
}

TEST(without_the_text_lines_stand_by_their_numbers)
{
	struct rig rig;

	rig_open(&rig, 80, 8, 0, 150);
	check_drawn(
		&rig,
		"┌ src/parser.rs  (source not found) ───────────────────────────────────────────┐\n"
		"│ source not found: say where with RSPROF_SOURCE_PATH; tried /nowhere/app/src/p│\n"
		"│   CPU%      Live   line                                                      │\n"
		"│  20.0%    4.1 KB     89                                                      │\n"
		"│  45.0%         –    142                                                      │\n"
		"│                –  ▌ 150                                                      │\n"
		"│                –    200                                                      │\n"
		"└──────────────────────────────────────────────────────────────────────── 3/4 "
		"─┘\n");
	rig_close(&rig);
}

TEST(lines_behind_the_text_are_shown_and_said)
{
	struct rig rig;

	rig_open(&rig, 80, 8, 145, 200);
	rig.pane->ops->free(rig.pane);
	/* Recorded before the file was written. */
	builder_start(rig.builder, 1);
	rig.pane = pane_source_new(&rig.key);
	rig_update(&rig);
	check_has(&rig, "(changed since recording)");
	check_has(&rig, "written after the recording began: its lines may have moved");
	check_has(&rig, "145  line 145");
	check_has(&rig, "–    150 ");
	check_cursor(&rig, 200);
	rig_close(&rig);
}

TEST(a_row_without_source_says_so)
{
	struct rig rig;

	rig_open(&rig, 80, 5, 0, 0);
	rig.pane->ops->free(rig.pane);
	row_key_set(&rig.key, "read", "[libc.so.6]", NULL, 0);
	rig.pane = pane_source_new(&rig.key);
	rig_update(&rig);
	check_has(&rig, "This row has no lines of source");
	CHECK_EQ_I64(press_at(&rig, ACTION_DOWN, 0, 0), PANE_IGNORED);
	CHECK_EQ_I64(press_at(&rig, ACTION_BACK, 0, 0), PANE_CLOSE);
	rig_close(&rig);
}

TEST(it_closes_and_leaves_other_keys_alone)
{
	struct rig rig;

	rig_open(&rig, 80, 12, 300, 142);
	CHECK_EQ_I64(press_at(&rig, ACTION_BACK, 0, 0), PANE_CLOSE);
	CHECK_EQ_I64(press_at(&rig, ACTION_SOURCE, 0, 0), PANE_CLOSE);
	CHECK_EQ_I64(press_at(&rig, ACTION_QUIT, 0, 0), PANE_IGNORED);
	CHECK_EQ_I64(press_at(&rig, ACTION_SORT, 0, 0), PANE_IGNORED);
	rig_close(&rig);
}

TEST(any_size_is_drawn_in)
{
	for (int width = 0; width < 60; width += 7) {
		for (int height = 0; height < 8; height++) {
			struct rig rig;

			rig_open(&rig, width, height, 20, 142);
			draw(&rig);
			press(&rig, ACTION_PAGE_DOWN);
			press(&rig, ACTION_LAST);
			press(&rig, ACTION_UP);
			draw(&rig);
			rig_close(&rig);
		}
	}
}

KIT_MAIN
