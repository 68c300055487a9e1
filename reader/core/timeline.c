#include "reader/core/timeline.h"

#include <stdlib.h>

struct timeline *timeline_hold(struct timeline *timeline)
{
	atomic_fetch_add(&timeline->holders, 1);
	return timeline;
}

void timeline_free(struct timeline *timeline)
{
	if (!timeline || atomic_fetch_sub(&timeline->holders, 1) > 0)
		return;
	arena_done(&timeline->arena);
	free(timeline->block);
	free(timeline);
}
