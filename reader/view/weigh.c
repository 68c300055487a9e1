#include "reader/view/weigh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/util/fmt.h"
#include "reader/util/mem.h"
#include "reader/view/heap_tally.h"
#include "reader/view/number.h"
#include "reader/view/rows.h"

uint32_t weighing_parent(const struct weighing *weighing, uint32_t node)
{
	uint32_t parent = weighing->snapshot->nodes[node].parent;

	return parent < weighing->snapshot->node_count ? parent : SNAPSHOT_NONE;
}

/* Returns whether every node stands behind its parent, as files have them. */
static bool link_nodes(struct weighing *weighing)
{
	size_t count = weighing->snapshot->node_count;
	bool is_sorted = true;

	weighing->first_root = SNAPSHOT_NONE;
	weighing->nodes = mem_array(count, sizeof(*weighing->nodes));
	for (size_t i = 0; i < count; i++)
		weighing->nodes[i] = (struct weigh_node){
			.first_child = SNAPSHOT_NONE,
			.first_stack = SNAPSHOT_NONE,
			.frame = weighing->snapshot->nodes[i].frame,
		};
	for (size_t i = count; i-- > 0;) {
		uint32_t parent = weighing_parent(weighing, (uint32_t)i);
		uint32_t *first = &weighing->first_root;

		if (parent != SNAPSHOT_NONE) {
			first = &weighing->nodes[parent].first_child;
			is_sorted &= parent < i;
		}
		weighing->nodes[i].next_sibling = *first;
		*first = (uint32_t)i;
	}
	return is_sorted;
}

static void order_siblings(struct weighing *weighing, uint32_t node)
{
	for (; node != SNAPSHOT_NONE; node = weighing->nodes[node].next_sibling)
		weighing->order[weighing->order_count++] = node;
}

/* A node that hangs on no root is never met. */
static void order_nodes(struct weighing *weighing, bool is_sorted)
{
	size_t count = weighing->snapshot->node_count;

	weighing->order = mem_array(count, sizeof(*weighing->order));
	if (is_sorted) {
		for (; weighing->order_count < count; weighing->order_count++)
			weighing->order[weighing->order_count] = (uint32_t)weighing->order_count;
		return;
	}
	order_siblings(weighing, weighing->first_root);
	for (size_t i = 0; i < weighing->order_count; i++)
		order_siblings(weighing, weighing->nodes[weighing->order[i]].first_child);
}

enum weigh_side weighing_side(const struct weighing *weighing, uint32_t stack)
{
	switch (weighing->snapshot->stacks[stack].status) {
	case STACK_COMPLETE:
	case STACK_USED_FRAME_POINTERS:
		return WEIGH_COMPLETE;
	default:
		return WEIGH_INCOMPLETE;
	}
}

static void add_no_stack(struct weighing *weighing, uint32_t stack)
{
	number_add(&weighing->no_stack, weighing->stacks[stack]);
	number_add(&weighing->no_stack_kernel, weighing->kernel[stack]);
}

static void link_stacks(struct weighing *weighing)
{
	const struct snapshot *snapshot = weighing->snapshot;
	bool *is_reached = mem_array(snapshot->node_count, sizeof(*is_reached));

	for (size_t i = 0; i < weighing->order_count; i++)
		is_reached[weighing->order[i]] = true;
	weighing->next_stack = mem_array(snapshot->stack_count, sizeof(*weighing->next_stack));
	for (uint32_t i = 0; i < snapshot->stack_count; i++) {
		uint32_t node = snapshot->stacks[i].node;
		enum weigh_side side = weighing_side(weighing, i);

		if (!weighing->stacks[i])
			continue;
		if (node >= snapshot->node_count || !is_reached[node]) {
			add_no_stack(weighing, i);
			continue;
		}
		weighing->next_stack[i] = weighing->nodes[node].first_stack;
		weighing->nodes[node].first_stack = i;
		number_add(&weighing->nodes[node].below[side], weighing->stacks[i]);
	}
	free(is_reached);
}

static void sum_below(struct weighing *weighing)
{
	for (size_t i = weighing->order_count; i-- > 0;) {
		uint32_t node = weighing->order[i];
		uint32_t parent = weighing_parent(weighing, node);

		for (int side = 0; side < WEIGH_SIDES && parent != SNAPSHOT_NONE; side++)
			number_add(&weighing->nodes[parent].below[side],
				   weighing->nodes[node].below[side]);
	}
}

/* The part of a row's weight that is the kernel's. */
static uint64_t kernel_part(const struct snapshot_row *row, uint64_t weight)
{
	if (row->kernel_count >= row->count)
		return row->count ? weight : 0;
	return (uint64_t)((unsigned __int128)weight * row->kernel_count / row->count);
}

static void weigh_rows(struct weighing *weighing, const struct selection *selection)
{
	const struct snapshot *snapshot = weighing->snapshot;

	for (size_t i = 0; i < snapshot->row_count; i++) {
		const struct snapshot_row *row = &snapshot->rows[i];
		uint64_t weight = selection->by_value ? row->value : row->count, kernel;

		if (!selection_has_event(selection, row))
			continue;
		number_add(&weighing->whole, weight);
		if (!selection_has_thread(selection, row))
			continue;
		/* Whatever waits does so in the kernel: nothing is told by that. */
		kernel = selection->is_wait ? 0 : kernel_part(row, weight);
		number_add(&weighing->total, weight);
		if (row->stack < snapshot->stack_count) {
			number_add(&weighing->stacks[row->stack], weight);
			number_add(&weighing->kernel[row->stack], kernel);
		} else {
			number_add(&weighing->no_stack, weight);
			number_add(&weighing->no_stack_kernel, kernel);
		}
	}
}

static void weigh_events(struct weighing *weighing, const struct model *model,
			 const struct view *view)
{
	const char *thread = model->request.thread;
	const struct view_request request = {
		.event = view->event ? view->event->name : NULL,
		.thread = *thread ? thread : NULL,
	};
	struct selection selection;
	struct err err = {0};

	/* A model with a thread that is not there is never made. */
	if (selection_init(&selection, weighing->snapshot, &request, &err) < 0)
		return;
	weighing->unit = selection.is_wait ? WEIGH_NS : WEIGH_COUNT;
	if (selection.by_value && view->event)
		weighing->unit_name = view->event->unit_name;
	weigh_rows(weighing, &selection);
	selection_done(&selection);
}

static void weigh_heap(struct weighing *weighing, bool is_allocated)
{
	const struct snapshot *snapshot = weighing->snapshot;
	struct heap_stack *stacks = heap_stacks_new(snapshot);

	weighing->unit = WEIGH_BYTES;
	for (size_t i = 0; i <= snapshot->stack_count; i++) {
		uint64_t bytes = is_allocated ? stacks[i].totals.alloc_bytes
					      : heap_live_bytes(&stacks[i].held);

		number_add(&weighing->total, bytes);
		if (i < snapshot->stack_count)
			weighing->stacks[i] = bytes;
		else
			number_add(&weighing->no_stack, bytes);
	}
	weighing->whole = weighing->total;
	free(stacks);
}

void weighing_init(struct weighing *weighing, const struct model *model, enum model_table table,
		   bool is_allocated)
{
	const struct snapshot *snapshot = model->snapshot;
	const struct view *view = table == MODEL_WAIT ? model->wait : model->cpu;

	memset(weighing, 0, sizeof(*weighing));
	weighing->snapshot = snapshot;
	weighing->no_inline = model->request.no_inline;
	weighing->unit_name = "samples";
	weighing->stacks = mem_array(snapshot->stack_count, sizeof(*weighing->stacks));
	weighing->kernel = mem_array(snapshot->stack_count, sizeof(*weighing->kernel));
	weighing->is_there = table == MODEL_HEAP ? model->heap != NULL : view != NULL;
	if (weighing->is_there && table == MODEL_HEAP)
		weigh_heap(weighing, is_allocated);
	else if (weighing->is_there)
		weigh_events(weighing, model, view);
	order_nodes(weighing, link_nodes(weighing));
	link_stacks(weighing);
	sum_below(weighing);
}

void weighing_done(struct weighing *weighing)
{
	free(weighing->stacks);
	free(weighing->kernel);
	free(weighing->nodes);
	free(weighing->next_stack);
	free(weighing->order);
	memset(weighing, 0, sizeof(*weighing));
}

/* NULL where the frame names no line. */
static const uint32_t *node_lines(const struct weighing *weighing, uint32_t node,
				  uint32_t *ret_count)
{
	const struct snapshot *snapshot = weighing->snapshot;
	uint32_t index = weighing->nodes[node].frame;
	const struct snapshot_frame *frame;

	*ret_count = 1;
	if (index >= snapshot->frame_count)
		return NULL;
	frame = &snapshot->frames[index];
	if (!frame->line_count || frame->first_line > snapshot->line_count ||
	    frame->line_count > snapshot->line_count - frame->first_line)
		return NULL;
	if (weighing->no_inline)
		return snapshot->lines + frame->first_line + frame->line_count - 1;
	*ret_count = frame->line_count;
	return snapshot->lines + frame->first_line;
}

uint32_t weighing_line_count(const struct weighing *weighing, uint32_t node)
{
	uint32_t count;

	node_lines(weighing, node, &count);
	return count;
}

uint32_t weighing_location(const struct weighing *weighing, uint32_t node, uint32_t line)
{
	uint32_t count;
	const uint32_t *lines = node_lines(weighing, node, &count);

	if (!lines || line >= count || lines[line] >= weighing->snapshot->location_count)
		return SNAPSHOT_NONE;
	return lines[line];
}

const char *weighing_text(const struct weighing *weighing, char buffer[WEIGH_TEXT_MAX],
			  uint64_t value)
{
	char number[FMT_MAX];

	switch (weighing->unit) {
	case WEIGH_BYTES:
		snprintf(buffer, WEIGH_TEXT_MAX, "%s", fmt_bytes(number, value));
		break;
	case WEIGH_NS:
		snprintf(buffer, WEIGH_TEXT_MAX, "%s", fmt_span(number, value));
		break;
	case WEIGH_COUNT:
		snprintf(buffer, WEIGH_TEXT_MAX, "%s %.24s", fmt_count(number, value),
			 weighing->unit_name);
		break;
	}
	return buffer;
}
