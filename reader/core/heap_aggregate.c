#include "reader/core/heap_aggregate.h"

void heap_aggregate_done(struct heap_aggregate *aggregate)
{
	vec_done(&aggregate->rows);
	u64_map_done(&aggregate->row_of);
}

void heap_aggregate_add(struct heap_aggregate *aggregate, stack_id stack,
			const struct heap_counts *counts, uint64_t peak_bytes)
{
	uint32_t row = u64_map_get(&aggregate->row_of, stack.v);
	struct delta_heap_row *sum;

	if (row == UINT32_MAX) {
		row = (uint32_t)aggregate->rows.count;
		*vec_add(&aggregate->rows) = (struct delta_heap_row){.stack = stack};
		u64_map_put(&aggregate->row_of, stack.v, row);
	}
	sum = &aggregate->rows.items[row];
	heap_counts_add(&sum->counts, counts);
	if (peak_bytes > sum->peak_bytes)
		sum->peak_bytes = peak_bytes;
}

void heap_aggregate_clear(struct heap_aggregate *aggregate)
{
	vec_clear(&aggregate->rows);
	u64_map_clear(&aggregate->row_of);
}
