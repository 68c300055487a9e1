#include "reader/view/rows.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/hash.h"
#include "reader/view/grouping.h"
#include "reader/view/number.h"
#include "reader/view/place.h"
#include "reader/view/tally.h"
#include "reader/view/waits.h"

static const char kernel_name[] = "[kernel]";

static char lower(char letter)
{
	return letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
}

bool filter_matches(const char *filter, const char *text)
{
	for (;; text++) {
		size_t i = 0;

		while (filter[i] && lower(filter[i]) == lower(text[i]))
			i++;
		if (!filter[i])
			return true;
		if (!*text)
			return false;
	}
}

static struct sum row_sum(const struct snapshot_row *row)
{
	return (struct sum){.count = row->count, .kernel = row->kernel_count, .value = row->value};
}

static void fill_sums(struct view_row *row, const struct tally *tally)
{
	row->self = tally->self.count;
	row->incl = tally->incl.count;
	row->self_value = tally->self.value;
	row->incl_value = tally->incl.value;
	row->kernel = tally->self.kernel;
}

static bool is_counted(const struct tally *tally)
{
	return tally->incl.count || tally->incl.value;
}

/* A thread that changed its name is several in the snapshot, and so are the parts of an appended
 * file: same number and same name are one row. */
void rows_of_threads(const struct selection *selection, struct arena *arena, view_rows *rows,
		     size_t *ret_location_count)
{
	const struct snapshot *snapshot = selection->snapshot;
	size_t count = snapshot->thread_count;
	struct tally *tallies = mem_array(count + 1, sizeof(*tallies));
	struct wait_tally *waits = mem_array(count + 1, sizeof(*waits));
	struct str_map by_name = {0};
	const char *filter = selection->request->filter;

	*ret_location_count = 0;
	if (selection->map)
		row_map_init(selection->map, count, count + 1);
	for (size_t i = 0; i < snapshot->row_count; i++) {
		const struct snapshot_row *row = &snapshot->rows[i];
		size_t index = row->thread < count ? row->thread : count;
		struct sum sum = row_sum(row);

		if (!selection_has_event(selection, row) || !selection_has_thread(selection, row))
			continue;
		sum_add(&tallies[index].self, &sum);
		if (selection->is_wait)
			wait_tally_add(&waits[index], row);
	}
	for (size_t i = 0; i <= count; i++) {
		const struct snapshot_thread *thread = i < count ? &snapshot->threads[i] : NULL;
		struct tally *tally = &tallies[i];
		const char *name = place_unknown;
		uint32_t known;

		tally->incl = tally->self;
		if (selection->map && thread)
			selection->map->of[i] = (uint32_t)i;
		/* A thread that ran and never waited is told too. */
		if (!is_counted(tally) && !waits[i].run_ns)
			continue;
		if (thread)
			name = arena_printf(arena, "%s (%u)", thread->comm, thread->tid);
		known = str_map_get(&by_name, name);
		if (known != UINT32_MAX) {
			if (selection->map && thread)
				selection->map->of[i] = known;
			sum_add(&tallies[known].self, &tally->self);
			sum_add(&tallies[known].incl, &tally->incl);
			wait_tally_join(&waits[known], &waits[i]);
			memset(tally, 0, sizeof(*tally));
		} else {
			str_map_put(&by_name, name, (uint32_t)i);
			++*ret_location_count;
			if (!filter || filter_matches(filter, name))
				*vec_add(rows) = (struct view_row){
					.function = name,
					.file = "",
					.module = "",
					.group = (uint32_t)i,
				};
		}
	}
	for (size_t i = 0; i < rows->count; i++) {
		struct view_row *row = &rows->items[i];

		fill_sums(row, &tallies[row->group]);
		if (selection->is_wait)
			wait_tally_fill(&waits[row->group], arena, row);
	}
	str_map_done(&by_name);
	free(tallies);
	free(waits);
}

/* By group of lines. */
static struct line_heat *heat_lines(const struct selection *selection, const struct tally *tallies,
				    size_t count)
{
	struct line_heat *heats = mem_array(count, sizeof(*heats));

	for (size_t i = 0; i < count; i++) {
		const struct tally *tally = &tallies[i];

		heats[i] = (struct line_heat){
			.self = selection->by_value ? tally->self.value : tally->self.count,
			.incl = selection->by_value ? tally->incl.value : tally->incl.count,
			.rest = is_counted(tally),
		};
	}
	return heats;
}

static void add_tree_samples(const struct selection *selection, struct tally_tree *tree)
{
	const struct snapshot *snapshot = selection->snapshot;

	for (size_t i = 0; i < snapshot->row_count; i++) {
		const struct snapshot_row *row = &snapshot->rows[i];
		struct sum sum = row_sum(row);

		if (selection_has_event(selection, row) && selection_has_thread(selection, row))
			tally_tree_add(tree, row->stack, &sum);
	}
}

/* The group that a stack's samples are charged to, the last for those without frames. */
static uint32_t group_of_stack(const struct tally_tree *tree, const struct grouping *groups,
			       uint32_t stack)
{
	uint32_t location = SNAPSHOT_NONE;

	if (stack < tree->snapshot->stack_count)
		location = tree->charged[stack];
	return location == SNAPSHOT_NONE ? (uint32_t)groups->count : groups->of[location];
}

/* By group, the last for stacks without frames; NULL where the event is no waiting. */
static struct wait_tally *tally_waits(const struct selection *selection,
				      const struct tally_tree *tree, const struct grouping *groups)
{
	const struct snapshot *snapshot = selection->snapshot;
	struct wait_tally *waits;

	if (!selection->is_wait)
		return NULL;
	waits = mem_array(groups->count + 1, sizeof(*waits));
	for (size_t i = 0; i < snapshot->row_count; i++) {
		const struct snapshot_row *row = &snapshot->rows[i];

		if (!selection_has_event(selection, row) || !selection_has_thread(selection, row))
			continue;
		wait_tally_add(&waits[group_of_stack(tree, groups, row->stack)], row);
	}
	return waits;
}

static void tell_map(struct row_map *map, const struct tally_tree *tree,
		     const struct grouping *groups)
{
	row_map_init(map, tree->snapshot->stack_count, groups->count + 1);
	for (size_t i = 0; i < map->count; i++)
		map->of[i] = group_of_stack(tree, groups, (uint32_t)i);
}

void rows_of_locations(const struct selection *selection, struct arena *arena, view_rows *rows,
		       size_t *ret_location_count)
{
	const struct view_request *request = selection->request;
	const struct snapshot *snapshot = selection->snapshot;
	struct grouping lines, wide, *groups = &lines;
	struct tally *line_tallies, *tallies;
	struct group_place *found;
	struct line_heat *heats;
	struct wait_tally *waits;
	struct tally_tree tree;

	tally_tree_init(&tree, snapshot, request->no_inline);
	add_tree_samples(selection, &tree);
	tally_tree_charge(&tree, request->include_internal);
	grouping_init(&lines, snapshot, VIEW_BY_LINE);
	line_tallies = mem_array(lines.count + 1, sizeof(*line_tallies));
	tally_tree_count(&tree, lines.of, lines.count, line_tallies);
	tallies = line_tallies;
	if (request->group != VIEW_BY_LINE) {
		grouping_init(&wide, snapshot, request->group);
		groups = &wide;
		tallies = mem_array(wide.count + 1, sizeof(*tallies));
		tally_tree_count(&tree, wide.of, wide.count, tallies);
	}
	waits = tally_waits(selection, &tree, groups);
	if (selection->map)
		tell_map(selection->map, &tree, groups);
	found = mem_array(groups->count, sizeof(*found));
	heats = heat_lines(selection, line_tallies, lines.count);
	group_places_find(snapshot, request, &lines, heats, groups, found);

	*ret_location_count = 0;
	for (size_t i = 0; i <= groups->count; i++) {
		struct row_place place = {
			.function = place_no_stack, .file = kernel_name, .module = kernel_name};
		struct view_row row;

		if (!is_counted(&tallies[i]))
			continue;
		++*ret_location_count;
		if (i < groups->count ? !found[i].is_matched : !place_matches(request, &place))
			continue;
		if (i < groups->count)
			place = place_at(snapshot, found[i].location);
		row = (struct view_row){
			.function = place.function,
			.file = place.file,
			.module = place.module,
			.path = place.path,
			.line = place.line,
			.group = (uint32_t)i,
		};
		fill_sums(&row, &tallies[i]);
		if (waits)
			wait_tally_fill(&waits[i], arena, &row);
		*vec_add(rows) = row;
	}

	free(found);
	free(heats);
	free(waits);
	if (groups == &wide) {
		grouping_done(&wide);
		free(tallies);
	}
	free(line_tallies);
	grouping_done(&lines);
	tally_tree_done(&tree);
}
