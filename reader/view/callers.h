/* Of one row: who calls it, and what it calls, merged by function and line.
 *
 * A sample counts once, for the outermost call of the row that is on its stack: the sum is the
 * row's inclusive one, and what a recursion calls of itself is below it. */
#ifndef RSPROF_VIEW_CALLERS_H
#define RSPROF_VIEW_CALLERS_H

#include "reader/view/calls.h"
#include "reader/view/row_key.h"

struct callers {
	struct calls calls;
	/* Two nodes that stand for the row itself: the first's children are its callers. */
	uint32_t up, down;
};

/* As weighing_init. A key without a line stands for all lines of its function. Where the table has
 * no samples of the row the nodes' total is 0. */
void callers_init(struct callers *callers, const struct model *model, enum model_table table,
		  bool is_allocated, const struct row_key *key);
void callers_done(struct callers *callers);

#endif
