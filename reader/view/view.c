#include "reader/view/view.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/mem.h"
#include "reader/view/number.h"
#include "reader/view/rows.h"
#include "reader/view/sort.h"
#include "reader/view/waits.h"

/* What shares are of: all samples of the event in the window, whatever is filtered out later.
 * Returns the sum of their values. */
static uint64_t add_totals(const struct selection *selection, struct view *view)
{
	const struct snapshot *snapshot = selection->snapshot;
	uint64_t total_value = 0;
	struct wait_tally waits = {0};

	for (size_t i = 0; i < snapshot->row_count; i++) {
		const struct snapshot_row *row = &snapshot->rows[i];
		unsigned int status = STACK_EMPTY;
		uint64_t weight = selection->is_wait ? wait_weight(row) : row->count;

		if (!selection_has_event(selection, row))
			continue;
		if (row->stack < snapshot->stack_count)
			status = snapshot->stacks[row->stack].status;
		number_add(&view->total_samples, row->count);
		number_add(&view->status_samples[status < STACK_STATUSES ? status : STACK_BROKEN],
			   weight);
		number_add(&view->judged, weight);
		number_add(&total_value, row->value);
		if (selection->is_wait)
			wait_tally_add(&waits, row);
	}
	view->complete_pct = 100;
	if (view->judged)
		view->complete_pct =
			number_share(view->status_samples[STACK_COMPLETE], view->judged);
	view->is_wait = selection->is_wait;
	if (selection->is_wait) {
		view->total_wait_ns = total_value;
		view->total_run_ns = waits.run_ns;
		memcpy(view->kind_ns, waits.kind_ns, sizeof(view->kind_ns));
	}
	return total_value;
}

/* Strings of rows are the snapshot's wherever it has them: the view goes before its snapshot. */
int view_build(const struct snapshot *snapshot, const struct view_request *request,
	       struct view **ret_view, struct err *err)
{
	return view_build_mapped(snapshot, request, ret_view, NULL, err);
}

static uint32_t group_of(const void *rows, size_t i)
{
	return ((const struct view_row *)rows)[i].group;
}

int view_build_mapped(const struct snapshot *snapshot, const struct view_request *request,
		      struct view **ret_view, struct row_map *ret_map, struct err *err)
{
	struct selection selection;
	struct sort_order order;
	view_rows rows = {0};
	uint64_t whole, shown = 0;
	struct view *view;
	size_t kept = 0;
	int r;

	r = selection_init(&selection, snapshot, request, err);
	if (r < 0)
		return r;
	r = sort_order_init(&order, request->sort, &selection, err);
	if (r < 0) {
		selection_done(&selection);
		return r;
	}
	selection.map = ret_map;
	view = mem_zalloc(sizeof(*view));
	if (selection.event != SNAPSHOT_NONE)
		view->event = &snapshot->events[selection.event];
	whole = add_totals(&selection, view);
	if (!selection.by_value)
		whole = view->total_samples;

	if (request->group == VIEW_BY_THREAD)
		rows_of_threads(&selection, &view->arena, &rows, &view->location_count);
	else
		rows_of_locations(&selection, &view->arena, &rows, &view->location_count);
	for (size_t i = 0; i < rows.count; i++) {
		struct view_row *row = &rows.items[i];

		row->self_pct =
			number_share(selection.by_value ? row->self_value : row->self, whole);
		row->incl_pct =
			number_share(selection.by_value ? row->incl_value : row->incl, whole);
		if (row->incl_pct >= request->threshold_pct)
			rows.items[kept++] = *row;
	}
	sort_rows(&order, rows.items, kept);
	if (request->top && kept > request->top)
		kept = request->top;
	for (size_t i = 0; i < kept; i++)
		number_add(&shown,
			   selection.by_value ? rows.items[i].self_value : rows.items[i].self);
	view->shown_pct = number_share(shown, whole);
	view->rows = arena_copy(&view->arena, rows.items, kept * sizeof(*rows.items));
	view->row_count = kept;
	if (ret_map)
		row_map_settle(ret_map, view->rows, kept, group_of);
	vec_done(&rows);
	selection_done(&selection);
	*ret_view = view;
	return 0;
}

void view_free(struct view *view)
{
	if (!view)
		return;
	arena_done(&view->arena);
	free(view);
}
