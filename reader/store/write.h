/* What the parts of the writer share: the open file, its statements, and the ids of the recording
 * that is being written. */
#ifndef RSPROF_STORE_WRITE_H
#define RSPROF_STORE_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/core/loss.h"
#include "reader/store/heap_sums.h"
#include "reader/store/ids.h"
#include "reader/store/locations.h"
#include "reader/store/rollup.h"
#include "reader/store/sql.h"
#include "reader/store/store.h"
#include "reader/store/store_file.h"
#include "reader/util/str.h"

enum write_statement {
	WRITE_MODULE,
	WRITE_THREAD,
	WRITE_FRAME,
	WRITE_NODE,
	WRITE_STACK,
	WRITE_CHECKPOINT,
	WRITE_SAMPLE,
	WRITE_TOTAL,
	WRITE_STEP,
	WRITE_HEAP_CHANGE,
	WRITE_HEAP_STACK,
	WRITE_HEAP_CHECKPOINT,
	WRITE_HEAP_PEAK,
	WRITE_HEAP_STACK_PEAK,
	WRITE_LOSS,
	WRITE_DURATION,
	WRITE_META,
	WRITE_FRAME_RESOLVED,
	WRITE_FRAME_LINE,
	WRITE_FRAME_LINES_GONE,
	WRITE_CHARGE,
	READ_LEAF,
	READ_FRAME,
	READ_LINE,
	WRITE_STATEMENTS
};

/* What an appended file knows already, to find it again. */
struct known_ids {
	struct str_map modules;	      /* kind, build-id, path */
	struct tuple_index frames;    /* module, vaddr */
	struct u64_map nodes, stacks; /* parent and frame; node and walk_status */
};

/* The heap of the recording, for what is live now and was at most. */
struct write_heap {
	struct heap_sums changes; /* of one checkpoint */
	struct heap_sums totals;  /* of the recording */
	bool is_counted;
	uint64_t live_bytes, peak_bytes, peak_ns, unknown_frees;
	/* Of a trace that is whole, by the last look; not of looks. */
	bool is_peak_exact;
	uint64_t exact_peak_bytes, exact_peak_ns;
	uint32_t looked_at;    /* the last checkpoint with a look in it */
	uint32_t longest_step; /* between two looks, in checkpoints */
};

struct store {
	struct sql sql;
	struct store_file file;
	sqlite3_stmt *statements[WRITE_STATEMENTS];
	bool is_append;
	bool in_transaction; /* of an appended recording from its beginning to its first commit */
	bool is_ours;	     /* the file is made or checked: what is in it may be changed */
	int failure;	     /* of the first commit that failed: the file ends there */
	struct err failure_err;

	int64_t recording;
	uint64_t offset_ns, duration_ns, interval_ns;
	uint32_t checkpoint_base, last_checkpoint; /* of earlier recordings; own */
	uint32_t *events;			   /* the database's ids by event_index */
	size_t event_count;
	struct id_map modules, threads, frames, nodes, stacks;
	struct known_ids known;
	struct locations locations;
	struct rollup rollup;
	struct write_heap heap;
	struct losses losses; /* as the file has them */
};

int write_prepare(struct store *store, struct err *err);
/* Binds integers from the first parameter on and runs it. */
#define write_ints(store, which, err, ...)                                                         \
	sql_run_ints(&(store)->sql, (store)->statements[which], (const int64_t[]){__VA_ARGS__},    \
		     sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t), err)
int write_begin(struct store *store, struct err *err);
int write_end(struct store *store, struct err *err);
void write_roll_back(struct store *store);
int write_meta(struct store *store, const char *key, const char *value, struct err *err);
/* time_ns: since the recording began. */
int write_step(struct store *store, uint64_t time_ns, const char *signal, const char *mode,
	       const char *reason, struct err *err);
/* "FILE is full": no id is left. */
int write_no_ids(struct store *store, struct err *err);

/* recording.c: the row of the recording, and what meta tells of it. */
int recording_begin(struct store *store, const struct store_recording *recording, struct err *err);
int recording_write_facts(struct store *store, const struct store_fact *facts, size_t count,
			  struct err *err);
const char *recording_text(const char *text); /* "" for NULL */

/* append.c: the ids of the file, and what frames and stacks can be found again by. */
int append_load(struct store *store, struct err *err);
struct tuple append_frame_key(uint32_t module, uint64_t vaddr);
uint64_t append_pair_key(uint32_t first, uint32_t second);
/* The key of a module that the file may have from an earlier recording. */
void append_module_key(struct str *key, int kind, const char *path, const char *build_id,
		       int64_t inode, int64_t device_major, int64_t device_minor);

/* resolved.c: frames' lines and stacks' charges, within the commit's transaction. */
int resolved_write(struct store *store, const struct resolved_batch *batch, struct err *err);

/* heap_write.c. Of an appended recording: nothing is live yet. */
int heap_begin(struct store *store, struct err *err);
/* Before the roll-up of the checkpoint ends. */
int heap_write(struct store *store, int64_t checkpoint, const struct delta *delta, struct err *err);
/* What meta tells at the end. */
int heap_write_facts(struct store *store, struct err *err);
void heap_done(struct write_heap *heap);

#endif
