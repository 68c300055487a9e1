/* The screen and its feed: what is asked, what is shown of the answers, and when. */
#include "tests/unit/screen_rig.h"

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
