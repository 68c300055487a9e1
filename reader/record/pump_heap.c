#include "reader/record/pump_heap.h"

void pump_heap_done(struct pump_heap *heap)
{
	u64_map_done(&heap->stack_of_site);
	heap_aggregate_done(&heap->rows);
}

void pump_heap_on_stack(struct pump_heap *heap, uint64_t site, stack_id stack)
{
	u64_map_put(&heap->stack_of_site, site, stack.v);
}

static void sum_live(struct pump_heap *heap)
{
	if (!heap->state.is_counted)
		return;
	heap->state.live_bytes = heap_live_bytes(&heap->sum);
	heap->state.live_blocks = heap_live_blocks(&heap->sum);
}

void pump_heap_on_counts(struct pump_heap *heap, const struct event *event,
			 struct stack_table *stacks, struct losses *losses)
{
	const struct heap_counts *counts = &event->heap_counts.counts;
	uint64_t peak_bytes = event->heap_counts.peak_bytes;
	uint32_t known = u64_map_get(&heap->stack_of_site, event->heap_counts.site);
	stack_id stack = {known};

	heap_counts_add(&heap->sum, counts);
	heap->state.is_counted = heap->is_looked_at = true;
	sum_live(heap);
	if (!known)
		losses->count[LOSS_STACKS_FULL] += counts->allocs;
	if (known && known != UINT32_MAX)
		heap_aggregate_add(&heap->rows, stack, counts, peak_bytes);
	else if (stack_table_intern(stacks, NULL, 0, STACK_NOT_WALKED, &stack) == 0)
		heap_aggregate_add(&heap->rows, stack, counts, peak_bytes);
	else if (known)
		losses->count[LOSS_STACKS_FULL] += counts->allocs;
}

void pump_heap_on_state(struct pump_heap *heap, const struct event *event)
{
	heap->state = event->heap_state;
	heap->is_looked_at = true;
	sum_live(heap);
}

void pump_heap_tell(struct pump_heap *heap, uint64_t start_ns, struct delta *delta)
{
	delta->heap_row_count = heap->rows.rows.count;
	if (delta->heap_row_count)
		delta->heap_rows = arena_copy(&delta->arena, heap->rows.rows.items,
					      delta->heap_row_count * sizeof(*delta->heap_rows));
	delta->heap = heap->state;
	delta->heap.peak_ns -= start_ns < delta->heap.peak_ns ? start_ns : delta->heap.peak_ns;
	delta->heap.is_counted &= heap->is_looked_at;
	heap->is_looked_at = false;
	heap_aggregate_clear(&heap->rows);
}
