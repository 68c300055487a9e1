/* How long a key takes on a large profile, from the key to the bytes for the terminal, without a
 * terminal. screen_bench FILE: lines of "name median_ms max_ms cpu_median_ms", and what memory it
 * took. */
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/feed.h"
#include "reader/tui/screen.h"
#include "reader/tui/terminal_screen.h"
#include "reader/util/clock.h"

enum { TIMES = 9, COLUMNS = 160, LINES = 50, PATIENCE_MS = 120000 };

static struct feed *feed;
static struct screen *screen;
static struct canvas canvas;
static struct terminal_info info;
static struct terminal_screen terminal = {.info = &info, .depth = PALETTE_256};

static long status_kb(const char *key)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long kb = 0;

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, strlen(key)) == 0)
			kb = atol(line + strlen(key) + 1);
	}
	if (file)
		fclose(file);
	return kb;
}

static void show(void)
{
	struct str bytes = {0};

	screen_draw(screen, &canvas);
	terminal_screen_change(&terminal, &canvas, &bytes);
	str_done(&bytes);
}

static void fit(int width, int height)
{
	canvas_done(&canvas);
	canvas_init(&canvas, width, height, true);
	screen_resize(screen, width, height);
}

/* Until the feed has answered all that it was asked, and what came of it is drawn. */
static void settle(void)
{
	struct feed_state state;
	struct pollfd fd = {.fd = feed->ops->wake_fd(feed), .events = POLLIN};

	for (;;) {
		bool is_changed = screen_tick(screen);

		if (is_changed)
			show();
		feed->ops->read_state(feed, &state);
		if (!is_changed && !state.is_busy)
			return;
		poll(&fd, 1, 20);
	}
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double took[TIMES], cpu[TIMES];
static int count;

static void press(unsigned int key, bool is_measured)
{
	struct input input = {.action = key_action(key), .key = key};
	uint64_t begin_ns = clock_now_ns();
	uint64_t cpu_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);

	if (!screen_act(screen, &input)) {
		fprintf(stderr, "screen_bench: the key %u ended it\n", key);
		exit(1);
	}
	show();
	if (is_measured && count < TIMES) {
		took[count] = (double)(clock_now_ns() - begin_ns) / 1e6;
		cpu[count++] = (double)(clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns) / 1e6;
	}
	settle();
}

static void tell(const char *name)
{
	qsort(took, (size_t)count, sizeof(*took), compare);
	qsort(cpu, (size_t)count, sizeof(*cpu), compare);
	printf("%s %.1f %.1f %.1f\n", name, took[count / 2], took[count - 1], cpu[count / 2]);
	count = 0;
}

/* A key, and what takes it back; 0: nothing does. */
static void measure(const char *name, unsigned int key, unsigned int back)
{
	for (int i = 0; i < TIMES; i++) {
		press(key, true);
		if (back)
			press(back, false);
	}
	tell(name);
}

static void measure_filter(void)
{
	static const char typed[] = "method_1";

	press('/', false);
	for (size_t i = 0; typed[i]; i++)
		press((unsigned char)typed[i], true);
	press(KEY_IS_ESCAPE, false);
	tell("filter");
}

static void measure_resize(void)
{
	for (int i = 0; i < TIMES; i++) {
		uint64_t begin_ns = clock_now_ns();

		fit(COLUMNS + i % 2 * 40, LINES);
		show();
		cpu[count] = took[count] = (double)(clock_now_ns() - begin_ns) / 1e6;
		count++;
	}
	fit(COLUMNS, LINES);
	tell("resize");
}

/* By the marks that `[` and `]` set on the chart of the whole day. */
static void measure_range(void)
{
	for (int i = 0; i < 3; i++) {
		press('[', false);
		for (int step = 0; step < 100; step++)
			press('h', false);
		press(']', true);
		press('\t', false);
		press(KEY_IS_ESCAPE, false);
	}
	tell("range");
}

static void measure_all(void)
{
	measure("down", 'j', 0);
	measure("page_down", KEY_IS_PAGE_DOWN, 0);
	measure("last", 'G', 'g');
	measure("sort", 's', 0);
	measure("sort_back", 'S', 0);
	press('g', false);
	measure_filter();
	measure("flame", 'F', KEY_IS_ESCAPE);
	measure("callers", 'o', KEY_IS_ESCAPE);
	measure("source", 'a', KEY_IS_ESCAPE);
	measure("threads", 't', 't');
	measure("memory", '2', '1');
	measure("both", '3', '1');
	measure("wait", '4', '1');
	measure("cpu", '1', '3');
	press('1', false);
	measure("zoom", '+', '-');
	measure_resize();
	measure_range();
}

int main(int argc, char **argv)
{
	struct feed_options options = {
		.path = argc > 1 ? argv[1] : "",
		.request = {.to_ns = UINT64_MAX, .chart_to_ns = UINT64_MAX},
	};
	struct tui_options tui = {.request = &options.request};
	uint64_t begin_ns = clock_now_ns();
	struct err err = {0};

	setlocale(LC_ALL, "C.UTF-8");
	if (!terminal_info_find("xterm-256color", -1, &info) || feed_open(&options, &feed, &err)) {
		fprintf(stderr, "screen_bench: %s\n", err.sentence);
		return 1;
	}
	tui.feed = feed;
	screen = screen_new(&tui);
	fit(COLUMNS, LINES);
	settle();
	printf("open %.1f\n", (double)(clock_now_ns() - begin_ns) / 1e6);
	measure_all();
	printf("memory_MB %.1f\n", (double)status_kb("VmHWM") * 1024 / 1e6);
	screen_free(screen);
	feed_close(feed);
	canvas_done(&canvas);
	terminal_screen_done(&terminal);
	return 0;
}
