/* Counts of the heap by stack, and as columns of tables. */
#ifndef RSPROF_STORE_HEAP_SUMS_H
#define RSPROF_STORE_HEAP_SUMS_H

#include <stdint.h>

#include "reader/core/delta.h"
#include "reader/util/hash.h"
#include "reader/util/vec.h"

/* The members of struct heap_counts, in their order, are columns that follow each other. */
enum { HEAP_COLUMNS = 10 };
#define HEAP_COLUMN_NAMES                                                                          \
	"allocs, alloc_bytes, frees, free_bytes, untracked, untracked_bytes, temporary, "          \
	"reallocs, growth_bytes, estimated"

/* As the file holds a number: no higher than an integer of SQLite's. */
int64_t heap_stored(uint64_t number);
void heap_columns(const struct heap_counts *counts, int64_t ret_columns[HEAP_COLUMNS]);
void heap_from_columns(const uint64_t columns[HEAP_COLUMNS], struct heap_counts *ret_counts);

/* Zero-initialised is empty and usable. */
struct heap_sums {
	VEC(struct delta_heap_row) rows;
	struct u64_map index; /* of rows by stack */
};

/* The sum so far, valid until the next call. Rows that are zero are kept out. */
const struct heap_counts *heap_sums_add(struct heap_sums *sums, uint32_t stack,
					const struct heap_counts *counts);
/* By stack. Nothing can be added until the next clear. */
void heap_sums_sort(struct heap_sums *sums);
void heap_sums_clear(struct heap_sums *sums);
void heap_sums_done(struct heap_sums *sums);

#endif
