/* Ranges of addresses that may nest and overlap, flattened once into disjoint segments: a look-up
 * is one binary search. Private to the symbol room. */
#ifndef RSPROF_SYMBOL_RANGE_INDEX_H
#define RSPROF_SYMBOL_RANGE_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "reader/util/vec.h"

#define RANGE_NONE UINT32_MAX

struct range {
	uint64_t start, end; /* end is the first address behind */
	uint32_t rank; /* where ranges overlap the higher rank wins, then the later start, then
			* the one that was added first */
	uint32_t order;
	uint32_t value;
};

struct range_segment {
	uint64_t start; /* up to the next segment's */
	uint32_t value; /* RANGE_NONE: a hole */
};

/* Zero-initialised is empty and usable. */
struct range_index {
	VEC(struct range) ranges; /* empty once sealed */
	struct range_segment *segments;
	size_t segment_count;
};

/* Empty and reversed ranges are dropped. */
void range_index_add(struct range_index *index, uint64_t start, uint64_t end, uint32_t rank,
		     uint32_t value);
/* Once, after the last add and before the first find. */
void range_index_seal(struct range_index *index);
/* The value of the range that wins at the address, or RANGE_NONE. */
uint32_t range_index_find(const struct range_index *index, uint64_t address);
void range_index_done(struct range_index *index);

#endif
