/* Self and inclusive sums of groups, over the tree of stacks.
 *
 * A sample counts once for a group that is on its stack, however often it is there. Instead of
 * walking every stack, the tree is walked once: a group gets the whole subtree of each node that
 * has it while none of the node's ancestors does. That is the same number for work that grows with
 * the nodes, not with the depth of the stacks. */
#ifndef RSPROF_VIEW_TALLY_H
#define RSPROF_VIEW_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "reader/core/snapshot.h"

/* Samples of one stack, or of one thread. */
struct sum {
	uint64_t count, kernel, value;
};

void sum_add(struct sum *sum, const struct sum *more);

struct tally {
	struct sum self, incl; /* incl.kernel is not kept */
};

/* The tree of a snapshot with the samples that are on it. What a damaged file could hold (nodes
 * that are their own ancestors, indexes that lead nowhere) is left out: such a stack has no
 * frames. */
struct tally_tree {
	const struct snapshot *snapshot;
	bool no_inline;
	uint32_t first_root;
	uint32_t *first_child, *next_sibling; /* by node; roots are siblings of each other */
	uint32_t *first_stack;		      /* by node: a stack that ends there */
	uint32_t *next_stack;		      /* by stack: another that ends at the same node */
	bool *is_reached;		      /* by node: it hangs on a root */
	struct sum *stacks;		      /* by stack */
	struct sum no_stack;		      /* of rows whose stack does not exist */
	uint32_t *charged; /* by stack: a location on it, SNAPSHOT_NONE where it has no frames */
};

/* The stacks' sums are zero at first; the caller adds, then charges. */
void tally_tree_init(struct tally_tree *tree, const struct snapshot *snapshot, bool no_inline);
void tally_tree_done(struct tally_tree *tree);
void tally_tree_add(struct tally_tree *tree, uint32_t stack, const struct sum *sum);
/* Picks the location that each stack's samples are charged to, be there any or not. */
void tally_tree_charge(struct tally_tree *tree, bool include_internal);
/* Adds to tallies[0..group_count]; the last is for stacks without frames. group_of is by
 * location. */
void tally_tree_count(const struct tally_tree *tree, const uint32_t *group_of, size_t group_count,
		      struct tally *tallies);

#endif
