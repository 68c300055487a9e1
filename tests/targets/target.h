/* What the profiled programs share. Each knows its own answer: it prints "key value" lines about
 * what it really did, and ends by itself, so that a test that dies leaves nothing behind.
 *
 * A program that works on a signal prints "ready", waits for SIGUSR1, works, prints its truth and
 * lingers until SIGTERM: a recording that began before the signal and ends after the truth holds
 * all of it. */
#ifndef RSPROF_TESTS_TARGET_H
#define RSPROF_TESTS_TARGET_H

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* A function of its own, under its own name, whatever the optimiser would like. */
#define APART __attribute__((noipa))

/* In a function that calls nothing: gcc leaves the frame out there, whatever its options, unless
 * something refers to it. Such a leaf hides its caller from a walk along frame pointers. Programs
 * without frame pointers are built with NO_FRAMES. */
#ifdef NO_FRAMES
#define KEEP_FRAME() ((void)0)
#else
#define KEEP_FRAME() __asm__ volatile("" : : "r"(__builtin_frame_address(0)))
#endif

enum {
	GO_SECONDS = 60,     /* waited for SIGUSR1 */
	LINGER_SECONDS = 60, /* waited for SIGTERM once the work is done */
	/* Rounds of CHURN() between two looks at a clock: about half a millisecond, so that the
	 * clock's own cost stays below one part in 500. */
	ROUNDS = 500000,
	/* Several times what a round takes. */
	STALL_NS = 2000000,
};

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t thread_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static inline uint64_t process_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static inline uint64_t wall_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static inline uint64_t timeval_ns(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_usec * 1000u;
}

/* Work that no compiler can leave out. A macro, so that its time belongs to the caller's own line.
 */
#define CHURN(rounds)                                                                              \
	do {                                                                                       \
		uint64_t churn_value = (rounds);                                                   \
                                                                                                   \
		KEEP_FRAME();                                                                      \
		for (uint64_t churn_i = 0; churn_i < (rounds); churn_i++) {                        \
			churn_value = churn_value * 6364136223846793005u + 1442695040888963407u;   \
			__asm__ volatile("" : "+r"(churn_value));                                  \
		}                                                                                  \
	} while (0)

static inline double number_argument(int argc, char **argv, int index, double otherwise)
{
	return argc > index ? atof(argv[index]) : otherwise;
}

/* CPU time that was charged while nothing ran: a machine below this one took the CPU away. No timer
 * fires in it, a profiler's neither. Noted once a round of work; preemption does not count as CPU
 * time and is none. */
static _Atomic uint64_t stalled_ns;

static inline uint64_t note_stall(void)
{
	static _Thread_local uint64_t last;
	uint64_t now = thread_ns(), passed = last ? now - last : 0;

	last = now;
	if (passed <= STALL_NS)
		return 0;
	stalled_ns += passed;
	return passed;
}

static inline void print_stalled(void)
{
	printf("stalled_ns %" PRIu64 "\n", stalled_ns);
}

/* Before the first thread, so that all of them inherit the mask. */
static inline void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static inline void wait_for_signals(int first, int second, int seconds)
{
	struct timespec timeout = {.tv_sec = seconds};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, first);
	sigaddset(&set, second);
	if (sigtimedwait(&set, NULL, &timeout) == SIGTERM)
		exit(0);
}

/* The last argument "now": without a test that sends signals, for `rsprof run`. */
static inline bool is_told_now(int argc, char **argv)
{
	return argc > 1 && strcmp(argv[argc - 1], "now") == 0;
}

static inline void wait_for_go(void)
{
	printf("ready\n");
	fflush(stdout);
	wait_for_signals(SIGUSR1, SIGTERM, GO_SECONDS);
}

static inline void linger(void)
{
	print_stalled();
	printf("done\n");
	fflush(stdout);
	wait_for_signals(SIGTERM, SIGTERM, LINGER_SECONDS);
}

#endif
