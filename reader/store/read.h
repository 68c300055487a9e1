/* What the parts of the reader share. */
#ifndef RSPROF_STORE_READ_H
#define RSPROF_STORE_READ_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "reader/core/aggregate.h"
#include "reader/core/snapshot.h"
#include "reader/store/heap_sums.h"
#include "reader/store/sql.h"
#include "reader/store/store.h"
#include "reader/util/vec.h"

struct heap_load;

/* What stacks of the last recording did up to a checkpoint, kept so that a window near its end does
 * not need all that was before it. */
struct heap_held {
	struct heap_sums sums; /* unsorted */
	size_t begin, end;     /* checkpoints that are in it, end not included */
	bool is_begun, is_usable;
};

struct store_reader {
	struct sql sql;
	char *path;
};

/* Another time, of a file that was a profile: without the tests that it is one. */
int store_reader_reopen(const char *path, struct store_reader **ret_reader, struct err *err);

/* Ids of a loaded table, ascending: the index of one. rsprof's own are dense, which makes it a
 * subtraction; others cost a search. */
struct id_index {
	VEC(int64_t) ids;
	bool has_gaps;
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

/* A checkpoint as far as windows, polls of the heap and timelines need it. */
struct read_checkpoint {
	int64_t id, timestamp_ms;
	uint32_t recording; /* index */
	uint64_t cpu_ms;    /* of the target since its recording began */
	uint64_t rss_bytes, rss_anonymous_bytes;
};

/* A full run of checkpoints that roll-ups hold, both ends included. */
struct read_span {
	int64_t id, first, last;
};

/* Sums of rows. Where those of all rows do not overflow, no sum does. */
struct load_sums {
	struct aggregate *aggregate; /* by index; NULL: not begun */
	uint64_t count, value, run_ns;
};

/* Tables of a file as far as they were read; what is read again is added to them. Arrays are by
 * index, and an index stays the same for good. */
struct load {
	struct store_reader *reader;
	struct err *err;
	struct arena *strings; /* of all that is read */
	struct id_index recordings, events, threads, modules, texts, locations, frames, nodes,
		stacks;
	VEC(const char *) text;
	struct {
		VEC(struct snapshot_meta) meta;
		VEC(struct snapshot_recording) recordings;
		VEC(uint64_t) intervals; /* by recording: of its checkpoints */
		VEC(struct snapshot_event) events;
		VEC(struct snapshot_thread) threads;
		VEC(struct snapshot_module) modules;
		VEC(struct snapshot_location) locations;
		VEC(struct snapshot_frame) frames; /* line_count 0: nothing is known of it */
		VEC(uint32_t) lines;
		VEC(struct snapshot_node) nodes;
		VEC(uint32_t) depths;		   /* of nodes */
		VEC(struct snapshot_stack) stacks; /* raw_location is not told */
		VEC(struct snapshot_step) steps;
		struct losses losses;
		uint64_t duration_ns;
	} tables;
	/* Of frames and stacks: what may still change. */
	VEC(uint32_t) open_frames, open_stacks;
	VEC(struct read_checkpoint) checkpoints;
	VEC(struct read_span) spans; /* in the order of time */
	int64_t last_span;	     /* the highest id */
	struct load_sums whole;	     /* of the whole file, where it is followed */
	size_t summed;		     /* checkpoints that are in it */
	struct heap_load *heap;	     /* likewise */
	struct heap_held held;	     /* likewise */
	struct {
		bool is_counted;
		uint64_t live_bytes;
	} last_heap;			 /* likewise: at its end */
	const atomic_bool *is_cancelled; /* nothing more is read then; NULL: never */
	struct snapshot *snapshot;	 /* that is being made; NULL: none */
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
const char *load_text(struct load_rows *rows, int column); /* in load.strings */
/* Likewise, but `before` (or NULL) where that is the same text. */
const char *load_text_again(struct load_rows *rows, int column, const char *before);
/* Index of the row that the column's id names. */
uint32_t load_reference(struct load_rows *rows, int column, const struct id_index *index);
/* Notes the row's own id, column 0. */
void load_id(struct load_rows *rows, struct id_index *index);
/* As load_begin, where ?1 is the first id that is not in the index yet. */
int load_begin_new(struct load *load, struct load_rows *rows, const char *table, const char *sql,
		   const struct id_index *index);
void load_done(struct load *load);

/* snapshot_load.c: what is new of everything but the counts. */
int load_tables(struct load *load);
/* snapshot_stacks.c: likewise, of stacks and what they are made of. Anew: all of it, the indexes
 * stay.
 */
int load_stacks(struct load *load);
int load_stacks_anew(struct load *load);
/* snapshot_make.c: fills load.snapshot from the tables and, for what they do not have, the file. */
int load_make(struct load *load, struct store_window window);

/* snapshot_rows.c. Those that are new. */
int load_checkpoints(struct load *load);
int load_spans(struct load *load);
/* Adds what is new to load.whole. */
int load_whole(struct load *load);
/* Checkpoints with from < end <= to. Their times ascend, so they are a run: its length, and the
 * index of its first. */
size_t load_find_window(const struct load *load, struct store_window window, size_t *ret_first);
int load_counts(struct load *load, struct store_window window);

/* Checkpoints by index, and the span that holds the same (NULL: they are read one by one). */
struct load_part {
	size_t first, last;
	const struct read_span *span;
};
/* The next checkpoints from `first` on that are one part: those of a span that ends by `last`, or
 * the ones before the next such span. *span is where to look on, 0 at first. */
struct load_part load_next_part(const struct load *load, size_t first, size_t last, size_t *span);

/* snapshot_heap.c. */
int load_heap(struct load *load, struct store_window window);
void heap_load_free(struct heap_load *heap); /* NULL allowed */

#endif
