#include "reader/view/axis.h"

#include <math.h>
#include <stddef.h>

#include "reader/util/clock.h"

static double nice_above(double raw)
{
	static const double factors[] = {1, 2, 5};
	double power = pow(10, floor(log10(raw)));

	for (size_t i = 0; i < sizeof(factors) / sizeof(*factors); i++) {
		/* What is nice already stays so, whatever log10 made of it. */
		if (factors[i] * power >= raw * (1 - 1e-9))
			return factors[i] * power;
	}
	return 10 * power;
}

/* Sets both ends to multiples of the step. */
static void fit(struct axis *axis, double low, double high)
{
	double first = floor(low / axis->step + 1e-9), last = ceil(high / axis->step - 1e-9);

	if (last <= first)
		last = first + 1;
	axis->low = first * axis->step;
	axis->high = last * axis->step;
	axis->steps = last - first < 1e6 ? (int)(last - first) : 1000000;
}

void axis_init(struct axis *axis, double low, double high, bool is_from_zero, double step_min,
	       int steps_max)
{
	double raw;

	if (!(low >= 0) || is_from_zero)
		low = 0;
	if (!(high >= low))
		high = low;
	/* What never changes is shown with some room around it. */
	if (!is_from_zero && low == high) {
		low *= 0.95;
		high *= 1.05;
	}
	if (steps_max < 1)
		steps_max = 1;
	raw = (high - low) / steps_max;
	axis->step = nice_above(raw > step_min ? raw : step_min);
	fit(axis, low, high);
	/* Ends that are no multiples may take a step more than there is room for. */
	while (axis->steps > steps_max && !(steps_max == 1 && axis->steps <= 2)) {
		axis->step = nice_above(axis->step * 1.5);
		fit(axis, low, high);
	}
}

uint64_t axis_time_step(uint64_t length_ns, uint64_t steps_max)
{
	static const uint64_t seconds[] = {1,	2,   5,	   10,	 15,   30,    60,    120,   300,
					   600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400};
	static const uint64_t below[] = {100, 200, 500};
	uint64_t day = 86400 * NS_PER_S, days;

	if (!steps_max)
		steps_max = 1;
	for (size_t i = 0; i < sizeof(below) / sizeof(*below); i++) {
		if (length_ns / steps_max < below[i] * NS_PER_MS)
			return below[i] * NS_PER_MS;
	}
	for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++) {
		if ((length_ns - 1) / steps_max < seconds[i] * NS_PER_S)
			return seconds[i] * NS_PER_S;
	}
	days = length_ns / steps_max / day + 1;
	return days < UINT64_MAX / day ? days * day : UINT64_MAX;
}
