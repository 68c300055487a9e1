/* From the tables as they are now to a snapshot of its own. */
#include <stdlib.h>
#include <string.h>

#include "reader/core/attribute.h"
#include "reader/store/address.h"
#include "reader/store/read.h"

#define COPY(load, name, member, count_member)                                                     \
	do {                                                                                       \
		(load)->snapshot->member = arena_copy(                                             \
			&(load)->snapshot->arena, (load)->tables.name.items,                       \
			(load)->tables.name.count * sizeof(*(load)->tables.name.items));           \
		(load)->snapshot->count_member = (load)->tables.name.count;                        \
	} while (0)

/* "libc.so.6+0x2a1f0" in "[libc.so.6]", for a frame that nothing is known of. */
static struct snapshot_location unresolved_location(const struct load *load, size_t index)
{
	const struct snapshot_frame *frame = &load->tables.frames.items[index];
	const struct snapshot_module *module = &load->tables.modules.items[frame->module];
	struct arena *arena = &load->snapshot->arena;
	struct snapshot_location location = {
		.function = arena_printf(arena, "%s+0x%llx", module->name,
					 (unsigned long long)frame->vaddr),
		.file = module->name[0] == '[' ? module->name
					       : arena_printf(arena, "[%s]", module->name),
		.module = frame->module,
		.address = address_of_frame((uint64_t)load->frames.ids.items[index],
					    (uint64_t)load->modules.ids.items[frame->module],
					    frame->vaddr),
	};

	location.is_internal = attribute_is_internal(location.function, location.file,
						     location.path, module->path);
	return location;
}

static size_t count_unresolved(const struct load *load)
{
	size_t count = 0;

	for (size_t i = 0; i < load->tables.frames.count; i++)
		count += !load->tables.frames.items[i].line_count;
	return count;
}

/* Lines lie in the order of frames, those without names last. */
static void make_places(struct load *load)
{
	struct snapshot *snapshot = load->snapshot;
	struct arena *arena = &snapshot->arena;
	size_t unresolved = count_unresolved(load);
	size_t location_count = load->tables.locations.count, line_count = 0;

	COPY(load, frames, frames, frame_count);
	snapshot->locations =
		arena_alloc(arena, (location_count + unresolved) * sizeof(*snapshot->locations));
	snapshot->lines = arena_alloc(arena, (load->tables.lines.count + unresolved) *
						     sizeof(*snapshot->lines));
	if (location_count)
		memcpy(snapshot->locations, load->tables.locations.items,
		       location_count * sizeof(*snapshot->locations));
	for (size_t i = 0; i < snapshot->frame_count; i++) {
		struct snapshot_frame *frame = &snapshot->frames[i];

		if (!frame->line_count)
			continue;
		memcpy(&snapshot->lines[line_count], &load->tables.lines.items[frame->first_line],
		       frame->line_count * sizeof(*snapshot->lines));
		frame->first_line = (uint32_t)line_count;
		line_count += frame->line_count;
	}
	for (size_t i = 0; i < snapshot->frame_count; i++) {
		struct snapshot_frame *frame = &snapshot->frames[i];

		if (frame->line_count)
			continue;
		frame->is_resolved = false;
		frame->quality = SYMBOL_NONE;
		frame->first_line = (uint32_t)line_count;
		frame->line_count = 1;
		snapshot->lines[line_count++] = (uint32_t)location_count;
		snapshot->locations[location_count++] = unresolved_location(load, i);
	}
	snapshot->location_count = location_count;
	snapshot->line_count = line_count;
	snapshot->unresolved_count = unresolved;
}

static void make_stacks(struct load *load)
{
	struct snapshot *snapshot = load->snapshot;

	COPY(load, stacks, stacks, stack_count);
	for (size_t i = 0; i < snapshot->stack_count; i++) {
		struct snapshot_stack *stack = &snapshot->stacks[i];
		const struct snapshot_frame *leaf;

		if (stack->node == SNAPSHOT_NONE)
			continue;
		leaf = &snapshot->frames[snapshot->nodes[stack->node].frame];
		stack->raw_location = snapshot->lines[leaf->first_line];
	}
}

static void make_tables(struct load *load)
{
	struct snapshot *snapshot = load->snapshot;

	COPY(load, meta, meta, meta_count);
	COPY(load, recordings, recordings, recording_count);
	COPY(load, events, events, event_count);
	COPY(load, threads, threads, thread_count);
	COPY(load, modules, modules, module_count);
	COPY(load, nodes, nodes, node_count);
	COPY(load, steps, steps, step_count);
	make_places(load);
	make_stacks(load);
	snapshot->losses = load->tables.losses;
	snapshot->duration_ns = load->tables.duration_ns;
}

static bool needs_charge(const struct load *load)
{
	const char *version = snapshot_meta_get(load->snapshot, "attribute_version");

	if (!version || strtol(version, NULL, 10) != ATTRIBUTE_VERSION)
		return true;
	for (size_t i = 0; i < load->open_stacks.count; i++) {
		if (load->tables.stacks.items[load->open_stacks.items[i]].node != SNAPSHOT_NONE)
			return true;
	}
	return false;
}

int load_make(struct load *load, struct store_window window)
{
	int ret;

	make_tables(load);
	ret = load_counts(load, window);
	if (ret == 0)
		ret = load_heap(load, window);
	if (ret == 0 && needs_charge(load))
		snapshot_recharge(load->snapshot);
	return ret;
}
