#include "reader/core/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "reader/core/attribute.h"
#include "reader/util/mem.h"

const char *snapshot_meta_get(const struct snapshot *snapshot, const char *key)
{
	for (size_t i = 0; i < snapshot->meta_count; i++) {
		if (strcmp(snapshot->meta[i].key, key) == 0)
			return snapshot->meta[i].value;
	}
	return NULL;
}

/* The innermost line of the frame that is the user's own. */
static uint32_t user_line(const struct snapshot *snapshot, uint32_t frame_index)
{
	const struct snapshot_frame *frame = &snapshot->frames[frame_index];

	for (uint32_t i = 0; i < frame->line_count; i++) {
		uint32_t location = snapshot->lines[frame->first_line + i];

		if (!snapshot->locations[location].is_internal)
			return location;
	}
	return SNAPSHOT_NONE;
}

void snapshot_recharge(struct snapshot *snapshot)
{
	/* Whom a stack is charged to hangs on its leaf node alone, and there on the parent's where
	 * the node's own frame is internal. Parents come first, so one pass does. */
	uint32_t *charged = mem_array(snapshot->node_count, sizeof(*charged));

	for (size_t i = 0; i < snapshot->location_count; i++) {
		struct snapshot_location *location = &snapshot->locations[i];

		location->is_internal =
			attribute_is_internal(location->function, location->file, location->path,
					      snapshot->modules[location->module].path);
	}
	for (size_t i = 0; i < snapshot->node_count; i++) {
		const struct snapshot_node *node = &snapshot->nodes[i];

		charged[i] = user_line(snapshot, node->frame);
		if (charged[i] == SNAPSHOT_NONE && node->parent != SNAPSHOT_NONE)
			charged[i] = charged[node->parent];
	}
	for (size_t i = 0; i < snapshot->stack_count; i++) {
		struct snapshot_stack *stack = &snapshot->stacks[i];

		stack->charged_location = stack->raw_location = SNAPSHOT_NONE;
		if (stack->node == SNAPSHOT_NONE)
			continue;
		stack->raw_location =
			snapshot->lines[snapshot->frames[snapshot->nodes[stack->node].frame]
						.first_line];
		/* Nothing of the user's own: the leaf stands for itself. */
		stack->charged_location = charged[stack->node] != SNAPSHOT_NONE
						  ? charged[stack->node]
						  : stack->raw_location;
	}
	free(charged);
}

struct snapshot *snapshot_hold(struct snapshot *snapshot)
{
	atomic_fetch_add(&snapshot->holders, 1);
	return snapshot;
}

void snapshot_free(struct snapshot *snapshot)
{
	if (!snapshot || atomic_fetch_sub(&snapshot->holders, 1) > 0)
		return;
	arena_done(&snapshot->arena);
	free(snapshot);
}
