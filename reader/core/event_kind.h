/* The events that can be sampled (`--event`): what they are called and what they count. How a
 * source opens them is the source's own affair. */
#ifndef RSPROF_CORE_EVENT_KIND_H
#define RSPROF_CORE_EVENT_KIND_H

#include <stdbool.h>
#include <stddef.h>

enum event_unit {
	EVENT_UNIT_SAMPLES,	/* CPU time by sampling: a sample is 1/frequency second */
	EVENT_UNIT_OCCURRENCES, /* each one is recorded, value 1 */
	EVENT_UNIT_PERIOD,	/* hardware counts: the value is the period, in `unit_name` */
	EVENT_UNIT_TIME,	/* nanoseconds between two moments: waits */
};

struct event_kind {
	const char *name;      /* stable: database, JSON, --event */
	const char *aliases;   /* space separated, may be "" */
	const char *unit_name; /* "samples", "faults", "switches", "cycles" … */
	const char *column;    /* table heading of the self share: "CPU%", "Fault%" … */
	const char *help;
	enum event_unit unit;
	bool is_cpu; /* may stand for CPU time (cpu_samples) */
};

/* Ends with a NULL name. */
extern const struct event_kind event_kinds[];

/* By name or alias, case-sensitive; NULL where there is none. */
const struct event_kind *event_kind_by_name(const char *name, size_t length);

#endif
