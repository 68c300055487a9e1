#include "reader/core/aggregate.h"

#include <string.h>

#include "reader/util/hash.h"
#include "reader/util/vec.h"

struct aggregate {
	VEC(struct delta_row) rows;
	uint32_t *slots; /* index of the row + 1, 0 = empty */
	size_t capacity;
};

struct aggregate *aggregate_new(void)
{
	return mem_zalloc(sizeof(struct aggregate));
}

void aggregate_free(struct aggregate *aggregate)
{
	if (!aggregate)
		return;
	vec_done(&aggregate->rows);
	free(aggregate->slots);
	free(aggregate);
}

static uint64_t row_hash(const struct delta_row *row)
{
	return hash_two((uint64_t)row->thread.v << 32 | row->stack.v,
			(uint64_t)row->kind << 32 | row->event_index);
}

static bool row_same(const struct delta_row *a, const struct delta_row *b)
{
	return a->stack.v == b->stack.v && a->thread.v == b->thread.v &&
	       a->event_index == b->event_index && a->kind == b->kind;
}

static void grow(struct aggregate *aggregate)
{
	aggregate->capacity = aggregate->capacity ? aggregate->capacity * 2 : 256;
	free(aggregate->slots);
	aggregate->slots = mem_array(aggregate->capacity, sizeof(*aggregate->slots));
	for (size_t i = 0; i < aggregate->rows.count; i++) {
		size_t slot = row_hash(&aggregate->rows.items[i]) & (aggregate->capacity - 1);

		while (aggregate->slots[slot])
			slot = (slot + 1) & (aggregate->capacity - 1);
		aggregate->slots[slot] = (uint32_t)i + 1;
	}
}

void aggregate_add(struct aggregate *aggregate, const struct delta_row *row)
{
	size_t slot;

	if ((aggregate->rows.count + 1) * 3 > aggregate->capacity * 2)
		grow(aggregate);
	slot = row_hash(row) & (aggregate->capacity - 1);
	while (aggregate->slots[slot]) {
		struct delta_row *known = &aggregate->rows.items[aggregate->slots[slot] - 1];

		if (row_same(known, row)) {
			known->count += row->count;
			known->kernel_count += row->kernel_count;
			known->value += row->value;
			known->run_ns += row->run_ns;
			return;
		}
		slot = (slot + 1) & (aggregate->capacity - 1);
	}
	*vec_add(&aggregate->rows) = *row;
	aggregate->slots[slot] = (uint32_t)aggregate->rows.count;
}

const struct delta_row *aggregate_find(const struct aggregate *aggregate,
				       const struct delta_row *row)
{
	size_t slot;

	if (!aggregate->capacity)
		return NULL;
	slot = row_hash(row) & (aggregate->capacity - 1);
	while (aggregate->slots[slot]) {
		const struct delta_row *known = &aggregate->rows.items[aggregate->slots[slot] - 1];

		if (row_same(known, row))
			return known;
		slot = (slot + 1) & (aggregate->capacity - 1);
	}
	return NULL;
}

const struct delta_row *aggregate_rows(const struct aggregate *aggregate, size_t *ret_count)
{
	*ret_count = aggregate->rows.count;
	return aggregate->rows.items;
}

void aggregate_clear(struct aggregate *aggregate)
{
	vec_clear(&aggregate->rows);
	if (aggregate->slots)
		memset(aggregate->slots, 0, aggregate->capacity * sizeof(*aggregate->slots));
}
