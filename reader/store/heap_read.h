/* What stacks did to the heap, as the file has it: by checkpoint or by roll-up. */
#ifndef RSPROF_STORE_HEAP_READ_H
#define RSPROF_STORE_HEAP_READ_H

#include "reader/store/heap_sums.h"
#include "reader/store/read.h"

/* Zero-initialised but for load. One a sum: its numbers do not overflow. */
struct heap_read {
	struct load *load;
	uint64_t sums[HEAP_COLUMNS]; /* of all rows: where these do not overflow, no sum does */
};

/* checkpoint is an index; of a span the last one's. */
typedef void (*heap_row_fn)(void *context, size_t checkpoint, uint32_t stack,
			    const struct heap_counts *counts);

int heap_read_part(struct heap_read *read, const struct load_part *part, heap_row_fn row,
		   void *context);

/* Within the transaction that told the checkpoints. */
int heap_held_begin(struct load *load);
void heap_held_done(struct heap_held *held);
/* The sum of checkpoints from begin to before end, by stack, sorted; of the recording that begins
 * at begin. */
int heap_read_before(struct load *load, size_t begin, size_t end, struct heap_sums *ret_sums);

#endif
