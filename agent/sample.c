#include <string.h>

#include "agent/sample.h"

enum {
	FULL = 255, /* a count that has been this high is not known any more and stays */
	FRACTION_BITS = 52,
	EXPONENT_BIAS = 1023,
};
static const double LN2 = 0.693147180559945309;

uint8_t sample_filter[1 << SAMPLE_FILTER_BITS];

void sample_add(uintptr_t block)
{
	uint8_t *count = &sample_filter[sample_hash(block)];
	uint8_t old = __atomic_load_n(count, __ATOMIC_RELAXED);

	while (old != FULL && !__atomic_compare_exchange_n(count, &old, (uint8_t)(old + 1), true,
							   __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

void sample_remove(uintptr_t block)
{
	uint8_t *count = &sample_filter[sample_hash(block)];
	uint8_t old = __atomic_load_n(count, __ATOMIC_RELAXED);

	while (old != FULL && old != 0 &&
	       !__atomic_compare_exchange_n(count, &old, (uint8_t)(old - 1), true, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED))
		;
}

uint64_t sample_random(uint64_t *random)
{
	uint64_t mixed = *random += UINT64_C(0x9e3779b97f4a7c15);

	mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
	return mixed ^ mixed >> 31;
}

/* The natural logarithm of a positive normal number, to about 1e-10. */
static double logarithm(double x)
{
	uint64_t bits;
	double t, square, series;
	int exponent;

	memcpy(&bits, &x, sizeof(bits));
	exponent = (int)(bits >> FRACTION_BITS) - EXPONENT_BIAS;
	bits = (bits & ((UINT64_C(1) << FRACTION_BITS) - 1)) | (uint64_t)EXPONENT_BIAS
								       << FRACTION_BITS;
	memcpy(&x, &bits, sizeof(x));
	t = (x - 1) / (x + 1);
	square = t * t;
	series = 1.0 / 15 + square * (1.0 / 17 + square * (1.0 / 19));
	series = 1.0 / 9 + square * (1.0 / 11 + square * (1.0 / 13 + square * series));
	series = 1.0 / 3 + square * (1.0 / 5 + square * (1.0 / 7 + square * series));
	return exponent * LN2 + 2 * t * (1 + square * series);
}

/* 1 - exp(-x) for x >= 0. */
static double part_sampled(double x)
{
	double rest, power = 1, term = 1;
	uint64_t bits;
	int halvings, i;

	if (x > 40)
		return 1;
	if (x < 1e-4)
		return x - x * x / 2 + x * x * x / 6;
	halvings = (int)(x / LN2);
	rest = x - halvings * LN2;
	for (i = 1; i < 16; i++) {
		term *= -rest / i;
		power += term;
	}
	bits = (uint64_t)(EXPONENT_BIAS - halvings) << FRACTION_BITS;
	memcpy(&term, &bits, sizeof(term));
	return 1 - power * term;
}

int64_t sample_gap(uint64_t *random, uint64_t mean)
{
	/* In (0, 1]. */
	double part = (double)((sample_random(random) >> 11) + 1) * 0x1p-53;

	return (int64_t)(-logarithm(part) * (double)mean);
}

uint64_t sample_weight(uint64_t size, uint64_t mean, uint32_t random)
{
	double weight = 1 / part_sampled((double)(size ? size : 1) / (double)mean);
	uint64_t whole = (uint64_t)weight;

	return whole + ((double)random * 0x1p-32 < weight - (double)whole);
}
