/* The screen without a terminal: which panes are there, who gets a key, what a feed is asked. The
 * panes are stand-ins that write down what they are told. */
#include "tests/lib/kit.h"

#include <locale.h>
#include <stdlib.h>

#include "reader/tui/pane.h"
#include "reader/tui/pane_table.h"
#include "reader/tui/screen.h"
#include "reader/util/mem.h"

/* ---- a feed */

static struct {
	struct feed feed;
	struct model *next;
	struct model_request asked;
	int asked_count;
	struct feed_state state;
	uint64_t serial;
} feed;

static struct model *feed_take(struct feed *unused)
{
	if (feed.next)
		feed.next->references++;
	return feed.next;
}

static void feed_ask(struct feed *unused, const struct model_request *request)
{
	feed.asked = *request;
	feed.asked_count++;
}

static void feed_read_state(struct feed *unused, struct feed_state *ret_state)
{
	*ret_state = feed.state;
}

static int feed_wake_fd(struct feed *unused)
{
	return -1;
}

/* Of what was asked last, as the next checkpoint makes it. */
static void feed_makes_model(void)
{
	struct model *model = mem_zalloc(sizeof(*model));

	model->snapshot = mem_zalloc(sizeof(*model->snapshot));
	model->snapshot->file = "rsprof.my-app.db";
	model->references = 1;
	model->serial = ++feed.serial;
	model->request = feed.asked;
	model_release(feed.next);
	feed.next = model;
}

/* ---- panes that tell what they are told */

static bool is_chart_late;

struct fake {
	struct pane pane;
	char name[32];
	struct row_key of;
	uint64_t serial;
	struct str filter;
};

static int panes_alive, updates;
static char acted[256]; /* "cpu:down@0,2,48x21" of the last one */
static struct pane_answer next_answer;
static bool is_search_kind;

static void fake_free(struct pane *pane)
{
	struct fake *fake = (struct fake *)pane;

	panes_alive--;
	row_key_done(&fake->of);
	str_done(&fake->filter);
	free(fake);
}

static void fake_update(struct pane *pane, const struct pane_context *context)
{
	struct fake *fake = (struct fake *)pane;

	fake->serial = context->model ? context->model->serial : 0;
	str_clear(&fake->filter);
	str_add(&fake->filter, context->filter);
	updates++;
}

static void fake_draw(struct pane *pane, const struct pane_context *context, struct canvas *canvas,
		      struct area area)
{
	const struct fake *fake = (const struct fake *)pane;

	CHECK_EQ_STR(str_text(&fake->filter), context->filter);
	/* A chart that takes long is drawn as it was, once. */
	if (!is_chart_late || strcmp(fake->name, "chart"))
		CHECK_EQ_U64(fake->serial, context->model ? context->model->serial : 0);
	canvas_putf(canvas, area, 0, 0, (struct style){0},
		    "<%s%s table %d serial %d filter %s of %s selected %s mark %d %dx%d>",
		    fake->name, context->is_focused ? "*" : "", context->table, (int)fake->serial,
		    context->filter, fake->of.function ? fake->of.function : "-",
		    row_key_is_set(context->selected) ? context->selected->function : "-",
		    context->mark_ns == UINT64_MAX ? -1 : (int)context->mark_ns, area.width,
		    area.height);
}

static struct pane_answer fake_act(struct pane *pane, const struct pane_context *context,
				   const struct input *input, struct area area)
{
	const struct fake *fake = (const struct fake *)pane;
	struct pane_answer answer = next_answer;

	snprintf(acted, sizeof(acted), "%s:%d@%d,%d", fake->name, input->action, area.left,
		 area.top);
	next_answer = (struct pane_answer){.wish = PANE_IGNORED};
	return answer;
}

static const struct pane_ops fake_ops = {
	.name = "fake",
	.free = fake_free,
	.update = fake_update,
	.draw = fake_draw,
	.act = fake_act,
	.footer = "Enter zoom",
};
static const struct pane_ops fake_search_ops = {
	.name = "fake",
	.free = fake_free,
	.update = fake_update,
	.draw = fake_draw,
	.act = fake_act,
	.has_search = true,
	.is_of_calls = true,
};

/* Of the table "cpu"; the others choose none. */
static struct row_key chosen;

const struct row_key *pane_table_selected(const struct pane *pane)
{
	const struct fake *fake = (const struct fake *)pane;

	return !strcmp(fake->name, "cpu") && row_key_is_set(&chosen) ? &chosen : NULL;
}

static struct pane *fake_new(const char *name, const struct row_key *of)
{
	struct fake *fake = mem_zalloc(sizeof(*fake));

	panes_alive++;
	fake->pane.ops = is_search_kind ? &fake_search_ops : &fake_ops;
	snprintf(fake->name, sizeof(fake->name), "%s", name);
	if (of)
		row_key_copy(&fake->of, of);
	return &fake->pane;
}

struct pane *pane_table_new(enum model_table table, bool is_narrow)
{
	static const char *const names[] = {"cpu", "heap", "wait"};
	char name[32];

	snprintf(name, sizeof(name), "%s%s", is_narrow ? "narrow-" : "", names[table]);
	return fake_new(name, NULL);
}

struct pane *pane_chart_new(void)
{
	return fake_new("chart", NULL);
}

struct pane *pane_tree_new(const struct row_key *of)
{
	return fake_new("tree", of);
}

struct pane *pane_flame_new(void)
{
	struct pane *pane;

	is_search_kind = true;
	pane = fake_new("flame", NULL);
	is_search_kind = false;
	return pane;
}

struct pane *pane_source_new(const struct row_key *of)
{
	return fake_new("source", of);
}

/* ---- a screen */

static struct screen *screen;
static struct canvas canvas;
static struct str shown;

static void begin_with(int width, int height, const struct tui_options *more)
{
	static const struct feed_ops ops = {feed_take, feed_ask, feed_read_state, feed_wake_fd};
	struct tui_options options = {0};

	setlocale(LC_ALL, "C.UTF-8");
	if (more)
		options = *more;
	feed.feed.ops = &ops;
	feed.state.kind = FEED_RECORDING;
	options.feed = &feed.feed;
	next_answer.wish = PANE_IGNORED;
	screen = screen_new(&options);
	canvas_init(&canvas, width, height, true);
	screen_resize(screen, width, height);
	feed_makes_model();
	CHECK(screen_tick(screen));
}

static void begin(int width, int height)
{
	begin_with(width, height, NULL);
}

static void end(void)
{
	screen_free(screen);
	canvas_done(&canvas);
	str_done(&shown);
	model_release(feed.next);
	feed.next = NULL;
	CHECK_EQ_I64(panes_alive, 0);
}

static const char *drawn(void)
{
	screen_draw(screen, &canvas);
	str_clear(&shown);
	canvas_print(&canvas, &shown);
	return str_text(&shown);
}

static bool press(unsigned int key)
{
	struct input input = {.action = key_action(key), .key = key};

	*acted = '\0';
	return screen_act(screen, &input);
}

static void type(const char *text)
{
	while (*text)
		CHECK(press((unsigned char)*text++));
}

static void answer_next(enum pane_wish wish, const char *function)
{
	static struct row_key key;

	next_answer = (struct pane_answer){.wish = wish};
	row_key_done(&key);
	if (function)
		row_key_set(&key, function, "file.c", NULL, 1);
	next_answer.key = key;
}

#define CHECK_HAS(text)                                                                            \
	do {                                                                                       \
		if (!strstr(drawn(), text))                                                        \
			FAIL("\"%s\" is not in:\n%s", text, str_text(&shown));                     \
	} while (0)
#define CHECK_LACKS(text)                                                                          \
	do {                                                                                       \
		if (strstr(drawn(), text))                                                         \
			FAIL("\"%s\" is in:\n%s", text, str_text(&shown));                         \
	} while (0)

TEST(views)
{
	begin(120, 30);
	CHECK_HAS("<cpu* table 0 serial 1 filter  of -");
	CHECK_HAS("[CPU] Memory");
	press('2');
	CHECK_HAS("<heap* table 1 ");
	CHECK_LACKS("<cpu");
	press('4');
	CHECK_HAS("<wait* table 2 ");
	press('3');
	CHECK_HAS("<narrow-cpu* table 0 ");
	CHECK_HAS("<narrow-heap table 1 ");
	press('m');
	CHECK_HAS("<wait* ");
	press('m');
	CHECK_HAS("<cpu* ");
	CHECK(!press('q'));
	end();
}

TEST(chart_has_its_place)
{
	/* Beside, from 110 columns on. */
	begin(110, 30);
	CHECK_HAS("<chart table 0 ");
	CHECK_HAS(" 66x27>");
	press('c');
	CHECK_LACKS("<chart");
	press('c');
	CHECK_HAS("<chart");
	end();
	/* Two fifths, but for what the table needs for all its columns. */
	begin(123, 30);
	CHECK_HAS(" 76x27>");
	end();
	begin(200, 30);
	CHECK_HAS(" 120x27>");
	end();
	/* Below, where it is tall. */
	begin(100, 40);
	CHECK_HAS("<chart table 0 ");
	CHECK_HAS(" 100x12>");
	end();
	/* Away, until it is asked for. */
	begin(80, 24);
	CHECK_LACKS("<chart");
	press('\r');
	CHECK_HAS("<chart");
	CHECK_HAS(" 80x9>");
	press('\r');
	CHECK_LACKS("<chart");
	answer_next(PANE_CHART, NULL);
	press('\r');
	CHECK_HAS("<chart");
	end();
}

TEST(keys_go_to_who_has_the_focus)
{
	begin(120, 30);
	drawn();
	press('j');
	CHECK(str_starts(acted, "cpu:") && str_ends(acted, "@0,2"));
	press('\t');
	CHECK_HAS("<chart*");
	press('j');
	CHECK(str_starts(acted, "chart:") && str_ends(acted, "@76,2"));
	/* Sorting is the table's all the same. */
	press('s');
	CHECK(str_starts(acted, "cpu:"));
	press('\t');
	CHECK_HAS("<cpu*");
	/* What the table does not know is the chart's. */
	press('+');
	CHECK(str_starts(acted, "chart:"));
	press('l');
	CHECK(str_starts(acted, "chart:"));
	/* A chart that goes takes no focus with it. */
	press('\t');
	press('c');
	press('j');
	CHECK(str_starts(acted, "cpu:"));
	press('3');
	press('\t');
	CHECK_HAS("<narrow-heap* table 1");
	press('j');
	CHECK(str_starts(acted, "narrow-heap:"));
	end();
}

TEST(selection_goes_to_the_chart_and_the_trees)
{
	begin(200, 30);
	press('o');
	CHECK_HAS("No row is selected.");
	answer_next(PANE_SELECTED, "parse_header");
	press('j');
	CHECK_LACKS("No row is selected.");
	CHECK_HAS("<chart table 0 serial 1 filter  of - selected parse_header");
	press('o');
	CHECK_HAS("<tree* table 0 serial 1 filter  of parse_header");
	CHECK_LACKS("<cpu");
	CHECK_HAS(" q quit  ? help  Esc back  Enter zoom");
	/* From the tree to another row's source. */
	answer_next(PANE_SOURCE, "tokenize");
	press('a');
	CHECK_HAS("<source* table 0 serial 1 filter  of tokenize");
	CHECK(press(27));
	CHECK_HAS("<tree* ");
	answer_next(PANE_CLOSE, NULL);
	CHECK(press(27));
	CHECK_HAS("<cpu* ");
	/* Each view has its own row. */
	press('2');
	press('a');
	CHECK_HAS("No row is selected.");
	CHECK(!press(27));
	end();
}

TEST(a_row_that_another_one_replaces_leaves_the_chart)
{
	begin(200, 30);
	row_key_set(&chosen, "parse_header", "file.c", NULL, 1);
	answer_next(PANE_SELECTED, "parse_header");
	press('j');
	CHECK_HAS("<chart table 0 serial 1 filter  of - selected parse_header");
	/* Not in the next model, as after a range. */
	row_key_set(&chosen, "tokenize", "file.c", NULL, 2);
	feed_makes_model();
	CHECK(screen_tick(screen));
	CHECK_HAS("<chart table 0 serial 2 filter  of - selected tokenize");
	updates = 0;
	drawn();
	CHECK_EQ_I64(updates, 0);
	row_key_done(&chosen);
	feed_makes_model();
	CHECK(screen_tick(screen));
	CHECK_HAS("<chart table 0 serial 3 filter  of - selected -");
	end();
}

TEST(what_takes_long_is_announced)
{
	begin(120, 30);
	press('F');
	CHECK_HAS("<flame*");
	CHECK(!screen_has_more(screen));
	press(27);
	feed.next->snapshot->node_count = 5000000;
	updates = 0;
	press('F');
	CHECK_HAS("Adding up 5,000,000 calls…");
	CHECK(screen_has_more(screen));
	CHECK_EQ_I64(updates, 0);
	CHECK_HAS("<flame*");
	CHECK(!screen_has_more(screen));
	CHECK_EQ_I64(updates, 1);
	/* What is there stays until the next one is. */
	feed_makes_model();
	feed.next->snapshot->node_count = 5000000;
	CHECK(screen_tick(screen));
	CHECK_HAS("<flame* table 0 serial 2");
	/* Closed again before it was begun. */
	press('F');
	CHECK_HAS("Adding up");
	press(27);
	CHECK_HAS("<flame* table 0 serial 2");
	CHECK(!screen_has_more(screen));
	end();
}

TEST(a_long_chart_comes_after_its_table)
{
	struct timeline timeline = {.row_count = 5000000};

	begin(120, 30);
	CHECK_HAS("<chart table 0 serial 1");
	feed_makes_model();
	feed.next->chart = &timeline;
	CHECK(screen_tick(screen));
	is_chart_late = true;
	CHECK_HAS("<chart table 0 serial 1");
	CHECK(strstr(str_text(&shown), "table 0 serial 2"));
	CHECK(screen_has_more(screen));
	is_chart_late = false;
	CHECK_HAS("<chart table 0 serial 2");
	CHECK(!screen_has_more(screen));
	feed.next->chart = NULL;
	end();
}

TEST(many_overlays)
{
	begin(120, 30);
	for (int i = 0; i < 100; i++)
		press('F');
	CHECK_HAS("<flame*");
	CHECK_BETWEEN(panes_alive, 7, 20);
	press('2');
	CHECK_HAS("<flame* table 1");
	feed_makes_model();
	CHECK(screen_tick(screen));
	CHECK_HAS("<flame* table 1 serial 2");
	end();
}

TEST(help_comes_and_goes)
{
	begin(80, 24);
	press('?');
	CHECK_HAS("this help");
	CHECK_HAS("Down: more");
	press('G');
	CHECK_HAS("Mouse");
	CHECK_HAS("Up: more");
	press('?');
	CHECK_HAS("<cpu*");
	press('?');
	press('\r');
	CHECK_HAS("<cpu*");
	press('?');
	CHECK(press(27));
	CHECK_HAS("<cpu*");
	press('?');
	press('2');
	CHECK_HAS("<heap*");
	end();
}

TEST(filter)
{
	begin(120, 30);
	press('/');
	CHECK_HAS(" filter /");
	type("pq1s");
	CHECK_HAS(" filter /pq1s");
	CHECK_HAS("<cpu* table 0 serial 1 filter pq1s ");
	press(KEY_IS_BACKSPACE);
	press(0xe9);
	press(0x6f22);
	CHECK_HAS("filter pq1é漢 ");
	press(KEY_IS_BACKSPACE);
	press(KEY_IS_BACKSPACE);
	/* Rows can be gone through meanwhile. */
	press(KEY_IS_DOWN);
	CHECK(str_starts(acted, "cpu:"));
	press('\r');
	CHECK_EQ_STR(acted, "");
	CHECK_HAS(" q quit ");
	CHECK_HAS(" /pq1 ");
	CHECK_HAS("<cpu* table 0 serial 1 filter pq1 ");
	/* The other views have it too. */
	press('2');
	CHECK_HAS("<heap* table 1 serial 1 filter pq1 ");
	CHECK(press(27));
	CHECK_HAS("<heap* table 1 serial 1 filter  ");
	CHECK(!press(27));
	press('f');
	type("x");
	CHECK(press(27));
	CHECK_HAS("filter  of");
	press('f');
	press(KEY_IS_BACKSPACE);
	CHECK_HAS(" q quit ");
	press('/');
	for (int i = 0; i < 10000; i++)
		press('y');
	press(21);
	CHECK_HAS(" filter /");
	CHECK_HAS("filter  of");
	end();
}

TEST(search_is_of_the_overlay)
{
	begin(120, 30);
	press('/');
	type("row\r");
	press('F');
	/* What rows were looked for is looked for here too, and closed at once. */
	CHECK_HAS("<flame* table 0 serial 1 filter row ");
	CHECK(press(27));
	CHECK_HAS("<cpu* table 0 serial 1 filter row ");
	press('F');
	press('/');
	CHECK_HAS(" search /row");
	type("s\r");
	CHECK_HAS("<flame* table 0 serial 1 filter rows ");
	CHECK(press(27));
	CHECK_HAS("<flame* table 0 serial 1 filter  ");
	/* Its own way back first, to a zoom before. */
	answer_next(PANE_NOTHING, NULL);
	CHECK(press(27));
	CHECK_HAS("<flame*");
	CHECK(press(27));
	CHECK_HAS("<cpu* table 0 serial 1 filter row ");
	end();
}

TEST(range)
{
	begin(80, 24);
	/* Where it is marked is seen. */
	next_answer = (struct pane_answer){.wish = PANE_MARK, .time_ns = 7};
	press('[');
	CHECK(str_starts(acted, "chart:"));
	CHECK_HAS("<chart* ");
	CHECK_HAS(" mark 7 ");
	CHECK(press(27));
	CHECK_HAS(" mark -1 ");
	next_answer = (struct pane_answer){
		.wish = PANE_RANGE, .time_ns = UINT64_C(90000000000), .to_ns = 30000000000};
	press(']');
	CHECK_EQ_U64(feed.asked.from_ns, UINT64_C(30000000000));
	CHECK_EQ_U64(feed.asked.to_ns, UINT64_C(90000000000));
	CHECK_HAS(" 30s–1m30s ");
	CHECK(press(27));
	CHECK_EQ_U64(feed.asked.from_ns, 0);
	CHECK_EQ_U64(feed.asked.to_ns, UINT64_MAX);
	CHECK(!press(27));
	end();
}

TEST(zoom_is_asked_for)
{
	int before;

	begin(120, 30);
	before = feed.asked_count;
	next_answer = (struct pane_answer){.wish = PANE_ASK, .request = feed.asked};
	next_answer.request.chart_last_ns = 5;
	press('+');
	CHECK_EQ_I64(feed.asked_count, before + 1);
	CHECK_EQ_U64(feed.asked.chart_last_ns, 5);
	/* It is of the model that is there, where a range is asked for already. */
	next_answer = (struct pane_answer){.wish = PANE_RANGE, .time_ns = 7, .to_ns = 9};
	press('+');
	next_answer = (struct pane_answer){.wish = PANE_ASK, .request = feed.next->request};
	next_answer.request.chart_last_ns = 6;
	press('+');
	CHECK_EQ_U64(feed.asked.from_ns, 7);
	CHECK_EQ_U64(feed.asked.to_ns, 9);
	CHECK_EQ_U64(feed.asked.chart_last_ns, 6);
	end();
}

TEST(threads)
{
	begin(120, 30);
	press('t');
	CHECK(feed.asked.by_thread);
	CHECK_HAS(" by thread ");
	answer_next(PANE_THREAD, "wor(k) (12346)");
	press('\r');
	CHECK(!feed.asked.by_thread);
	CHECK_EQ_STR(feed.asked.thread, "12346");
	CHECK_HAS(" thread wor(k) (12346) ");
	CHECK(press(27));
	CHECK_EQ_STR(feed.asked.thread, "");
	press('t');
	press('2');
	CHECK_HAS("The heap is not kept by thread.");
	CHECK(press(27));
	CHECK(!feed.asked.by_thread);
	answer_next(PANE_THREAD, "odd name (x)");
	press('\r');
	CHECK_EQ_STR(feed.asked.thread, "odd name (x)");
	end();
}

TEST(pause_holds_what_is_shown)
{
	begin(120, 30);
	press('p');
	CHECK_HAS("PAUSED  recording goes on, press p");
	feed_makes_model();
	screen_tick(screen);
	feed_makes_model();
	screen_tick(screen);
	CHECK_HAS("serial 1 ");
	/* What is asked for is shown all the same. */
	press('t');
	feed_makes_model();
	screen_tick(screen);
	CHECK_HAS("serial 4 ");
	feed_makes_model();
	screen_tick(screen);
	CHECK_HAS("serial 4 ");
	press('p');
	CHECK_HAS("serial 5 ");
	CHECK_LACKS("PAUSED");
	feed.state.kind = FEED_SAVED;
	screen_tick(screen);
	press('p');
	CHECK_LACKS("PAUSED");
	CHECK_HAS("nothing to pause");
	end();
}

TEST(only_what_changed_is_drawn)
{
	begin(120, 30);
	CHECK(!screen_tick(screen));
	feed.state.elapsed_ns = 999999999;
	CHECK(!screen_tick(screen));
	feed.state.elapsed_ns = 1000000000;
	CHECK(screen_tick(screen));
	feed.state.lost = 1;
	CHECK(screen_tick(screen));
	strcpy(feed.state.message, "x");
	CHECK(screen_tick(screen));
	CHECK(!screen_tick(screen));
	end();
}

TEST(panes_that_are_not_seen_are_not_updated)
{
	begin(80, 24);
	drawn();
	updates = 0;
	for (int i = 0; i < 10; i++) {
		feed_makes_model();
		screen_tick(screen);
		drawn();
		drawn();
	}
	CHECK_EQ_I64(updates, 10);
	CHECK_HAS("serial 11 ");
	press('2');
	CHECK_HAS("<heap* table 1 serial 11 ");
	CHECK_EQ_I64(updates, 11);
	end();
}

TEST(mouse)
{
	struct input click = {.action = ACTION_CLICK, .key = KEY_IS_MOUSE, .x = 100, .y = 10};

	begin(120, 30);
	drawn();
	CHECK(screen_act(screen, &click));
	CHECK(str_starts(acted, "chart:"));
	CHECK_HAS("<chart*");
	click.x = 5;
	CHECK(screen_act(screen, &click));
	CHECK(str_starts(acted, "cpu:"));
	CHECK_HAS("<cpu*");
	click.action = ACTION_WHEEL_DOWN;
	click.x = 100;
	CHECK(screen_act(screen, &click));
	CHECK(str_starts(acted, "chart:"));
	CHECK_HAS("<cpu*");
	/* The names of the views; the footer; nowhere. */
	click = (struct input){.action = ACTION_CLICK, .key = KEY_IS_MOUSE, .x = 102, .y = 0};
	CHECK(screen_act(screen, &click));
	CHECK_HAS("<heap*");
	*acted = '\0';
	click.y = 29;
	CHECK(screen_act(screen, &click));
	click.y = 3000;
	CHECK(screen_act(screen, &click));
	click.y = -1;
	CHECK(screen_act(screen, &click));
	CHECK_EQ_STR(acted, "");
	end();
}

TEST(too_small_and_back)
{
	begin(120, 30);
	canvas_done(&canvas);
	canvas_init(&canvas, 60, 20, true);
	CHECK_EQ_STR(strtok((char *)drawn(), "\n"),
		     "Terminal too small: 60x20, rsprof needs 80x24.");
	CHECK(press('2'));
	CHECK(!press('q'));
	canvas_done(&canvas);
	canvas_init(&canvas, 1, 1, true);
	drawn();
	canvas_done(&canvas);
	canvas_init(&canvas, 80, 24, true);
	CHECK_HAS("<cpu*");
	end();
}

TEST(nothing_yet)
{
	static const struct feed_ops ops = {feed_take, feed_ask, feed_read_state, feed_wake_fd};
	struct tui_options options = {.feed = &feed.feed};

	setlocale(LC_ALL, "C.UTF-8");
	feed.feed.ops = &ops;
	next_answer.wish = PANE_IGNORED;
	screen = screen_new(&options);
	canvas_init(&canvas, 80, 24, true);
	CHECK_EQ_U64(feed.asked.to_ns, UINT64_MAX);
	CHECK_HAS("<cpu* table 0 serial 0");
	CHECK_HAS("OPENING");
	for (unsigned int key = 1; key < 0x80; key++) {
		if (key != 'q' && key != 27)
			CHECK(press(key));
		drawn();
	}
	end();
}

TEST(begins_as_it_is_told)
{
	struct model_request request = {.from_ns = 5, .to_ns = UINT64_C(6000000000)};
	struct tui_options options = {.first = MODEL_WAIT, .request = &request, .filter = "parse"};

	begin_with(120, 30, &options);
	CHECK_EQ_U64(feed.asked.from_ns, 5);
	CHECK_HAS("<wait* table 2 serial 1 filter parse ");
	end();
}

/* Any keys in any order, with models between them, at any size. */
TEST(random_keys_do_no_harm)
{
	unsigned int seed = 1;

	begin(120, 30);
	for (int i = 0; i < 20000; i++) {
		struct input input = {0};
		unsigned int dice;

		seed = seed * 1103515245 + 12345;
		dice = seed >> 16;
		input.key = dice % 7 ? dice % 0x80 : KEYS_SPECIAL + dice % 12;
		input.action = key_action(input.key);
		if (dice % 11 == 0)
			input = (struct input){.action = ACTION_CLICK,
					       .key = KEY_IS_MOUSE,
					       .x = (int)(dice % 140),
					       .y = (int)(dice % 35)};
		answer_next((enum pane_wish)(dice / 16 % (PANE_THREAD + 1)),
			    dice % 3 ? "name (1)" : NULL);
		next_answer.request = feed.asked;
		screen_act(screen, &input);
		if (dice % 5 == 0) {
			feed_makes_model();
			screen_tick(screen);
		}
		if (dice % 50 == 0) {
			canvas_done(&canvas);
			canvas_init(&canvas, 70 + (int)(dice / 64 % 100),
				    20 + (int)(dice / 64 % 40), dice & 1);
		}
		if (dice % 3 == 0)
			drawn();
	}
	end();
}

KIT_MAIN
