/* Threads of the target and their names, where no kernel tells of them. */
#ifndef RSPROF_SOURCE_AGENT_THREADS_H
#define RSPROF_SOURCE_AGENT_THREADS_H

#include "reader/source/source.h"
#include "reader/util/hash.h"
#include "reader/util/vec.h"

/* Zero-initialised but for target is empty and usable. */
struct agent_threads {
	const struct target *target;
	bool is_inner;	      /* the target has numbers of its own for its threads */
	struct u64_map outer; /* by theirs, ours */
	struct u64_map names; /* by ours, a hash of the name that was told */
};

void agent_threads_done(struct agent_threads *threads);
/* Tells names that are new. */
void agent_threads_look(struct agent_threads *threads, uint64_t time_ns, source_sink sink,
			void *context);
/* Our number of a thread that calls itself so. */
uint32_t agent_threads_tid(const struct agent_threads *threads, uint32_t inner);

#endif
