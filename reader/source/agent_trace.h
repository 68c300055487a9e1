/* What a trace alone tells: how much was live at most, to the byte. */
#ifndef RSPROF_SOURCE_AGENT_TRACE_H
#define RSPROF_SOURCE_AGENT_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "include/rsprof/shm_abi.h"

/* Zero-initialised is empty and usable. */
struct agent_trace {
	uint32_t first_site; /* blocks of lower ones are from before */
	int64_t live_bytes;
	uint64_t peak_bytes, peak_ticks;
	uint64_t bad; /* events that cannot be */
};

/* ALLOC and FREE, in the order of time. */
static inline void agent_trace_add(struct agent_trace *trace, const struct rsprof_shm_event *event)
{
	bool is_alloc = event->tid_kind >> 24 == RSPROF_SHM_EVENT_ALLOC;
	int64_t change = (int64_t)event->value, live;

	if (event->value > INT64_MAX) {
		trace->bad++;
		return;
	}
	/* Blocks whose free is not told for sure, and frees of those, are of no use here. */
	if (event->site < trace->first_site && event->site != RSPROF_SHM_SITE_FULL)
		return;
	if (__builtin_add_overflow(trace->live_bytes, is_alloc ? change : -change, &live)) {
		trace->bad++;
		return;
	}
	trace->live_bytes = live;
	if (live <= 0 || (uint64_t)live <= trace->peak_bytes)
		return;
	trace->peak_bytes = (uint64_t)live;
	trace->peak_ticks = event->time;
}

#endif
