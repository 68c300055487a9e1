/* Which source serves which signal, on this machine and for this target: doctor's table. */
#ifndef RSPROF_TARGET_OFFER_H
#define RSPROF_TARGET_OFFER_H

#include <stdbool.h>

#include "reader/target/permit.h"

enum offer_signal { OFFER_CPU, OFFER_WAIT, OFFER_HEAP, OFFER_SIGNALS };
enum offer_source { OFFER_AGENT, OFFER_BPF, OFFER_PERF, OFFER_PTRACE, OFFER_SOURCES };

enum offer_agent {
	OFFER_AGENT_UNKNOWN,
	OFFER_AGENT_ABSENT,
	OFFER_AGENT_LOADED,
	OFFER_AGENT_UNUSABLE, /* of another version, damaged, or not readable */
};

/* Stable names: JSON. */
extern const char *const offer_signal_names[OFFER_SIGNALS];

enum offer_heap {
	OFFER_HEAP_UNKNOWN, /* no target, or its memory map is not readable */
	OFFER_HEAP_NONE,    /* no allocator that could be probed */
	OFFER_HEAP_FOUND
};

enum { OFFER_TEXT_MAX = 64 };

struct offer {
	const char *source; /* "perf" */
	struct {
		char text[OFFER_TEXT_MAX]; /* "yes, user time only" */
		bool is_taken;		   /* what rsprof would take for this signal */
	} signals[OFFER_SIGNALS];
	const char *here; /* what machine and target allow, whether this version uses it or not */
};

/* What was found out by asking. */
struct offer_answers {
	enum permit_answer perf; /* permit_perf's */
	bool is_bpf_allowed;
	const char *bpf_missing; /* where it is not: in short, or NULL */
	enum offer_agent agent;
	/* Of one that is loaded. */
	const char *agent_heap; /* "exact"; NULL: it does not count the heap */
	bool has_agent_timers;
	enum offer_heap heap;
};

/* target may be NULL; the texts are constant, or those of answers. */
void offers_list(const struct permit *permit, const struct target *target,
		 const struct offer_answers *answers, struct offer offers[OFFER_SOURCES]);

#endif
