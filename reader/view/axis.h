/* Axes with steps that people read at a glance: 1, 2 and 5 times a power of ten, and of time what
 * clocks have. */
#ifndef RSPROF_VIEW_AXIS_H
#define RSPROF_VIEW_AXIS_H

#include <stdbool.h>
#include <stdint.h>

struct axis {
	double low, high, step; /* both ends are multiples of the step */
	int steps;		/* at least 1 */
};

/* At most steps_max steps around low..high. The step is at least step_min, which is above 0. */
void axis_init(struct axis *axis, double low, double high, bool is_from_zero, double step_min,
	       int steps_max);

/* The step of recorded time that divides the length into at most steps_max parts. */
uint64_t axis_time_step(uint64_t length_ns, uint64_t steps_max);

#endif
