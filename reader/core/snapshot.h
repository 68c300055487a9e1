/* A profile as views see it: immutable, whole, the same struct for a live run and an opened file.
 * All pointers live in the snapshot's arena. Arrays are indexed directly: the ids in here are dense
 * indexes from 0, not the database's. */
#ifndef RSPROF_CORE_SNAPSHOT_H
#define RSPROF_CORE_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/core/delta.h"
#include "reader/core/event.h"
#include "reader/core/loss.h"
#include "reader/util/arena.h"

#define SNAPSHOT_NONE UINT32_MAX

struct snapshot_module {
	const char *path, *name;
	const char *build_id; /* hexadecimal, "" where none */
	enum module_kind kind;
};

/* One line of one function; each exists once. */
struct snapshot_location {
	const char *function, *file; /* never NULL */
	const char *path;	     /* may be NULL */
	uint32_t line;
	uint32_t module;
	uint64_t address; /* the `addr` of the stable tables */
	bool is_internal; /* by the current rules */
};

struct snapshot_frame {
	uint32_t module;
	uint64_t vaddr;
	enum symbol_quality quality;
	bool is_resolved;
	uint32_t first_line; /* into lines[]: line_count locations, innermost first; at least one,
			      * "[unknown]"-like where the frame is not resolved */
	uint32_t line_count;
};

struct snapshot_node {
	uint32_t parent; /* SNAPSHOT_NONE at the root */
	uint32_t frame;
};

struct snapshot_stack {
	uint32_t node; /* SNAPSHOT_NONE: no user frame */
	enum stack_status status;
	uint32_t charged_location; /* SNAPSHOT_NONE: no user frame */
	uint32_t raw_location;	   /* of the leaf itself: what --include-internal charges */
};

struct snapshot_thread {
	uint32_t pid, tid;
	const char *comm;
	uint32_t recording;
};

struct snapshot_event {
	const char *name; /* a name of event_kinds[] */
	const char *unit_name;
	bool is_cpu;
};

/* Sums over the requested window. */
struct snapshot_row {
	uint32_t event, thread, stack;
	enum wait_kind kind;
	uint64_t count, kernel_count, value, run_ns;
};

/* A look at the heap. Element 0 stands for all that was before the window: what it left alive is
 * still there, what it allocated and freed is not the window's. */
struct snapshot_heap_poll {
	uint32_t recording;
	uint64_t time_ns; /* in the file's recorded time */
	uint64_t rss_bytes, rss_anonymous_bytes;
	struct heap_state state; /* since that recording began */
};

/* By poll; each stack once a poll. */
struct snapshot_heap_row {
	uint32_t poll, stack;
	struct heap_counts counts; /* since the poll before */
};

/* Of a trace: what a stack held at most since the poll before, where that is more than at its end.
 * By poll; in a poll that stands for several checkpoints a stack may be there more than once. */
struct snapshot_heap_peak {
	uint32_t poll, stack;
	uint64_t bytes;
};

struct snapshot_recording {
	uint32_t pid;
	const char *process_name, *exe_path, *command_line;
	uint64_t start_unix_ns;
	uint64_t offset_ns; /* where it begins in the file's recorded time */
	uint64_t duration_ns;
	bool is_finished; /* ended cleanly */
};

/* From when on a signal came from which source. The first of a recording names the source; those
 * that follow say how it went on ("bpf, 1 of 4 stacks"). */
struct snapshot_step {
	uint32_t recording;
	uint64_t time_ns; /* in the file's recorded time */
	const char *signal, *mode, *reason;
};

struct snapshot_meta {
	const char *key, *value;
};

struct snapshot {
	struct arena arena;
	atomic_uint holders; /* beside the first one */
	const char *file; /* path it was opened by */
	const struct snapshot_recording *recordings;
	size_t recording_count;
	const struct snapshot_event *events;
	size_t event_count;
	const struct snapshot_thread *threads;
	size_t thread_count;
	const struct snapshot_module *modules;
	size_t module_count;
	struct snapshot_location *locations;
	size_t location_count;
	struct snapshot_frame *frames;
	size_t frame_count;
	uint32_t *lines; /* location indexes, see snapshot_frame */
	size_t line_count;
	const struct snapshot_node *nodes;
	size_t node_count;
	struct snapshot_stack *stacks;
	size_t stack_count;
	const struct snapshot_row *rows;
	size_t row_count;
	/* Of the last recording in the window alone: live memory is one process's. Long windows
	 * have their polls further apart than checkpoints. Without checkpoints NULL and 0; where
	 * the heap was not counted, polls have no state and there are no rows. */
	const struct snapshot_heap_poll *heap_polls;
	size_t heap_poll_count;
	const struct snapshot_heap_row *heap_rows;
	size_t heap_row_count;
	const struct snapshot_heap_peak *heap_peaks;
	size_t heap_peak_count;
	uint64_t heap_resolution_ns;	   /* the longest time between two looks at the heap */
	const struct snapshot_step *steps; /* by recording and time */
	size_t step_count;
	const struct snapshot_meta *meta;
	size_t meta_count;
	struct losses losses;
	uint64_t duration_ns;		       /* recorded time in the file, all recordings */
	uint64_t window_from_ns, window_to_ns; /* what rows cover */
	uint64_t checkpoint_count;
	size_t unresolved_count; /* frames that could not be resolved */
};

/* NULL where the key is absent. */
const char *snapshot_meta_get(const struct snapshot *snapshot, const char *key);
/* Charges every stack anew by the current rules; for a file written with an older table, and after
 * frames were resolved late. */
void snapshot_recharge(struct snapshot *snapshot);
struct snapshot *snapshot_hold(struct snapshot *snapshot);
/* The last one who holds it frees it; NULL allowed. */
void snapshot_free(struct snapshot *snapshot);

#endif
