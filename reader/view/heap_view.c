#include "reader/view/heap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "reader/util/vec.h"
#include "reader/view/heap_facts.h"
#include "reader/view/heap_keys.h"
#include "reader/view/heap_tally.h"
#include "reader/view/number.h"
#include "reader/view/place.h"
#include "reader/view/row_map.h"
#include "reader/view/tally.h"

typedef VEC(struct heap_row) heap_rows;

/* One request, while it is answered. */
struct building {
	const struct snapshot *snapshot;
	const struct view_request *request;
	struct heap_stack *stacks; /* by stack, one more for those that do not exist */
	struct tally_tree tree;	   /* values are live bytes */
	bool is_least;		   /* blocks found no room to be tracked */
	struct row_map *map;	   /* to be told; NULL: nobody asks */
	bool is_sampled;	   /* some time in the window: what no sample met has more, too */
};

static int refuse_threads(const struct view_request *request, struct err *err)
{
	const char *option = request->group == VIEW_BY_THREAD ? "--by thread" : "--thread";

	err_set(err, ERR_USAGE, -EINVAL, "The heap is not kept by thread.");
	err_remedy(err, "Leave out %s; --by line, function, file and module are there.", option);
	return -EINVAL;
}

static int refuse_absent(const struct snapshot *snapshot, struct err *err)
{
	const char *text = heap_facts_reason(snapshot);
	OWN(str_done) struct str reason = {0};

	str_add_scrubbed(&reason, text);
	while (reason.length && strchr(" .\n", reason.text[reason.length - 1]))
		reason.text[--reason.length] = '\0';
	if (reason.length)
		err_set(err, ERR_USAGE, -EINVAL, "This profile holds no heap (%.400s).",
			str_text(&reason));
	else
		err_set(err, ERR_USAGE, -EINVAL, "This profile holds no heap.");
	err_remedy(err, "Record again as root with: rsprof -p PID --heap auto");
	return -EINVAL;
}

/* Puts what is live on the tree. What is all gone is charged too. */
static void plant(struct building *building)
{
	const struct snapshot *snapshot = building->snapshot;

	tally_tree_init(&building->tree, snapshot, building->request->no_inline);
	for (size_t i = 0; i <= snapshot->stack_count; i++) {
		const struct sum sum = {
			.count = heap_stack_is_used(&building->stacks[i]),
			.value = heap_live_bytes(&building->stacks[i].held),
		};

		tally_tree_add(&building->tree, (uint32_t)i, &sum);
	}
	tally_tree_charge(&building->tree, building->request->include_internal);
}

static uint32_t group_of_stack(const struct building *building, const struct grouping *groups,
			       size_t stack)
{
	uint32_t location = SNAPSHOT_NONE;

	if (stack < building->snapshot->stack_count)
		location = building->tree.charged[stack];
	return location == SNAPSHOT_NONE ? (uint32_t)groups->count : groups->of[location];
}

/* What a grouping found: by group, the last for stacks without frames. */
struct grouped {
	struct heap_tally *heap;
	struct tally *live; /* incl.value is what is of interest */
	uint32_t *of;	    /* by stack: its group */
};

static void grouped_init(struct grouped *grouped, const struct building *building,
			 const struct grouping *groups)
{
	size_t stack_count = building->snapshot->stack_count;

	grouped->heap = mem_array(groups->count + 1, sizeof(*grouped->heap));
	grouped->live = mem_array(groups->count + 1, sizeof(*grouped->live));
	grouped->of = mem_array(stack_count + 1, sizeof(*grouped->of));
	tally_tree_count(&building->tree, groups->of, groups->count, grouped->live);
	for (size_t i = 0; i <= stack_count; i++) {
		grouped->of[i] = group_of_stack(building, groups, i);
		heap_tally_add(&grouped->heap[grouped->of[i]], &building->stacks[i]);
	}
}

static void grouped_done(struct grouped *grouped)
{
	free(grouped->heap);
	free(grouped->live);
	free(grouped->of);
}

static bool has_own(const struct heap_tally *heap)
{
	return heap->live_bytes || heap->live_blocks || heap->totals.allocs ||
	       heap->totals.alloc_bytes || heap->totals.frees || heap->totals.free_bytes;
}

/* By group of lines. To be freed. */
static struct line_heat *heat_lines(const struct grouped *lines, size_t count)
{
	struct line_heat *heats = mem_array(count, sizeof(*heats));

	for (size_t i = 0; i < count; i++) {
		const struct heap_tally *heap = &lines->heap[i];

		heats[i] = (struct line_heat){
			.self = heap->live_bytes,
			.incl = lines->live[i].incl.value,
			.rest = heap->totals.alloc_bytes,
		};
		if (!heats[i].rest)
			heats[i].rest = has_own(heap);
	}
	return heats;
}

static struct heap_row row_of(const struct building *building, const struct heap_tally *heap,
			      const struct tally *live, const struct row_place *place)
{
	return (struct heap_row){
		.live_bytes = heap->live_bytes,
		.live_blocks = heap->live_blocks,
		.incl_live_bytes = live->incl.value,
		.peak_bytes = heap->peak_bytes,
		.peak_ns = heap->peak_ns,
		.totals = heap->totals,
		.is_estimate = heap->estimated > 0 || (building->is_sampled && has_own(heap)),
		.is_least = building->is_least && heap->untracked > 0,
		.function = place->function,
		.file = place->file,
		.module = place->module,
		.path = place->path,
		.line = place->line,
	};
}

/* Those that the filter leaves out are only counted. */
static void make_rows(const struct building *building, const struct grouping *groups,
		      const struct grouped *grouped, const struct group_place *places,
		      heap_rows *rows, size_t *ret_location_count)
{
	for (size_t i = 0; i <= groups->count; i++) {
		struct row_place place = {
			.function = place_no_stack, .file = place_unknown, .module = place_unknown};

		if (!has_own(&grouped->heap[i]) && !grouped->live[i].incl.value)
			continue;
		++*ret_location_count;
		if (i < groups->count ? !places[i].is_matched
				      : !place_matches(building->request, &place))
			continue;
		if (i < groups->count)
			place = place_at(building->snapshot, places[i].location);
		*vec_add(rows) = row_of(building, &grouped->heap[i], &grouped->live[i], &place);
		rows->items[rows->count - 1].group = (uint32_t)i;
	}
}

static void collect_rows(const struct building *building, struct heap_view *view,
			 struct heap_tally *whole, heap_rows *rows)
{
	const struct snapshot *snapshot = building->snapshot;
	enum view_group group = building->request->group;
	struct grouping lines, wide, *groups = &lines;
	struct grouped by_line, by_group, *grouped = &by_line;
	struct group_place *places;
	struct line_heat *heats;

	grouping_init(&lines, snapshot, VIEW_BY_LINE);
	grouped_init(&by_line, building, &lines);
	if (group != VIEW_BY_LINE) {
		grouping_init(&wide, snapshot, group);
		grouped_init(&by_group, building, &wide);
		groups = &wide;
		grouped = &by_group;
	}
	if (building->map) {
		row_map_init(building->map, snapshot->stack_count, groups->count + 1);
		if (snapshot->stack_count)
			memcpy(building->map->of, grouped->of,
			       snapshot->stack_count * sizeof(*grouped->of));
	}
	heap_tally_peaks(snapshot, grouped->of, groups->count + 1, grouped->heap, whole);
	heats = heat_lines(&by_line, lines.count);
	places = mem_array(groups->count, sizeof(*places));
	group_places_find(snapshot, building->request, &lines, heats, groups, places);
	make_rows(building, groups, grouped, places, rows, &view->location_count);

	free(places);
	free(heats);
	if (groups == &wide) {
		grouped_done(&by_group);
		grouping_done(&wide);
	}
	grouped_done(&by_line);
	grouping_done(&lines);
}

static void judge_stacks(const struct building *building, struct heap_view *view,
			 struct heap_tally *whole)
{
	const struct snapshot *snapshot = building->snapshot;

	for (size_t i = 0; i <= snapshot->stack_count; i++) {
		const struct heap_stack *stack = &building->stacks[i];
		unsigned int status =
			i < snapshot->stack_count ? snapshot->stacks[i].status : STACK_EMPTY;

		heap_tally_add(whole, stack);
		number_add(&view->status_allocs[status < STACK_STATUSES ? status : STACK_BROKEN],
			   stack->totals.allocs);
		number_add(&view->judged, stack->totals.allocs);
	}
	view->complete_pct = 100;
	if (view->judged)
		view->complete_pct =
			number_share(view->status_allocs[STACK_COMPLETE], view->judged);
}

/* Shares are of what is live, of all that was allocated where nothing is. */
static void cut(const struct view_request *request, const struct heap_key *key,
		struct heap_view *view, heap_rows *rows)
{
	uint64_t whole = view->live_bytes ? view->live_bytes : view->totals.alloc_bytes, shown = 0;
	size_t kept = 0;

	for (size_t i = 0; i < rows->count; i++) {
		const struct heap_row *row = &rows->items[i];
		uint64_t part = view->live_bytes ? row->incl_live_bytes : row->totals.alloc_bytes;

		if (number_share(part, whole) >= request->threshold_pct)
			rows->items[kept++] = *row;
	}
	heap_rows_sort(key, request->group, rows->items, kept);
	if (request->top && kept > request->top)
		kept = request->top;
	for (size_t i = 0; i < kept; i++)
		number_add(&shown, view->live_bytes ? rows->items[i].live_bytes
						    : rows->items[i].totals.alloc_bytes);
	view->shown_pct = number_share(shown, whole);
	view->rows = arena_copy(&view->arena, rows->items, kept * sizeof(*rows->items));
	view->row_count = kept;
}

static uint32_t group_of_row(const void *rows, size_t i)
{
	return ((const struct heap_row *)rows)[i].group;
}

static void build_rows(struct building *building, const struct heap_key *key,
		       struct heap_view *view)
{
	struct heap_tally whole = {0};
	heap_rows rows = {0};

	building->stacks = heap_stacks_new(building->snapshot);
	plant(building);
	judge_stacks(building, view, &whole);
	collect_rows(building, view, &whole, &rows);
	view->live_bytes = whole.live_bytes;
	view->live_blocks = whole.live_blocks;
	view->peak_bytes = whole.peak_bytes;
	view->peak_ns = whole.peak_ns;
	view->totals = whole.totals;
	view->is_estimate |= whole.estimated > 0;
	view->is_least = building->is_least;
	cut(building->request, key, view, &rows);
	if (building->map)
		row_map_settle(building->map, view->rows, view->row_count, group_of_row);
	vec_done(&rows);
	tally_tree_done(&building->tree);
	free(building->stacks);
	heap_facts_find_peak(building->snapshot, view);
}

/* Strings of rows are the snapshot's: the view goes before its snapshot. */
int heap_view_build(const struct snapshot *snapshot, const struct view_request *request,
		    struct heap_view **ret_view, struct err *err)
{
	return heap_view_build_mapped(snapshot, request, ret_view, NULL, err);
}

int heap_view_build_mapped(const struct snapshot *snapshot, const struct view_request *request,
			   struct heap_view **ret_view, struct row_map *ret_map, struct err *err)
{
	struct building building = {
		.snapshot = snapshot,
		.request = request,
		.map = ret_map,
		.is_least = snapshot->losses.count[LOSS_HEAP_BLOCKS_FULL] > 0,
	};
	bool is_there = heap_view_is_there(snapshot);
	const struct heap_key *key;
	struct heap_view *view;
	int r;

	if (request->group == VIEW_BY_THREAD || request->thread)
		return refuse_threads(request, err);
	r = heap_key_choose(request->sort, &key, err);
	if (r < 0)
		return r;
	if (!is_there && !heap_facts_is_totals_only(snapshot))
		return refuse_absent(snapshot, err);
	view = mem_zalloc(sizeof(*view));
	heap_facts_fill(snapshot, view);
	view->complete_pct = 100;
	building.is_sampled = view->is_estimate;
	if (is_there) {
		build_rows(&building, key, view);
	} else {
		view->is_totals_only = true;
		view->is_estimate = false;
		view->mode = HEAP_MODE_OFF;
	}
	*ret_view = view;
	return 0;
}

/* A window can see the free without the allocation. */
double heap_row_temporary_pct(const struct heap_row *row, const struct heap_view *view)
{
	const struct heap_counts *totals = &row->totals;
	bool is_unwatched = row->is_least || view->frees_until_ns != UINT64_MAX;
	uint64_t unwatched = is_unwatched ? totals->untracked : 0;
	uint64_t whole = totals->allocs > unwatched ? totals->allocs - unwatched : 0;
	uint64_t part = totals->temporary < whole ? totals->temporary : whole;

	return totals->allocs && !whole ? -1 : number_share(part, whole);
}

void heap_view_free(struct heap_view *view)
{
	if (!view)
		return;
	arena_done(&view->arena);
	free(view);
}
