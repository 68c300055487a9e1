/* rsprof doctor --unwind: how far rsprof's stacks of a process agree with libdw's. */
#ifndef RSPROF_CMD_DOCTOR_UNWIND_H
#define RSPROF_CMD_DOCTOR_UNWIND_H

#include <stdbool.h>
#include <stdint.h>

#include "reader/util/err.h"

/* What is 0 or NULL was not asked for. */
struct doctor_unwind_options {
	uint64_t duration_ns;
	uint64_t cpu_freq;  /* Hz */
	const char *source; /* "auto", "bpf" or "perf" */
};

/* Samples the process, and prints. pid 0 was not told, which is an error. */
int doctor_unwind(uint64_t pid, const struct doctor_unwind_options *options, bool as_json,
		  struct err *err);

#endif
