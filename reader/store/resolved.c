/* What the symbol thread found: the lines of frames, and whom stacks are charged to. */
#include "reader/store/address.h"
#include "reader/store/write.h"

struct frame_state {
	uint32_t module;
	uint64_t vaddr;
	bool is_resolved;
	int quality;
};

static int read_frame(struct store *store, uint32_t frame, struct frame_state *ret_state,
		      struct err *err)
{
	sqlite3_stmt *read = store->statements[READ_FRAME];
	int ret;

	sqlite3_bind_int64(read, 1, frame);
	ret = sql_step(&store->sql, read, err);
	if (ret > 0) {
		ret_state->module = (uint32_t)sqlite3_column_int64(read, 0);
		ret_state->vaddr = (uint64_t)sqlite3_column_int64(read, 1);
		ret_state->is_resolved = sqlite3_column_int(read, 2) != 0;
		ret_state->quality = sqlite3_column_int(read, 3);
	}
	sqlite3_reset(read);
	if (ret == 0)
		return sql_damaged(&store->sql, err, "frame %u is missing", frame);
	return ret < 0 ? ret : 0;
}

/* The location at that depth of the frame's chain, 0 where the chain is shorter. */
static int read_line(struct store *store, uint32_t frame, uint32_t depth, uint32_t *ret_location,
		     uint64_t *ret_address, struct err *err)
{
	sqlite3_stmt *read = store->statements[READ_LINE];
	int ret;

	*ret_location = 0;
	sqlite3_bind_int64(read, 1, frame);
	sqlite3_bind_int64(read, 2, depth);
	ret = sql_step(&store->sql, read, err);
	if (ret > 0) {
		*ret_location = (uint32_t)sqlite3_column_int64(read, 0);
		*ret_address = (uint64_t)sqlite3_column_int64(read, 1);
	}
	sqlite3_reset(read);
	return ret < 0 ? ret : 0;
}

/* Does the frame have exactly these lines already? */
static int has_lines(struct store *store, uint32_t frame, const uint32_t *locations, size_t count,
		     bool *ret_has, struct err *err)
{
	*ret_has = true;
	for (size_t depth = 0; depth <= count && *ret_has; depth++) {
		uint32_t location;
		uint64_t address;
		int ret = read_line(store, frame, (uint32_t)depth, &location, &address, err);

		if (ret < 0)
			return ret;
		*ret_has = location == (depth < count ? locations[depth] : 0);
	}
	return 0;
}

/* An earlier recording resolved the frame otherwise: another debug file, perhaps. The better answer
 * stays; charges that follow the other one are told to be recomputed. */
static int settle_conflict(struct store *store, uint32_t frame, bool is_better, struct err *err)
{
	int ret = write_meta(store, "attribute_version", "0", err);

	if (ret == 0 && is_better)
		ret = write_ints(store, WRITE_FRAME_LINES_GONE, err, frame);
	return ret;
}

static int write_frame(struct store *store, const struct resolved_frame *resolved, struct err *err)
{
	uint32_t frame = id_map_get(&store->frames, resolved->id.v);
	VEC(uint32_t) locations = {0};
	struct frame_state state;
	bool is_better = true, is_known = false;
	int ret = read_frame(store, frame, &state, err);

	for (size_t i = 0; i < resolved->line_count && ret == 0; i++) {
		/* Only a frame's first resolution gives its own address away. */
		uint64_t address = i == 0 && !state.is_resolved
					   ? address_of_frame(frame, state.module, state.vaddr)
					   : 0;

		ret = locations_intern(&store->locations, state.module, &resolved->lines[i],
				       address, vec_add(&locations), err);
	}
	if (ret == 0 && state.is_resolved) {
		is_better = (int)resolved->quality >= state.quality;
		ret = has_lines(store, frame, locations.items, locations.count, &is_known, err);
		if (ret == 0 && !is_known)
			ret = settle_conflict(store, frame, is_better, err);
	}
	for (size_t i = 0; i < locations.count && ret == 0 && is_better && !is_known; i++)
		ret = write_ints(store, WRITE_FRAME_LINE, err, frame, (int64_t)i,
				 locations.items[i]);
	if (ret == 0 && is_better)
		ret = write_ints(store, WRITE_FRAME_RESOLVED, err, frame, resolved->quality,
				 resolved->base);
	vec_done(&locations);
	return ret;
}

static int write_charge(struct store *store, const struct stack_charge *charge, struct err *err)
{
	uint32_t stack = id_map_get(&store->stacks, charge->id.v), frame = 0, location = 0;
	uint64_t address = ADDRESS_NO_FRAME;
	struct frame_state state;
	int ret = 0;

	if (charge->frame.v) {
		frame = id_map_get(&store->frames, charge->frame.v);
		ret = read_line(store, frame, charge->depth, &location, &address, err);
		/* A better chain from an earlier recording may be shorter. */
		if (ret == 0 && !location)
			ret = read_line(store, frame, 0, &location, &address, err);
		if (ret == 0 && !location)
			ret = read_frame(store, frame, &state, err);
		if (ret == 0 && !location)
			address = address_of_frame(frame, state.module, state.vaddr);
	}
	if (ret < 0)
		return ret;
	return write_ints(store, WRITE_CHARGE, err, stack, charge->status, frame, location,
			  (int64_t)address);
}

int resolved_write(struct store *store, const struct resolved_batch *batch, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; i < batch->frame_count && ret == 0; i++)
		ret = write_frame(store, &batch->frames[i], err);
	for (size_t i = 0; i < batch->charge_count && ret == 0; i++)
		ret = write_charge(store, &batch->charges[i], err);
	return ret;
}
