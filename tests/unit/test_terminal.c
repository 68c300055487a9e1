/* The terminal itself, on a pty: what changed is written and nothing else, what is typed arrives,
 * and it is given back whatever ends rsprof. */
#include "tests/lib/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include "reader/tui/terminal.h"
#include "reader/tui/terminal_screen.h"

/* ---- bytes */

static struct terminal_info info;
static struct terminal_screen screen;
static struct str bytes;

static void begin(enum palette_depth depth)
{
	int null = open("/dev/null", O_RDWR);

	setlocale(LC_ALL, "C.UTF-8");
	if (!terminal_info_find("xterm-256color", null, &info))
		SKIP("terminfo has no xterm-256color");
	close(null);
	screen = (struct terminal_screen){.info = &info, .depth = depth};
}

static const char *change_to(const struct canvas *canvas)
{
	str_clear(&bytes);
	terminal_screen_change(&screen, canvas, &bytes);
	return str_text(&bytes);
}

TEST(only_what_changed_is_written)
{
	struct canvas canvas;
	struct area all;

	begin(PALETTE_256);
	canvas_init(&canvas, 40, 10, true);
	all = canvas_area(&canvas);
	canvas_put(&canvas, all, 3, 2, (struct style){0}, "hello");
	CHECK(strstr(change_to(&canvas), "hello"));
	CHECK(strstr(str_text(&bytes), "\033[2J"));
	CHECK_EQ_STR(change_to(&canvas), "");
	canvas_put(&canvas, all, 5, 2, (struct style){0}, "L");
	CHECK(strstr(change_to(&canvas), "\033[3;6H"));
	CHECK(strstr(str_text(&bytes), "L"));
	CHECK(!strstr(str_text(&bytes), "he"));
	CHECK(!strstr(str_text(&bytes), "lo"));
	/* After a character whose width terminals may see otherwise, the place is told anew. */
	canvas_put(&canvas, all, 0, 0, (struct style){0}, "漢x");
	CHECK(strstr(change_to(&canvas), "漢\033[1;3Hx"));
	screen.is_known = false;
	CHECK(strstr(change_to(&canvas), "heLlo"));
	terminal_screen_done(&screen);
	canvas_done(&canvas);
	str_done(&bytes);
}

TEST(colours_are_those_of_the_depth)
{
	struct style style = {.ink = INK_WARN, .ground = GROUND_SELECTED, .face = FACE_UNDERLINE};
	struct canvas canvas;

	canvas_init(&canvas, 4, 1, true);
	canvas_put(&canvas, canvas_area(&canvas), 0, 0, style, "x");
	begin(PALETTE_TRUE);
	CHECK(strstr(change_to(&canvas), "\033[38;2;"));
	CHECK(strstr(str_text(&bytes), "\033[48;2;"));
	terminal_screen_done(&screen);
	begin(PALETTE_256);
	CHECK(strstr(change_to(&canvas), "\033[38;5;"));
	CHECK(!strstr(str_text(&bytes), "38;2;"));
	terminal_screen_done(&screen);
	begin(PALETTE_NONE);
	CHECK(strstr(change_to(&canvas), "\033[7m"));
	CHECK(strstr(str_text(&bytes), "\033[4m"));
	CHECK(!strstr(str_text(&bytes), "\033[38"));
	CHECK(!strstr(str_text(&bytes), "\033[3"));
	terminal_screen_done(&screen);
	canvas_done(&canvas);
	str_done(&bytes);
}

/* ---- on a pty */

static int pty;
static pid_t child;
static struct str said;
static struct termios before;

static void start(int width, int height, void (*run)(void))
{
	struct winsize size = {.ws_col = (unsigned short)width, .ws_row = (unsigned short)height};
	int tty;

	setenv("TERM", "xterm-256color", 1);
	setenv("TERMINFO_DIRS", "/etc/terminfo:/lib/terminfo:/usr/share/terminfo", 1);
	unsetenv("COLORTERM");
	unsetenv("LINES");
	unsetenv("COLUMNS");
	setlocale(LC_ALL, "C.UTF-8");
	CHECK(openpty(&pty, &tty, NULL, NULL, &size) == 0);
	CHECK(tcgetattr(tty, &before) == 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		close(pty);
		login_tty(tty);
		signal(SIGALRM, SIG_DFL);
		alarm(60);
		run();
		_exit(0);
	}
	/* The terminal stays when the child ends, as a shell's does: tty is held. */
}

static void read_more(void)
{
	struct pollfd wait = {.fd = pty, .events = POLLIN};
	char buffer[4096];
	ssize_t count;

	if (poll(&wait, 1, 20000) != 1)
		FAIL("nothing comes any more; until then: %s", str_text(&said));
	count = read(pty, buffer, sizeof(buffer));
	CHECK(count > 0);
	str_add_bytes(&said, buffer, (size_t)count);
}

static void read_until(const char *text)
{
	while (!strstr(str_text(&said), text))
		read_more();
}

static int status_of_child(void)
{
	int status;

	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

static void show_something(void)
{
	struct canvas canvas;
	int width, height;

	terminal_size(&width, &height);
	canvas_init(&canvas, width, height, true);
	canvas_putf(&canvas, canvas_area(&canvas), 0, 0, (struct style){0}, "shown %dx%d.", width,
		    height);
	terminal_show(&canvas);
	canvas_done(&canvas);
}

/* Shows, and says what it is told until q. */
static void be_a_terminal(void)
{
	struct err err = {0};
	struct input input;

	if (terminal_open(&err) < 0) {
		printf("refused: %s\n", err.sentence);
		fflush(stdout);
		return;
	}
	show_something();
	for (;;) {
		struct pollfd fds[] = {{.fd = 0, .events = POLLIN},
				       {.fd = terminal_signal_fd(), .events = POLLIN}};
		int ready = poll(fds, 2, terminal_patience_ms());
		struct terminal_news news = terminal_take_news();

		if (news.is_suspended)
			terminal_suspend();
		if (news.is_resized || news.is_suspended)
			show_something();
		if (news.ending)
			_exit(100 + news.ending);
		if (fds[0].revents & POLLHUP || (fds[0].revents && terminal_read() < 0))
			_exit(99);
		while (terminal_next(ready == 0, &input)) {
			if (input.action == ACTION_QUIT) {
				terminal_close();
				return;
			}
			if (input.key == 'C')
				abort();
			if (input.key == 'E')
				exit(3);
			dprintf(1, "key %x.", input.key);
		}
	}
}

static bool is_restored(void)
{
	struct termios now;

	return strstr(str_text(&said), "\033[?1049l") && strstr(str_text(&said), "\033[?1000l") &&
	       tcgetattr(pty, &now) == 0 && now.c_lflag == before.c_lflag &&
	       now.c_iflag == before.c_iflag && now.c_oflag == before.c_oflag;
}

TEST(keys_arrive_and_quitting_gives_it_back)
{
	start(80, 24, be_a_terminal);
	read_until("shown 80x24.");
	CHECK(strstr(str_text(&said), "\033[?1049h"));
	CHECK(write(pty, "j", 1) == 1);
	read_until("key 6a.");
	CHECK(write(pty, "\033[A", 3) == 3);
	read_until("key 110000.");
	CHECK(write(pty, "\033", 1) == 1);
	read_until("key 1b.");
	CHECK(!strstr(str_text(&said), "\033[?1049l"));
	CHECK(write(pty, "q", 1) == 1);
	read_until("\033[?1049l");
	CHECK_EQ_I64(status_of_child(), 0);
	CHECK(is_restored());
}

TEST(another_size_is_told)
{
	struct winsize size = {.ws_col = 200, .ws_row = 60};

	start(80, 24, be_a_terminal);
	read_until("shown 80x24.");
	CHECK(ioctl(pty, TIOCSWINSZ, &size) == 0);
	read_until("shown 200x60.");
	CHECK(kill(child, SIGKILL) == 0);
	status_of_child();
}

TEST(crashes_give_it_back)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGQUIT};

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		int status;

		str_clear(&said);
		start(80, 24, be_a_terminal);
		read_until("shown 80x24.");
		CHECK(kill(child, signals[i]) == 0);
		read_until("\033[?1049l");
		status = status_of_child();
		/* Sanitizers have handlers of their own, which come next. */
		CHECK(status != 0);
		CHECK(is_restored());
		close(pty);
	}
}

TEST(abort_and_exit_give_it_back)
{
	for (int i = 0; i < 2; i++) {
		str_clear(&said);
		start(80, 24, be_a_terminal);
		read_until("shown 80x24.");
		CHECK(write(pty, i ? "E" : "C", 1) == 1);
		read_until("\033[?1049l");
		CHECK(status_of_child() != 0);
		CHECK(is_restored());
		close(pty);
	}
}

TEST(endings_are_told)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		int status;

		str_clear(&said);
		start(80, 24, be_a_terminal);
		read_until("shown 80x24.");
		CHECK(kill(child, signals[i]) == 0);
		status = status_of_child();
		CHECK(WIFEXITED(status));
		CHECK_EQ_I64(WEXITSTATUS(status), 100 + signals[i]);
		close(pty);
	}
}

TEST(a_stop_gives_it_back_and_takes_it_again)
{
	const char *given_back;

	start(80, 24, be_a_terminal);
	read_until("shown 80x24.");
	/* Alone in its session it is not stopped for good, and goes on at once. */
	CHECK(kill(child, SIGTSTP) == 0);
	read_until("\033[?1049l");
	while (!strstr(strstr(str_text(&said), "\033[?1049l"), "shown 80x24."))
		read_more();
	given_back = strstr(str_text(&said), "\033[?1049l");
	CHECK(strstr(given_back, "\033[?1049h"));
	CHECK(kill(child, SIGKILL) == 0);
	status_of_child();
}

/* More than it takes; what a terminal is slow to take at first is no sign of that. Returns how many
 * were shown. */
static int show_too_much(void)
{
	struct canvas canvas;
	struct err err = {0};
	int shown = 0;

	if (terminal_open(&err) < 0)
		_exit(98);
	canvas_init(&canvas, 200, 60, true);
	while (!terminal_is_behind() && shown++ < 10000) {
		terminal_forget();
		for (int y = 0; y < 60; y++)
			canvas_putf(&canvas, canvas_area(&canvas), 0, y, (struct style){0},
				    "%0199d", shown);
		if (terminal_show(&canvas) < 0)
			_exit(97);
		for (int i = 0; i < 10 && terminal_is_behind(); i++) {
			usleep(10000);
			terminal_flush();
		}
	}
	canvas_done(&canvas);
	return shown;
}

/* Stops when it is behind; then the rest of the last one, and a word of how it went. */
static void show_and_catch_up(void)
{
	int shown = show_too_much();

	raise(SIGSTOP);
	while (terminal_is_behind()) {
		struct pollfd fd = {.fd = terminal_output_fd(), .events = POLLOUT};

		poll(&fd, 1, -1);
		if (terminal_flush() < 0)
			_exit(96);
	}
	dprintf(1, "the last was %d, and all of it came.", shown);
	terminal_close();
	exit(0);
}

TEST(a_terminal_that_nobody_reads_holds_nothing_up)
{
	char last[256];
	int status, shown;

	start(200, 60, show_and_catch_up);
	CHECK(waitpid(child, &status, WUNTRACED) == child);
	CHECK(WIFSTOPPED(status));
	CHECK(kill(child, SIGCONT) == 0);
	read_until(", and all of it came.");
	CHECK_EQ_I64(sscanf(strstr(str_text(&said), "the last was "), "the last was %d", &shown),
		     1);
	CHECK_BETWEEN(shown, 1, 9999);
	snprintf(last, sizeof(last), "%0199d", shown);
	CHECK(strstr(str_text(&said), last));
	read_until("\033[?1049l");
	CHECK_EQ_I64(status_of_child(), 0);
}

static void show_and_leave(void)
{
	show_too_much();
	terminal_close();
	dprintf(1, "words at the end");
	exit(0);
}

TEST(a_terminal_that_nobody_reads_can_be_left)
{
	start(200, 60, show_and_leave);
	CHECK_EQ_I64(status_of_child(), 0);
	read_until("words at the end");
	CHECK(is_restored());
}

TEST(a_terminal_that_is_gone_is_noticed)
{
	int status;

	start(80, 24, be_a_terminal);
	read_until("shown 80x24.");
	close(pty);
	status = status_of_child();
	CHECK(WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == 99 || WEXITSTATUS(status) == 100 + SIGHUP);
}

TEST(refusals_have_their_reason)
{
	start(79, 24, be_a_terminal);
	read_until("refused: Terminal too small: 79x24, rsprof needs 80x24.");
	CHECK(!strstr(str_text(&said), "\033[?1049h"));
	status_of_child();
}

static void be_unknown(void)
{
	setenv("TERM", "no\033such", 1);
	be_a_terminal();
}

static void be_dumb(void)
{
	setenv("TERM", "dumb", 1);
	be_a_terminal();
}

TEST(terminals_that_cannot_are_refused)
{
	char why[128];
	int null = open("/dev/null", O_RDWR);

	start(80, 24, be_unknown);
	read_until("refused: The terminal \"no?such\" (TERM) is not known here.");
	status_of_child();
	str_clear(&said);
	start(80, 24, be_dumb);
	read_until("refused: The terminal \"dumb\" (TERM) can move no cursor.");
	status_of_child();
	dup2(null, STDOUT_FILENO);
	CHECK(!terminal_is_possible(why));
	CHECK_EQ_STR(why, "Standard output is no terminal.");
}

KIT_MAIN
