/* A screen without a terminal, over a feed that is driven by hand and panes that write down what
 * they are told. */
#ifndef RSPROF_TESTS_UNIT_SCREEN_RIG_H
#define RSPROF_TESTS_UNIT_SCREEN_RIG_H

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

static inline struct model *feed_take(struct feed *unused)
{
	if (feed.next)
		feed.next->references++;
	return feed.next;
}

static inline void feed_ask(struct feed *unused, const struct model_request *request)
{
	feed.asked = *request;
	feed.asked_count++;
}

static inline void feed_read_state(struct feed *unused, struct feed_state *ret_state)
{
	*ret_state = feed.state;
}

static inline int feed_wake_fd(struct feed *unused)
{
	return -1;
}

/* Of what was asked last, as the next checkpoint makes it. */
static inline void feed_makes_model(void)
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

static inline void fake_free(struct pane *pane)
{
	struct fake *fake = (struct fake *)pane;

	panes_alive--;
	row_key_done(&fake->of);
	str_done(&fake->filter);
	free(fake);
}

static inline void fake_update(struct pane *pane, const struct pane_context *context)
{
	struct fake *fake = (struct fake *)pane;

	fake->serial = context->model ? context->model->serial : 0;
	str_clear(&fake->filter);
	str_add(&fake->filter, context->filter);
	updates++;
}

static inline void fake_draw(struct pane *pane, const struct pane_context *context,
			     struct canvas *canvas, struct area area)
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

static inline struct pane_answer fake_act(struct pane *pane, const struct pane_context *context,
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

static inline struct pane *fake_new(const char *name, const struct row_key *of)
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

static inline void begin_with(int width, int height, const struct tui_options *more)
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

static inline void begin(int width, int height)
{
	begin_with(width, height, NULL);
}

static inline void end(void)
{
	screen_free(screen);
	canvas_done(&canvas);
	str_done(&shown);
	model_release(feed.next);
	feed.next = NULL;
	CHECK_EQ_I64(panes_alive, 0);
}

static inline const char *drawn(void)
{
	screen_draw(screen, &canvas);
	str_clear(&shown);
	canvas_print(&canvas, &shown);
	return str_text(&shown);
}

static inline bool press(unsigned int key)
{
	struct input input = {.action = key_action(key), .key = key};

	*acted = '\0';
	return screen_act(screen, &input);
}

static inline void type(const char *text)
{
	while (*text)
		CHECK(press((unsigned char)*text++));
}

static inline void answer_next(enum pane_wish wish, const char *function)
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

#endif
