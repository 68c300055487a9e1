/* Samples a process for a while and has each sample walked twice: by rsprof and by libdw. */
#ifndef RSPROF_RECORD_TRUTH_RUN_H
#define RSPROF_RECORD_TRUTH_RUN_H

#include "reader/core/loss.h"
#include "reader/record/truth.h"
#include "reader/target/target.h"
#include "reader/util/err.h"

struct truth_config {
	const struct target *target;
	uint32_t frequency; /* Hz */
	uint64_t duration_ns;
	/* true: rsprof's walk is that of the BPF program, held against a copy that the same event
	 * wrote. false: both walk perf's copies. */
	bool of_bpf;
};

struct truth_run {
	struct truth truth;
	struct losses losses;
	uint64_t elapsed_ns;
	uint64_t unmatched; /* walks of one walker that the other has no walk for */
	/* Samples without user registers: of a thread that is exiting, or in 32-bit mode. There is
	 * nothing to walk in them. */
	uint64_t unwalkable;
	/* Samples that the BPF program did not walk to an end and sent with a copy of the stack:
	 * ours is then the reader's walk, as in a recording. */
	uint64_t sent_back;
	/* Modules that libdw could not use; it stops in their code. */
	uint64_t modules_refused;
};

/* Ends early where the target does. Adds to *run, which is zero-initialised by the caller before
 * the first one, and done by it also after a failure. */
int truth_run(const struct truth_config *config, struct truth_run *run, struct err *err);
void truth_run_done(struct truth_run *run);

#endif
