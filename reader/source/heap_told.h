/* What was told of one site of the heap, and what of it was written off. A site is told by
 * differences; what was told is never taken back. */
#ifndef RSPROF_SOURCE_HEAP_TOLD_H
#define RSPROF_SOURCE_HEAP_TOLD_H

#include <stdint.h>

#include "reader/core/heap.h"
#include "reader/source/source.h"

struct heap_told {
	struct heap_counts counts;
	uint64_t lost_calls, lost_bytes; /* alive when their program went */
};

/* From told on to wanted, but not beyond most, and never back. */
uint64_t heap_told_go_on(uint64_t told, uint64_t wanted, uint64_t most);
/* What of next is alive will never be seen to be freed: it is untracked from now on. */
void heap_told_write_off(struct heap_told *told, struct heap_counts *next);
/* next is what is to be told by now, all in all; nothing is told where that is no more. */
void heap_told_tell(struct heap_told *told, const struct heap_counts *next, uint64_t site,
		    uint32_t pid, uint64_t time_ns, source_sink sink, void *context);

#endif
