/* What stacks weigh in one table of a model, on the tree of their frames: what flame graphs and
 * trees of callers are made of. Range and thread are those of the model.
 *
 * What a damaged file could hold (nodes that are their own ancestors, indexes that lead nowhere)
 * is left out: such a stack has no frames, as in the tables. */
#ifndef RSPROF_VIEW_WEIGH_H
#define RSPROF_VIEW_WEIGH_H

#include "reader/view/model.h"

enum weigh_unit { WEIGH_COUNT, WEIGH_BYTES, WEIGH_NS };

/* Does the outermost frame of a stack stand at the root of its thread? */
enum weigh_side { WEIGH_COMPLETE, WEIGH_INCOMPLETE, WEIGH_SIDES };

enum { WEIGH_TEXT_MAX = 64 };

/* Beside struct snapshot_node; what is looked at together lies together. */
struct weigh_node {
	uint32_t first_child, next_sibling; /* roots are siblings of each other */
	uint32_t first_stack;		    /* one that ends here */
	uint32_t frame;			    /* of the snapshot's node */
	uint64_t below[WEIGH_SIDES];	    /* what ends at and below it */
};

struct weighing {
	const struct snapshot *snapshot;
	bool no_inline;
	bool is_there; /* the model has such a table */
	enum weigh_unit unit;
	const char *unit_name; /* of WEIGH_COUNT: "samples" */
	/* What is weighed here, and what shares are of: as in the tables all of the range,
	 * whichever thread is chosen. */
	uint64_t total, whole;
	uint64_t *stacks, *kernel;	    /* by stack; kernel is a part of stacks */
	uint64_t no_stack, no_stack_kernel; /* of stacks without frames */
	uint32_t first_root;
	struct weigh_node *nodes; /* by node */
	uint32_t *next_stack;	  /* by stack: another that ends at the same node */
	uint32_t *order;	  /* nodes that hang on a root, parents first */
	size_t order_count;
};

/* The model stays the caller's, and outlives the weighing. is_allocated: of the heap all that was
 * allocated in the range, not what is live at its end. */
void weighing_init(struct weighing *weighing, const struct model *model, enum model_table table,
		   bool is_allocated);
void weighing_done(struct weighing *weighing);

enum weigh_side weighing_side(const struct weighing *weighing, uint32_t stack);
/* SNAPSHOT_NONE at a root. */
uint32_t weighing_parent(const struct weighing *weighing, uint32_t node);
/* Calls that a node stands for, at least 1: a frame that names no line is one unknown call. */
uint32_t weighing_line_count(const struct weighing *weighing, uint32_t node);
/* Of the line's call, 0 the innermost: a location of the snapshot, or SNAPSHOT_NONE. */
uint32_t weighing_location(const struct weighing *weighing, uint32_t node, uint32_t line);
/* "2,893 samples", "48.3 MB", "1.24s". */
const char *weighing_text(const struct weighing *weighing, char buffer[WEIGH_TEXT_MAX],
			  uint64_t value);

#endif
