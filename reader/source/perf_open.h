/* Everything of perf that is open for one recording: rings, and an event for each thread of the
 * target × CPU × kind of event. */
#ifndef RSPROF_SOURCE_PERF_OPEN_H
#define RSPROF_SOURCE_PERF_OPEN_H

#include <stdint.h>

#include "reader/source/perf_attr.h"
#include "reader/source/perf_cpus.h"
#include "reader/source/perf_record.h"
#include "reader/source/perf_threads.h"
#include "reader/source/source.h"
#include "reader/util/vec.h"

struct perf_counter {
	int fd;
	uint32_t event_index;
	uint64_t id;
};

struct perf_set {
	struct perf_plan plan;
	struct perf_cpus cpus;
	VEC(struct perf_counter) counters;
	uint32_t threads_opened;
	uint32_t threads_not_opened;
	struct perf_notes notes;
};

/* Both are zero-initialised by the caller, and closed by it also after a failure. */
int perf_set_open(struct perf_set *set, struct perf_decoder *decoder,
		  const struct source_config *config, struct err *err);
void perf_set_close(struct perf_set *set);

#endif
