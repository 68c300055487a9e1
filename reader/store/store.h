/* The database. One writer (struct store, on the writer thread) and any number of readers (struct
 * store_reader, each its own read-only connection). Format: schema.sql, and product documentation.
 */
#ifndef RSPROF_STORE_STORE_H
#define RSPROF_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/core/delta.h"
#include "reader/core/event_kind.h"
#include "reader/core/snapshot.h"
#include "reader/util/err.h"

enum { STORE_VERSION = 1 };

struct store_fact {
	const char *key, *value; /* of meta */
};

/* What is known when a recording begins. */
struct store_recording {
	uint32_t pid;
	const char *process_name, *exe_path, *command_line;
	const char *exe_build_id; /* hexadecimal, "" where none */
	uint64_t start_unix_ns, start_monotonic_ns;
	uint64_t checkpoint_interval_ns;
	const struct event_kind *const *events;
	size_t event_count;
	const struct store_fact *facts; /* cpu_freq_hz, cpu_source, … */
	size_t fact_count;
};

struct store_end {
	uint64_t duration_ns;
	const struct store_fact *facts; /* complete_stacks_pct, … */
	size_t fact_count;
};

struct store;

/* A new file, mode 0600, refused where one exists. ERR_DATABASE, or ERR_GENERAL for a folder that
 * is not there or cannot be written. */
int store_create(const char *path, const struct store_recording *recording,
		 struct store **ret_store, struct err *err);
/* A further recording in an existing file; another build of the executable is refused. */
int store_append(const char *path, const struct store_recording *recording,
		 struct store **ret_store, struct err *err);
/* One transaction: the deltas (oldest first), then what was resolved. On failure nothing of it is
 * in the file. Ids in deltas and batches are the recording's own; the store maps them. */
int store_commit(struct store *store, struct delta *const *deltas, size_t delta_count,
		 const struct resolved_batch *batches, struct err *err);
/* Ends cleanly: roll-ups, end facts, journal_mode=DELETE, owner under sudo. Frees the store, also
 * on failure. */
int store_finish(struct store *store, const struct store_end *end, struct err *err);
/* Lets go of it as it is; remove_file: it never began, leave nothing behind. */
void store_abandon(struct store *store, bool remove_file);

struct store_reader;

/* Refuses by sentence (ERR_DATABASE): no such file, not SQLite, not rsprof's, newer ("upgrade"),
 * damaged, locked. */
int store_reader_open(const char *path, struct store_reader **ret_reader, struct err *err);
void store_reader_close(struct store_reader *reader);

struct store_window {
	uint64_t from_ns, to_ns; /* recorded time; {0, UINT64_MAX} is everything */
};

/* Recorded time in the file, for options that count from its end. */
uint64_t store_reader_duration_ns(struct store_reader *reader);
/* The rows of checkpoints that end inside the window (from < end <= to). */
int store_reader_snapshot(struct store_reader *reader, struct store_window window,
			  struct snapshot **ret_snapshot, struct err *err);

/* What `list` shows without reading samples. */
struct store_summary {
	char process_name[64];
	uint32_t pid;
	uint64_t start_unix_ns, duration_ns, samples, bytes;
	bool is_finished;
};
int store_reader_summary(struct store_reader *reader, struct store_summary *ret_summary,
			 struct err *err);

/* Read-only SQL: column names once, then each row. Values as text, NULL for SQL NULL. */
enum store_value_type { STORE_NULL, STORE_INTEGER, STORE_REAL, STORE_TEXT, STORE_BLOB };

struct store_value {
	enum store_value_type type;
	const char *text; /* integers and reals as decimal; a blob as hexadecimal */
};

typedef void (*store_row_fn)(void *context, const struct store_value *values);
typedef void (*store_columns_fn)(void *context, const char *const *names, size_t count);

/* ERR_USAGE for SQL that is wrong or that would write (ATTACH, PRAGMA writes and the like too). */
int store_reader_query(struct store_reader *reader, const char *sql, store_columns_fn columns,
		       store_row_fn row, void *context, struct err *err);

#endif
