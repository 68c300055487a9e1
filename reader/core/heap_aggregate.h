/* Counts of the heap in one checkpoint, by stack. */
#ifndef RSPROF_CORE_HEAP_AGGREGATE_H
#define RSPROF_CORE_HEAP_AGGREGATE_H

#include <stddef.h>

#include "reader/core/delta.h"
#include "reader/util/hash.h"
#include "reader/util/vec.h"

/* Zero-initialised is empty and usable. */
struct heap_aggregate {
	VEC(struct delta_heap_row) rows; /* in the order in which their stacks came */
	struct u64_map row_of;		 /* by stack */
};

void heap_aggregate_done(struct heap_aggregate *aggregate);
/* peak_bytes: as of struct delta_heap_row; the highest is kept. */
void heap_aggregate_add(struct heap_aggregate *aggregate, stack_id stack,
			const struct heap_counts *counts, uint64_t peak_bytes);
void heap_aggregate_clear(struct heap_aggregate *aggregate);

#endif
