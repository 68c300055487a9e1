/* The writer thread: commits deltas and what was resolved, one transaction a checkpoint. Its queue
 * is bounded: when the disk is slow, deltas are merged, which delays and coarsens rows but loses
 * none. */
#ifndef RSPROF_RECORD_WRITER_H
#define RSPROF_RECORD_WRITER_H

#include <stdbool.h>

#include "reader/core/delta.h"
#include "reader/store/store.h"
#include "reader/util/err.h"

enum {
	/* A minute of checkpoints at the default interval waits for a stalled disk before rows are
	 * merged. */
	WRITER_QUEUE_MAX = 64,
};

struct writer;

/* The store is the writer's until writer_finish. failed_fd (an eventfd) becomes readable when a
 * commit fails: the recording has to stop. */
struct writer *writer_start(struct store *store, int failed_fd);
void writer_add(struct writer *writer, struct delta *delta); /* takes over a reference */
void writer_add_resolved(struct writer *writer, struct resolved_batch *batch);
/* Commits what is queued, stops the thread and frees the writer; the store is the caller's again.
 * 0, or the first commit's failure. */
int writer_finish(struct writer *writer, struct err *err);

#endif
