#include "reader/view/calls.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/hash.h"
#include "reader/view/number.h"
#include "reader/view/place.h"

static const char kernel_name[] = "[kernel]", incomplete_name[] = "[incomplete stack]",
		  all_name[] = "all";

/* Groups behind those of the grouping. */
enum pseudo_group { PSEUDO_UNKNOWN, PSEUDO_KERNEL, PSEUDO_INCOMPLETE, PSEUDO_NO_STACK, PSEUDOS };

static const uint8_t pseudo_kinds[PSEUDOS] = {
	[PSEUDO_UNKNOWN] = CALL_UNKNOWN,
	[PSEUDO_KERNEL] = CALL_KERNEL,
	[PSEUDO_INCOMPLETE] = CALL_INCOMPLETE,
	[PSEUDO_NO_STACK] = CALL_NO_STACK,
};

/* A child before it is merged with others. */
struct call_found {
	struct call_place place; /* node SNAPSHOT_NONE: the pseudo group has no places */
	uint64_t own, kernel;
	uint32_t group, location;
};

/* A child while it is merged. */
struct call_bucket {
	uint32_t group, location, count;
	uint32_t node; /* after sorting */
	uint64_t self, kernel, total;
};

struct call_heat {
	uint64_t self, total;
	bool is_touched;
};

void calls_init(struct calls *calls, const struct model *model, enum model_table table,
		bool is_allocated, enum view_group group)
{
	memset(calls, 0, sizeof(*calls));
	weighing_init(&calls->weighing, model, table, is_allocated);
	grouping_init(&calls->groups, model->snapshot, group);
	calls->group = group;
	calls->bucket_of = mem_array(calls->groups.count + PSEUDOS, sizeof(*calls->bucket_of));
	memset(calls->bucket_of, 0xff, (calls->groups.count + PSEUDOS) * sizeof(*calls->bucket_of));
	calls->heats = mem_array(model->snapshot->location_count, sizeof(*calls->heats));
}

void calls_done(struct calls *calls)
{
	weighing_done(&calls->weighing);
	grouping_done(&calls->groups);
	vec_done(&calls->nodes);
	vec_done(&calls->places);
	vec_done(&calls->found);
	vec_done(&calls->buckets);
	vec_done(&calls->touched);
	free(calls->bucket_of);
	free(calls->heats);
	memset(calls, 0, sizeof(*calls));
}

static uint32_t pseudo(const struct calls *calls, enum pseudo_group group)
{
	return (uint32_t)(calls->groups.count + group);
}

/* What ends at the node itself. */
static void own_weight(const struct weighing *weighing, const struct call_place *place,
		       uint64_t *ret_own, uint64_t *ret_kernel)
{
	enum weigh_side side = place->is_incomplete ? WEIGH_INCOMPLETE : WEIGH_COMPLETE;

	*ret_own = *ret_kernel = 0;
	if (place->line)
		return;
	for (uint32_t stack = weighing->nodes[place->node].first_stack; stack != SNAPSHOT_NONE;
	     stack = weighing->next_stack[stack]) {
		if (weighing_side(weighing, stack) != side)
			continue;
		number_add(ret_own, weighing->stacks[stack]);
		number_add(ret_kernel, weighing->kernel[stack]);
	}
	*ret_own -= *ret_kernel;
}

static void find_pseudo(struct calls *calls, enum pseudo_group group, uint64_t total, uint64_t self)
{
	if (!total)
		return;
	*vec_add(&calls->found) = (struct call_found){
		.place = {.node = SNAPSHOT_NONE, .weight = total},
		.own = self,
		.group = pseudo(calls, group),
		.location = SNAPSHOT_NONE,
	};
}

static void find_place(struct calls *calls, uint32_t node, uint32_t line, bool is_incomplete,
		       uint64_t weight, bool is_up)
{
	uint32_t location = weighing_location(&calls->weighing, node, line);
	struct call_found *found;

	if (!weight)
		return;
	found = vec_add(&calls->found);
	*found = (struct call_found){
		.place = {node, line, is_incomplete, weight},
		.group = location == SNAPSHOT_NONE ? pseudo(calls, PSEUDO_UNKNOWN)
						   : calls->groups.of[location],
		.location = location,
	};
	if (!is_up)
		own_weight(&calls->weighing, &found->place, &found->own, &found->kernel);
}

/* A node of the snapshot's tree with its siblings: the outermost call of each. */
static uint64_t find_siblings(struct calls *calls, uint32_t node, bool is_incomplete)
{
	const struct weighing *weighing = &calls->weighing;
	enum weigh_side side = is_incomplete ? WEIGH_INCOMPLETE : WEIGH_COMPLETE;
	uint64_t sum = 0;

	for (; node != SNAPSHOT_NONE; node = weighing->nodes[node].next_sibling) {
		uint64_t weight = weighing->nodes[node].below[side];

		number_add(&sum, weight);
		find_place(calls, node, weighing_line_count(weighing, node) - 1, is_incomplete,
			   weight, false);
	}
	return sum;
}

static void find_below(struct calls *calls, const struct call_place *place)
{
	if (place->line)
		find_place(calls, place->node, place->line - 1, place->is_incomplete, place->weight,
			   false);
	else
		find_siblings(calls, calls->weighing.nodes[place->node].first_child,
			      place->is_incomplete);
}

static void find_above(struct calls *calls, const struct call_place *place)
{
	const struct weighing *weighing = &calls->weighing;
	uint32_t parent = weighing_parent(weighing, place->node);

	if (place->line + 1u < weighing_line_count(weighing, place->node))
		find_place(calls, place->node, place->line + 1, place->is_incomplete, place->weight,
			   true);
	else if (parent != SNAPSHOT_NONE)
		find_place(calls, parent, 0, place->is_incomplete, place->weight, true);
	else if (place->is_incomplete)
		find_pseudo(calls, PSEUDO_INCOMPLETE, place->weight, 0);
}

static void find_roots(struct calls *calls)
{
	const struct weighing *weighing = &calls->weighing;
	uint64_t incomplete = 0;

	find_siblings(calls, weighing->first_root, false);
	for (uint32_t node = weighing->first_root; node != SNAPSHOT_NONE;
	     node = weighing->nodes[node].next_sibling)
		number_add(&incomplete, weighing->nodes[node].below[WEIGH_INCOMPLETE]);
	find_pseudo(calls, PSEUDO_INCOMPLETE, incomplete, 0);
	find_pseudo(calls, PSEUDO_NO_STACK, weighing->no_stack,
		    weighing->no_stack - weighing->no_stack_kernel);
}

static void find_children(struct calls *calls, const struct call_node *node)
{
	const struct call_place *places = calls->places.items + node->first_place;

	vec_clear(&calls->found);
	switch ((enum call_kind)node->kind) {
	case CALL_ALL:
		find_roots(calls);
		break;
	case CALL_INCOMPLETE:
		if (!node->is_up)
			find_siblings(calls, calls->weighing.first_root, true);
		break;
	case CALL_NO_STACK:
		find_pseudo(calls, PSEUDO_KERNEL, calls->weighing.no_stack_kernel,
			    calls->weighing.no_stack_kernel);
		break;
	case CALL_FUNCTION:
	case CALL_UNKNOWN:
		for (uint32_t i = 0; i < node->place_count; i++) {
			if (node->is_up)
				find_above(calls, &places[i]);
			else
				find_below(calls, &places[i]);
		}
		if (!node->is_up)
			find_pseudo(calls, PSEUDO_KERNEL, node->kernel, node->kernel);
		break;
	case CALL_KERNEL:
		break;
	}
}

static void heat(struct calls *calls, uint32_t location, uint64_t self, uint64_t total)
{
	struct call_heat *at;

	if (location == SNAPSHOT_NONE)
		return;
	at = &calls->heats[location];
	if (!at->is_touched) {
		at->is_touched = true;
		*vec_add(&calls->touched) = location;
	}
	number_add(&at->self, self);
	number_add(&at->total, total);
}

static bool is_hotter(const struct calls *calls, uint32_t a, uint32_t b)
{
	const struct call_heat *x = &calls->heats[a], *y = &calls->heats[b];
	const struct snapshot_location *locations = calls->weighing.snapshot->locations;

	if (x->self != y->self)
		return x->self > y->self;
	if (x->total != y->total)
		return x->total > y->total;
	return locations[a].line < locations[b].line;
}

static void merge_found(struct calls *calls)
{
	vec_clear(&calls->buckets);
	for (size_t i = 0; i < calls->found.count; i++) {
		const struct call_found *found = &calls->found.items[i];
		uint32_t *index = &calls->bucket_of[found->group];
		struct call_bucket *bucket;

		if (*index == UINT32_MAX) {
			*index = (uint32_t)calls->buckets.count;
			*vec_add(&calls->buckets) = (struct call_bucket){.group = found->group,
									 .location = SNAPSHOT_NONE};
		}
		bucket = &calls->buckets.items[*index];
		bucket->count += found->place.node != SNAPSHOT_NONE;
		number_add(&bucket->self, found->own);
		number_add(&bucket->kernel, found->kernel);
		number_add(&bucket->total, found->place.weight);
		heat(calls, found->location, found->own, found->place.weight);
	}
}

/* Each bucket's hottest line, and nothing is hot any more. */
static void name_buckets(struct calls *calls)
{
	for (size_t i = 0; i < calls->touched.count; i++) {
		uint32_t location = calls->touched.items[i];
		uint32_t index = calls->bucket_of[calls->groups.of[location]];
		uint32_t *hottest = &calls->buckets.items[index].location;

		if (*hottest == SNAPSHOT_NONE || is_hotter(calls, location, *hottest))
			*hottest = location;
	}
	for (size_t i = 0; i < calls->touched.count; i++)
		calls->heats[calls->touched.items[i]] = (struct call_heat){0};
	vec_clear(&calls->touched);
	for (size_t i = 0; i < calls->buckets.count; i++)
		calls->bucket_of[calls->buckets.items[i].group] = UINT32_MAX;
}

static enum call_kind kind_of_group(const struct calls *calls, uint32_t group)
{
	return group < calls->groups.count ? CALL_FUNCTION
					   : pseudo_kinds[group - calls->groups.count];
}

static const char *name_of(const struct calls *calls, enum call_kind kind, uint32_t location)
{
	switch (kind) {
	case CALL_KERNEL:
		return kernel_name;
	case CALL_ALL:
		return all_name;
	case CALL_INCOMPLETE:
		return incomplete_name;
	case CALL_NO_STACK:
		return place_no_stack;
	default:
		break;
	}
	if (location == SNAPSHOT_NONE || !*calls->weighing.snapshot->locations[location].function)
		return place_unknown;
	return calls->weighing.snapshot->locations[location].function;
}

static int compare_locations(const struct snapshot *snapshot, uint32_t a, uint32_t b)
{
	struct row_place x, y;

	if (a == SNAPSHOT_NONE || b == SNAPSHOT_NONE)
		return (a == SNAPSHOT_NONE) - (b == SNAPSHOT_NONE);
	x = place_at(snapshot, a);
	y = place_at(snapshot, b);
	return place_compare(VIEW_BY_LINE, &x, &y);
}

static int compare_buckets(const void *a, const void *b, void *context)
{
	const struct call_bucket *x = a, *y = b;
	const struct calls *calls = context;
	int order = (x->total < y->total) - (x->total > y->total);

	if (!order)
		order = strcmp(name_of(calls, kind_of_group(calls, x->group), x->location),
			       name_of(calls, kind_of_group(calls, y->group), y->location));
	if (!order)
		order = compare_locations(calls->weighing.snapshot, x->location, y->location);
	if (!order)
		order = (x->group > y->group) - (x->group < y->group);
	return order;
}

static void add_child(struct calls *calls, uint32_t parent, const struct call_bucket *bucket)
{
	const struct snapshot *snapshot = calls->weighing.snapshot;

	*vec_add(&calls->nodes) = (struct call_node){
		.parent = parent,
		.location = bucket->location,
		.group = bucket->group,
		.first_place = (uint32_t)calls->places.count,
		.self = bucket->self,
		.kernel = bucket->kernel,
		.total = bucket->total,
		.kind = kind_of_group(calls, bucket->group),
		.is_up = calls->nodes.items[parent].is_up,
		.is_internal = bucket->location != SNAPSHOT_NONE &&
			       snapshot->locations[bucket->location].is_internal,
	};
	vec_reserve(&calls->places, bucket->count);
	calls->places.count += bucket->count;
}

/* Several ways up meet at one call. */
static void settle(struct calls *calls, struct call_node *node, const struct call_place *place)
{
	struct call_place *places = calls->places.items + node->first_place;
	struct call_place *last = node->place_count ? &places[node->place_count - 1] : NULL;

	if (last && last->node == place->node && last->line == place->line &&
	    last->is_incomplete == place->is_incomplete)
		number_add(&last->weight, place->weight);
	else
		places[node->place_count++] = *place;
}

void calls_expand(struct calls *calls, uint32_t parent)
{
	uint32_t first;

	if (calls->nodes.items[parent].is_expanded)
		return;
	find_children(calls, &calls->nodes.items[parent]);
	merge_found(calls);
	name_buckets(calls);
	if (calls->buckets.count)
		qsort_r(calls->buckets.items, calls->buckets.count, sizeof(*calls->buckets.items),
			compare_buckets, calls);
	first = (uint32_t)calls->nodes.count;
	for (size_t i = 0; i < calls->buckets.count; i++) {
		const struct call_bucket *bucket = &calls->buckets.items[i];

		calls->bucket_of[bucket->group] = (uint32_t)calls->nodes.count;
		add_child(calls, parent, bucket);
	}
	for (size_t i = 0; i < calls->found.count; i++) {
		const struct call_found *found = &calls->found.items[i];

		if (found->place.node != SNAPSHOT_NONE)
			settle(calls, &calls->nodes.items[calls->bucket_of[found->group]],
			       &found->place);
	}
	for (size_t i = 0; i < calls->buckets.count; i++)
		calls->bucket_of[calls->buckets.items[i].group] = UINT32_MAX;
	calls->nodes.items[parent].first_child = first;
	calls->nodes.items[parent].child_count = (uint32_t)calls->buckets.count;
	calls->nodes.items[parent].is_expanded = true;
}

uint32_t calls_add_root(struct calls *calls, enum call_kind kind, bool is_up,
			const struct call_place *places, size_t count)
{
	const struct weighing *weighing = &calls->weighing;
	struct call_node node = {
		.parent = CALL_NONE,
		.location = SNAPSHOT_NONE,
		.group = CALL_NONE,
		.first_place = (uint32_t)calls->places.count,
		.place_count = (uint32_t)count,
		.total = kind == CALL_ALL ? weighing->total : 0,
		.kind = (uint8_t)kind,
		.is_up = is_up,
	};

	for (size_t i = 0; i < count; i++) {
		uint32_t location = weighing_location(weighing, places[i].node, places[i].line);
		uint64_t own, kernel;

		own_weight(weighing, &places[i], &own, &kernel);
		number_add(&node.self, own);
		number_add(&node.kernel, kernel);
		number_add(&node.total, places[i].weight);
		heat(calls, location, own, places[i].weight);
		*vec_add(&calls->places) = places[i];
	}
	for (size_t i = 0; i < calls->touched.count; i++) {
		uint32_t location = calls->touched.items[i];

		if (node.location == SNAPSHOT_NONE || is_hotter(calls, location, node.location))
			node.location = location;
	}
	for (size_t i = 0; i < calls->touched.count; i++)
		calls->heats[calls->touched.items[i]] = (struct call_heat){0};
	vec_clear(&calls->touched);
	if (node.location != SNAPSHOT_NONE) {
		node.group = calls->groups.of[node.location];
		node.is_internal = weighing->snapshot->locations[node.location].is_internal;
	}
	*vec_add(&calls->nodes) = node;
	return (uint32_t)calls->nodes.count - 1;
}

const char *calls_name(const struct calls *calls, uint32_t node)
{
	const struct call_node *at = &calls->nodes.items[node];

	return name_of(calls, at->kind, at->location);
}

uint64_t calls_hash(const struct calls *calls, uint32_t node)
{
	const struct call_node *at = &calls->nodes.items[node];
	const char *name = calls_name(calls, node);
	uint64_t hash = hash_two(hash_bytes(name, strlen(name)), at->kind);
	const struct snapshot_location *location = calls_location(calls, node);

	if (!location || calls->group != VIEW_BY_LINE)
		return hash;
	return hash_two(hash_two(hash, location->line),
			hash_bytes(location->file, strlen(location->file)));
}

const struct snapshot_location *calls_location(const struct calls *calls, uint32_t node)
{
	uint32_t location = calls->nodes.items[node].location;

	return location == SNAPSHOT_NONE ? NULL : &calls->weighing.snapshot->locations[location];
}
