/* Which locations share a row. */
#ifndef RSPROF_VIEW_GROUPING_H
#define RSPROF_VIEW_GROUPING_H

#include "reader/core/snapshot.h"
#include "reader/view/view.h"

/* Groups are numbered 0..count-1. */
struct grouping {
	uint32_t *of;	  /* by location: its group */
	uint32_t *member; /* by group: one of its locations */
	size_t count;
};

/* Any group but VIEW_BY_THREAD, which has nothing to do with locations. */
void grouping_init(struct grouping *grouping, const struct snapshot *snapshot,
		   enum view_group group);
void grouping_done(struct grouping *grouping);

#endif
