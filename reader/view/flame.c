#include "reader/view/flame.h"

#include <string.h>

#include "reader/view/number.h"
#include "reader/view/rows.h"

void flame_init(struct flame *flame, const struct model *model, enum model_table table,
		bool is_allocated)
{
	memset(flame, 0, sizeof(*flame));
	calls_init(&flame->calls, model, table, is_allocated, VIEW_BY_FUNCTION);
	calls_add_root(&flame->calls, CALL_ALL, false, NULL, 0);
	flame->is_matched_group =
		mem_array(flame->calls.groups.count, sizeof(*flame->is_matched_group));
}

void flame_done(struct flame *flame)
{
	calls_done(&flame->calls);
	free(flame->is_matched_group);
	memset(flame, 0, sizeof(*flame));
}

static void match_names(struct flame *flame, const char *pattern)
{
	static const char *const names[CALL_NO_STACK + 1] = {
		[CALL_UNKNOWN] = "[unknown]",
		[CALL_KERNEL] = "[kernel]",
		[CALL_INCOMPLETE] = "[incomplete stack]",
		[CALL_NO_STACK] = "[no user stack]",
	};
	const struct calls *calls = &flame->calls;
	const struct snapshot *snapshot = calls->weighing.snapshot;

	memset(flame->is_matched_group, 0, calls->groups.count);
	for (size_t i = 0; i < snapshot->location_count; i++) {
		const struct snapshot_location *location = &snapshot->locations[i];
		bool *is_matched = &flame->is_matched_group[calls->groups.of[i]];

		if (!*is_matched)
			*is_matched = filter_matches(pattern, location->function) ||
				      filter_matches(pattern, location->file);
	}
	for (size_t i = 0; i <= CALL_NO_STACK; i++)
		flame->is_matched_kind[i] = names[i] && filter_matches(pattern, names[i]);
}

static bool node_is_matched(const struct flame *flame, uint32_t node)
{
	const struct weighing *weighing = &flame->calls.weighing;
	uint32_t count = weighing_line_count(weighing, node);

	for (uint32_t line = 0; line < count; line++) {
		uint32_t location = weighing_location(weighing, node, line);

		if (location == SNAPSHOT_NONE
			    ? flame->is_matched_kind[CALL_UNKNOWN]
			    : flame->is_matched_group[flame->calls.groups.of[location]])
			return true;
	}
	return false;
}

/* What of the node and below it hangs on no match above. */
static uint64_t matched_at(const struct flame *flame, uint32_t node)
{
	const struct weighing *weighing = &flame->calls.weighing;
	bool is_incomplete_too = !flame->is_matched_kind[CALL_INCOMPLETE];
	uint64_t sum = weighing->nodes[node].below[WEIGH_COMPLETE];

	/* Else it is counted as a whole. */
	if (is_incomplete_too)
		number_add(&sum, weighing->nodes[node].below[WEIGH_INCOMPLETE]);
	return sum;
}

static uint64_t matched_kernel(const struct flame *flame, uint32_t node)
{
	const struct weighing *weighing = &flame->calls.weighing;
	uint64_t sum = 0;

	for (uint32_t stack = weighing->nodes[node].first_stack; stack != SNAPSHOT_NONE;
	     stack = weighing->next_stack[stack]) {
		if (weighing_side(weighing, stack) == WEIGH_COMPLETE ||
		    !flame->is_matched_kind[CALL_INCOMPLETE])
			number_add(&sum, weighing->kernel[stack]);
	}
	return sum;
}

/* What matches outside of functions. */
static uint64_t matched_pseudo(const struct flame *flame)
{
	const struct weighing *weighing = &flame->calls.weighing;
	uint64_t sum = 0;

	if (flame->is_matched_kind[CALL_NO_STACK])
		number_add(&sum, weighing->no_stack);
	else if (flame->is_matched_kind[CALL_KERNEL])
		number_add(&sum, weighing->no_stack_kernel);
	for (uint32_t node = weighing->first_root;
	     node != SNAPSHOT_NONE && flame->is_matched_kind[CALL_INCOMPLETE];
	     node = weighing->nodes[node].next_sibling)
		number_add(&sum, weighing->nodes[node].below[WEIGH_INCOMPLETE]);
	return sum;
}

void flame_search(struct flame *flame, const char *pattern)
{
	const struct weighing *weighing = &flame->calls.weighing;
	bool *is_below;

	flame->has_search = pattern && *pattern;
	flame->matched = 0;
	if (!flame->has_search)
		return;
	match_names(flame, pattern);
	flame->matched = matched_pseudo(flame);
	is_below = mem_array(weighing->snapshot->node_count, sizeof(*is_below));
	for (size_t i = 0; i < weighing->order_count; i++) {
		uint32_t node = weighing->order[i], parent = weighing_parent(weighing, node);

		is_below[node] = parent != SNAPSHOT_NONE && is_below[parent];
		if (is_below[node])
			continue;
		is_below[node] = node_is_matched(flame, node);
		if (is_below[node])
			number_add(&flame->matched, matched_at(flame, node));
		else if (flame->is_matched_kind[CALL_KERNEL])
			number_add(&flame->matched, matched_kernel(flame, node));
	}
	free(is_below);
}

bool flame_is_matched(const struct flame *flame, uint32_t node)
{
	const struct call_node *at = calls_node(&flame->calls, node);

	if (!flame->has_search)
		return false;
	return at->kind == CALL_FUNCTION ? flame->is_matched_group[at->group]
					 : flame->is_matched_kind[at->kind];
}

uint32_t flame_child(struct flame *flame, uint32_t node, uint64_t hash)
{
	uint32_t first, count;

	calls_expand(&flame->calls, node);
	first = calls_node(&flame->calls, node)->first_child;
	count = calls_node(&flame->calls, node)->child_count;
	for (uint32_t i = first; i < first + count; i++) {
		if (calls_hash(&flame->calls, i) == hash)
			return i;
	}
	return CALL_NONE;
}

void flame_boxes_done(struct flame_boxes *boxes)
{
	vec_done(&boxes->boxes);
	vec_done(&boxes->levels);
}

static int column_of(uint64_t weight, uint64_t total, int width)
{
	if (weight >= total)
		return width;
	return (int)((unsigned __int128)weight * (unsigned int)width / total);
}

/* Where boxes begin, in weight; beside flame_boxes while they are laid. */
typedef VEC(uint64_t) box_starts;

/* The children of a box as far as they are a column wide. */
static void lay_children(struct flame_boxes *boxes, struct flame *flame, box_starts *starts,
			 size_t parent, uint64_t total, int width)
{
	struct flame_box from = boxes->boxes.items[parent];
	uint64_t start = starts->items[parent];
	const struct call_node *node;
	uint32_t first, end;

	calls_expand(&flame->calls, from.node);
	node = calls_node(&flame->calls, from.node);
	first = node->first_child;
	end = first + node->child_count;
	for (uint32_t child = first; child < end; child++) {
		uint64_t weight = calls_node(&flame->calls, child)->total, next = start;
		struct flame_box box = {.node = child};

		/* Those behind it are no wider. */
		if ((unsigned __int128)weight * (unsigned int)width < total)
			break;
		number_add(&next, weight);
		box.left = column_of(start, total, width);
		box.right = column_of(next, total, width);
		/* Sums that were too large for their type: what is left has no room. */
		if (box.left >= box.right)
			break;
		*vec_add(&boxes->boxes) = box;
		*vec_add(starts) = start;
		start = next;
	}
}

static void lay_callers(struct flame_boxes *boxes, const struct flame *flame, uint32_t zoom,
			int width)
{
	size_t count = 0;

	for (uint32_t node = zoom; node != CALL_NONE;
	     node = calls_node(&flame->calls, node)->parent)
		count++;
	vec_reserve(&boxes->boxes, count);
	boxes->boxes.count = count;
	for (uint32_t node = zoom; node != CALL_NONE;
	     node = calls_node(&flame->calls, node)->parent)
		boxes->boxes.items[--count] = (struct flame_box){node, 0, width};
	for (size_t i = 0; i < boxes->boxes.count; i++)
		*vec_add(&boxes->levels) = i;
}

void flame_boxes_lay(struct flame_boxes *boxes, struct flame *flame, uint32_t zoom, int width,
		     int level_count)
{
	uint64_t total = calls_node(&flame->calls, zoom)->total;
	box_starts starts = {0};
	size_t from, to;

	vec_clear(&boxes->boxes);
	vec_clear(&boxes->levels);
	if (width <= 0 || level_count <= 0 || !total)
		return;
	lay_callers(boxes, flame, zoom, width);
	vec_reserve(&starts, boxes->boxes.count);
	for (size_t i = 0; i < boxes->boxes.count; i++)
		*vec_add(&starts) = 0;
	from = boxes->boxes.count - 1;
	to = boxes->boxes.count;
	while (from < to && boxes->levels.count < (size_t)level_count) {
		for (size_t i = from; i < to; i++)
			lay_children(boxes, flame, &starts, i, total, width);
		from = to;
		to = boxes->boxes.count;
		if (from < to)
			*vec_add(&boxes->levels) = from;
	}
	*vec_add(&boxes->levels) = boxes->boxes.count;
	vec_done(&starts);
}

const struct flame_box *flame_boxes_find(const struct flame_boxes *boxes, int level, uint32_t node)
{
	if (level < 0 || level >= flame_boxes_levels(boxes))
		return NULL;
	for (size_t i = boxes->levels.items[level]; i < boxes->levels.items[level + 1]; i++) {
		if (boxes->boxes.items[i].node == node)
			return &boxes->boxes.items[i];
	}
	return NULL;
}
