/* The symbol thread: resolves each frame once, charges each stack, and hands both to the writer. It
 * reads deltas; counting never waits for it. */
#ifndef RSPROF_RECORD_SYMBOL_WORKER_H
#define RSPROF_RECORD_SYMBOL_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/core/delta.h"

struct symbol_worker;

/* deliver takes over the batch; called on the symbol thread. */
struct symbol_worker *
symbol_worker_start(void (*deliver)(void *context, struct resolved_batch *batch), void *context);
/* Takes over a reference. */
void symbol_worker_add(struct symbol_worker *worker, struct delta *delta);
/* Returns when everything that was added is resolved, with the final share, and frees the worker.
 */
void symbol_worker_finish(struct symbol_worker *worker, uint64_t *ret_samples,
			  uint64_t *ret_complete);

/* Samples of the deltas done so far, and how many of them have complete stacks. Any thread. */
void symbol_worker_share(const struct symbol_worker *worker, uint64_t *ret_samples,
			 uint64_t *ret_complete);

#endif
