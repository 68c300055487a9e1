/* Flattening is a sweep by address over a heap of the ranges that are open there, the winner on
 * top; a range that has ended is dropped when it comes up. n log n, whatever the overlaps. */
#include "reader/symbol/range_index.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void range_index_add(struct range_index *index, uint64_t start, uint64_t end, uint32_t rank,
		     uint32_t value)
{
	if (start >= end || index->ranges.count == UINT32_MAX)
		return;
	*vec_add(&index->ranges) = (struct range){
		.start = start,
		.end = end,
		.rank = rank,
		.order = (uint32_t)index->ranges.count,
		.value = value,
	};
}

static int compare_start(const void *left, const void *right)
{
	const struct range *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static bool wins(const struct range *a, const struct range *b)
{
	if (a->rank != b->rank)
		return a->rank > b->rank;
	if (a->start != b->start)
		return a->start > b->start;
	return a->order < b->order;
}

static void heap_push(const struct range **heap, size_t *count, const struct range *range)
{
	size_t at = (*count)++;

	while (at > 0) {
		size_t up = (at - 1) / 2;

		if (!wins(range, heap[up]))
			break;
		heap[at] = heap[up];
		at = up;
	}
	heap[at] = range;
}

static void heap_pop(const struct range **heap, size_t *count)
{
	const struct range *last = heap[--(*count)];
	size_t at = 0;

	for (;;) {
		size_t down = 2 * at + 1;

		if (down >= *count)
			break;
		if (down + 1 < *count && wins(heap[down + 1], heap[down]))
			down++;
		if (!wins(heap[down], last))
			break;
		heap[at] = heap[down];
		at = down;
	}
	heap[at] = last;
}

typedef VEC(struct range_segment) segment_vec;

static void emit(segment_vec *segments, uint64_t start, uint32_t value)
{
	if (segments->count && segments->items[segments->count - 1].value == value)
		return;
	*vec_add(segments) = (struct range_segment){.start = start, .value = value};
}

void range_index_seal(struct range_index *index)
{
	const struct range *ranges = index->ranges.items;
	size_t count = index->ranges.count, next = 0, open = 0;
	const struct range **heap;
	segment_vec segments = {0};
	uint64_t at = 0;

	if (!count)
		return;
	qsort(index->ranges.items, count, sizeof(*ranges), compare_start);
	heap = mem_array(count, sizeof(*heap));
	while (next < count || open) {
		if (!open)
			at = ranges[next].start;
		while (next < count && ranges[next].start <= at)
			heap_push(heap, &open, &ranges[next++]);
		while (open && heap[0]->end <= at)
			heap_pop(heap, &open);
		if (!open) {
			emit(&segments, at, RANGE_NONE);
			continue;
		}
		emit(&segments, at, heap[0]->value);
		at = heap[0]->end;
		if (next < count && ranges[next].start < at)
			at = ranges[next].start;
	}
	free(heap);
	vec_done(&index->ranges);
	index->segments = mem_grow(segments.items, segments.count, sizeof(*segments.items));
	index->segment_count = segments.count;
}

uint32_t range_index_find(const struct range_index *index, uint64_t address)
{
	size_t low = 0, high = index->segment_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (index->segments[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? index->segments[low - 1].value : RANGE_NONE;
}

void range_index_done(struct range_index *index)
{
	vec_done(&index->ranges);
	free(index->segments);
	memset(index, 0, sizeof(*index));
}
