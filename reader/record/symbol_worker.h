/* The symbol thread: resolves each frame once, charges each stack, and hands both to the writer. It
 * reads deltas; counting never waits for it. */
#ifndef RSPROF_RECORD_SYMBOL_WORKER_H
#define RSPROF_RECORD_SYMBOL_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/core/delta.h"

struct symbol_worker;

/* How many samples are judged so far, and how many of them have complete stacks. */
struct stack_share {
	uint64_t samples, complete;
	uint64_t by_status[STACK_STATUSES]; /* samples */
	uint64_t waits, complete_waits;	    /* apart: they are of another kind of walk, and many */
	uint64_t allocs, complete_allocs;   /* and so are these */
};

/* deliver takes over the batch; called on the symbol thread. Bit i of wait_events: event i is of
 * waits. */
struct symbol_worker *
symbol_worker_start(uint32_t wait_events,
		    void (*deliver)(void *context, struct resolved_batch *batch), void *context);
/* Takes over a reference. */
void symbol_worker_add(struct symbol_worker *worker, struct delta *delta);
/* Returns when everything that was added is resolved, with the final share, and frees the worker.
 */
void symbol_worker_finish(struct symbol_worker *worker, struct stack_share *ret_share);

/* Of the deltas done so far. Any thread. */
void symbol_worker_share(const struct symbol_worker *worker, struct stack_share *ret_share);

#endif
