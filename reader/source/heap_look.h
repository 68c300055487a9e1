/* When the counters of a heap are looked at: once a second. */
#ifndef RSPROF_SOURCE_HEAP_LOOK_H
#define RSPROF_SOURCE_HEAP_LOOK_H

#include "reader/util/clock.h"

#define HEAP_LOOK_NS NS_PER_S
/* Looks come so long before a full second since the recording began: a checkpoint that ends there
 * holds what was counted until then. */
#define HEAP_LOOK_LEAD_NS (20 * NS_PER_MS)

/* The first one after now_ns, of a recording that began at start_ns. */
static inline uint64_t heap_look_next_ns(uint64_t start_ns, uint64_t now_ns)
{
	uint64_t looks = (now_ns + HEAP_LOOK_LEAD_NS - start_ns) / HEAP_LOOK_NS;

	return start_ns + (looks + 1) * HEAP_LOOK_NS - HEAP_LOOK_LEAD_NS;
}

#endif
