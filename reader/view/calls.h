/* Trees of calls, merged by what they are called: down from callers to what they call, or up from
 * a place to who calls it. A node's children are made when somebody looks at them, so that a tree
 * of a million frames costs what is shown of it. */
#ifndef RSPROF_VIEW_CALLS_H
#define RSPROF_VIEW_CALLS_H

#include "reader/util/vec.h"
#include "reader/view/grouping.h"
#include "reader/view/weigh.h"

#define CALL_NONE UINT32_MAX

enum call_kind {
	CALL_FUNCTION,
	CALL_UNKNOWN,	 /* a frame that names no line */
	CALL_KERNEL,	 /* samples in the kernel, of the call they hang on */
	CALL_ALL,	 /* the root of a flame graph */
	CALL_INCOMPLETE, /* holds the stacks that do not reach the root of their thread */
	CALL_NO_STACK,	 /* stacks without frames */
};

struct call_node {
	uint32_t parent; /* CALL_NONE at a root */
	/* Beside each other, heaviest first; 0 as long as it is not expanded. */
	uint32_t first_child, child_count;
	uint32_t location; /* its hottest line; SNAPSHOT_NONE: none */
	uint32_t group;
	uint32_t first_place, place_count;
	/* What ends at the call itself, but for the kernel's part, which is a child of its own; 0
	 * in trees that go up. */
	uint64_t self, kernel;
	uint64_t total;
	uint8_t kind; /* enum call_kind */
	bool is_up;   /* children are callers */
	bool is_internal, is_expanded;
};

/* A call on a node of the snapshot's tree. */
struct call_place {
	uint32_t node;
	uint32_t line : 31, is_incomplete : 1;
	uint64_t weight; /* of the samples that led here */
};

struct call_bucket;
struct call_found;
struct call_heat;

struct calls {
	struct weighing weighing;
	struct grouping groups;
	enum view_group group;
	VEC(struct call_node) nodes; /* never more than were looked at */
	VEC(struct call_place) places;
	/* While a node is expanded. */
	VEC(struct call_found) found;
	VEC(struct call_bucket) buckets;
	VEC(uint32_t) touched;	 /* locations with heat */
	uint32_t *bucket_of;	 /* by group */
	struct call_heat *heats; /* by location */
};

/* group: VIEW_BY_FUNCTION (within its module) or VIEW_BY_LINE. */
void calls_init(struct calls *calls, const struct model *model, enum model_table table,
		bool is_allocated, enum view_group group);
void calls_done(struct calls *calls);

/* A root with places of the caller's choice, for those kinds that have some. */
uint32_t calls_add_root(struct calls *calls, enum call_kind kind, bool is_up,
			const struct call_place *places, size_t count);
/* Pointers to nodes end here. */
void calls_expand(struct calls *calls, uint32_t node);
static inline const struct call_node *calls_node(const struct calls *calls, uint32_t node)
{
	return &calls->nodes.items[node];
}
/* Never NULL; foreign. */
const char *calls_name(const struct calls *calls, uint32_t node);
/* The same for the same node in another model's tree. */
uint64_t calls_hash(const struct calls *calls, uint32_t node);
/* NULL where the node has no location. */
const struct snapshot_location *calls_location(const struct calls *calls, uint32_t node);

#endif
