#include "reader/view/callers.h"

#include <string.h>

typedef VEC(struct call_place) call_places;

static bool same_path(const char *a, const char *b)
{
	return !a || !b || !strcmp(a, b);
}

/* By location: is it the row? To be freed. */
static bool *find_locations(const struct snapshot *snapshot, const struct row_key *key)
{
	bool *is_row = mem_array(snapshot->location_count, sizeof(*is_row));

	for (size_t i = 0; i < snapshot->location_count && row_key_is_set(key); i++) {
		const struct snapshot_location *at = &snapshot->locations[i];

		is_row[i] = (!key->line || key->line == at->line) &&
			    !strcmp(key->function, at->function) && !strcmp(key->file, at->file) &&
			    same_path(key->path, at->path);
	}
	return is_row;
}

/* The outermost call of the row that the node stands for: its line, or that of no call. */
static uint32_t find_line(const struct weighing *weighing, const bool *is_row, uint32_t node)
{
	uint32_t count = weighing_line_count(weighing, node);

	for (uint32_t line = count; line-- > 0;) {
		uint32_t location = weighing_location(weighing, node, line);

		if (location != SNAPSHOT_NONE && is_row[location])
			return line;
	}
	return SNAPSHOT_NONE;
}

static void add_places(const struct weighing *weighing, uint32_t node, uint32_t line,
		       call_places *places)
{
	for (int side = 0; side < WEIGH_SIDES; side++) {
		uint64_t weight = weighing->nodes[node].below[side];

		if (weight)
			*vec_add(places) = (struct call_place){
				.node = node,
				.line = line,
				.is_incomplete = side == WEIGH_INCOMPLETE,
				.weight = weight,
			};
	}
}

static void find_places(const struct weighing *weighing, const bool *is_row, call_places *places)
{
	bool *is_below = mem_array(weighing->snapshot->node_count, sizeof(*is_below));

	for (size_t i = 0; i < weighing->order_count; i++) {
		uint32_t node = weighing->order[i], parent = weighing_parent(weighing, node), line;

		is_below[node] = parent != SNAPSHOT_NONE && is_below[parent];
		if (is_below[node])
			continue;
		line = find_line(weighing, is_row, node);
		is_below[node] = line != SNAPSHOT_NONE;
		if (is_below[node])
			add_places(weighing, node, line, places);
	}
	free(is_below);
}

void callers_init(struct callers *callers, const struct model *model, enum model_table table,
		  bool is_allocated, const struct row_key *key)
{
	call_places places = {0};
	bool *is_row = find_locations(model->snapshot, key);

	calls_init(&callers->calls, model, table, is_allocated, VIEW_BY_LINE);
	find_places(&callers->calls.weighing, is_row, &places);
	callers->up =
		calls_add_root(&callers->calls, CALL_FUNCTION, true, places.items, places.count);
	callers->down =
		calls_add_root(&callers->calls, CALL_FUNCTION, false, places.items, places.count);
	vec_done(&places);
	free(is_row);
}

void callers_done(struct callers *callers)
{
	calls_done(&callers->calls);
	memset(callers, 0, sizeof(*callers));
}
