/* Children that several sources are tried on (perf_live.h starts them). */
#ifndef RSPROF_TESTS_UNIT_LIVE_CHILDREN_H
#define RSPROF_TESTS_UNIT_LIVE_CHILDREN_H

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/unit/perf_live.h"

enum { LONG_BURN_NS = 1000000000, SHORT_BURN_NS = 300000000 };

struct burnt {
	uint32_t tid;
	uint64_t cpu_ns;
};

static pthread_barrier_t gate;

/* Waits at the gate, then burns *argument. */
static inline void *burner(void *argument)
{
	struct burnt *burnt = argument;

	pthread_barrier_wait(&gate);
	burnt->tid = (uint32_t)live_tid();
	burnt->cpu_ns = live_burn(burnt->cpu_ns);
	return NULL;
}

static inline void start_one_before_one_after(int in, int out)
{
	struct burnt burnt[2] = {{.cpu_ns = LONG_BURN_NS}, {.cpu_ns = LONG_BURN_NS}};
	pthread_t before, after;

	pthread_barrier_init(&gate, NULL, 2);
	pthread_create(&before, NULL, burner, &burnt[0]);
	live_say(out, "r", 1);
	live_wait_for_byte(in);
	pthread_create(&after, NULL, burner, &burnt[1]);
	pthread_join(before, NULL);
	pthread_join(after, NULL);
	live_say(out, burnt, sizeof(burnt));
	live_wait_for_byte(in);
}

enum { RACERS = 60, RACER_NS = 15000000 };

enum { PAGES = 2000, MANY_PAGES = 20000, PAGE_BYTES = 4096 };

/* Sanitizers would touch pages of their own. */
__attribute__((noinline, unused, no_sanitize("address", "undefined"))) static void
touch_pages(volatile char *pages, int count)
{
	for (int i = 0; i < count; i++)
		pages[(size_t)i * PAGE_BYTES] = 1;
}

static inline void fault_pages(int in, int out, int count)
{
	struct rusage before, after;
	uint64_t faults;
	void *pages = mmap(NULL, (size_t)count * PAGE_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* A huge page would be one fault. */
	madvise(pages, (size_t)count * PAGE_BYTES, MADV_NOHUGEPAGE);
	live_say(out, "r", 1);
	live_wait_for_byte(in);
	getrusage(RUSAGE_SELF, &before);
	touch_pages(pages, count);
	getrusage(RUSAGE_SELF, &after);
	faults =
		(uint64_t)(after.ru_minflt + after.ru_majflt - before.ru_minflt - before.ru_majflt);
	live_say(out, &faults, sizeof(faults));
	live_wait_for_byte(in);
}

static inline void fault_some(int in, int out)
{
	fault_pages(in, out, PAGES);
}

static inline void fault_many(int in, int out)
{
	fault_pages(in, out, MANY_PAGES);
}

static inline void fork_a_burner(int in, int out)
{
	struct burnt child;
	pid_t pid;

	live_say(out, "r", 1);
	live_wait_for_byte(in);
	pid = fork();
	if (pid == 0) {
		live_burn(SHORT_BURN_NS);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	child = (struct burnt){.tid = (uint32_t)pid};
	live_say(out, &child, sizeof(child));
	live_wait_for_byte(in);
}

#endif
