/* Sums of each full run of ROLLUP_CHECKPOINTS checkpoints, so that a window of a long recording is
 * read without its samples. Gathered in memory, written with the last checkpoint of the run. */
#ifndef RSPROF_STORE_ROLLUP_H
#define RSPROF_STORE_ROLLUP_H

#include <stdint.h>

#include "reader/core/aggregate.h"
#include "reader/store/heap_sums.h"
#include "reader/store/sql.h"

enum { ROLLUP_CHECKPOINTS = 60 }; /* a minute at the default interval */

struct rollup {
	struct sql *sql;
	sqlite3_stmt *insert_span, *insert_row, *insert_heap;
	struct aggregate *aggregate; /* the database's ids */
	struct heap_sums heap;	     /* these too */
	uint32_t checkpoints, first_checkpoint;
	int64_t last_span;
};

int rollup_init(struct rollup *rollup, struct sql *sql, struct err *err);
/* Goes on where an appended file ends: with the checkpoints after its last span. */
int rollup_load(struct rollup *rollup, struct err *err);
void rollup_add(struct rollup *rollup, const struct delta_row *row);
void rollup_add_heap(struct rollup *rollup, const struct delta_heap_row *row);
/* The checkpoint's rows are all added. Writes the span when the run is full. */
int rollup_end_checkpoint(struct rollup *rollup, uint32_t checkpoint, struct err *err);
/* By key, so that rows are appended to a table's tree instead of scattered over it. */
void rollup_sort(struct delta_row *rows, size_t count);
void rollup_done(struct rollup *rollup);

#endif
