/* Counts of one checkpoint by (event, kind of wait, thread, stack). */
#ifndef RSPROF_CORE_AGGREGATE_H
#define RSPROF_CORE_AGGREGATE_H

#include <stddef.h>

#include "reader/core/delta.h"

struct aggregate;

struct aggregate *aggregate_new(void);
void aggregate_free(struct aggregate *aggregate);
void aggregate_add(struct aggregate *aggregate, const struct delta_row *row);
/* The sum of what differs from the row in nothing but numbers; NULL: none. */
const struct delta_row *aggregate_find(const struct aggregate *aggregate,
				       const struct delta_row *row);
const struct delta_row *aggregate_rows(const struct aggregate *aggregate, size_t *ret_count);
void aggregate_clear(struct aggregate *aggregate);

#endif
