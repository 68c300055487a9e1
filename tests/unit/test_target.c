/* Unit tests of reader/target/target.h: finding processes, refusing what is none, threads, ends. */
#include "reader/target/target.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "reader/target/proc.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "tests/lib/kit.h"
#include "tests/unit/child.h"
#include "tests/unit/looked_at.h"

static void check_refused(pid_t pid, enum err_kind kind, const char *words)
{
	struct target *untouched = (struct target *)&untouched, *target = untouched;
	struct err err = {0};

	CHECK(target_open_pid(pid, &target, &err) < 0);
	CHECK(target == untouched);
	CHECK_EQ_I64(err.kind, kind);
	if (!strstr(err.sentence, words))
		FAIL("\"%s\" does not say \"%s\"", err.sentence, words);
	CHECK(err.remedy[0]);
}

TEST(stat_lines_with_odd_names_are_parsed)
{
	static const char tail[] =
		" S 1 2 3 4 5 4194560 7 8 9 10 111 222 13 14 20 0 6 18 987654 20 21\n";
	static const char *const names[] = {"plain", "a b",	    "x) R 1 2", "((",
					    ")",     "line\nbreak", ""};
	struct process_stat stat;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char line[256];
		int length = snprintf(line, sizeof(line), "42 (%s)%s", names[i], tail);

		CHECK_EQ_I64(process_stat_parse(line, (size_t)length, &stat), 0);
		CHECK_EQ_STR(stat.comm, names[i]);
		CHECK_EQ_I64(stat.state, 'S');
		CHECK(!stat.is_kernel_thread);
		CHECK_EQ_U64(stat.user_ticks, 111);
		CHECK_EQ_U64(stat.system_ticks, 222);
		CHECK_EQ_U64(stat.thread_count, 6);
		CHECK_EQ_U64(stat.start_ticks, 987654);
		/* Cut anywhere before the start time, it is refused. */
		for (int cut = 0; cut < length - 20; cut++)
			CHECK_EQ_I64(process_stat_parse(line, (size_t)cut, &stat), -EBADMSG);
	}
	CHECK_EQ_I64(process_stat_parse(") 1 (", 5, &stat), -EBADMSG);
}

TEST(a_process_is_described)
{
	struct child child = child_cat("/bin/cat");
	struct target *target = open_target(child.pid);

	CHECK_EQ_I64(target->pid, child.pid);
	CHECK_EQ_STR(target->comm, "cat");
	CHECK_EQ_STR(target->command_line, "/bin/cat");
	CHECK(str_ends(target->exe_path, "/bin/cat"));
	CHECK_EQ_U64(target->uid, geteuid());
	CHECK(!target->other_mount_namespace);
	CHECK(!target->other_pid_namespace);
	CHECK(target->pidfd >= 0);
	CHECK(target->start_ticks > 0);
	CHECK(target_is_alive(target));
	target_free(target);
	child_end(&child);
}

TEST(numbers_that_are_no_process_are_refused)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	check_refused(0, ERR_USAGE, "0 is not the PID");
	check_refused(-5, ERR_USAGE, "-5 is not the PID");
	check_refused(getpid(), ERR_USAGE, "rsprof itself");
	check_refused(pid, ERR_NOT_FOUND, "No process has PID");
	check_refused(INT32_MAX, ERR_NOT_FOUND, "No process has PID 2147483647.");
}

TEST(a_zombie_has_ended)
{
	pid_t pid = fork();
	siginfo_t info;

	if (pid == 0)
		_exit(0);
	CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
	check_refused(pid, ERR_NOT_FOUND, "has already ended");
	waitpid(pid, NULL, 0);
}

TEST(a_kernel_thread_is_refused)
{
	struct process_stat stat;

	if (process_stat_read(AT_FDCWD, "/proc/2/stat", &stat) < 0 || !stat.is_kernel_thread)
		SKIP("no kernel thread can be seen from this PID namespace");
	check_refused(2, ERR_USAGE, "kernel thread");
}

static void *idle_thread(void *name)
{
	prctl(PR_SET_NAME, name);
	for (;;)
		pause();
	return NULL;
}

/* Starts three threads, and two more when told to. */
static void run_threads(const void *argument)
{
	static char names[5][16] = {"worker 0", "worker 1", "worker 2", "late 0", "late)1"};
	pthread_t thread;

	for (int i = 0; i < 3; i++)
		pthread_create(&thread, NULL, idle_thread, names[i]);
	child_ready();
	child_await();
	for (int i = 3; i < 5; i++)
		pthread_create(&thread, NULL, idle_thread, names[i]);
	child_ready();
	child_await();
}

static size_t count_named(const struct target *target, const char *name)
{
	target_threads threads = {0};
	size_t count = 0;

	CHECK_EQ_I64(target_list_threads(target, &threads), 0);
	for (size_t i = 0; i < threads.count; i++)
		count += !name || strcmp(threads.items[i].comm, name) == 0;
	vec_done(&threads);
	return count;
}

TEST(threads_are_listed_as_they_come)
{
	struct child child = child_start(run_threads, NULL);
	struct target *target = open_target(child.pid);
	target_threads threads = {0};
	char words[64];

	CHECK_EQ_U64(count_named(target, NULL), 4);
	CHECK_SOON(count_named(target, "worker 2") == 1);
	child_tell(&child, 'x');
	CHECK_EQ_I64(child_hear(&child), 'r');
	CHECK_EQ_U64(count_named(target, NULL), 6);
	CHECK_SOON(count_named(target, "late)1") == 1);

	/* A thread's id is no process; the refusal names the process. */
	CHECK_EQ_I64(target_list_threads(target, &threads), 0);
	snprintf(words, sizeof(words), "of process %d.", child.pid);
	for (size_t i = 0; i < threads.count; i++)
		if (threads.items[i].tid != child.pid)
			check_refused(threads.items[i].tid, ERR_USAGE, words);
	vec_done(&threads);
	target_free(target);
	child_end(&child);
}

static void *await_end(void *unused)
{
	prctl(PR_SET_NAME, "survivor");
	child_ready();
	child_await();
	_exit(0);
	return NULL;
}

static void leave_first_thread(const void *argument)
{
	pthread_t thread;

	pthread_create(&thread, NULL, await_end, NULL);
	/* Not pthread_exit, which would have to unwind: only this thread ends. */
	syscall(SYS_exit, 0);
}

TEST(a_process_lives_on_without_its_first_thread)
{
	struct child child = child_start(leave_first_thread, NULL);
	struct process_stat stat;
	target_mappings mappings = {0};
	struct target *target;
	char name[64];

	snprintf(name, sizeof(name), "/proc/%d/stat", child.pid);
	CHECK_SOON(process_stat_read(AT_FDCWD, name, &stat) == 0 && stat.state == 'Z');
	target = open_target(child.pid);
	CHECK(target_is_alive(target));
	CHECK_EQ_U64(count_named(target, NULL), 1);
	CHECK_EQ_U64(count_named(target, "survivor"), 1);
	CHECK_EQ_I64(target_list_mappings(target, &mappings), 0);
	CHECK(mappings.count >= 5);
	CHECK(target->exe_path[0] == '/');
	target_mappings_done(&mappings);
	target_free(target);
	child_end(&child);
}

TEST(an_ended_process_is_known_to_have_ended)
{
	struct child child = child_start(child_idle, NULL);
	struct target *target = open_target(child.pid);
	struct pollfd end = {.fd = target->pidfd, .events = POLLIN};
	target_threads threads = {0};
	target_mappings mappings = {0};
	uint64_t a = 7, b = 7;

	kill(child.pid, SIGKILL);
	/* Readable at the end; the process is a zombie then. */
	CHECK_EQ_I64(poll(&end, 1, CHILD_DEADLINE_MS), 1);
	CHECK(!target_is_alive(target));
	CHECK_EQ_I64(target_list_threads(target, &threads), -ESRCH);
	waitpid(child.pid, NULL, 0);
	CHECK(!target_is_alive(target));
	CHECK_EQ_I64(target_list_threads(target, &threads), -ESRCH);
	CHECK_EQ_I64(target_list_mappings(target, &mappings), -ESRCH);
	CHECK_EQ_I64(target_cpu_ms(target, &a, &b), -ESRCH);
	CHECK_EQ_I64(target_cpu_ns(target, &a), -ESRCH);
	CHECK_EQ_I64(target_rss_bytes(target, &a), -ESRCH);
	CHECK_EQ_I64(target_rss_anonymous_bytes(target, &a), -ESRCH);
	CHECK_EQ_U64(a, 7);
	CHECK_EQ_U64(b, 7);
	target_refresh(target);
	CHECK(target->exe_path[0] == '/');
	CHECK_EQ_U64(threads.count, 0);
	target_free(target);
}

/* Forks a child that gets this very PID, or returns 0. */
static pid_t fork_with_pid(pid_t pid)
{
	for (int i = 0; i < 50; i++) {
		char text[16];
		int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
		int length = snprintf(text, sizeof(text), "%d", pid - 1);
		bool is_set = fd >= 0 && write(fd, text, (size_t)length) == length;
		pid_t child;

		if (fd >= 0)
			close(fd);
		if (!is_set)
			return 0;
		child = fork();
		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pause();
			_exit(0);
		}
		if (child == pid)
			return child;
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	return 0;
}

TEST(a_reused_pid_is_another_process)
{
	struct child child = child_start(child_idle, NULL);
	struct target *target = open_target(child.pid), *second;
	target_mappings mappings = {0};
	pid_t reused;

	child_end(&child);
	reused = fork_with_pid(child.pid);
	if (!reused) {
		target_free(target);
		SKIP("ns_last_pid may not be written, or the PID was taken");
	}
	CHECK(!target_is_alive(target));
	CHECK_EQ_I64(target_list_mappings(target, &mappings), -ESRCH);
	second = open_target(reused);
	CHECK(target_is_alive(second));
	kill(reused, SIGKILL);
	waitpid(reused, NULL, 0);
	target_free(second);
	target_free(target);
}

static void exec_on_command(const void *path)
{
	prctl(PR_SET_NAME, "before");
	child_ready();
	child_await();
	exec_cat(path);
}

TEST(exec_is_seen_by_refresh)
{
	struct child child = child_start(exec_on_command, "/bin/cat");
	struct target *target = open_target(child.pid);

	CHECK_EQ_STR(target->comm, "before");
	child_tell(&child, 'x');
	child_tell(&child, 'y');
	CHECK_EQ_I64(child_hear(&child), 'y');
	CHECK_EQ_STR(target->comm, "before");
	target_refresh(target);
	CHECK_EQ_STR(target->comm, "cat");
	CHECK_EQ_STR(target->command_line, "/bin/cat");
	CHECK(str_ends(target->exe_path, "/bin/cat"));
	CHECK(target_is_alive(target));
	target_free(target);
	child_end(&child);
}

struct burnt {
	uint64_t user_ms, system_ms;
};

/* Burns 300 ms in a thread that ends, then tells what getrusage says. */
static void *burn(void *unused)
{
	struct rusage usage;

	do
		getrusage(RUSAGE_SELF, &usage);
	while (usage.ru_utime.tv_sec * 1000 + usage.ru_utime.tv_usec / 1000 +
		       usage.ru_stime.tv_sec * 1000 + usage.ru_stime.tv_usec / 1000 <
	       300);
	return NULL;
}

static void burn_and_tell(const void *shared)
{
	struct burnt *burnt = *(struct burnt *const *)shared;
	struct rusage usage;
	pthread_t thread;

	pthread_create(&thread, NULL, burn, NULL);
	pthread_join(thread, NULL);
	getrusage(RUSAGE_SELF, &usage);
	burnt->user_ms = (uint64_t)(usage.ru_utime.tv_sec * 1000 + usage.ru_utime.tv_usec / 1000);
	burnt->system_ms = (uint64_t)(usage.ru_stime.tv_sec * 1000 + usage.ru_stime.tv_usec / 1000);
	child_idle(NULL);
}

TEST(cpu_time_counts_ended_threads)
{
	struct burnt *burnt =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct child child = child_start(burn_and_tell, &burnt);
	struct target *target = open_target(child.pid);
	uint64_t user_ms, system_ms, ns;

	CHECK_EQ_I64(target_cpu_ms(target, &user_ms, &system_ms), 0);
	CHECK_EQ_I64(target_cpu_ns(target, &ns), 0);
	CHECK_BETWEEN(ns / 1000000, burnt->user_ms + burnt->system_ms,
		      burnt->user_ms + burnt->system_ms + 20);
	CHECK(burnt->user_ms + burnt->system_ms >= 300);
	/* A clock tick is 10 ms at most. */
	CHECK_BETWEEN(user_ms + system_ms, burnt->user_ms + burnt->system_ms - 20,
		      burnt->user_ms + burnt->system_ms + 20);
	target_free(target);
	child_end(&child);
}

enum { TOUCHED_BYTES = 32 * 1024 * 1024 };

static void touch_on_command(const void *argument)
{
	char *memory = mmap(NULL, TOUCHED_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	child_ready();
	child_await();
	for (size_t i = 0; i < TOUCHED_BYTES; i += 4096)
		((volatile char *)memory)[i] = 1;
	child_ready();
	child_await();
}

TEST(resident_memory_grows_with_touched_pages)
{
	struct child child = child_start(touch_on_command, NULL);
	struct target *target = open_target(child.pid);
	uint64_t before, after, anonymous_before, anonymous_after;

	CHECK_EQ_I64(target_rss_bytes(target, &before), 0);
	CHECK_EQ_I64(target_rss_anonymous_bytes(target, &anonymous_before), 0);
	child_tell(&child, 'x');
	CHECK_EQ_I64(child_hear(&child), 'r');
	CHECK_EQ_I64(target_rss_bytes(target, &after), 0);
	/* The kernel sums its counters of each CPU in batches; sanitizers touch shadow memory. */
	CHECK_BETWEEN(after - before, TOUCHED_BYTES - 1e6, TOUCHED_BYTES + 9e6);
	CHECK_EQ_I64(target_rss_anonymous_bytes(target, &anonymous_after), 0);
	CHECK_BETWEEN(anonymous_after - anonymous_before, TOUCHED_BYTES - 1e6, TOUCHED_BYTES + 9e6);
	CHECK(anonymous_after < after);
	target_free(target);
	child_end(&child);
}

static void enter_namespaces(const void *argument)
{
	pid_t pid;

	if (unshare(CLONE_NEWNS | CLONE_NEWPID) < 0) {
		/* Told apart from being ready. */
		if (write(STDOUT_FILENO, "n", 1) != 1)
			_exit(1);
		child_await();
		return;
	}
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		child_idle(NULL);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* The only child of a process. */
static pid_t child_of(pid_t pid)
{
	OWN(str_done) struct str text = {0};
	char name[64];

	snprintf(name, sizeof(name), "/proc/%d/task/%d/children", pid, pid);
	CHECK_EQ_I64(proc_read(AT_FDCWD, name, 64, &text), 0);
	return atoi(str_text(&text));
}

TEST(other_namespaces_are_noticed)
{
	struct child child = child_fork(enter_namespaces, NULL);
	struct target *outer, *inner;

	if (child_hear(&child) == 'n') {
		child_end(&child);
		SKIP("namespaces may not be made here");
	}
	outer = open_target(child.pid);
	CHECK(outer->other_mount_namespace);
	/* unshare moves the children into the new PID namespace, not the caller. */
	CHECK(!outer->other_pid_namespace);
	inner = open_target(child_of(child.pid));
	CHECK(inner->other_mount_namespace);
	CHECK(inner->other_pid_namespace);
	target_free(inner);
	target_free(outer);
	child_end(&child);
}

static void look_at_foreign(const void *pid)
{
	struct target *target = open_target(*(const pid_t *)pid);
	target_mappings mappings = {0};

	CHECK_EQ_U64(target->uid, 0);
	CHECK_EQ_STR(target->exe_path, "");
	CHECK_EQ_STR(target->comm, "cat");
	CHECK(target_is_alive(target));
	CHECK_EQ_I64(target_list_mappings(target, &mappings), -EACCES);
	CHECK_EQ_U64(mappings.count, 0);
	target_free(target);
}

TEST(another_users_process_is_found_but_closed)
{
	struct child child = child_cat("/bin/cat");

	as_ordinary_user(look_at_foreign, &child.pid);
	child_end(&child);
}

KIT_MAIN
