#include "reader/core/delta.h"

#include <stdlib.h>

#include "reader/util/mem.h"

struct delta *delta_new(void)
{
	struct delta *delta = mem_zalloc(sizeof(*delta));

	atomic_init(&delta->references, 1);
	return delta;
}

struct delta *delta_hold(struct delta *delta)
{
	atomic_fetch_add_explicit(&delta->references, 1, memory_order_relaxed);
	return delta;
}

void delta_release(struct delta *delta)
{
	/* acq_rel: the last holder frees what the others have finished reading. */
	if (!delta || atomic_fetch_sub_explicit(&delta->references, 1, memory_order_acq_rel) != 1)
		return;
	arena_done(&delta->arena);
	free(delta);
}

void resolved_batch_free(struct resolved_batch *batch)
{
	if (!batch)
		return;
	arena_done(&batch->arena);
	free(batch);
}
