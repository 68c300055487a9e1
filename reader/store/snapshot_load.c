/* From the tables to a snapshot: ids become indexes, and every reference is checked once, here. */
#include <stdlib.h>
#include <string.h>

#include "reader/core/attribute.h"
#include "reader/core/event_kind.h"
#include "reader/store/address.h"
#include "reader/store/read.h"
#include "reader/util/clock.h"
#include "reader/util/mem.h"

/* Moves what was gathered into the snapshot. */
#define KEEP(load, member, count_member, vec)                                                      \
	do {                                                                                       \
		(load)->snapshot->member = arena_copy(&(load)->snapshot->arena, (vec).items,       \
						      (vec).count * sizeof(*(vec).items));         \
		(load)->snapshot->count_member = (vec).count;                                      \
		vec_done(&(vec));                                                                  \
	} while (0)

static int load_meta(struct load *load)
{
	VEC(struct snapshot_meta) meta = {0};
	struct load_rows rows;

	load_begin(load, &rows, "meta", "SELECT key, value FROM meta ORDER BY key");
	while (load_next(&rows)) {
		struct snapshot_meta *pair = vec_add(&meta);

		pair->key = load_text(&rows, 0);
		pair->value = load_text(&rows, 1);
	}
	KEEP(load, meta, meta_count, meta);
	return load_end(&rows);
}

static int load_recordings(struct load *load)
{
	VEC(struct snapshot_recording) recordings = {0};
	struct load_rows rows;
	uint64_t end = 0;

	load_begin(
		load, &rows, "recordings",
		"SELECT id, pid, process_name, exe_path, command_line, start_unix_ns, offset_ns, "
		"duration_ns, is_finished FROM recordings ORDER BY id");
	while (load_next(&rows)) {
		struct snapshot_recording *recording = vec_add(&recordings);

		load_id(&rows, &load->recordings);
		recording->pid = (uint32_t)load_number(&rows, 1, UINT32_MAX);
		recording->process_name = load_text(&rows, 2);
		recording->exe_path = load_text(&rows, 3);
		recording->command_line = load_text(&rows, 4);
		recording->start_unix_ns = load_number(&rows, 5, INT64_MAX);
		recording->offset_ns = load_number(&rows, 6, INT64_MAX);
		recording->duration_ns = load_number(&rows, 7, INT64_MAX);
		recording->is_finished = load_number(&rows, 8, 1);
		if (recording->offset_ns < end)
			load_damaged(&rows, "times overlap");
		end = recording->offset_ns + recording->duration_ns;
	}
	load->snapshot->duration_ns = end;
	KEEP(load, recordings, recording_count, recordings);
	return load_end(&rows);
}

static int load_events(struct load *load)
{
	VEC(struct snapshot_event) events = {0};
	struct load_rows rows;

	load_begin(load, &rows, "events", "SELECT id, name FROM events ORDER BY id");
	while (load_next(&rows)) {
		const char *name = load_text(&rows, 1);
		const struct event_kind *kind = event_kind_by_name(name, strlen(name));

		load_id(&rows, &load->events);
		if (!kind || strcmp(kind->name, name) != 0) {
			load_damaged(&rows, "an event has no known name");
			break;
		}
		*vec_add(&events) =
			(struct snapshot_event){kind->name, kind->unit_name, kind->is_cpu};
	}
	KEEP(load, events, event_count, events);
	return load_end(&rows);
}

static int load_threads(struct load *load)
{
	VEC(struct snapshot_thread) threads = {0};
	struct load_rows rows;

	load_begin(load, &rows, "threads",
		   "SELECT id, recording_id, pid, tid, comm FROM threads ORDER BY id");
	while (load_next(&rows)) {
		struct snapshot_thread *thread = vec_add(&threads);

		load_id(&rows, &load->threads);
		thread->recording = load_reference(&rows, 1, &load->recordings);
		thread->pid = (uint32_t)load_number(&rows, 2, UINT32_MAX);
		thread->tid = (uint32_t)load_number(&rows, 3, UINT32_MAX);
		thread->comm = load_text(&rows, 4);
	}
	KEEP(load, threads, thread_count, threads);
	return load_end(&rows);
}

static int load_modules(struct load *load)
{
	VEC(struct snapshot_module) modules = {0};
	struct load_rows rows;

	load_begin(load, &rows, "modules",
		   "SELECT id, kind, path, name, build_id FROM modules ORDER BY id");
	while (load_next(&rows)) {
		struct snapshot_module *module = vec_add(&modules);

		load_id(&rows, &load->modules);
		module->kind = (enum module_kind)load_number(&rows, 1, MODULE_ANONYMOUS);
		module->path = load_text(&rows, 2);
		module->name = load_text(&rows, 3);
		module->build_id = load_text(&rows, 4);
	}
	KEEP(load, modules, module_count, modules);
	return load_end(&rows);
}

static int load_texts(struct load *load)
{
	struct load_rows rows;

	load_begin(load, &rows, "texts", "SELECT id, text FROM texts ORDER BY id");
	while (load_next(&rows)) {
		load_id(&rows, &load->texts);
		*vec_add(&load->text) = load_text(&rows, 1);
	}
	return load_end(&rows);
}

static const char *text_of(struct load_rows *rows, int column)
{
	uint32_t index = load_reference(rows, column, &rows->load->texts);

	return index == SNAPSHOT_NONE ? "" : rows->load->text.items[index];
}

typedef VEC(struct snapshot_location) location_vec;

static int load_locations(struct load *load, location_vec *locations)
{
	struct load_rows rows;

	load_begin(load, &rows, "locations",
		   "SELECT id, addr, module_id, function_id, file_id, path_id, line "
		   "FROM locations ORDER BY id");
	while (load_next(&rows)) {
		struct snapshot_location *location = vec_add(locations);

		load_id(&rows, &load->locations);
		location->address = load_number(&rows, 1, INT64_MAX);
		location->module = load_reference(&rows, 2, &load->modules);
		location->function = text_of(&rows, 3);
		location->file = text_of(&rows, 4);
		location->path = load_is_null(&rows, 5) ? NULL : text_of(&rows, 5);
		location->line = (uint32_t)load_number(&rows, 6, UINT32_MAX);
	}
	return load_end(&rows);
}

typedef VEC(struct snapshot_frame) frame_vec;

static int load_frames(struct load *load, frame_vec *frames)
{
	struct load_rows rows;

	load_begin(load, &rows, "frames",
		   "SELECT id, module_id, vaddr, is_resolved, quality FROM frames ORDER BY id");
	while (load_next(&rows)) {
		struct snapshot_frame *frame = vec_add(frames);

		memset(frame, 0, sizeof(*frame));
		load_id(&rows, &load->frames);
		frame->module = load_reference(&rows, 1, &load->modules);
		frame->vaddr = load_bits(&rows, 2);
		frame->is_resolved = load_number(&rows, 3, 1);
		frame->quality = (enum symbol_quality)load_number(&rows, 4, SYMBOL_LINE);
	}
	return load_end(&rows);
}

typedef VEC(uint32_t) line_vec;

/* Chains lie in the order of their frames, without gaps. */
static int load_chains(struct load *load, frame_vec *frames, line_vec *lines)
{
	struct load_rows rows;

	load_begin(load, &rows, "frame_lines",
		   "SELECT frame_id, depth, location_id FROM frame_lines ORDER BY frame_id, depth");
	while (load_next(&rows)) {
		uint32_t index = load_reference(&rows, 0, &load->frames);
		uint64_t depth = load_number(&rows, 1, READ_CHAIN_MAX - 1);
		uint32_t location = load_reference(&rows, 2, &load->locations);
		struct snapshot_frame *frame;

		if (index == SNAPSHOT_NONE || location == SNAPSHOT_NONE)
			break;
		frame = &frames->items[index];
		if (depth != frame->line_count || !frame->is_resolved) {
			load_damaged(&rows, "an inline chain has gaps");
			break;
		}
		if (depth == 0)
			frame->first_line = (uint32_t)lines->count;
		frame->line_count++;
		*vec_add(lines) = location;
	}
	return load_end(&rows);
}

/* "libc.so.6+0x2a1f0" in "[libc.so.6]", for a frame that nothing is known of. */
static void add_unresolved(struct load *load, struct snapshot_frame *frame, int64_t id,
			   location_vec *locations, line_vec *lines)
{
	const struct snapshot_module *module = &load->snapshot->modules[frame->module];
	struct arena *arena = &load->snapshot->arena;

	frame->is_resolved = false;
	frame->quality = SYMBOL_NONE;
	frame->first_line = (uint32_t)lines->count;
	frame->line_count = 1;
	*vec_add(lines) = (uint32_t)locations->count;
	*vec_add(locations) = (struct snapshot_location){
		.function = arena_printf(arena, "%s+0x%llx", module->name,
					 (unsigned long long)frame->vaddr),
		.file = module->name[0] == '[' ? module->name
					       : arena_printf(arena, "[%s]", module->name),
		.module = frame->module,
		.address = address_of_frame((uint64_t)id,
					    (uint64_t)load->modules.ids.items[frame->module],
					    frame->vaddr),
	};
	load->snapshot->unresolved_count++;
}

static int load_places(struct load *load)
{
	location_vec locations = {0};
	frame_vec frames = {0};
	line_vec lines = {0};
	int ret = load_locations(load, &locations);

	if (ret == 0)
		ret = load_frames(load, &frames);
	if (ret == 0)
		ret = load_chains(load, &frames, &lines);
	for (size_t i = 0; i < frames.count && ret == 0; i++) {
		if (!frames.items[i].line_count)
			add_unresolved(load, &frames.items[i], load->frames.ids.items[i],
				       &locations, &lines);
	}
	for (size_t i = 0; i < locations.count && ret == 0; i++) {
		struct snapshot_location *location = &locations.items[i];

		location->is_internal =
			attribute_is_internal(location->function, location->file, location->path,
					      load->snapshot->modules[location->module].path);
	}
	KEEP(load, locations, location_count, locations);
	KEEP(load, frames, frame_count, frames);
	KEEP(load, lines, line_count, lines);
	return ret;
}

static int load_nodes(struct load *load)
{
	VEC(struct snapshot_node) nodes = {0};
	VEC(uint32_t) depths = {0};
	struct load_rows rows;

	load_begin(load, &rows, "nodes", "SELECT id, parent_id, frame_id FROM nodes ORDER BY id");
	while (load_next(&rows)) {
		struct snapshot_node node = {.parent = SNAPSHOT_NONE};
		uint32_t depth = 1;

		/* The node itself is not known yet: a parent is an earlier one, so that there is no
		 * way round. */
		if (!load_is_null(&rows, 1))
			node.parent = load_reference(&rows, 1, &load->nodes);
		node.frame = load_reference(&rows, 2, &load->frames);
		load_id(&rows, &load->nodes);
		/* Views walk from leaf to root for each stack: the bound keeps that short. */
		if (node.parent != SNAPSHOT_NONE)
			depth = depths.items[node.parent] + 1;
		if (depth > EVENT_FRAMES_MAX)
			load_damaged(&rows, "a stack is too deep");
		*vec_add(&nodes) = node;
		*vec_add(&depths) = depth;
	}
	vec_done(&depths);
	KEEP(load, nodes, node_count, nodes);
	return load_end(&rows);
}

static uint32_t leaf_location(const struct snapshot *snapshot, uint32_t node)
{
	return snapshot->lines[snapshot->frames[snapshot->nodes[node].frame].first_line];
}

static int load_stacks(struct load *load)
{
	VEC(struct snapshot_stack) stacks = {0};
	struct load_rows rows;

	load_begin(load, &rows, "stacks",
		   "SELECT id, node_id, status, charged_location_id FROM stacks ORDER BY id");
	while (load_next(&rows)) {
		struct snapshot_stack stack = {SNAPSHOT_NONE, STACK_EMPTY, SNAPSHOT_NONE,
					       SNAPSHOT_NONE};

		load_id(&rows, &load->stacks);
		stack.status = (enum stack_status)load_number(&rows, 2, STACK_STATUSES - 1);
		if (!load_is_null(&rows, 1)) {
			stack.node = load_reference(&rows, 1, &load->nodes);
			if (stack.node == SNAPSHOT_NONE)
				break;
			stack.raw_location = leaf_location(load->snapshot, stack.node);
			if (load_is_null(&rows, 3))
				load->needs_charge = true;
			else
				stack.charged_location = load_reference(&rows, 3, &load->locations);
		}
		*vec_add(&stacks) = stack;
	}
	KEEP(load, stacks, stack_count, stacks);
	return load_end(&rows);
}

static int load_losses(struct load *load)
{
	struct losses *losses = &load->snapshot->losses;
	struct load_rows rows;

	load_begin(load, &rows, "losses", "SELECT cause, count FROM losses");
	while (load_next(&rows)) {
		enum loss_cause cause = loss_by_name(load_text(&rows, 0));
		uint64_t count = load_number(&rows, 1, INT64_MAX);

		/* A cause of a later rsprof has no words here. */
		if (cause < LOSS_CAUSES &&
		    __builtin_add_overflow(losses->count[cause], count, &losses->count[cause]))
			load_damaged(&rows, "a number is out of range");
	}
	return load_end(&rows);
}

static int load_steps(struct load *load)
{
	VEC(struct snapshot_step) steps = {0};
	struct load_rows rows;

	load_begin(load, &rows, "steps",
		   "SELECT recording_id, timestamp_ms, signal, mode, reason FROM steps "
		   "ORDER BY recording_id, timestamp_ms, signal");
	while (load_next(&rows)) {
		struct snapshot_step *step = vec_add(&steps);

		step->recording = load_reference(&rows, 0, &load->recordings);
		step->time_ns = load_number(&rows, 1, INT64_MAX / NS_PER_MS) * NS_PER_MS;
		step->signal = load_text(&rows, 2);
		step->mode = load_text(&rows, 3);
		step->reason = load_text(&rows, 4);
	}
	KEEP(load, steps, step_count, steps);
	return load_end(&rows);
}

int load_tables(struct load *load)
{
	static int (*const parts[])(struct load * load) = {
		load_meta,   load_recordings, load_events, load_threads, load_modules, load_texts,
		load_places, load_nodes,      load_stacks, load_losses,	 load_steps,
	};
	const char *version;
	int ret = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts) && ret == 0; i++)
		ret = parts[i](load);
	if (ret < 0)
		return ret;
	version = snapshot_meta_get(load->snapshot, "attribute_version");
	if (!version || strtol(version, NULL, 10) != ATTRIBUTE_VERSION)
		load->needs_charge = true;
	return 0;
}
