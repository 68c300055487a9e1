#include "reader/source/agent_clock.h"

#include <time.h>
#include <x86intrin.h>

#include "reader/util/clock.h"

enum { TRIES = 8 };
#define START_NS (3 * NS_PER_MS)

/* The narrowest of some: an interrupt in between makes a wide one. */
static struct agent_anchor take_anchor(void)
{
	struct agent_anchor best = {0};
	uint64_t best_width = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = __rdtsc(), ns = clock_now_ns(), after = __rdtsc();

		if (after - before >= best_width)
			continue;
		best_width = after - before;
		best = (struct agent_anchor){before + best_width / 2, ns};
	}
	return best;
}

void agent_clock_start(struct agent_clock *clock, bool is_tsc)
{
	struct timespec pause = {.tv_nsec = START_NS};

	clock->is_tsc = is_tsc;
	if (!is_tsc)
		return;
	clock->first = take_anchor();
	while (nanosleep(&pause, &pause) < 0)
		;
	clock->last = take_anchor();
}

void agent_clock_look(struct agent_clock *clock)
{
	if (clock->is_tsc)
		clock->last = take_anchor();
}

uint64_t agent_clock_ticks(const struct agent_clock *clock)
{
	return clock->is_tsc ? __rdtsc() : clock_now_ns();
}

uint64_t agent_clock_ns(const struct agent_clock *clock, uint64_t ticks)
{
	const struct agent_anchor *first = &clock->first, *last = &clock->last;
	double rate, ns;

	if (!clock->is_tsc)
		return ticks;
	if (last->ticks <= first->ticks)
		return last->ns;
	rate = (double)(last->ns - first->ns) / (double)(last->ticks - first->ticks);
	ns = ((double)ticks - (double)last->ticks) * rate;
	if (ns < 0 && -ns > (double)last->ns)
		return 0;
	if (ns > (double)(INT64_MAX / 2))
		return UINT64_MAX / 2;
	return last->ns + (uint64_t)(int64_t)ns;
}
