/* The time-stamp counter in nanoseconds of CLOCK_MONOTONIC. */
#ifndef RSPROF_SOURCE_AGENT_CLOCK_H
#define RSPROF_SOURCE_AGENT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct agent_anchor {
	uint64_t ticks, ns; /* of the same moment */
};

struct agent_clock {
	bool is_tsc; /* else ticks are nanoseconds */
	struct agent_anchor first, last;
};

/* Takes 3 ms with the time-stamp counter: the rate is known to some millionths from then on, and
 * better with each look. */
void agent_clock_start(struct agent_clock *clock, bool is_tsc);
void agent_clock_look(struct agent_clock *clock);
/* Now, in ticks. */
uint64_t agent_clock_ticks(const struct agent_clock *clock);
uint64_t agent_clock_ns(const struct agent_clock *clock, uint64_t ticks);

#endif
