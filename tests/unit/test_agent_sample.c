/* The agent's Poisson sampling by bytes. */
#include "tests/lib/kit.h"

#include <math.h>

#include "agent/sample.c"

TEST(gaps_have_their_mean_and_are_exponential)
{
	enum { COUNT = 400000 };
	uint64_t random = 1, mean = 524288, below = 0;
	double sum = 0;

	for (int i = 0; i < COUNT; i++) {
		int64_t gap = sample_gap(&random, mean);

		CHECK(gap >= 0);
		sum += (double)gap;
		below += gap < (int64_t)mean;
	}
	CHECK_BETWEEN(sum / COUNT, 0.99 * (double)mean, 1.01 * (double)mean);
	/* 1 - 1/e of them. */
	CHECK_BETWEEN((double)below / COUNT, 0.627, 0.637);
}

TEST(weights_have_the_mean_of_one_over_the_probability)
{
	static const uint64_t sizes[] = {0, 1, 16, 1000, 100000, 524288, 1000000, 5000000};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		double x = (double)(sizes[i] ? sizes[i] : 1) / 524288, want = -1 / expm1(-x);
		uint64_t random = 7;
		double sum = 0;

		for (int j = 0; j < 100000; j++) {
			uint64_t weight =
				sample_weight(sizes[i], 524288, (uint32_t)sample_random(&random));

			CHECK(weight >= 1);
			CHECK(fabs((double)weight - want) < 1.000001);
			sum += (double)weight;
		}
		CHECK_BETWEEN(sum / 100000, want * 0.995, want * 1.005);
	}
}

/* A thread's allocations, sampled as the agent does it: the sum of weights is their number. */
TEST(blocks_are_estimated_without_bias)
{
	static const uint64_t sizes[] = {24, 5000, 700000};
	static const int counts[] = {40000000, 2000000, 50000};

	for (size_t i = 0; i < 3; i++) {
		uint64_t random = 11 + i, estimate = 0, mean = 100000;
		int64_t left = sample_gap(&random, mean);

		for (int j = 0; j < counts[i]; j++) {
			left -= (int64_t)sizes[i];
			if (left >= 0)
				continue;
			estimate += sample_weight(sizes[i], mean, (uint32_t)sample_random(&random));
			left = sample_gap(&random, mean);
		}
		CHECK_BETWEEN((double)estimate / counts[i], 0.95, 1.05);
	}
}

TEST(filter_knows_what_is_live)
{
	uintptr_t block = 0x7f0000001000;

	CHECK(!sample_may_have(block));
	sample_add(block);
	sample_add(block);
	sample_remove(block);
	CHECK(sample_may_have(block));
	sample_remove(block);
	CHECK(!sample_may_have(block));
	/* One too many of a neighbour takes nothing away. */
	sample_remove(block);
	CHECK(!sample_may_have(block));
}

TEST(filter_that_was_full_stays)
{
	uintptr_t block = 0x7f0000001000;

	for (int i = 0; i < 300; i++)
		sample_add(block);
	for (int i = 0; i < 300; i++)
		sample_remove(block);
	CHECK(sample_may_have(block));
}

KIT_MAIN
