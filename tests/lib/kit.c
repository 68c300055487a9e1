/* The unit test kit. The parent forks a child for each test and waits for its end or its deadline;
 * the child says why it failed or skipped through a pipe, and says nothing when it passed. */
#include "tests/lib/kit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	TEST_SECONDS = 60,  /* a unit test that takes longer hangs, under a sanitizer too */
	MESSAGE_MAX = 4000, /* below PIPE_BUF, so that one write is whole and never blocks */
};

enum { MESSAGE_FAIL = 'F', MESSAGE_SKIP = 'S' };

static struct kit_test *first_test, **last_link = &first_test;

/* Of all tests of this program; emptied after each. */
static char root_folder[PATH_MAX - 64];
/* The write end of the running test's pipe. */
static int message_fd = -1;

void kit_register(struct kit_test *test)
{
	*last_link = test;
	last_link = &test->next;
}

__attribute__((noreturn)) static void tell(char kind, const char *text)
{
	char message[MESSAGE_MAX];
	int length = snprintf(message, sizeof(message), "%c%s", kind, text);
	size_t bytes = length < MESSAGE_MAX ? (size_t)length : MESSAGE_MAX - 1;
	ssize_t ignored = write(message_fd, message, bytes);

	(void)ignored;
	fflush(NULL);
	/* Not exit(): what a failed test still owns is no leak to report. */
	_exit(1);
}

void kit_fail(const char *file, int line, const char *format, ...)
{
	char reason[MESSAGE_MAX - 256], text[MESSAGE_MAX - 1];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	snprintf(text, sizeof(text), "%.200s:%d: %s", file, line, reason);
	tell(MESSAGE_FAIL, text);
}

void kit_skip(const char *format, ...)
{
	char reason[MESSAGE_MAX - 1];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	tell(MESSAGE_SKIP, reason);
}

const char *kit_folder(void)
{
	static char path[PATH_MAX];
	static int count;

	snprintf(path, sizeof(path), "%s/%d", root_folder, count++);
	if (mkdir(path, 0700))
		FAIL("mkdir %s: %s", path, strerror(errno));
	return path;
}

/* Removes what is in the folder, also what a test made unreadable. Closes folder_fd. */
static void empty_folder(int folder_fd)
{
	DIR *folder = fdopendir(folder_fd);
	struct dirent *entry;

	if (!folder) {
		close(folder_fd);
		return;
	}
	while ((entry = readdir(folder))) {
		int child_fd;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (unlinkat(folder_fd, entry->d_name, 0) == 0)
			continue;
		if (fchmodat(folder_fd, entry->d_name, 0700, 0))
			continue;
		child_fd = openat(folder_fd, entry->d_name,
				  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child_fd >= 0)
			empty_folder(child_fd);
		unlinkat(folder_fd, entry->d_name, AT_REMOVEDIR);
	}
	closedir(folder);
}

static void empty_root(void)
{
	int fd = open(root_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		empty_folder(fd);
}

__attribute__((noreturn)) static void run_child(const struct kit_test *test, const sigset_t *mask,
						pid_t parent)
{
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	/* A test that outlives an interrupted run would hold its ports and folders. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	setpgid(0, 0);
	sigprocmask(SIG_SETMASK, mask, NULL);
	if (null_fd >= 0)
		dup2(null_fd, STDIN_FILENO);
	test->run();
	/* exit(), so that LeakSanitizer looks. */
	exit(0);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Waits for the child's end without reaping it: its pid, which is its group's id too, stays taken.
 * SIGCHLD is blocked. False at the deadline. */
static bool wait_until(pid_t child, int64_t deadline_ms, siginfo_t *ret_info)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	for (;;) {
		siginfo_t info = {0};
		int64_t left_ms = deadline_ms - now_ms();
		struct timespec left;

		if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		    info.si_pid == child) {
			*ret_info = info;
			return true;
		}
		if (left_ms <= 0)
			return false;
		left.tv_sec = left_ms / 1000;
		left.tv_nsec = left_ms % 1000 * 1000000;
		sigtimedwait(&signals, NULL, &left);
	}
}

/* One test, one line. True unless it failed. */
static bool run_test(const struct kit_test *test)
{
	char message[MESSAGE_MAX + 1];
	siginfo_t end = {0};
	sigset_t signals, mask;
	int pipe_fds[2];
	pid_t parent = getpid(), child;
	ssize_t length;
	bool ended;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK)) {
		printf("not ok %s: pipe: %s\n", test->name, strerror(errno));
		return false;
	}
	fflush(NULL);
	/* Before the fork, lest the child ends unseen. */
	sigprocmask(SIG_BLOCK, &signals, &mask);
	child = fork();
	if (child == 0) {
		message_fd = pipe_fds[1];
		close(pipe_fds[0]);
		run_child(test, &mask, parent);
	}
	close(pipe_fds[1]);
	if (child < 0) {
		printf("not ok %s: fork: %s\n", test->name, strerror(errno));
		close(pipe_fds[0]);
		sigprocmask(SIG_SETMASK, &mask, NULL);
		return false;
	}
	setpgid(child, child);
	ended = wait_until(child, now_ms() + TEST_SECONDS * INT64_C(1000), &end);
	kill(-child, SIGKILL);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	length = read(pipe_fds[0], message, sizeof(message) - 1);
	close(pipe_fds[0]);
	empty_root();

	message[length > 0 ? length : 0] = '\0';
	for (char *at = message; *at; at++)
		*at = *at == '\n' ? ' ' : *at;
	if (!ended) {
		printf("not ok %s: not over after %d s\n", test->name, TEST_SECONDS);
	} else if (message[0] == MESSAGE_FAIL) {
		printf("not ok %s: %s\n", test->name, message + 1);
	} else if (message[0] == MESSAGE_SKIP) {
		printf("skip %s: %s\n", test->name, message + 1);
		return true;
	} else if (end.si_code != CLD_EXITED) {
		printf("not ok %s: killed by %s\n", test->name, strsignal(end.si_status));
	} else if (end.si_status) {
		printf("not ok %s: ended with status %d\n", test->name, end.si_status);
	} else {
		printf("ok %s\n", test->name);
		return true;
	}
	return false;
}

static bool is_wanted(const struct kit_test *test, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], test->name))
			return true;
	}
	return argc <= 1;
}

static bool is_known(const char *name)
{
	for (const struct kit_test *test = first_test; test; test = test->next) {
		if (!strcmp(test->name, name))
			return true;
	}
	return false;
}

int kit_main(int argc, char **argv)
{
	const char *parent_folder = getenv("TMPDIR");
	bool passed = true;

	for (int i = 1; i < argc; i++) {
		if (!is_known(argv[i])) {
			printf("not ok %s: no such test\n", argv[i]);
			return 1;
		}
	}
	snprintf(root_folder, sizeof(root_folder), "%s/rsprof-test.XXXXXX",
		 parent_folder && *parent_folder ? parent_folder : "/tmp");
	if (!mkdtemp(root_folder)) {
		printf("not ok kit: mkdtemp %s: %s\n", root_folder, strerror(errno));
		return 1;
	}
	/* A test may go on as another user below its own folder. */
	chmod(root_folder, 0711);
	for (const struct kit_test *test = first_test; test; test = test->next) {
		if (is_wanted(test, argc, argv))
			passed = run_test(test) && passed;
		fflush(stdout);
	}
	rmdir(root_folder);
	return passed ? 0 : 1;
}
