#include "reader/record_signals.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "reader/tui/terminal.h"

static void ending_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
}

static void exit_at_once(int signal)
{
	terminal_restore();
	_exit(128 + signal);
}

int record_signals_open(sigset_t *ret_old)
{
	struct sigaction at_once = {.sa_handler = exit_at_once};
	sigset_t set;
	int fd;

	ending_signals(&set);
	if (sigprocmask(SIG_BLOCK, &set, ret_old) < 0)
		return -errno;
	sigaction(SIGQUIT, &at_once, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int record_signals_take(int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	record_signals_arm();
	return (int)info.ssi_signo;
}

static void arm(int signal)
{
	struct sigaction at_once = {.sa_handler = exit_at_once};
	sigset_t set;

	sigaction(signal, &at_once, NULL);
	sigemptyset(&set);
	sigaddset(&set, signal);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void record_signals_arm(void)
{
	arm(SIGINT);
	arm(SIGTERM);
}

void record_signals_arm_all(void)
{
	record_signals_arm();
	arm(SIGHUP);
}
