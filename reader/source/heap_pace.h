/* What counting the heap may cost the target: predicted each second for its busiest thread, and
 * held below --max-overhead by counting less. It only steps down: what was not counted for a while
 * cannot be told as live again. */
#ifndef RSPROF_SOURCE_HEAP_PACE_H
#define RSPROF_SOURCE_HEAP_PACE_H

#include "reader/core/heap.h"
#include "reader/source/heap_calibrate.h"

/* Of one thread, in one look; or of all. */
struct heap_load {
	uint64_t hits, stepped_hits,
		return_hits; /* of probes; frees are among hits and stepped_hits */
	uint64_t free_hits;  /* of these, at probes that mode ALLOCS has not */
	uint64_t spent_ns;   /* in programs */
};

struct heap_pace {
	struct heap_prices prices;
	bool has_sessions; /* returns that are not wanted cost nothing */
	enum heap_mode mode;
};

/* ns that this cost the thread. */
uint64_t heap_cost_ns(const struct heap_prices *prices, const struct heap_load *load);
/* Per cent of its time. */
double heap_overhead_pct(const struct heap_prices *prices, const struct heap_load *load,
			 uint64_t wall_ns);
/* What the same calls would cost in another mode, from what is known of the traps. */
double heap_predict_pct(const struct heap_pace *pace, const struct heap_load *load,
			uint64_t wall_ns, enum heap_mode mode);
/* Steps to the first mode that is predicted to fit, by the load of the busiest thread; true where
 * it did. *ret_reason is written then: "Counting each block cost 23 % of the busiest thread, more
 * than
 * --max-overhead (5 %)." */
enum { HEAP_REASON_MAX = 320 };
bool heap_pace_step(struct heap_pace *pace, const struct heap_load *busiest, uint64_t wall_ns,
		    uint32_t max_pct, char ret_reason[HEAP_REASON_MAX]);

#endif
