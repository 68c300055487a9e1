#include "reader/view/tally.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/mem.h"
#include "reader/util/vec.h"
#include "reader/view/number.h"

void sum_add(struct sum *sum, const struct sum *more)
{
	number_add(&sum->count, more->count);
	number_add(&sum->kernel, more->kernel);
	number_add(&sum->value, more->value);
}

/* The locations that a node stands for, innermost first; without inlining only the function itself,
 * at the line it is at. */
static size_t node_locations(const struct tally_tree *tree, uint32_t node,
			     const uint32_t **ret_locations)
{
	const struct snapshot *snapshot = tree->snapshot;
	uint32_t index = snapshot->nodes[node].frame;
	const struct snapshot_frame *frame;

	if (index >= snapshot->frame_count)
		return 0;
	frame = &snapshot->frames[index];
	if (!frame->line_count || frame->first_line > snapshot->line_count ||
	    frame->line_count > snapshot->line_count - frame->first_line)
		return 0;
	*ret_locations = snapshot->lines + frame->first_line;
	if (!tree->no_inline)
		return frame->line_count;
	*ret_locations += frame->line_count - 1;
	return 1;
}

static uint32_t node_parent(const struct snapshot *snapshot, uint32_t node)
{
	uint32_t parent = snapshot->nodes[node].parent;

	return parent < snapshot->node_count ? parent : SNAPSHOT_NONE;
}

typedef void (*node_fn)(void *context, uint32_t node);

/* Walks the tree below first_root, without recursion: enter before the children, leave after. */
static void walk(const struct tally_tree *tree, node_fn enter, node_fn leave, void *context)
{
	uint32_t node = tree->first_root;

	while (node != SNAPSHOT_NONE) {
		uint32_t next;

		enter(context, node);
		next = tree->first_child[node];
		while (next == SNAPSHOT_NONE && node != SNAPSHOT_NONE) {
			leave(context, node);
			next = tree->next_sibling[node];
			node = node_parent(tree->snapshot, node);
		}
		node = next;
	}
}

static void mark_reached(void *context, uint32_t node)
{
	struct tally_tree *tree = context;

	tree->is_reached[node] = true;
}

static void leave_nothing(void *context, uint32_t node)
{
	(void)context;
	(void)node;
}

/* An array of SNAPSHOT_NONE. */
static uint32_t *new_links(size_t count)
{
	return memset(mem_array(count, sizeof(uint32_t)), 0xff, count * sizeof(uint32_t));
}

void tally_tree_init(struct tally_tree *tree, const struct snapshot *snapshot, bool no_inline)
{
	memset(tree, 0, sizeof(*tree));
	tree->snapshot = snapshot;
	tree->no_inline = no_inline;
	tree->first_root = SNAPSHOT_NONE;
	tree->first_child = new_links(snapshot->node_count);
	tree->next_sibling = new_links(snapshot->node_count);
	tree->first_stack = new_links(snapshot->node_count);
	tree->next_stack = new_links(snapshot->stack_count);
	tree->is_reached = mem_array(snapshot->node_count, sizeof(*tree->is_reached));
	tree->stacks = mem_array(snapshot->stack_count, sizeof(*tree->stacks));
	tree->charged = mem_array(snapshot->stack_count, sizeof(*tree->charged));
	for (size_t i = snapshot->node_count; i-- > 0;) {
		uint32_t parent = node_parent(snapshot, (uint32_t)i);
		uint32_t *first = &tree->first_root;

		if (parent != SNAPSHOT_NONE)
			first = &tree->first_child[parent];
		tree->next_sibling[i] = *first;
		*first = (uint32_t)i;
	}
	for (size_t i = 0; i < snapshot->stack_count; i++) {
		uint32_t node = snapshot->stacks[i].node;

		if (node >= snapshot->node_count)
			continue;
		tree->next_stack[i] = tree->first_stack[node];
		tree->first_stack[node] = (uint32_t)i;
	}
	walk(tree, mark_reached, leave_nothing, tree);
}

void tally_tree_done(struct tally_tree *tree)
{
	free(tree->first_child);
	free(tree->next_sibling);
	free(tree->first_stack);
	free(tree->next_stack);
	free(tree->is_reached);
	free(tree->stacks);
	free(tree->charged);
	memset(tree, 0, sizeof(*tree));
}

void tally_tree_add(struct tally_tree *tree, uint32_t stack, const struct sum *sum)
{
	sum_add(stack < tree->snapshot->stack_count ? &tree->stacks[stack] : &tree->no_stack, sum);
}

/* All lines of the node's frame, inlined calls included. */
static bool frame_has(const struct snapshot *snapshot, uint32_t node, uint32_t location)
{
	uint32_t index = snapshot->nodes[node].frame;
	const struct snapshot_frame *frame;

	if (index >= snapshot->frame_count)
		return false;
	frame = &snapshot->frames[index];
	for (size_t i = 0; i < frame->line_count; i++) {
		if (frame->first_line + i >= snapshot->line_count)
			return false;
		if (snapshot->lines[frame->first_line + i] == location)
			return true;
	}
	return false;
}

/* The leaf itself answers for a stack that names no location, or one that is not on it: what is
 * charged is on the stack, so that self is never more than inclusive. */
static uint32_t charge(const struct tally_tree *tree, const struct snapshot_stack *stack,
		       bool include_internal)
{
	const struct snapshot *snapshot = tree->snapshot;
	uint32_t wanted = include_internal ? stack->raw_location : stack->charged_location;
	uint32_t fallback = SNAPSHOT_NONE, node = stack->node;

	if (node >= snapshot->node_count || !tree->is_reached[node])
		return SNAPSHOT_NONE;
	for (; node != SNAPSHOT_NONE; node = node_parent(snapshot, node)) {
		const uint32_t *locations;
		size_t count = node_locations(tree, node, &locations);

		if (!count || locations[0] >= snapshot->location_count)
			continue;
		if (fallback == SNAPSHOT_NONE)
			fallback = locations[0];
		if (wanted >= snapshot->location_count)
			break;
		if (frame_has(snapshot, node, wanted))
			return tree->no_inline ? locations[0] : wanted;
	}
	return fallback;
}

void tally_tree_charge(struct tally_tree *tree, bool include_internal)
{
	for (size_t i = 0; i < tree->snapshot->stack_count; i++)
		tree->charged[i] = charge(tree, &tree->snapshot->stacks[i], include_internal);
}

/* Samples below and at one node of the path from a root to the node that is walked. */
struct subtree {
	uint64_t count, value;
};

struct counting {
	const struct tally_tree *tree;
	const uint32_t *group_of;
	struct tally *tallies;
	uint32_t *on_path;	  /* by group: its locations between the root and here */
	VEC(struct subtree) path; /* the last is the node itself, complete when it is left */
};

static void enter_node(void *context, uint32_t node)
{
	struct counting *counting = context;
	const struct tally_tree *tree = counting->tree;
	struct subtree *subtree = vec_add(&counting->path);
	const uint32_t *locations;
	size_t count = node_locations(tree, node, &locations);

	*subtree = (struct subtree){0};
	for (uint32_t stack = tree->first_stack[node]; stack != SNAPSHOT_NONE;
	     stack = tree->next_stack[stack]) {
		/* One that has no frame after all counts with those. */
		if (tree->charged[stack] == SNAPSHOT_NONE)
			continue;
		number_add(&subtree->count, tree->stacks[stack].count);
		number_add(&subtree->value, tree->stacks[stack].value);
	}
	for (size_t i = 0; i < count; i++) {
		if (locations[i] < tree->snapshot->location_count)
			counting->on_path[counting->group_of[locations[i]]]++;
	}
}

static void leave_node(void *context, uint32_t node)
{
	struct counting *counting = context;
	struct subtree *subtree = &counting->path.items[--counting->path.count];
	const uint32_t *locations;
	size_t count = node_locations(counting->tree, node, &locations);

	for (size_t i = 0; i < count; i++) {
		uint32_t group;

		if (locations[i] >= counting->tree->snapshot->location_count)
			continue;
		group = counting->group_of[locations[i]];
		if (--counting->on_path[group] == 0) {
			number_add(&counting->tallies[group].incl.count, subtree->count);
			number_add(&counting->tallies[group].incl.value, subtree->value);
		}
	}
	if (counting->path.count) {
		number_add(&subtree[-1].count, subtree->count);
		number_add(&subtree[-1].value, subtree->value);
	}
}

void tally_tree_count(const struct tally_tree *tree, const uint32_t *group_of, size_t group_count,
		      struct tally *tallies)
{
	struct counting counting = {.tree = tree, .group_of = group_of, .tallies = tallies};

	counting.on_path = mem_array(group_count, sizeof(*counting.on_path));
	sum_add(&tallies[group_count].self, &tree->no_stack);
	for (size_t i = 0; i < tree->snapshot->stack_count; i++) {
		uint32_t location = tree->charged[i];

		sum_add(&tallies[location == SNAPSHOT_NONE ? group_count : group_of[location]].self,
			&tree->stacks[i]);
	}
	tallies[group_count].incl = tallies[group_count].self;
	walk(tree, enter_node, leave_node, &counting);
	vec_done(&counting.path);
	free(counting.on_path);
}
