/* What this machine and this user may do, and the command that would allow more. */
#ifndef RSPROF_TARGET_PERMIT_H
#define RSPROF_TARGET_PERMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "reader/target/target.h"

struct permit {
	char kernel[64], machine[32]; /* uname */
	uid_t uid;
	uint64_t capabilities;	 /* effective */
	int perf_event_paranoid; /* -2 where the file is missing: no perf events in this kernel */
	int ptrace_scope;	 /* -1 where Yama is not there */
	int kptr_restrict;
	uint64_t perf_mlock_kb, perf_max_stack, perf_max_sample_rate;
	uint64_t open_files_soft, open_files_hard;
	uint64_t memlock_soft;
	bool has_btf, has_hardware_counters, in_container;
};

void permit_read(struct permit *permit);
bool permit_has(const struct permit *permit, int capability); /* CAP_… */

/* What whoever loads BPF programs needs and is not here, in short: "needs CAP_BPF and CAP_PERFMON".
 * A constant string; NULL where nothing is known to be missing. */
const char *permit_bpf_missing(const struct permit *permit);

enum permit_answer {
	PERMIT_YES,
	PERMIT_USER_ONLY, /* user time only */
	PERMIT_NO,
};

/* May this process be sampled by perf_event_open? The verdict comes from really opening an event on
 * it where target is given. For PERMIT_NO err holds the sentence and the exact command
 * (ERR_PERMISSION); for PERMIT_USER_ONLY the remedy says what would add kernel time. */
enum permit_answer permit_perf(const struct permit *permit, const struct target *target,
			       struct err *err);

#endif
