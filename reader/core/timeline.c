#include "reader/core/timeline.h"

#include <stdlib.h>

void timeline_free(struct timeline *timeline)
{
	if (!timeline)
		return;
	arena_done(&timeline->arena);
	free(timeline->block);
	free(timeline);
}
