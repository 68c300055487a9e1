#include "reader/tui/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "reader/tui/terminal_info.h"
#include "reader/tui/terminal_input.h"
#include "reader/tui/terminal_screen.h"
#include "reader/tui/terminal_signals.h"
#include "reader/util/clock.h"
#include "reader/util/fmt.h"
#include "reader/util/own.h"
#include "reader/view/cell.h"

/* Terminals without these colours are old ones, and may print what they do not understand. */
enum {
	COLOURS_OF_MODERN = 256,
	SIZE_MAX_CELLS = 1000,
	LEAVE_TRIES = 10,
	LEAVE_MS = 1000, /* for a terminal that takes nothing, before it is left as it is */
};

static const char MOUSE_ON[] = "\033[?1000h\033[?1006h", MOUSE_OFF[] = "\033[?1006l\033[?1000l";
static const char ASK_BACKGROUND[] = "\033]11;?\033\\";

static struct {
	bool is_open;
	struct terminal_info info;
	struct termios before, raw;
	struct str enter, leave; /* what is sent when it is taken, and given back */
	int out_fd;
	struct str out; /* what it has not taken yet */
	size_t out_sent;
	struct terminal_input input;
	struct terminal_screen screen;
} terminal;

static bool say(char why[128], const char *text)
{
	snprintf(why, 128, "%s", text);
	return false;
}

static int columns_by(const char *variable, int told)
{
	const char *text = getenv(variable);
	uint64_t count;

	if (told > 0)
		return told;
	return text && parse_count(text, &count) == 0 && count && count <= SIZE_MAX_CELLS
		       ? (int)count
		       : 0;
}

void terminal_size(int *ret_width, int *ret_height)
{
	struct winsize size = {0};

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	*ret_width = columns_by("COLUMNS", size.ws_col);
	*ret_height = columns_by("LINES", size.ws_row);
	if (!*ret_width)
		*ret_width = TERMINAL_COLUMNS_MIN;
	if (!*ret_height)
		*ret_height = TERMINAL_LINES_MIN;
	if (*ret_width > SIZE_MAX_CELLS)
		*ret_width = SIZE_MAX_CELLS;
	if (*ret_height > SIZE_MAX_CELLS)
		*ret_height = SIZE_MAX_CELLS;
}

static bool find_terminal(char why[128])
{
	const char *term = getenv("TERM");
	OWN(str_done) struct str clean = {0}, shown = {0};

	if (!term || !*term)
		return say(why, "TERM is not set.");
	cell_add_clean(&clean, term);
	cell_add_path(&shown, str_text(&clean), 40);
	if (!terminal_info_find(term, STDOUT_FILENO, &terminal.info)) {
		snprintf(why, 128, "The terminal \"%s\" (TERM) is not known here.",
			 str_text(&shown));
		return false;
	}
	if (terminal.info.move && terminal.info.clear)
		return true;
	snprintf(why, 128, "The terminal \"%s\" (TERM) can move no cursor.", str_text(&shown));
	return false;
}

bool terminal_is_possible(char why[128])
{
	int width, height;

	if (!isatty(STDOUT_FILENO))
		return say(why, "Standard output is no terminal.");
	if (!isatty(STDIN_FILENO))
		return say(why, "Standard input is no terminal.");
	if (!find_terminal(why))
		return false;
	terminal_size(&width, &height);
	if (width >= TERMINAL_COLUMNS_MIN && height >= TERMINAL_LINES_MIN)
		return true;
	snprintf(why, 128, "Terminal too small: %dx%d, rsprof needs %dx%d.", width, height,
		 TERMINAL_COLUMNS_MIN, TERMINAL_LINES_MIN);
	return false;
}

bool terminal_is_unicode(void)
{
	return cell_is_unicode();
}

/* A terminal that nobody reads must not hold up a recording, or its end. Opened anew, since what is
 * set on the descriptor we have is set for the shell as well. */
static int open_output(void)
{
	int fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	return fd < 0 ? STDOUT_FILENO : fd;
}

/* As much as it takes at once. */
static ssize_t write_some(const char *bytes, size_t count)
{
	size_t sent = 0;

	while (sent < count) {
		ssize_t written = write(terminal.out_fd, bytes + sent, count - sent);

		if (written < 0 && errno == EAGAIN)
			break;
		if (written < 0 && errno != EINTR)
			return -errno;
		sent += written > 0 ? (size_t)written : 0;
	}
	return (ssize_t)sent;
}

/* Waits for it, but not for ever. Also called by handlers of signals. */
static void write_patiently(const char *bytes, size_t count)
{
	struct pollfd fd = {.fd = terminal.out_fd, .events = POLLOUT};
	ssize_t sent = write_some(bytes, count);

	for (int tries = 0; sent >= 0 && (size_t)sent < count && tries < LEAVE_TRIES; tries++) {
		bytes += sent;
		count -= (size_t)sent;
		if (poll(&fd, 1, LEAVE_MS) == 0)
			return;
		sent = write_some(bytes, count);
	}
}

int terminal_flush(void)
{
	const char *bytes = str_text(&terminal.out) + terminal.out_sent;
	ssize_t sent = write_some(bytes, terminal.out.length - terminal.out_sent);

	if (sent < 0)
		return (int)sent;
	terminal.out_sent += (size_t)sent;
	if (terminal.out_sent == terminal.out.length) {
		str_clear(&terminal.out);
		terminal.out_sent = 0;
	}
	return 0;
}

bool terminal_is_behind(void)
{
	return terminal.out.length > 0;
}

int terminal_output_fd(void)
{
	return terminal.out_fd;
}

void terminal_restore(void)
{
	int error = errno;

	if (__atomic_load_n(&terminal.is_open, __ATOMIC_ACQUIRE)) {
		write_patiently(terminal.leave.text, terminal.leave.length);
		tcsetattr(STDOUT_FILENO, TCSANOW, &terminal.before);
	}
	errno = error;
}

static void choose_strings(void)
{
	const struct terminal_info *info = &terminal.info;
	bool is_modern = info->colours >= COLOURS_OF_MODERN;

	terminal_info_put(&terminal.enter, info->enter);
	terminal_info_put(&terminal.enter, info->keypad_on);
	terminal_info_put(&terminal.enter, info->cursor_hide);
	str_add(&terminal.enter, info->has_mouse ? MOUSE_ON : "");
	str_add(&terminal.enter, is_modern ? ASK_BACKGROUND : "");
	terminal_info_put(&terminal.leave, info->plain);
	terminal_info_put(&terminal.leave, info->default_colours);
	str_add(&terminal.leave, info->has_mouse ? MOUSE_OFF : "");
	terminal_info_put(&terminal.leave, info->clear);
	terminal_info_put(&terminal.leave, info->cursor_show);
	terminal_info_put(&terminal.leave, info->keypad_off);
	terminal_info_put(&terminal.leave, info->leave);
}

/* Signals from keys stay: Ctrl-C and Ctrl-Z do here what they do everywhere. */
static void choose_modes(void)
{
	terminal.raw = terminal.before;
	terminal.raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
	terminal.raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL | INLCR | ISTRIP);
	terminal.raw.c_oflag &= ~(tcflag_t)OPOST;
	terminal.raw.c_cc[VMIN] = 0;
	terminal.raw.c_cc[VTIME] = 0;
}

static void take(void)
{
	/* A stop in the background interrupts it. */
	while (tcsetattr(STDOUT_FILENO, TCSANOW, &terminal.raw) < 0 && errno == EINTR)
		;
	/* The rest of what was to be shown before it was left is not. */
	str_clear(&terminal.out);
	terminal.out_sent = 0;
	str_add(&terminal.out, str_text(&terminal.enter));
	terminal_flush();
	terminal_forget();
}

int terminal_open(struct err *err)
{
	char why[128];
	int r;

	if (!terminal_is_possible(why))
		return err_set(err, ERR_GENERAL, -ENOTTY, "%s", why);
	if (tcgetattr(STDOUT_FILENO, &terminal.before) < 0) {
		r = -errno;
		return err_set(err, ERR_GENERAL, r, "The terminal's modes cannot be read: %s.",
			       strerror(-r));
	}
	terminal.input = (struct terminal_input){.is_unicode = terminal_is_unicode()};
	terminal.screen = (struct terminal_screen){
		.info = &terminal.info,
		.depth = palette_depth(terminal.info.colours, getenv("COLORTERM"),
				       getenv("NO_COLOR")),
		.is_light = palette_is_light(getenv("COLORFGBG")),
	};
	choose_strings();
	choose_modes();
	terminal.out_fd = open_output();
	__atomic_store_n(&terminal.is_open, true, __ATOMIC_RELEASE);
	r = terminal_signals_open(terminal_restore);
	if (r < 0) {
		terminal_close();
		return err_set(err, ERR_GENERAL, r, "Signals cannot be waited for: %s.",
			       strerror(-r));
	}
	take();
	return 0;
}

/* What nobody reads in that time is thrown away: there has to be room for what ends the screens,
 * and for the words of who comes next. */
static void catch_up(void)
{
	const struct timespec pause = {.tv_nsec = (long)(LEAVE_MS / LEAVE_TRIES * NS_PER_MS)};

	for (int i = 0; i < LEAVE_TRIES && terminal_is_behind(); i++) {
		if (terminal_flush() < 0)
			return;
		if (terminal_is_behind())
			nanosleep(&pause, NULL);
	}
	if (terminal_is_behind())
		tcflush(terminal.out_fd, TCOFLUSH);
}

void terminal_close(void)
{
	if (!terminal.is_open)
		return;
	catch_up();
	terminal_restore();
	__atomic_store_n(&terminal.is_open, false, __ATOMIC_RELEASE);
	/* What was typed, or told, too late is not for the shell. */
	tcflush(STDIN_FILENO, TCIFLUSH);
	terminal_signals_close();
	terminal_screen_done(&terminal.screen);
	str_done(&terminal.enter);
	str_done(&terminal.leave);
	str_done(&terminal.out);
	terminal.out_sent = 0;
	if (terminal.out_fd != STDOUT_FILENO)
		close(terminal.out_fd);
}

int terminal_show(const struct canvas *canvas)
{
	terminal_screen_change(&terminal.screen, canvas, &terminal.out);
	return terminal_flush();
}

void terminal_forget(void)
{
	terminal.screen.is_known = false;
}

int terminal_read(void)
{
	char bytes[TERMINAL_INPUT_MAX];
	size_t room = sizeof(bytes) - terminal.input.length;
	ssize_t count;

	if (!room)
		return 0;
	count = read(STDIN_FILENO, bytes, room);
	if (count < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	terminal_input_add(&terminal.input, bytes, (size_t)count);
	return 0;
}

bool terminal_next(bool is_late, struct input *ret_input)
{
	bool is_there = terminal_input_next(&terminal.input, is_late, ret_input);

	if (terminal.input.is_background_told &&
	    terminal.input.is_background_light != terminal.screen.is_light) {
		terminal.screen.is_light = terminal.input.is_background_light;
		terminal_forget();
	}
	return is_there;
}

int terminal_patience_ms(void)
{
	return terminal.input.length ? TERMINAL_ESCAPE_MS : -1;
}

int terminal_signal_fd(void)
{
	return terminal_signals_fd();
}

struct terminal_news terminal_take_news(void)
{
	return terminal_signals_take();
}

void terminal_suspend(void)
{
	terminal_restore();
	terminal_signals_stop();
	take();
}

void terminal_resume(void)
{
	take();
}
