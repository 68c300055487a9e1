/* What attach and run have in common: their options, and the recording itself. */
#ifndef RSPROF_RECORD_OPTIONS_H
#define RSPROF_RECORD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "reader/record_agent.h"
#include "reader/source/source.h"
#include "reader/target/target.h"
#include "reader/util/err.h"
#include "reader/util/opt.h"

struct record_options {
	uint64_t pid;
	const char *process;
	const char *output;
	uint64_t interval_ns, duration_ns; /* duration 0: until it ends */
	uint64_t cpu_freq, frames, buffer_bytes, stack_bytes, unwind_bytes;
	uint64_t overhead_max_pct;
	uint64_t heap_sample_bytes, heap_blocks, heap_stacks, heap_wait_ns;
	struct opt_list events;
	const char *source, *heap;
	const char *save_events, *replay;
	bool require_debug_info, quiet, append, inject;
};

extern const struct record_options record_defaults;
extern const struct opt attach_options[], run_options[];

/* What --event asks for, or what the replay has; no events where neither says: the source that is
 * taken then decides (record_source.h). */
int record_pick_events(const struct record_options *options, struct source_config *config,
		       struct err *err);

/* What --heap asks for. */
int record_pick_heap(const struct record_options *options, struct source_config *config,
		     struct err *err);

/* The file to write: -o, or rsprof.NAME.TIME.db in $RSPROF_OUTPUT_DIR or here; with --append the
 * newest profile of that process name, if there is one. A new string, for the caller to free. */
char *record_output_path(const struct record_options *options, const char *process_name,
			 bool *ret_append);

/* ERR_DEBUG_INFO unless the ELF file open at fd has DWARF. */
int record_require_debug_info(int fd, const char *path, struct err *err);

/* Records until something ends it, with progress and summary. child is the process that `run` made,
 * or 0: release is then called once everything is open, to let it exec. 0, or negative with *err.
 */
struct record_run {
	const struct record_options *options;
	struct target *target; /* NULL for a replay */
	const char *process_name;
	pid_t child;
	int (*release)(void *context, struct err *err);
	struct agent_plan *agent; /* of the child: its order is set before the release */
	void *context;
	bool has_screen; /* of record_has_screen */
	bool summary_to_stderr;
	int signal_fd; /* of record_signals_open */
};
int record(const struct record_run *run, struct err *err);

#endif
