/* What the rows of waits have beside their time: its kinds, and how long the threads ran before.
 * Self only: a wait is of one kind, and all of it is charged to one place. */
#ifndef RSPROF_VIEW_WAITS_H
#define RSPROF_VIEW_WAITS_H

#include <stdint.h>

#include "reader/core/snapshot.h"
#include "reader/util/arena.h"
#include "reader/view/view.h"

struct wait_tally {
	uint64_t run_ns, kind_ns[WAIT_KINDS];
};

void wait_tally_add(struct wait_tally *tally, const struct snapshot_row *row);
void wait_tally_join(struct wait_tally *tally, const struct wait_tally *more);
void wait_tally_fill(const struct wait_tally *tally, struct arena *arena, struct view_row *row);
/* What a row counts for where stacks are judged: its waits, one where it still goes on, none where
 * the thread only ran. */
uint64_t wait_weight(const struct snapshot_row *row);

#endif
