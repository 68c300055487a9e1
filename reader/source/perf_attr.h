/* How each kind of event is asked of the kernel, and what this kernel and this machine can do. */
#ifndef RSPROF_SOURCE_PERF_ATTR_H
#define RSPROF_SOURCE_PERF_ATTR_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "reader/core/event_kind.h"
#include "reader/util/err.h"

/* By the kernel's numbers (asm/perf_regs.h): ax to ip, and r8 to r15. */
#define PERF_REGISTERS_SAMPLED UINT64_C(0xff01ff)
enum { PERF_REGISTER_COUNT = 17 };

/* How all events of one source are opened. */
struct perf_plan {
	uint32_t frequency;
	uint16_t chain_frames; /* asked of the kernel, user frames only */
	uint32_t stack_bytes;  /* of user stack copied with each sample; 0: a call chain instead */
	bool for_programs;     /* a BPF program is run instead: no record is written */
	bool with_kernel;      /* kernel mode is sampled too */
	bool start_on_exec;
	bool threads_only; /* kernel ≥ 5.13: only threads inherit, not child processes */
	bool reads_lost;   /* kernel ≥ 6.0: read(2) tells the records that found no room */
};

/* What read(2) on an event gives; `lost` only with reads_lost. */
struct perf_reading {
	uint64_t value;
	uint64_t lost;
};

/* perf_event_open(2). A descriptor or -errno. */
int perf_open_event(struct perf_event_attr *attr, pid_t pid, int cpu);

void perf_fill_attr(struct perf_event_attr *attr, const struct perf_plan *plan,
		    const struct event_kind *kind, bool has_sideband);
/* An event that never counts: its ring is what the others write into. */
void perf_fill_leader_attr(struct perf_event_attr *attr);

/* Likewise, with records of what any process on its CPU maps, starts and ends. Wakes for each. */
void perf_fill_sideband_attr(struct perf_event_attr *attr);

/* Sets threads_only and reads_lost by trying. */
void perf_probe_kernel(struct perf_plan *plan);

/* ERR_USAGE where this machine cannot count one of the kinds, with the list of what it can;
 * ERR_PERMISSION for waiting, which is no perf event. What
 * may not be opened for want of permission passes: that is found out, and said, on the target. */
int perf_check_kinds(const struct event_kind *const *kinds, size_t count, struct err *err);

#endif
