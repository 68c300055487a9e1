/* What counting the heap costs, and when it counts less. */
#include "reader/source/heap_pace.h"
#include "reader/util/clock.h"
#include "tests/lib/kit.h"

static const struct heap_prices PRICES = {
	.call_ns = 600, .stepped_ns = 19000, .return_ns = 300, .sees_other_threads = true};

static struct heap_pace new_pace(enum heap_mode mode)
{
	return (struct heap_pace){.prices = PRICES, .has_sessions = true, .mode = mode};
}

/* So many pairs of malloc and free, each seen at an emulated instruction, counted exactly. */
static struct heap_load pairs(uint64_t count)
{
	return (struct heap_load){.hits = 2 * count,
				  .return_hits = count,
				  .free_hits = count,
				  .spent_ns = 1500 * count};
}

static enum heap_mode step(struct heap_pace *pace, const struct heap_load *load, uint32_t max_pct)
{
	char reason[HEAP_REASON_MAX] = "";
	enum heap_mode before = pace->mode;
	bool has_stepped = heap_pace_step(pace, load, NS_PER_S, max_pct, reason);

	CHECK(has_stepped == (pace->mode != before));
	CHECK(has_stepped == (reason[0] != '\0'));
	return pace->mode;
}

TEST(cost_is_hits_by_their_price_and_the_programs)
{
	struct heap_load load = {
		.hits = 7, .stepped_hits = 3, .return_hits = 2, .free_hits = 5, .spent_ns = 11};

	CHECK_EQ_U64(heap_cost_ns(&PRICES, &load), 7 * 600 + 3 * 19000 + 2 * 300 + 11);
	load = pairs(1000);
	CHECK_EQ_U64(heap_cost_ns(&PRICES, &load), 1000 * (2 * 600 + 300 + 1500));
	CHECK_BETWEEN(heap_overhead_pct(&PRICES, &load, NS_PER_S), 0.2999, 0.3001);
	CHECK_BETWEEN(heap_overhead_pct(&PRICES, &load, NS_PER_S / 2), 0.5999, 0.6001);
}

TEST(absurd_numbers_saturate)
{
	struct heap_load load = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
	struct heap_prices prices = {UINT32_MAX, UINT32_MAX, UINT32_MAX, true};
	struct heap_load none = {0};

	CHECK_EQ_U64(heap_cost_ns(&prices, &load), UINT64_MAX);
	CHECK_BETWEEN(heap_overhead_pct(&prices, &load, 1), 100, 100);
	CHECK_BETWEEN(heap_overhead_pct(&prices, &load, UINT64_MAX), 100, 100);
	CHECK_BETWEEN(heap_overhead_pct(&prices, &load, 0), 0, 0);
	CHECK_BETWEEN(heap_overhead_pct(&prices, &none, NS_PER_S), 0, 0);
	for (int present = 0; present < HEAP_MODES; present++)
		for (int mode = 0; mode < HEAP_MODES; mode++) {
			struct heap_pace pace = {prices, mode % 2 == 0, present};
			struct heap_load spent = {.spent_ns = UINT64_MAX, .free_hits = 9};

			for (uint64_t wall = 0; wall < 2; wall++) {
				CHECK_BETWEEN(heap_predict_pct(&pace, &load, wall * NS_PER_S, mode),
					      0, 100);
				CHECK_BETWEEN(heap_predict_pct(&pace, &none, wall, mode), 0, 0);
				CHECK_BETWEEN(heap_predict_pct(&pace, &spent, wall, mode), 0, 100);
			}
		}
}

TEST(prediction_of_the_present_mode_is_what_it_costs)
{
	struct heap_load load = pairs(50000);

	for (int mode = HEAP_MODE_EXACT; mode < HEAP_MODES; mode++) {
		struct heap_pace pace = new_pace(mode);

		CHECK_BETWEEN(heap_predict_pct(&pace, &load, NS_PER_S, mode), 14.999, 15.001);
		CHECK_BETWEEN(heap_predict_pct(&pace, &load, NS_PER_S, HEAP_MODE_OFF), 0, 0);
	}
}

/* The same calls, beside the work that the thread does by itself. */
static double pct_of(double cost_ns, double own_ns)
{
	return 100 * cost_ns / (own_ns + cost_ns);
}

TEST(sampling_still_traps_and_returns_only_without_sessions)
{
	struct heap_pace pace = new_pace(HEAP_MODE_EXACT);
	struct heap_load load = pairs(100000); /* 300 ms */
	double traps = 100000.0 * 2 * 600, low, high;

	low = heap_predict_pct(&pace, &load, NS_PER_S, HEAP_MODE_SAMPLED);
	CHECK_BETWEEN(low, pct_of(traps, 7e8), pct_of(traps + 200000 * 150.0, 7e8));
	pace.has_sessions = false;
	high = heap_predict_pct(&pace, &load, NS_PER_S, HEAP_MODE_SAMPLED);
	CHECK_BETWEEN(high, pct_of(traps + 100000.0 * 300, 7e8),
		      pct_of(traps + 100000.0 * 300 + 200000 * 150.0, 7e8));
	CHECK(high > low);
}

TEST(without_frees_half_of_the_traps_are_left)
{
	struct heap_pace pace = new_pace(HEAP_MODE_EXACT);
	struct heap_load load = pairs(100000);
	double traps = 100000.0 * 600;

	CHECK_BETWEEN(heap_predict_pct(&pace, &load, NS_PER_S, HEAP_MODE_ALLOCS),
		      pct_of(traps, 7e8), pct_of(traps + 100000 * 150.0, 7e8));
	/* From sampling, what its programs took is known, and half of it is left. */
	load = (struct heap_load){.hits = 200000, .free_hits = 100000, .spent_ns = 40000000};
	pace.mode = HEAP_MODE_SAMPLED;
	CHECK_BETWEEN(heap_predict_pct(&pace, &load, NS_PER_S, HEAP_MODE_ALLOCS),
		      pct_of(traps + 2e7, 8.4e8) - 0.001, pct_of(traps + 2e7, 8.4e8) + 0.001);
}

TEST(single_stepped_frees_go_first)
{
	struct heap_pace pace = new_pace(HEAP_MODE_EXACT);
	struct heap_load load = {
		.hits = 10000, .stepped_hits = 10000, .free_hits = 10000, .return_hits = 10000};
	double at_most = pct_of(10000.0 * 680, 8e8);

	CHECK_BETWEEN(heap_predict_pct(&pace, &load, NS_PER_S, HEAP_MODE_ALLOCS),
		      pct_of(10000.0 * 600, 8.1e8), at_most);
	/* More frees than hits cannot be. */
	load.free_hits = 1000000;
	CHECK_BETWEEN(heap_predict_pct(&pace, &load, NS_PER_S, HEAP_MODE_ALLOCS), 0, 0);
}

TEST(a_thread_without_time_of_its_own_pays_almost_all)
{
	struct heap_pace pace = new_pace(HEAP_MODE_EXACT);
	struct heap_load load = pairs(333000); /* 999 ms of a second: a loop of malloc and free */

	/* As many calls as before would be 40 %; but it would make more. */
	CHECK_BETWEEN(heap_predict_pct(&pace, &load, NS_PER_S, HEAP_MODE_SAMPLED), 99, 100);
}

TEST(it_stays_while_it_fits)
{
	struct heap_pace pace = new_pace(HEAP_MODE_EXACT);
	struct heap_load load = pairs(16000); /* 4.8 % */

	CHECK_EQ_U64(step(&pace, &load, 5), HEAP_MODE_EXACT);
	load = pairs(20000); /* 6 % */
	CHECK_EQ_U64(step(&pace, &load, 100), HEAP_MODE_EXACT);
	CHECK_EQ_U64(step(&pace, &load, 6), HEAP_MODE_EXACT);
	CHECK_EQ_U64(step(&pace, &load, 5), HEAP_MODE_SAMPLED);
}

TEST(it_takes_the_first_mode_that_fits)
{
	static const struct {
		uint64_t pairs;
		enum heap_mode mode;
	} cases[] = {
		{10000, HEAP_MODE_EXACT},   /* 3 %; at 1.4 and 0.7 µs a pair beside: */
		{30000, HEAP_MODE_SAMPLED}, /* 4.4 % */
		{60000, HEAP_MODE_ALLOCS},  /* 9.3 %, 4.9 % */
		{300000, HEAP_MODE_OFF},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct heap_pace pace = new_pace(HEAP_MODE_EXACT);
		struct heap_load load = pairs(cases[i].pairs);

		CHECK_EQ_U64(step(&pace, &load, 5), cases[i].mode);
	}
}

TEST(it_goes_down_from_each_mode_and_not_up)
{
	struct heap_pace pace = new_pace(HEAP_MODE_SAMPLED);
	struct heap_load load = {.hits = 100000, .free_hits = 50000, .spent_ns = 8000000};
	struct heap_load none = {0};

	CHECK_EQ_U64(step(&pace, &load, 5), HEAP_MODE_ALLOCS);
	CHECK_EQ_U64(step(&pace, &none, 5), HEAP_MODE_ALLOCS);
	CHECK_EQ_U64(step(&pace, &none, 0), HEAP_MODE_ALLOCS);
	load.free_hits = 0;
	CHECK_EQ_U64(step(&pace, &load, 5), HEAP_MODE_OFF);
	CHECK_EQ_U64(step(&pace, &load, 5), HEAP_MODE_OFF);
	CHECK_EQ_U64(step(&pace, &none, 5), HEAP_MODE_OFF);
}

TEST(a_moment_says_nothing_about_a_rate)
{
	struct heap_pace pace = new_pace(HEAP_MODE_EXACT);
	struct heap_load load = pairs(1000);
	char reason[HEAP_REASON_MAX] = "as it was";

	CHECK(!heap_pace_step(&pace, &load, 0, 5, reason));
	CHECK(!heap_pace_step(&pace, &load, 3 * NS_PER_MS, 5, reason));
	CHECK_EQ_U64(pace.mode, HEAP_MODE_EXACT);
	CHECK_EQ_STR(reason, "as it was");
}

TEST(a_rate_that_jumps_is_met_at_the_next_look)
{
	struct heap_pace pace = new_pace(HEAP_MODE_EXACT);
	struct heap_load load = pairs(3000);

	for (int second = 0; second < 5; second++)
		CHECK_EQ_U64(step(&pace, &load, 5), HEAP_MODE_EXACT);
	load = pairs(300000);
	CHECK_EQ_U64(step(&pace, &load, 5), HEAP_MODE_OFF);
}

static void check_reason(enum heap_mode from, const struct heap_load *load, const char *want)
{
	struct heap_pace pace = new_pace(from);
	char reason[HEAP_REASON_MAX];

	CHECK(heap_pace_step(&pace, load, NS_PER_S, 5, reason));
	CHECK_EQ_STR(reason, want);
}

TEST(the_reason_tells_cost_and_limit)
{
	struct heap_load load = pairs(30000);

	check_reason(HEAP_MODE_EXACT, &load,
		     "Counting each block cost 9.0 % of the busiest thread, more than "
		     "--max-overhead (5 %).");
	load = pairs(60000);
	check_reason(HEAP_MODE_EXACT, &load,
		     "Counting each block cost 18 % of the busiest thread, more than "
		     "--max-overhead (5 %). Sampling would cost 9.3 %.");
	load = pairs(400000);
	check_reason(HEAP_MODE_EXACT, &load,
		     "Counting each block cost 100 % of the busiest thread, more than "
		     "--max-overhead (5 %). Sampling would cost 100 %. Type --heap exact to count "
		     "whatever it costs, or use the agent, which costs far less: rsprof run, "
		     "--inject.");
	load = (struct heap_load){.hits = 100000, .free_hits = 50000};
	check_reason(HEAP_MODE_SAMPLED, &load,
		     "Sampling blocks by bytes cost 6.0 % of the busiest thread, more than "
		     "--max-overhead (5 %).");
	load.free_hits = 0;
	check_reason(HEAP_MODE_ALLOCS, &load,
		     "Sampling allocations cost 6.0 % of the busiest thread, more than "
		     "--max-overhead (5 %). Type --heap exact to count whatever it costs, "
		     "or use the agent, which costs far less: rsprof run, --inject.");
}

TEST(the_longest_reason_fits)
{
	struct heap_pace pace = new_pace(HEAP_MODE_EXACT);
	struct heap_load load = pairs(UINT64_MAX / 4);
	char reason[HEAP_REASON_MAX];

	CHECK(!heap_pace_step(&pace, &load, UINT64_MAX, UINT32_MAX, reason));
	CHECK(heap_pace_step(&pace, &load, NS_PER_S, 99, reason));
	CHECK(strlen(reason) < HEAP_REASON_MAX - 1);
	CHECK_EQ_STR(reason + strlen(reason) - 10, " --inject.");
}

KIT_MAIN
