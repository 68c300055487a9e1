/* What the parts of the reader share. */
#ifndef RSPROF_STORE_READ_H
#define RSPROF_STORE_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "reader/core/snapshot.h"
#include "reader/store/sql.h"
#include "reader/store/store.h"
#include "reader/util/vec.h"

struct store_reader {
	struct sql sql;
	char *path;
};

/* Ids of a loaded table, ascending: the index of one. rsprof's own are dense, which makes it a
 * subtraction; others cost a search. */
struct id_index {
	VEC(int64_t) ids;
};

/* SNAPSHOT_NONE where there is none. */
uint32_t id_index_get(const struct id_index *index, int64_t id);
/* false where it is not above the last, or there are too many. */
bool id_index_add(struct id_index *index, int64_t id);

enum {
	/* Lines of one frame: twice as deep as the symbolizer follows nested calls, and more is no
	 * work of ours. */
	READ_CHAIN_MAX = 1024,
};

/* A checkpoint as far as windows and polls of the heap need it. */
struct read_checkpoint {
	int64_t id, timestamp_ms;
	uint32_t recording; /* index */
	uint64_t rss_bytes, rss_anonymous_bytes;
};

/* A full run of checkpoints that roll-ups hold, both ends included. */
struct read_span {
	int64_t id, first, last;
};

struct load {
	struct store_reader *reader;
	struct snapshot *snapshot;
	struct err *err;
	struct id_index recordings, events, threads, modules, texts, locations, frames, nodes,
		stacks;
	VEC(const char *) text;
	VEC(struct read_checkpoint) checkpoints;
	VEC(struct read_span) spans; /* in the order of time */
	bool needs_charge;	     /* a stack is not charged yet, or by older rules */
};

/* A table being read, row by row. Whatever is not as rsprof writes it makes the file "damaged". */
struct load_rows {
	struct load *load;
	const char *table;
	sqlite3_stmt *statement;
	int ret; /* 0, or the failure that every further call repeats */
};

int load_begin(struct load *load, struct load_rows *rows, const char *table, const char *sql);
bool load_next(struct load_rows *rows); /* false at the end and on failure */
int load_end(struct load_rows *rows);
int load_damaged(struct load_rows *rows, const char *what);
/* Columns. Out of range: 0, and the failure is kept. */
uint64_t load_number(struct load_rows *rows, int column, uint64_t max);
uint64_t load_bits(struct load_rows *rows, int column); /* any 64 bits */
bool load_is_null(const struct load_rows *rows, int column);
const char *load_text(struct load_rows *rows, int column); /* in the snapshot's arena */
/* Index of the row that the column's id names. */
uint32_t load_reference(struct load_rows *rows, int column, const struct id_index *index);
/* Notes the row's own id, column 0. */
void load_id(struct load_rows *rows, struct id_index *index);

/* snapshot_load.c: everything but the counts. snapshot_rows.c: checkpoints and counts.
 * snapshot_heap.c: the heap's. */
int load_tables(struct load *load);
int load_checkpoints(struct load *load);
/* Checkpoints with from < end <= to. Their times ascend, so they are a run: its length, and the
 * index of its first. */
size_t load_find_window(const struct load *load, struct store_window window, size_t *ret_first);
int load_counts(struct load *load, struct store_window window);
int load_heap(struct load *load, struct store_window window);

#endif
