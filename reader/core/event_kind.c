#include "reader/core/event_kind.h"

#include <string.h>

const struct event_kind event_kinds[] = {
	{"cpu-clock", "cpu", "samples", "CPU%", "CPU time, by a timer on each CPU (default)",
	 EVENT_UNIT_SAMPLES, true},
	{"task-clock", "task", "samples", "CPU%", "CPU time, by the thread's own clock",
	 EVENT_UNIT_SAMPLES, true},
	{"cpu-cycles", "cycles", "cycles", "CPU%", "processor cycles (hardware counter)",
	 EVENT_UNIT_PERIOD, true},
	{"instructions", "instr", "instructions", "Instr%",
	 "instructions retired (hardware counter)", EVENT_UNIT_PERIOD, false},
	{"cache-misses", "misses", "misses", "Miss%", "last-level cache misses (hardware counter)",
	 EVENT_UNIT_PERIOD, false},
	{"context-switches", "cs switches", "switches", "Switch%",
	 "each time a thread leaves the CPU", EVENT_UNIT_OCCURRENCES, false},
	{"page-faults", "faults", "faults", "Fault%", "each page fault", EVENT_UNIT_OCCURRENCES,
	 false},
	{"wait-time", "wait", "ns", "Wait%", "time that threads wait, by what they wait in",
	 EVENT_UNIT_TIME, false},
	{NULL, NULL, NULL, NULL, NULL, 0, false},
};

static bool has_alias(const char *aliases, const char *name, size_t length)
{
	while (*aliases) {
		size_t word = strcspn(aliases, " ");

		if (word == length && strncmp(aliases, name, length) == 0)
			return true;
		aliases += word;
		aliases += *aliases == ' ';
	}
	return false;
}

const struct event_kind *event_kind_by_name(const char *name, size_t length)
{
	for (const struct event_kind *kind = event_kinds; kind->name; kind++) {
		if ((strlen(kind->name) == length && strncmp(kind->name, name, length) == 0) ||
		    has_alias(kind->aliases, name, length))
			return kind;
	}
	return NULL;
}
