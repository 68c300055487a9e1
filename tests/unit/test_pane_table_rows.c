/* Rows of tables: which one is chosen, in what order they are, what keys and the mouse do. */
#include "tests/unit/pane_table_rig.h"

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
