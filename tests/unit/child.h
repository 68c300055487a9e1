/* Processes that tests of reader/target look at: started, brought to a known state, ended. */
#ifndef RSPROF_TESTS_UNIT_CHILD_H
#define RSPROF_TESTS_UNIT_CHILD_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/kit.h"

enum { CHILD_DEADLINE_MS = 10000 };

struct child {
	pid_t pid;
	int to, from; /* pipes to its standard input, from its standard output */
};

/* One byte of the conversation, or a failed test. */
static inline char child_hear(const struct child *child)
{
	struct pollfd fd = {.fd = child->from, .events = POLLIN};
	char byte;

	if (poll(&fd, 1, CHILD_DEADLINE_MS) != 1 || read(child->from, &byte, 1) != 1)
		FAIL("child %d does not answer", child->pid);
	return byte;
}

static inline void child_tell(const struct child *child, char byte)
{
	if (write(child->to, &byte, 1) != 1)
		FAIL("child %d does not listen", child->pid);
}

/* In the child: "I am there", and waiting for a byte from the test. */
static inline void child_ready(void)
{
	if (write(STDOUT_FILENO, "r", 1) != 1)
		_exit(1);
}

static inline void child_await(void)
{
	char byte;

	if (read(STDIN_FILENO, &byte, 1) != 1)
		_exit(1);
}

static inline struct child child_fork(void (*body)(const void *argument), const void *argument)
{
	int to[2], from[2];
	struct child child;

	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		FAIL("pipe: %s", strerror(errno));
	child.pid = fork();
	if (child.pid < 0)
		FAIL("fork: %s", strerror(errno));
	if (child.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		/* A sibling's pipe that stays open here would hide that sibling's end. */
		for (int fd = 3; fd < 64; fd++)
			close(fd);
		body(argument);
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
	child.to = to[1];
	child.from = from[0];
	return child;
}

/* Starts body and waits until it has called child_ready. */
static inline struct child child_start(void (*body)(const void *argument), const void *argument)
{
	struct child child = child_fork(body, argument);

	if (child_hear(&child) != 'r')
		FAIL("child %d is not ready", child.pid);
	return child;
}

static inline void child_end(struct child *child)
{
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	close(child->to);
	close(child->from);
}

static inline void child_idle(const void *argument)
{
	child_ready();
	child_await();
}

static inline void copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	struct stat stat;

	if (in < 0 || out < 0 || fstat(in, &stat) < 0)
		FAIL("copy %s to %s: %s", from, to, strerror(errno));
	for (off_t left = stat.st_size; left > 0;) {
		ssize_t put = sendfile(out, in, NULL, (size_t)left);

		if (put <= 0)
			FAIL("copy %s to %s: %s", from, to, strerror(errno));
		left -= put;
	}
	close(in);
	close(out);
}

static inline void exec_cat(const void *path)
{
	execl(path, (const char *)path, (char *)NULL);
	_exit(127);
}

/* Runs the program at path, a copy of cat; when cat has echoed a byte, its start is over. */
static inline struct child child_cat(const char *path)
{
	struct child child = child_fork(exec_cat, path);

	child_tell(&child, 'c');
	if (child_hear(&child) != 'c')
		FAIL("%s does not echo", path);
	return child;
}

/* Asks again until it is so, or the deadline. */
#define CHECK_SOON(condition)                                                                      \
	do {                                                                                       \
		struct timespec kit_now, kit_end;                                                  \
		clock_gettime(CLOCK_MONOTONIC, &kit_end);                                          \
		kit_end.tv_sec += CHILD_DEADLINE_MS / 1000;                                        \
		while (!(condition)) {                                                             \
			clock_gettime(CLOCK_MONOTONIC, &kit_now);                                  \
			if (kit_now.tv_sec > kit_end.tv_sec)                                       \
				FAIL("%s: not within the deadline", #condition);                   \
			poll(NULL, 0, 1);                                                          \
		}                                                                                  \
	} while (0)

/* Runs body in a process of an ordinary user; the test ends as that process does. */
static inline void as_ordinary_user(void (*body)(const void *argument), const void *argument)
{
	enum { NOBODY = 65534 };
	pid_t pid;
	int status;

	if (geteuid() != 0)
		SKIP("needs root, to become another user");
	pid = fork();
	if (pid == 0) {
		if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
			FAIL("setresuid: %s", strerror(errno));
		/* A program that was started by that user would be open to it too. */
		prctl(PR_SET_DUMPABLE, 1);
		body(argument);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		FAIL("fork: %s", strerror(errno));
	/* The process has told its failure or skip by itself. */
	if (!WIFEXITED(status))
		FAIL("ended by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		_exit(WEXITSTATUS(status));
}

#endif
