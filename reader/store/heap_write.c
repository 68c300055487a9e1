/* The heap in the commit's transaction: what changed, by stack, and what is live since. */
#include <inttypes.h>
#include <stdio.h>

#include "reader/store/write.h"
#include "reader/util/clock.h"
#include "reader/util/fmt.h"

/* meta has these of the last recording, where it counted the heap and ended cleanly. */
#define FACT_LIVE "heap_live_bytes"
#define FACT_PEAK "heap_peak_bytes"
#define FACT_PEAK_TIME "heap_peak_ms"
#define FACT_RESOLUTION "peak_resolution_ms"
#define FACT_UNKNOWN "heap_unknown_frees"

int heap_begin(struct store *store, struct err *err)
{
	if (!store->is_append)
		return 0;
	return sql_exec(&store->sql,
			"UPDATE heap_stacks SET live_bytes = 0, live_blocks = 0 "
			"WHERE live_bytes <> 0 OR live_blocks <> 0;"
			"DELETE FROM meta WHERE key IN ('" FACT_LIVE "', '" FACT_PEAK
			"', '" FACT_PEAK_TIME "', '" FACT_RESOLUTION "', '" FACT_UNKNOWN "')",
			err);
}

static int write_change(struct store *store, int64_t checkpoint, const struct delta_heap_row *row,
			struct err *err)
{
	/* Where a block's free was counted a checkpoint before its allocation, the sum puts it
	 * right; what is live is therefore told from the sums. */
	const struct heap_counts *total =
		heap_sums_add(&store->heap.totals, row->stack.v, &row->counts);
	int64_t change[2 + HEAP_COLUMNS] = {checkpoint, row->stack.v};
	int64_t stack[3 + HEAP_COLUMNS] = {row->stack.v, heap_stored(heap_live_bytes(total)),
					   heap_stored(heap_live_blocks(total))};
	int ret;

	heap_columns(&row->counts, change + 2);
	heap_columns(&row->counts, stack + 3);
	ret = sql_run_ints(&store->sql, store->statements[WRITE_HEAP_CHANGE], change,
			   2 + HEAP_COLUMNS, err);
	if (ret == 0)
		ret = sql_run_ints(&store->sql, store->statements[WRITE_HEAP_STACK], stack,
				   3 + HEAP_COLUMNS, err);
	rollup_add_heap(&store->rollup, row);
	return ret;
}

static int write_changes(struct store *store, int64_t checkpoint, const struct delta *delta,
			 struct err *err)
{
	struct heap_sums *changes = &store->heap.changes;
	int ret = 0;

	heap_sums_clear(changes);
	for (size_t i = 0; i < delta->heap_row_count; i++)
		heap_sums_add(changes, id_map_get(&store->stacks, delta->heap_rows[i].stack.v),
			      &delta->heap_rows[i].counts);
	heap_sums_sort(changes);
	for (size_t i = 0; i < changes->rows.count && ret == 0; i++)
		ret = write_change(store, checkpoint, &changes->rows.items[i], err);
	return ret;
}

/* Where it is more than what is live by now, which is told anyway. */
static int write_peak(struct store *store, int64_t checkpoint, const struct delta_heap_row *row,
		      struct err *err)
{
	static const struct heap_counts none;
	uint32_t stack = id_map_get(&store->stacks, row->stack.v);
	const struct heap_counts *total = heap_sums_add(&store->heap.totals, stack, &none);
	int64_t peak = heap_stored(row->peak_bytes);
	int ret;

	if (row->peak_bytes <= heap_live_bytes(total))
		return 0;
	ret = write_ints(store, WRITE_HEAP_PEAK, err, checkpoint, stack, peak);
	return ret < 0 ? ret : write_ints(store, WRITE_HEAP_STACK_PEAK, err, stack, peak);
}

static int write_peaks(struct store *store, int64_t checkpoint, const struct delta *delta,
		       struct err *err)
{
	int ret = 0;

	for (size_t i = 0; i < delta->heap_row_count && ret == 0; i++)
		ret = write_peak(store, checkpoint, &delta->heap_rows[i], err);
	return ret;
}

static int write_state(struct store *store, int64_t checkpoint, const struct heap_state *state,
		       struct err *err)
{
	return write_ints(store, WRITE_HEAP_CHECKPOINT, err, checkpoint,
			  heap_stored(state->live_bytes), heap_stored(state->live_blocks),
			  heap_stored(state->unknown_frees), heap_stored(state->mmap_count),
			  heap_stored(state->mmap_bytes), heap_stored(state->munmap_count),
			  heap_stored(state->munmap_bytes), heap_stored(state->brk_count),
			  state->brk_bytes, heap_stored(state->hits), heap_stored(state->cost_ns));
}

int heap_write(struct store *store, int64_t checkpoint, const struct delta *delta, struct err *err)
{
	struct write_heap *heap = &store->heap;
	uint32_t step = delta->checkpoint - heap->looked_at;
	int ret = write_changes(store, checkpoint, delta, err);

	if (ret == 0)
		ret = write_peaks(store, checkpoint, delta, err);
	if (ret < 0 || !delta->heap.is_counted)
		return ret;
	heap->is_counted = true;
	heap->live_bytes = delta->heap.live_bytes;
	heap->unknown_frees = delta->heap.unknown_frees;
	if (heap->live_bytes > heap->peak_bytes) {
		heap->peak_bytes = heap->live_bytes;
		heap->peak_ns = delta->end_ns;
	}
	heap->is_peak_exact = delta->heap.is_peak_exact;
	heap->exact_peak_bytes = delta->heap.peak_bytes;
	heap->exact_peak_ns = delta->heap.peak_ns;
	if (step > heap->longest_step)
		heap->longest_step = step;
	heap->looked_at = delta->checkpoint;
	return write_state(store, checkpoint, &delta->heap, err);
}

static int write_fact(struct store *store, const char *key, uint64_t value, struct err *err)
{
	char text[FMT_MAX];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return write_meta(store, key, text, err);
}

int heap_write_facts(struct store *store, struct err *err)
{
	const struct write_heap *heap = &store->heap;
	uint64_t peak_bytes = heap->peak_bytes, peak_ns = heap->peak_ns;
	uint64_t resolution_ns = heap->longest_step * store->interval_ns;
	int ret;

	if (!heap->is_counted)
		return 0;
	if (heap->is_peak_exact) {
		peak_bytes = heap->exact_peak_bytes;
		peak_ns = heap->exact_peak_ns;
		resolution_ns = 0;
	}
	ret = write_fact(store, FACT_LIVE, heap->live_bytes, err);
	if (ret == 0)
		ret = write_fact(store, FACT_PEAK, peak_bytes, err);
	/* In recorded time, as checkpoints are. */
	if (ret == 0)
		ret = write_fact(store, FACT_PEAK_TIME, (store->offset_ns + peak_ns) / NS_PER_MS,
				 err);
	if (ret == 0)
		ret = write_fact(store, FACT_RESOLUTION, resolution_ns / NS_PER_MS, err);
	if (ret == 0)
		ret = write_fact(store, FACT_UNKNOWN, heap->unknown_frees, err);
	return ret;
}

void heap_done(struct write_heap *heap)
{
	heap_sums_done(&heap->changes);
	heap_sums_done(&heap->totals);
}
