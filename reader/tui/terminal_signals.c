#include "reader/tui/terminal_signals.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { HANDLER_STACK_BYTES = 64 * 1024 };

/* The first ones are told, the others end rsprof. */
static const int told[] = {SIGWINCH, SIGTSTP, SIGCONT, SIGINT, SIGTERM, SIGHUP};
static const int fatal[] = {SIGQUIT, SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};

enum { TOLD = sizeof(told) / sizeof(*told), FATAL = sizeof(fatal) / sizeof(*fatal) };

static int pipe_fds[2] = {-1, -1};
static void (*volatile restore_terminal)(void);
static struct sigaction told_before[TOLD], fatal_before[FATAL];
static bool is_told_taken[TOLD];
static stack_t stack_before;
static void *handler_stack;

static void tell(int signal)
{
	unsigned char byte = (unsigned char)signal;
	int error = errno;

	/* A pipe that is full has enough to tell. */
	if (write(pipe_fds[1], &byte, 1) < 0)
		errno = error;
	errno = error;
}

/* Gives the terminal back; what came before us (the default, a sanitizer) does the rest. */
static void end(int signal, siginfo_t *info, void *context)
{
	for (int i = 0; i < FATAL; i++) {
		if (fatal[i] == signal)
			sigaction(signal, &fatal_before[i], NULL);
	}
	if (restore_terminal)
		restore_terminal();
	/* A fault happens again when the handler returns; all else is sent again. */
	if (info->si_code <= 0 || signal == SIGQUIT)
		raise(signal);
}

static void restore_at_exit(void)
{
	if (restore_terminal)
		restore_terminal();
}

/* An overflow of the main thread's stack leaves no room for a handler on it. */
static void use_own_stack(void)
{
	stack_t own = {.ss_size = HANDLER_STACK_BYTES};

	handler_stack = own.ss_sp = malloc(HANDLER_STACK_BYTES);
	if (!own.ss_sp || sigaltstack(&own, &stack_before) < 0) {
		free(handler_stack);
		handler_stack = NULL;
	}
}

/* One that is blocked is somebody else's, who waits for it. */
static bool is_free(int signal)
{
	sigset_t blocked;

	return pthread_sigmask(SIG_BLOCK, NULL, &blocked) || !sigismember(&blocked, signal);
}

static void take_signals(void)
{
	struct sigaction telling = {.sa_handler = tell, .sa_flags = SA_RESTART};
	struct sigaction ending = {.sa_sigaction = end, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	sigfillset(&ending.sa_mask);
	for (int i = 0; i < TOLD; i++) {
		is_told_taken[i] = is_free(told[i]);
		if (is_told_taken[i])
			sigaction(told[i], &telling, &told_before[i]);
	}
	for (int i = 0; i < FATAL; i++)
		sigaction(fatal[i], &ending, &fatal_before[i]);
}

int terminal_signals_open(void (*restore)(void))
{
	static bool is_at_exit;

	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	restore_terminal = restore;
	if (!is_at_exit)
		atexit(restore_at_exit);
	is_at_exit = true;
	use_own_stack();
	take_signals();
	return 0;
}

void terminal_signals_close(void)
{
	if (pipe_fds[0] < 0)
		return;
	for (int i = 0; i < TOLD; i++) {
		if (is_told_taken[i])
			sigaction(told[i], &told_before[i], NULL);
	}
	for (int i = 0; i < FATAL; i++)
		sigaction(fatal[i], &fatal_before[i], NULL);
	restore_terminal = NULL;
	if (handler_stack)
		sigaltstack(&stack_before, NULL);
	free(handler_stack);
	handler_stack = NULL;
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	pipe_fds[0] = pipe_fds[1] = -1;
}

int terminal_signals_fd(void)
{
	return pipe_fds[0];
}

struct terminal_news terminal_signals_take(void)
{
	struct terminal_news news = {0};
	unsigned char bytes[64];
	ssize_t count;

	while ((count = read(pipe_fds[0], bytes, sizeof(bytes))) > 0) {
		for (ssize_t i = 0; i < count; i++) {
			news.is_resized |= bytes[i] == SIGWINCH;
			news.is_suspended |= bytes[i] == SIGTSTP;
			news.is_continued |= bytes[i] == SIGCONT;
			if (bytes[i] == SIGINT || bytes[i] == SIGTERM || bytes[i] == SIGHUP)
				news.ending = bytes[i];
		}
	}
	return news;
}

void terminal_signals_stop(void)
{
	struct sigaction stopping = {.sa_handler = SIG_DFL}, ours;
	sigset_t set, old;

	sigaction(SIGTSTP, &stopping, &ours);
	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	pthread_sigmask(SIG_UNBLOCK, &set, &old);
	/* By this thread, so that it does not go on until all of them do. */
	raise(SIGTSTP);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	sigaction(SIGTSTP, &ours, NULL);
}
