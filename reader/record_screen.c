#include "reader/record_screen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "reader/feed.h"
#include "reader/record_signals.h"
#include "reader/tui/tui.h"
#include "reader/util/clock.h"
#include "reader/util/fmt.h"
#include "reader/util/own.h"
#include "reader/util/str.h"

enum { WATCH_SIGNAL, WATCH_SESSION, WATCH_TARGET, WATCH_TIME, WATCHED };

struct watching {
	struct record_screen *screen;
	struct feed *feed;
	struct pollfd fds[WATCHED];
	struct err err; /* of the recording's end */
	int result;
};

bool record_has_screen(const struct record_options *options)
{
	char why[128];

	if (options->quiet)
		return false;
	if (tui_is_possible(why))
		return true;
	fprintf(stderr, "rsprof: %s: recording as with -q.\n", why);
	return false;
}

static bool read_progress(void *context, struct feed_state *state)
{
	const struct watching *watching = context;
	struct session_progress progress;

	if (!watching->screen->session)
		return false;
	session_read_progress(watching->screen->session, &progress);
	state->elapsed_ns = progress.elapsed_ns;
	state->samples = progress.samples;
	state->lost = progress.lost;
	state->judged = progress.judged;
	state->complete = progress.complete;
	state->rss_bytes = progress.rss_bytes;
	state->is_heap_live = progress.is_heap_live;
	state->heap_live_bytes = progress.heap_live_bytes;
	return true;
}

/* "my-app has exited after 5m23s; the profile is saved". */
static void tell_end(struct watching *watching, uint64_t elapsed_ns)
{
	const struct record_screen *screen = watching->screen;
	struct str message = {0};
	char length[FMT_MAX];

	if (watching->result < 0) {
		str_add(&message, watching->err.sentence);
	} else {
		if (screen->target_ended)
			str_add_scrubbed(&message, screen->run->process_name);
		str_addf(&message, "%s after %s; the profile is saved",
			 screen->target_ended ? " has exited" : "recorded",
			 fmt_duration(length, elapsed_ns));
	}
	feed_set_ended(watching->feed, str_text(&message));
	str_done(&message);
}

/* Ends the recording under the screens, which go on with what it left. */
static void finish(struct watching *watching)
{
	struct record_screen *screen = watching->screen;
	uint64_t elapsed_ns = clock_now_ns() - screen->start_ns;
	struct session *session = screen->session;

	feed_let_go(watching->feed);
	screen->session = NULL;
	watching->result = session_finish(session, &watching->err);
	for (int i = WATCH_SESSION; i < WATCHED; i++)
		watching->fds[i].fd = -1;
	tell_end(watching, elapsed_ns);
}

/* A terminal that hung up is not written to any more. */
static enum tui_turn take_signal(struct watching *watching)
{
	int number = record_signals_take(watching->fds[WATCH_SIGNAL].fd);

	if (!number)
		return TUI_GO_ON;
	return number == SIGHUP ? TUI_TERMINAL_IS_GONE : TUI_LEAVE;
}

static enum tui_turn ready(void *context, int index)
{
	struct watching *watching = context;
	struct record_screen *screen = watching->screen;
	const struct target *target = screen->run->target;

	if (index == WATCH_SIGNAL)
		return take_signal(watching);
	if (!screen->session)
		return TUI_GO_ON;
	/* A process without a pidfd is looked at each second. */
	if (index == WATCH_TARGET ||
	    (index < 0 && target && target->pidfd < 0 && !target_is_alive(target)))
		screen->target_ended = true;
	if (index >= 0 || screen->target_ended)
		finish(watching);
	return TUI_GO_ON;
}

/* A descriptor that is readable when the recording is long enough; -1 where it
 * never is. */
static int open_timer(uint64_t duration_ns)
{
	struct itimerspec when = {.it_value = {.tv_sec = (time_t)(duration_ns / NS_PER_S),
					       .tv_nsec = (long)(duration_ns % NS_PER_S)}};
	int fd;

	if (!duration_ns)
		return -1;
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd >= 0)
		timerfd_settime(fd, 0, &when, NULL);
	return fd;
}

int record_on_screen(struct record_screen *screen, struct err *err)
{
	const struct target *target = screen->run->target;
	OWN(own_close) int timer = open_timer(screen->run->options->duration_ns);
	struct watching watching = {
		.screen = screen,
		.fds =
			{
				[WATCH_SIGNAL] = {screen->run->signal_fd, POLLIN, 0},
				[WATCH_SESSION] = {session_end_fd(screen->session), POLLIN, 0},
				[WATCH_TARGET] = {target ? target->pidfd : -1, POLLIN, 0},
				[WATCH_TIME] = {timer, POLLIN, 0},
			},
	};
	const struct feed_options feed = {
		.path = screen->output,
		.request = {.to_ns = UINT64_MAX, .chart_to_ns = UINT64_MAX},
		.is_recording = true,
		.progress = read_progress,
		.context = &watching,
	};
	struct tui_options options = {
		.watch = watching.fds,
		.watch_count = WATCHED,
		.ready = ready,
		.context = &watching,
	};
	int result = feed_open(&feed, &watching.feed, err);

	if (result < 0)
		return result;
	options.feed = watching.feed;
	result = tui_run(&options, err);
	feed_close(watching.feed);
	/* A terminal that went away is no failure of the recording's. */
	screen->is_terminal_gone = result == -EIO;
	if (screen->is_terminal_gone)
		result = 0;
	if (watching.result < 0 && result == 0) {
		*err = watching.err;
		result = watching.result;
	}
	return result;
}
