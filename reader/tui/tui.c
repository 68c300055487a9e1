#include "reader/tui/tui.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "reader/tui/screen.h"
#include "reader/tui/terminal.h"
#include "reader/util/clock.h"

enum {
	FRAME_MS = 100,	  /* between two drawings of what the feed told */
	SECOND_MS = 1000, /* the clock goes on */
	FD_INPUT = 0,
	FD_SIGNALS,
	FD_FEED,
	FD_OUTPUT,
	FD_WATCH,
};

struct tui {
	const struct tui_options *options;
	struct screen *screen;
	struct canvas canvas;
	bool is_dirty;	  /* there is something to draw */
	bool is_answered; /* by a key: it is drawn at once */
	uint64_t drawn_ns, asked_ns, typed_ns;
	enum tui_turn turn;
	int ending; /* a signal that ended it */
};

bool tui_is_possible(char why[128])
{
	return terminal_is_possible(why);
}

static void fit(struct tui *tui)
{
	int width, height;

	terminal_size(&width, &height);
	if (width != tui->canvas.width || height != tui->canvas.height) {
		canvas_done(&tui->canvas);
		canvas_init(&tui->canvas, width, height, terminal_is_unicode());
	}
	screen_resize(tui->screen, width, height);
	tui->is_dirty = tui->is_answered = true;
}

static void draw(struct tui *tui)
{
	screen_draw(tui->screen, &tui->canvas);
	if (terminal_show(&tui->canvas) < 0)
		tui->turn = TUI_TERMINAL_IS_GONE;
	tui->is_answered = false;
	/* The rest at once, but for keys. */
	tui->is_dirty = screen_has_more(tui->screen);
	tui->drawn_ns = tui->is_dirty ? 0 : clock_now_ns();
}

/* All that was typed is answered by one drawing. */
static void take_input(struct tui *tui, bool is_late)
{
	struct input input;

	while (tui->turn == TUI_GO_ON && terminal_next(is_late, &input)) {
		if (input.action == ACTION_REDRAW)
			terminal_forget();
		tui->is_dirty = tui->is_answered = true;
		if (!screen_act(tui->screen, &input))
			tui->turn = TUI_LEAVE;
	}
}

static void read_input(struct tui *tui, short events)
{
	tui->typed_ns = clock_now_ns();
	if (terminal_read() < 0 || events & (POLLHUP | POLLERR | POLLNVAL))
		tui->turn = TUI_TERMINAL_IS_GONE;
	else
		take_input(tui, false);
}

static void take_news(struct tui *tui)
{
	struct terminal_news news = terminal_take_news();

	if (news.ending) {
		tui->ending = news.ending;
		tui->turn = news.ending == SIGHUP ? TUI_TERMINAL_IS_GONE : TUI_LEAVE;
		return;
	}
	if (news.is_suspended)
		terminal_suspend();
	else if (news.is_continued)
		terminal_resume();
	if (news.is_suspended || news.is_continued || news.is_resized)
		fit(tui);
}

/* What the caller waits for; index -1 once a second. */
static void tell_caller(struct tui *tui, int index)
{
	enum tui_turn turn;

	if (!tui->options->ready)
		return;
	turn = tui->options->ready(tui->options->context, index);
	if (turn != TUI_GO_ON)
		tui->turn = turn;
}

static void look_at_feed(struct tui *tui)
{
	tui->is_dirty |= screen_tick(tui->screen);
}

/* Milliseconds that are left of so many since then; 0: they are over. */
static int left_of(int ms, uint64_t since_ns, uint64_t now_ns)
{
	uint64_t gone_ms = (now_ns - since_ns) / NS_PER_MS;

	return gone_ms < (uint64_t)ms ? ms - (int)gone_ms : 0;
}

static int time_to_wait(const struct tui *tui)
{
	uint64_t now_ns = clock_now_ns();
	int wait_ms = left_of(SECOND_MS, tui->asked_ns, now_ns);
	int frame_ms = left_of(FRAME_MS, tui->drawn_ns, now_ns);
	int patience_ms = terminal_patience_ms();

	if (tui->is_dirty && !terminal_is_behind() && frame_ms < wait_ms)
		wait_ms = frame_ms;
	if (patience_ms >= 0)
		patience_ms = left_of(patience_ms, tui->typed_ns, now_ns);
	return patience_ms >= 0 && patience_ms < wait_ms ? patience_ms : wait_ms;
}

/* The rest of a key that did not come. */
static void take_late_input(struct tui *tui)
{
	int patience_ms = terminal_patience_ms();

	if (patience_ms >= 0 && !left_of(patience_ms, tui->typed_ns, clock_now_ns()))
		take_input(tui, true);
}

static size_t gather(const struct tui *tui, struct pollfd fds[FD_WATCH + TUI_WATCH_MAX])
{
	size_t count = tui->options->watch_count;

	if (count > TUI_WATCH_MAX)
		count = TUI_WATCH_MAX;
	fds[FD_INPUT] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
	fds[FD_SIGNALS] = (struct pollfd){.fd = terminal_signal_fd(), .events = POLLIN};
	fds[FD_FEED] = (struct pollfd){.fd = tui->options->feed->ops->wake_fd(tui->options->feed),
				       .events = POLLIN};
	fds[FD_OUTPUT] = (struct pollfd){.fd = terminal_is_behind() ? terminal_output_fd() : -1,
					 .events = POLLOUT};
	for (size_t i = 0; i < count; i++) {
		fds[FD_WATCH + i] = tui->options->watch[i];
		fds[FD_WATCH + i].revents = 0;
	}
	return FD_WATCH + count;
}

/* One wait, and what came of it. */
static int turn(struct tui *tui)
{
	struct pollfd fds[FD_WATCH + TUI_WATCH_MAX];
	size_t count = gather(tui, fds);
	int ready = poll(fds, count, time_to_wait(tui));

	if (ready < 0 && errno != EINTR)
		return -errno;
	if (ready <= 0) {
		for (size_t i = 0; i < count; i++)
			fds[i].revents = 0;
	}
	if (fds[FD_SIGNALS].revents)
		take_news(tui);
	if (fds[FD_INPUT].revents && tui->turn == TUI_GO_ON)
		read_input(tui, fds[FD_INPUT].revents);
	else
		take_late_input(tui);
	if (fds[FD_OUTPUT].revents && terminal_flush() < 0)
		tui->turn = TUI_TERMINAL_IS_GONE;
	if (fds[FD_FEED].revents)
		look_at_feed(tui);
	for (size_t i = FD_WATCH; i < count && tui->turn == TUI_GO_ON; i++) {
		if (fds[i].revents)
			tell_caller(tui, (int)(i - FD_WATCH));
	}
	if (clock_now_ns() - tui->asked_ns >= SECOND_MS * NS_PER_MS) {
		tui->asked_ns = clock_now_ns();
		look_at_feed(tui);
		if (tui->turn == TUI_GO_ON)
			tell_caller(tui, -1);
	}
	return 0;
}

static int run(struct tui *tui)
{
	int r = 0;

	while (r == 0 && tui->turn == TUI_GO_ON) {
		bool is_due = clock_now_ns() - tui->drawn_ns >= FRAME_MS * NS_PER_MS;

		if (!terminal_is_behind() && (tui->is_answered || (tui->is_dirty && is_due)))
			draw(tui);
		if (tui->turn == TUI_GO_ON)
			r = turn(tui);
	}
	return r;
}

int tui_run(const struct tui_options *options, struct err *err)
{
	struct tui tui = {.options = options};
	int r = terminal_open(err);

	if (r < 0)
		return r;
	tui.screen = screen_new(options);
	fit(&tui);
	r = run(&tui);
	terminal_close();
	canvas_done(&tui.canvas);
	screen_free(tui.screen);
	/* Whoever sent it sees that it ended rsprof; Ctrl-C is a way to quit. */
	if (tui.ending == SIGTERM || tui.ending == SIGHUP)
		raise(tui.ending);
	if (r == 0 && tui.turn == TUI_TERMINAL_IS_GONE)
		return err_set(err, ERR_GENERAL, -EIO, "The terminal is gone.");
	if (r < 0)
		return err_set(err, ERR_GENERAL, r, "The terminal cannot be waited for: %s.",
			       strerror(-r));
	return 0;
}
