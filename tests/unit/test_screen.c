/* The screen: which panes are there, who gets a key, and what lies on top. */
#include "tests/unit/screen_rig.h"

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

KIT_MAIN
