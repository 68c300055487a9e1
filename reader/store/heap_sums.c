#include "reader/store/heap_sums.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct heap_counts) == HEAP_COLUMNS * sizeof(uint64_t),
	       "each member is a column");

int64_t heap_stored(uint64_t number)
{
	return number < INT64_MAX ? (int64_t)number : INT64_MAX;
}

void heap_columns(const struct heap_counts *counts, int64_t ret_columns[HEAP_COLUMNS])
{
	uint64_t numbers[HEAP_COLUMNS];

	memcpy(numbers, counts, sizeof(numbers));
	for (int i = 0; i < HEAP_COLUMNS; i++)
		ret_columns[i] = heap_stored(numbers[i]);
}

void heap_from_columns(const uint64_t columns[HEAP_COLUMNS], struct heap_counts *ret_counts)
{
	memcpy(ret_counts, columns, sizeof(*ret_counts));
}

const struct heap_counts *heap_sums_add(struct heap_sums *sums, uint32_t stack,
					const struct heap_counts *counts)
{
	static const struct heap_counts zero;
	uint32_t at = u64_map_get(&sums->index, stack);

	if (at == UINT32_MAX) {
		if (memcmp(counts, &zero, sizeof(zero)) == 0)
			return &zero;
		at = (uint32_t)sums->rows.count;
		*vec_add(&sums->rows) = (struct delta_heap_row){.stack = {stack}};
		u64_map_put(&sums->index, stack, at);
	}
	heap_counts_add(&sums->rows.items[at].counts, counts);
	return &sums->rows.items[at].counts;
}

static int compare_rows(const void *left, const void *right)
{
	const struct delta_heap_row *a = left, *b = right;

	return (a->stack.v > b->stack.v) - (a->stack.v < b->stack.v);
}

void heap_sums_sort(struct heap_sums *sums)
{
	if (sums->rows.count)
		qsort(sums->rows.items, sums->rows.count, sizeof(*sums->rows.items), compare_rows);
}

void heap_sums_clear(struct heap_sums *sums)
{
	vec_clear(&sums->rows);
	u64_map_clear(&sums->index);
}

void heap_sums_done(struct heap_sums *sums)
{
	vec_done(&sums->rows);
	u64_map_done(&sums->index);
}
