/* Stacks and what they are made of: nodes, frames, and the locations that frames stand for. */
#include <string.h>

#include "reader/core/attribute.h"
#include "reader/store/read.h"

static const char *text_of(struct load_rows *rows, int column)
{
	uint32_t index = load_reference(rows, column, &rows->load->texts);

	return index == SNAPSHOT_NONE ? "" : rows->load->text.items[index];
}

static int load_locations(struct load *load)
{
	struct load_rows rows;

	load_begin_new(load, &rows, "locations",
		       "SELECT id, addr, module_id, function_id, file_id, path_id, line "
		       "FROM locations WHERE id >= ? ORDER BY id",
		       &load->locations);
	while (load_next(&rows)) {
		struct snapshot_location *location = vec_add(&load->tables.locations);

		load_id(&rows, &load->locations);
		location->address = load_number(&rows, 1, INT64_MAX);
		location->module = load_reference(&rows, 2, &load->modules);
		location->function = text_of(&rows, 3);
		location->file = text_of(&rows, 4);
		location->path = load_is_null(&rows, 5) ? NULL : text_of(&rows, 5);
		location->line = (uint32_t)load_number(&rows, 6, UINT32_MAX);
		if (rows.ret == 0)
			location->is_internal = attribute_is_internal(
				location->function, location->file, location->path,
				load->tables.modules.items[location->module].path);
	}
	return load_end(&rows);
}

static int load_frames(struct load *load)
{
	struct load_rows rows;

	load_begin_new(load, &rows, "frames",
		       "SELECT id, module_id, vaddr, is_resolved, quality FROM frames "
		       "WHERE id >= ? ORDER BY id",
		       &load->frames);
	while (load_next(&rows)) {
		uint32_t index = (uint32_t)load->tables.frames.count;
		struct snapshot_frame *frame = vec_add(&load->tables.frames);

		memset(frame, 0, sizeof(*frame));
		load_id(&rows, &load->frames);
		frame->module = load_reference(&rows, 1, &load->modules);
		frame->vaddr = load_bits(&rows, 2);
		frame->is_resolved = load_number(&rows, 3, 1);
		frame->quality = (enum symbol_quality)load_number(&rows, 4, SYMBOL_LINE);
		if (!frame->is_resolved)
			*vec_add(&load->open_frames) = index;
	}
	return load_end(&rows);
}

/* The next line of a frame: chains lie in the order of their frames, without gaps. */
static bool add_line(struct load_rows *rows)
{
	struct load *load = rows->load;
	uint32_t index = load_reference(rows, 0, &load->frames);
	uint64_t depth = load_number(rows, 1, READ_CHAIN_MAX - 1);
	uint32_t location = load_reference(rows, 2, &load->locations);
	struct snapshot_frame *frame;

	if (index == SNAPSHOT_NONE || location == SNAPSHOT_NONE)
		return false;
	frame = &load->tables.frames.items[index];
	if (depth != frame->line_count || !frame->is_resolved) {
		load_damaged(rows, "an inline chain has gaps");
		return false;
	}
	if (depth == 0)
		frame->first_line = (uint32_t)load->tables.lines.count;
	frame->line_count++;
	*vec_add(&load->tables.lines) = location;
	return true;
}

static int load_chains(struct load *load, const struct id_index *known)
{
	struct load_rows rows;

	load_begin_new(load, &rows, "frame_lines",
		       "SELECT frame_id, depth, location_id FROM frame_lines WHERE frame_id >= ? "
		       "ORDER BY frame_id, depth",
		       known);
	while (load_next(&rows) && add_line(&rows))
		;
	return load_end(&rows);
}

static int load_chain(struct load *load, uint32_t index)
{
	struct load_rows rows;

	if (load_begin(load, &rows, "frame_lines",
		       "SELECT frame_id, depth, location_id FROM frame_lines WHERE frame_id = ? "
		       "ORDER BY depth") == 0)
		sqlite3_bind_int64(rows.statement, 1, load->frames.ids.items[index]);
	while (load_next(&rows) && add_line(&rows))
		;
	return load_end(&rows);
}

/* Those that were not resolved when they were read. */
static int load_resolved(struct load *load)
{
	size_t count = load->open_frames.count, kept = 0;
	struct load_rows rows;
	int ret = 0;

	if (!count)
		return 0;
	load_begin(load, &rows, "frames", "SELECT is_resolved, quality FROM frames WHERE id = ?");
	for (size_t i = 0; i < count && rows.ret == 0 && ret == 0; i++) {
		uint32_t index = load->open_frames.items[i];
		struct snapshot_frame *frame = &load->tables.frames.items[index];

		sqlite3_reset(rows.statement);
		sqlite3_bind_int64(rows.statement, 1, load->frames.ids.items[index]);
		if (!load_next(&rows)) {
			load_damaged(&rows, "a row is gone");
			break;
		}
		frame->is_resolved = load_number(&rows, 0, 1);
		frame->quality = (enum symbol_quality)load_number(&rows, 1, SYMBOL_LINE);
		if (frame->is_resolved)
			ret = load_chain(load, index);
		else
			load->open_frames.items[kept++] = index;
	}
	load->open_frames.count = kept;
	load_end(&rows);
	return rows.ret < 0 ? rows.ret : ret;
}

static int load_places(struct load *load)
{
	size_t known = load->frames.ids.count;
	int ret = load_locations(load);

	if (ret == 0)
		ret = load_resolved(load);
	if (ret == 0)
		ret = load_frames(load);
	/* The lines of what is new now: of ids after those that were known. */
	if (ret == 0) {
		struct id_index before = load->frames;

		before.ids.count = known;
		ret = load_chains(load, &before);
	}
	return ret;
}

static int load_nodes(struct load *load)
{
	struct load_rows rows;

	load_begin_new(load, &rows, "nodes",
		       "SELECT id, parent_id, frame_id FROM nodes WHERE id >= ? ORDER BY id",
		       &load->nodes);
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
			depth = load->tables.depths.items[node.parent] + 1;
		if (depth > EVENT_FRAMES_MAX)
			load_damaged(&rows, "a stack is too deep");
		*vec_add(&load->tables.nodes) = node;
		*vec_add(&load->tables.depths) = depth;
	}
	return load_end(&rows);
}

static void read_stack(struct load_rows *rows, struct snapshot_stack *ret_stack)
{
	struct snapshot_stack stack = {SNAPSHOT_NONE, STACK_EMPTY, SNAPSHOT_NONE, SNAPSHOT_NONE};

	stack.status = (enum stack_status)load_number(rows, 2, STACK_STATUSES - 1);
	if (!load_is_null(rows, 1)) {
		stack.node = load_reference(rows, 1, &rows->load->nodes);
		if (stack.node != SNAPSHOT_NONE && !load_is_null(rows, 3))
			stack.charged_location = load_reference(rows, 3, &rows->load->locations);
	}
	*ret_stack = stack;
}

static int load_new_stacks(struct load *load)
{
	struct load_rows rows;

	load_begin_new(load, &rows, "stacks",
		       "SELECT id, node_id, status, charged_location_id FROM stacks "
		       "WHERE id >= ? ORDER BY id",
		       &load->stacks);
	while (load_next(&rows)) {
		uint32_t index = (uint32_t)load->tables.stacks.count;
		struct snapshot_stack *stack = vec_add(&load->tables.stacks);

		load_id(&rows, &load->stacks);
		read_stack(&rows, stack);
		if (stack->charged_location == SNAPSHOT_NONE)
			*vec_add(&load->open_stacks) = index;
	}
	return load_end(&rows);
}

/* Those that were not charged when they were read. One without frames never is, but judged late as
 * well; there is one a status. */
static int load_charged(struct load *load)
{
	size_t count = load->open_stacks.count, kept = 0;
	struct load_rows rows;

	if (!count)
		return 0;
	load_begin(load, &rows, "stacks",
		   "SELECT id, node_id, status, charged_location_id FROM stacks WHERE id = ?");
	for (size_t i = 0; i < count && rows.ret == 0; i++) {
		uint32_t index = load->open_stacks.items[i];
		struct snapshot_stack *stack = &load->tables.stacks.items[index];

		sqlite3_reset(rows.statement);
		sqlite3_bind_int64(rows.statement, 1, load->stacks.ids.items[index]);
		if (!load_next(&rows)) {
			load_damaged(&rows, "a row is gone");
			break;
		}
		read_stack(&rows, stack);
		if (stack->charged_location == SNAPSHOT_NONE)
			load->open_stacks.items[kept++] = index;
	}
	load->open_stacks.count = kept;
	return load_end(&rows);
}

int load_stacks(struct load *load)
{
	static int (*const parts[])(struct load * load) = {load_places, load_nodes, load_charged,
							   load_new_stacks};
	int ret = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts) && ret == 0; i++)
		ret = parts[i](load);
	return ret;
}

int load_stacks_anew(struct load *load)
{
	size_t frames = load->tables.frames.count, stacks = load->tables.stacks.count;
	struct load_rows rows = {.load = load, .table = "frames"};
	int ret;

	vec_clear(&load->frames.ids);
	vec_clear(&load->tables.frames);
	vec_clear(&load->tables.lines);
	vec_clear(&load->open_frames);
	vec_clear(&load->stacks.ids);
	vec_clear(&load->tables.stacks);
	vec_clear(&load->open_stacks);
	ret = load_stacks(load);
	if (ret == 0 && (load->tables.frames.count < frames || load->tables.stacks.count < stacks))
		ret = load_damaged(&rows, "rows are gone");
	return ret;
}
