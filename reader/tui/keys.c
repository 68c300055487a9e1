#include "reader/tui/keys.h"

#define CONTROL(letter) ((letter)&0x1f)

/* In the order of the help; the footer has its words in the same order. */
const struct key_help key_helps[] = {
	{"q", "quit; a recording is finished and saved", "q quit", "Always", ACTION_QUIT, {'q'}},
	{"?", "this help", "? help", NULL, ACTION_HELP, {'?'}},
	{"Esc",
	 "close what is open, or clear filter, range, thread; then quit",
	 NULL,
	 NULL,
	 ACTION_BACK,
	 {KEY_IS_ESCAPE}},
	{"Ctrl-L", "draw everything anew", NULL, NULL, ACTION_REDRAW, {CONTROL('L')}},
	{"1", "CPU", "1-4 views", "Views", ACTION_VIEW_CPU, {'1'}},
	{"2", "Memory", NULL, NULL, ACTION_VIEW_HEAP, {'2'}},
	{"3", "Both: CPU beside memory", NULL, NULL, ACTION_VIEW_BOTH, {'3'}},
	{"4", "Wait", NULL, NULL, ACTION_VIEW_WAIT, {'4'}},
	{"m", "the next of them", NULL, NULL, ACTION_VIEW_NEXT, {'m'}},
	{"Enter",
	 "show or hide the chart; in a tree open, in a flame graph zoom",
	 "Enter chart",
	 "The selected row",
	 ACTION_ENTER,
	 {KEY_IS_ENTER, '\n'}},
	{"c", "show or hide the chart", NULL, NULL, ACTION_CHART, {'c'}},
	{"o", "its callers and callees as a tree", "o callers", NULL, ACTION_CALLERS, {'o'}},
	{"F", "flame graph of the view", "F flame", NULL, ACTION_FLAME, {'F'}},
	{"a", "its source, line by line", "a source", NULL, ACTION_SOURCE, {'a'}},
	{"t", "by thread, and back; Enter: that thread alone", NULL, NULL, ACTION_THREADS, {'t'}},
	{"/ or f",
	 "only rows with this text in file or function; Enter keeps it, Esc clears it",
	 "/ filter",
	 "Rows",
	 ACTION_FILTER,
	 {'/', 'f'}},
	{"s", "sort by the next column", "s sort", NULL, ACTION_SORT, {'s'}},
	{"S", "sort the other way round", NULL, NULL, ACTION_SORT_BACK, {'S'}},
	{"p", "pause what is shown; the recording goes on", "p pause", "Time", ACTION_PAUSE, {'p'}},
	{"Tab",
	 "to the chart, or the other table, and back",
	 "Tab focus",
	 NULL,
	 ACTION_FOCUS,
	 {KEY_IS_TAB, KEY_IS_BACK_TAB}},
	{"[",
	 "mark the begin of a range at the chart's cursor",
	 "[ ] range",
	 NULL,
	 ACTION_RANGE_FROM,
	 {'['}},
	{"]", "mark its end: everything shows only that range", NULL, NULL, ACTION_RANGE_TO, {']'}},
	{"+", "zoom in", NULL, NULL, ACTION_ZOOM_IN, {'+', '='}},
	{"-", "zoom out", NULL, NULL, ACTION_ZOOM_OUT, {'-'}},
	{"h / Left",
	 "pan the chart (h), move its cursor (Left); in a tree close",
	 NULL,
	 NULL,
	 ACTION_LEFT,
	 {'h', KEY_IS_LEFT}},
	{"l / Right",
	 "pan the chart (l), move its cursor (Right); in a tree open",
	 NULL,
	 NULL,
	 ACTION_RIGHT,
	 {'l', KEY_IS_RIGHT}},
	{"z",
	 "the chart's axis from zero, or from the lowest value",
	 NULL,
	 NULL,
	 ACTION_FROM_ZERO,
	 {'z'}},
	{"j / Down", "next row", NULL, "Moving", ACTION_DOWN, {'j', KEY_IS_DOWN}},
	{"k / Up", "row before", NULL, NULL, ACTION_UP, {'k', KEY_IS_UP}},
	{"PgDn",
	 "a page down",
	 NULL,
	 NULL,
	 ACTION_PAGE_DOWN,
	 {KEY_IS_PAGE_DOWN, CONTROL('F'), ' '}},
	{"PgUp", "a page up", NULL, NULL, ACTION_PAGE_UP, {KEY_IS_PAGE_UP, CONTROL('B')}},
	{"g / Home", "first row", NULL, NULL, ACTION_FIRST, {'g', KEY_IS_HOME}},
	{"G / End", "last row", NULL, NULL, ACTION_LAST, {'G', KEY_IS_END}},
	{"Click", "select, focus; on the views: change", NULL, "Mouse", ACTION_CLICK, {0}},
	{"Wheel", "scroll; on the chart: zoom", NULL, NULL, ACTION_WHEEL_DOWN, {0}},
	{0},
};

enum action key_action(unsigned int key)
{
	if (key == KEY_IS_RESIZE)
		return ACTION_RESIZE;
	for (const struct key_help *help = key_helps; key && help->keys; help++) {
		for (const unsigned int *pressed = help->pressed; *pressed; pressed++) {
			if (*pressed == key)
				return help->action;
		}
	}
	return ACTION_NONE;
}
