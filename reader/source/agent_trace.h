/* What a trace alone tells: how much was live at most, to the byte, of all and by site. */
#ifndef RSPROF_SOURCE_AGENT_TRACE_H
#define RSPROF_SOURCE_AGENT_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "include/rsprof/shm_abi.h"
#include "reader/util/vec.h"

struct agent_trace_site {
	int64_t live_bytes;
	uint64_t peak_bytes; /* since the last agent_trace_tell */
	bool has_risen;	     /* since then: it is in the list */
};

/* Zero-initialised is empty and usable. */
struct agent_trace {
	uint32_t first_site; /* blocks of lower ones are from before */
	uint32_t site_count;
	struct agent_trace_site *sites;
	VEC(uint32_t) risen;
	int64_t live_bytes;
	uint64_t peak_bytes, peak_ticks;
	uint64_t bad; /* events that cannot be */
};

/* false: the site cannot be told of yet. */
typedef bool (*agent_trace_sink)(void *context, uint32_t site, uint64_t peak_bytes);

/* Of a region with so many sites. */
void agent_trace_start(struct agent_trace *trace, uint32_t first_site, uint32_t site_count);
void agent_trace_done(struct agent_trace *trace);
/* Sites that held more meanwhile than they do now, and that much. */
void agent_trace_tell(struct agent_trace *trace, agent_trace_sink sink, void *context);

static inline void agent_trace_site_add(struct agent_trace *trace, uint32_t number, int64_t change)
{
	struct agent_trace_site *site = &trace->sites[number];

	/* What all of them hold is a number, but one may be anything that a hostile target says. */
	if (__builtin_add_overflow(site->live_bytes, change, &site->live_bytes)) {
		site->live_bytes = 0;
		trace->bad++;
	}
	if (site->live_bytes <= 0 || (uint64_t)site->live_bytes <= site->peak_bytes)
		return;
	site->peak_bytes = (uint64_t)site->live_bytes;
	if (!site->has_risen)
		*vec_add(&trace->risen) = number;
	site->has_risen = true;
}

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
	if (!is_alloc)
		change = -change;
	if (__builtin_add_overflow(trace->live_bytes, change, &live)) {
		trace->bad++;
		return;
	}
	trace->live_bytes = live;
	if (event->site < trace->site_count)
		agent_trace_site_add(trace, event->site, change);
	if (live <= 0 || (uint64_t)live <= trace->peak_bytes)
		return;
	trace->peak_bytes = (uint64_t)live;
	trace->peak_ticks = event->time;
}

#endif
