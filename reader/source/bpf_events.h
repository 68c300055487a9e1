/* The perf events that make BPF programs run: one for each thread of the target and kind of event,
 * on all CPUs. Threads that these start inherit them. */
#ifndef RSPROF_SOURCE_BPF_EVENTS_H
#define RSPROF_SOURCE_BPF_EVENTS_H

#include "reader/source/bpf_load.h"
#include "reader/source/perf_attr.h"
#include "reader/source/perf_threads.h"

struct bpf_event {
	int fd;
	int link_fd; /* 0: the program is the event's own */
	uint32_t event_index;
};

struct bpf_events {
	struct perf_plan plan;
	VEC(struct bpf_event) list;
	uint32_t threads_opened, threads_not_opened;
	uint32_t late_count; /* threads with events of their own beside those they inherited */
};

/* ERR_USAGE where this machine cannot count one of the events. */
int bpf_events_check(const struct source_config *config, const struct permit *permit,
		     struct err *err);
int bpf_events_open(struct bpf_events *events, struct bpf_loaded *loaded,
		    const struct source_config *config, const struct permit *permit,
		    struct perf_notes *notes, struct err *err);
/* request: PERF_EVENT_IOC_ENABLE or _DISABLE; also of those that were inherited. */
void bpf_events_set(struct bpf_events *events, unsigned long request);
/* What the kernel has counted of that event. */
uint64_t bpf_events_count(const struct bpf_events *events, uint32_t event_index);
void bpf_events_close(struct bpf_events *events);

#endif
