/* One ring per CPU. Each belongs to an event of our own that never counts, so that rings do not
 * come and go with threads of the target, and there are as many as CPUs, not as threads. */
#ifndef RSPROF_SOURCE_PERF_CPUS_H
#define RSPROF_SOURCE_PERF_CPUS_H

#include <stdint.h>
#include <sys/types.h>

#include "reader/source/perf_ring.h"
#include "reader/util/vec.h"

struct perf_cpu {
	int cpu;
	int leader_fd;
	struct perf_ring ring;
};

struct perf_cpus {
	VEC(struct perf_cpu) list;
	unsigned char *scratch;
	uint64_t wanted_bytes; /* what `buffer_bytes` came to, in rings of equal size */
	uint64_t got_bytes;    /* less where the memory lock limit allowed no more */
};

/* Opens leaders and maps rings on all CPUs the target may run on; all rings together take up to
 * buffer_bytes. 0 or -errno, with *ret_step set to what was not possible. */
int perf_cpus_open(struct perf_cpus *cpus, pid_t target, uint64_t buffer_bytes,
		   const char **ret_step);
/* Likewise; into the rings goes what any process maps, starts and ends (needs CAP_PERFMON). */
int perf_cpus_open_sideband(struct perf_cpus *cpus, pid_t target, uint64_t buffer_bytes,
			    const char **ret_step);
void perf_cpus_close(struct perf_cpus *cpus);

#endif
