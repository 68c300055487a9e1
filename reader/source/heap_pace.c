#include "reader/source/heap_pace.h"

#include <stdio.h>
#include <string.h>

#include "reader/util/clock.h"

enum {
	/* What a program does at a hit that it does not count: it finds its thread and draws down
	 * the distance to the next sample, or asks for a block that it does not know. */
	UNSAMPLED_NS = 100,
	/* A shorter look, as the last one may be, says little about a rate, and a step cannot be
	 * taken back. */
	LOOK_MIN_NS = 200000000,
};

static const char *const what_costs[HEAP_MODE_ALLOCS + 1] = {
	[HEAP_MODE_OFF] = "",
	[HEAP_MODE_EXACT] = "Counting each block",
	[HEAP_MODE_SAMPLED] = "Sampling blocks by bytes",
	[HEAP_MODE_ALLOCS] = "Sampling allocations",
};

static uint64_t plus(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t times(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

uint64_t heap_cost_ns(const struct heap_prices *prices, const struct heap_load *load)
{
	uint64_t calls = plus(times(load->hits, prices->call_ns),
			      times(load->stepped_hits, prices->stepped_ns));

	return plus(plus(calls, times(load->return_hits, prices->return_ns)), load->spent_ns);
}

/* A thread cannot pay more than all of its time. */
static double share_pct(uint64_t part_ns, uint64_t all_ns)
{
	if (!part_ns || !all_ns)
		return 0;
	return part_ns < all_ns ? 100.0 * (double)part_ns / (double)all_ns : 100;
}

double heap_overhead_pct(const struct heap_prices *prices, const struct heap_load *load,
			 uint64_t wall_ns)
{
	return share_pct(heap_cost_ns(prices, load), wall_ns);
}

/* Programs of the other mode, for so many of the hits that there are now. */
static uint64_t spent_ns(const struct heap_pace *pace, const struct heap_load *load, uint64_t kept)
{
	uint64_t all = plus(load->hits, load->stepped_hits), spent;

	spent = all ? (uint64_t)((double)load->spent_ns * ((double)kept / (double)all)) : 0;
	if (pace->mode == HEAP_MODE_EXACT && spent > times(kept, UNSAMPLED_NS))
		return times(kept, UNSAMPLED_NS);
	return spent;
}

/* What is left of the load in a mode below the present one. */
static struct heap_load load_in(const struct heap_pace *pace, const struct heap_load *load,
				enum heap_mode mode)
{
	struct heap_load other = *load;

	if (mode == HEAP_MODE_ALLOCS) {
		/* Which of the frees were single-stepped is not known: those that there are. Where
		 * that was too good, the next look finds out; a step too far would stay. */
		other.stepped_hits = minus(load->stepped_hits, load->free_hits);
		other.hits = minus(load->hits, minus(load->free_hits, load->stepped_hits));
		other.free_hits = 0;
	}
	/* Returns of samples alone are next to none; where the kernel cannot skip a return, all. */
	if (pace->mode == HEAP_MODE_EXACT && pace->has_sessions)
		other.return_hits = 0;
	other.spent_ns = spent_ns(pace, load, plus(other.hits, other.stepped_hits));
	return other;
}

static bool is_below(enum heap_mode mode, enum heap_mode present)
{
	return present != HEAP_MODE_OFF && (mode == HEAP_MODE_OFF || mode > present);
}

double heap_predict_pct(const struct heap_pace *pace, const struct heap_load *load,
			uint64_t wall_ns, enum heap_mode mode)
{
	struct heap_load other;
	uint64_t own_ns, cost_ns;

	if (mode == HEAP_MODE_OFF)
		return 0;
	if (!is_below(mode, pace->mode))
		return heap_overhead_pct(&pace->prices, load, wall_ns);
	other = load_in(pace, load, mode);
	cost_ns = heap_cost_ns(&pace->prices, &other);
	/* The same calls take the thread less time then. */
	own_ns = minus(wall_ns, heap_cost_ns(&pace->prices, load));
	return wall_ns ? share_pct(cost_ns, plus(own_ns, cost_ns)) : 0;
}

/* "0.4", "7.5", "23". */
static void format_pct(char text[16], double pct)
{
	snprintf(text, 16, pct < 9.95 ? "%.1f" : "%.0f", pct);
}

static void write_reason(enum heap_mode from, enum heap_mode to, double cost, double sampled,
			 uint32_t max_pct, char ret_reason[HEAP_REASON_MAX])
{
	char cost_text[16], sampled_text[16];
	int length;

	format_pct(cost_text, cost);
	format_pct(sampled_text, sampled);
	length = snprintf(ret_reason, HEAP_REASON_MAX,
			  "%s cost %s %% of the busiest thread, more than --max-overhead (%u %%).",
			  what_costs[from], cost_text, max_pct);
	if (from == HEAP_MODE_EXACT && to != HEAP_MODE_SAMPLED)
		length += snprintf(ret_reason + length, (size_t)(HEAP_REASON_MAX - length),
				   " Sampling would cost %s %%.", sampled_text);
	if (to == HEAP_MODE_OFF)
		snprintf(ret_reason + length, (size_t)(HEAP_REASON_MAX - length),
			 " Type --heap exact to count whatever it costs, or use the agent, which "
			 "costs far less: rsprof run, --inject.");
}

bool heap_pace_step(struct heap_pace *pace, const struct heap_load *busiest, uint64_t wall_ns,
		    uint32_t max_pct, char ret_reason[HEAP_REASON_MAX])
{
	double cost = heap_overhead_pct(&pace->prices, busiest, wall_ns);
	enum heap_mode to = pace->mode + 1;

	if (pace->mode == HEAP_MODE_OFF || wall_ns < LOOK_MIN_NS || cost <= max_pct)
		return false;
	while (to <= HEAP_MODE_ALLOCS && heap_predict_pct(pace, busiest, wall_ns, to) > max_pct)
		to++;
	if (to > HEAP_MODE_ALLOCS)
		to = HEAP_MODE_OFF;
	write_reason(pace->mode, to, cost,
		     heap_predict_pct(pace, busiest, wall_ns, HEAP_MODE_SAMPLED), max_pct,
		     ret_reason);
	pace->mode = to;
	return true;
}
