/* What the tests of the perf source share: a target in a process of its own, led step by step
 * through pipes, and a tally of the events that came. */
#ifndef RSPROF_TESTS_UNIT_PERF_LIVE_H
#define RSPROF_TESTS_UNIT_PERF_LIVE_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "reader/source/source.h"
#include "tests/lib/kit.h"

enum { LIVE_DEADLINE_MS = 30000, LIVE_TALLY_THREADS = 256 };

struct live {
	pid_t pid;
	int to_fd, from_fd;
	bool is_reaped;
	struct target *target;
};

static inline uint64_t live_clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Until the calling thread has used so much more CPU time; returns what it really used. */
static inline uint64_t live_burn(uint64_t ns)
{
	uint64_t start = live_clock_ns(CLOCK_THREAD_CPUTIME_ID), used;

	do {
		for (volatile int i = 0; i < 20000; i++)
			;
		used = live_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	} while (used < ns);
	return used;
}

static inline pid_t live_tid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

/* Both sides: one message, whole. The target just ends when its test has ended. */
static inline void live_say(int fd, const void *message, size_t size)
{
	if (write(fd, message, size) != (ssize_t)size)
		_exit(1);
}

static inline void live_wait_for_byte(int fd)
{
	char byte;

	if (read(fd, &byte, 1) != 1)
		_exit(1);
}

/* The test's side. */
static inline void live_go(const struct live *live)
{
	live_say(live->to_fd, "g", 1);
}

static inline void live_hear(const struct live *live, void *message, size_t size)
{
	struct pollfd readable = {.fd = live->from_fd, .events = POLLIN};

	if (poll(&readable, 1, LIVE_DEADLINE_MS) != 1)
		FAIL("the target said nothing within %d ms", LIVE_DEADLINE_MS);
	if (read(live->from_fd, message, size) != (ssize_t)size)
		FAIL("the target ended before its time");
}

/* body reads steps from its first descriptor and says what it did to the second. */
static inline struct live live_start(void (*body)(int in, int out))
{
	int to[2], from[2];
	struct live live = {0};
	struct err err = {0};
	char ready;

	CHECK(pipe(to) == 0 && pipe(from) == 0);
	live.pid = fork();
	if (live.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(to[1]);
		close(from[0]);
		body(to[0], from[1]);
		_exit(0);
	}
	CHECK(live.pid > 0);
	close(to[0]);
	close(from[1]);
	live.to_fd = to[1];
	live.from_fd = from[0];
	live_hear(&live, &ready, 1);
	if (target_open_pid(live.pid, &live.target, &err))
		FAIL("%s", err.sentence);
	return live;
}

static inline void live_end(struct live *live)
{
	/* Without its pipes it ends also where it may not be killed. */
	close(live->to_fd);
	close(live->from_fd);
	if (!live->is_reaped) {
		kill(live->pid, SIGKILL);
		waitpid(live->pid, NULL, 0);
	}
	target_free(live->target);
}

struct live_tally {
	uint64_t samples, kernel_samples, empty_stacks;
	uint64_t by_event[SOURCE_EVENTS_MAX];
	uint64_t leaf_low, leaf_high, leaf_inside; /* samples whose leaf is in [low, high) */
	uint64_t of_type[EVENT_TYPES];
	uint64_t execs, executable_maps;
	uint64_t lost[LOSS_CAUSES];
	uint32_t last_fork_pid, last_fork_parent;
	uint32_t tids[LIVE_TALLY_THREADS];
	uint64_t by_thread[LIVE_TALLY_THREADS];
	size_t thread_count;
	uint64_t foreign; /* events of a process that is not the target */
	uint32_t target_pid;
};

static inline uint64_t *live_of_thread(struct live_tally *tally, uint32_t tid)
{
	size_t at = 0;

	while (at < tally->thread_count && tally->tids[at] != tid)
		at++;
	if (at == LIVE_TALLY_THREADS)
		FAIL("more than %d threads", LIVE_TALLY_THREADS);
	if (at == tally->thread_count)
		tally->tids[tally->thread_count++] = tid;
	return &tally->by_thread[at];
}

static inline void live_count(void *context, const struct event *event)
{
	struct live_tally *tally = context;

	tally->of_type[event->type]++;
	tally->foreign += event->pid != tally->target_pid && event->type != EVENT_FORK;
	switch (event->type) {
	case EVENT_SAMPLE:
		tally->samples++;
		tally->kernel_samples += event->sample.in_kernel;
		tally->empty_stacks += event->sample.status == STACK_EMPTY;
		tally->by_event[event->sample.event_index] += event->sample.value;
		++*live_of_thread(tally, event->tid);
		if (event->sample.pc_count && event->sample.pcs[0] >= tally->leaf_low &&
		    event->sample.pcs[0] < tally->leaf_high)
			tally->leaf_inside++;
		break;
	case EVENT_MMAP:
		tally->executable_maps += event->mmap.is_executable;
		break;
	case EVENT_COMM:
		tally->execs += event->comm.is_exec;
		break;
	case EVENT_FORK:
		if (event->pid != event->fork.parent_pid) {
			tally->last_fork_pid = event->pid;
			tally->last_fork_parent = event->fork.parent_pid;
		}
		break;
	case EVENT_LOST:
		tally->lost[event->lost.cause] += event->lost.count;
		break;
	default:
		break;
	}
}

static inline struct source_config live_config(const struct live *live, const char *events)
{
	struct source_config config = {
		.target = live->target,
		.frequency = 999,
		.frames_max = 127,
		.buffer_bytes = 4 << 20,
	};

	while (*events) {
		size_t length = strcspn(events, ",");

		config.events[config.event_count] = event_kind_by_name(events, length);
		CHECK(config.events[config.event_count++]);
		events += length + (events[length] == ',');
	}
	return config;
}

static inline struct source *live_open(const struct source_config *config)
{
	struct source *source = NULL;
	struct err err = {0};

	if (source_perf.open(config, &source, &err))
		FAIL("%s", err.sentence);
	return source;
}

/* Drains until the target speaks. */
static inline void live_pump(const struct live *live, struct source *source,
			     struct live_tally *tally, void *message, size_t size)
{
	uint64_t deadline = live_clock_ns(CLOCK_MONOTONIC) + LIVE_DEADLINE_MS * UINT64_C(1000000);
	struct pollfd readable = {.fd = live->from_fd, .events = POLLIN};

	tally->target_pid = (uint32_t)live->pid;
	while (poll(&readable, 1, 0) == 0) {
		if (live_clock_ns(CLOCK_MONOTONIC) > deadline)
			FAIL("the target said nothing within %d ms", LIVE_DEADLINE_MS);
		source->ops->wait(source, live->from_fd, 100);
		source->ops->drain(source, live_count, tally);
	}
	live_hear(live, message, size);
}

static inline void live_finish(struct source *source, struct live_tally *tally)
{
	source->ops->stop(source);
	source->ops->drain(source, live_count, tally);
	source->ops->close(source);
}

/* A switch that the kernel does not tell is made good at the thread's next one. */
static inline void live_check_no_loss(const struct live_tally *tally)
{
	for (int cause = 0; cause < LOSS_CAUSES; cause++) {
		if (tally->lost[cause] && cause != LOSS_SWITCHES_MISSED)
			FAIL("%s: %" PRIu64, loss_texts[cause].name, tally->lost[cause]);
	}
	CHECK_EQ_U64(tally->foreign, 0);
}

/* A thread's samples at 999 Hz, within the larger of 5 % and 3 samples of its CPU time. On each CPU
 * that it ran on, the period that it had begun there is missing. */
static inline void live_check_rate(uint64_t samples, uint64_t cpu_ns)
{
	double wanted = (double)cpu_ns * 999 / 1e9;
	double band = wanted * 0.05 > 3 ? wanted * 0.05 : 3;
	double unfinished = (double)sysconf(_SC_NPROCESSORS_ONLN);

	CHECK_BETWEEN(samples, wanted - band - unfinished, wanted + band);
}

#endif
