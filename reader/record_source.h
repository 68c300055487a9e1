/* Which source a recording takes, for which events, and why. It is chosen before anything is
 * opened, by what is allowed; where the one that was chosen then turns out not to work, a recording
 * that did not ask for it takes the next. */
#ifndef RSPROF_RECORD_SOURCE_H
#define RSPROF_RECORD_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "reader/core/event_kind.h"
#include "reader/record_agent.h"
#include "reader/record_options.h"
#include "reader/source/source.h"
#include "reader/target/target.h"
#include "reader/util/err.h"
#include "reader/util/str.h"

struct source_wish {
	const char *source; /* as --source has it: "auto", "bpf" … */
	const struct event_kind *const *events;
	size_t event_count;  /* 0: --event was not given */
	enum heap_mode heap; /* off: not wanted */
	bool is_heap_asked;  /* for by --heap: totals will not do */
};

/* Whether a source may be used, as far as that is known before it is opened. */
struct source_verdict {
	bool is_allowed;
	const char *missing; /* in short: "needs CAP_BPF"; NULL: err has it all */
	struct err err;	     /* where it is not allowed */
};

/* What decides, beside the wish. */
struct source_verdicts {
	struct source_verdict bpf;
	/* Only asked for where an agent could take its place: else opening perf says best what is
	 * refused, since nothing comes after it. */
	struct source_verdict perf;
	struct agent_verdict agent;
};

enum { SOURCE_REASON_MAX = 2560 }; /* holds the sentence of a struct err */

struct source_choice {
	const struct source_ops *ops;
	/* Of source_agent, which serves the heap: who serves the other events; NULL: its timers, or
	 * nobody. */
	const struct source_ops *beside;
	bool is_heap_by_agent, is_cpu_by_agent;
	bool is_heap_whole;	     /* by the agent, since the program began */
	bool is_agent_planned;	     /* it is to be loaded into the command that is started */
	enum heap_mode agent_heap;   /* its mode */
	uint64_t agent_sample_bytes; /* of sampled mode; 0: what is asked for */
	uint32_t agent_frequency;    /* of its timers, where CPU is by them */
	const struct event_kind *events[SOURCE_EVENTS_MAX];
	size_t event_count;
	bool is_forced;			     /* by --source */
	bool has_asked_events;		     /* by --event: exactly these */
	bool is_heap_asked;		     /* for by --heap: it has to be counted */
	char reason[SOURCE_REASON_MAX];	     /* why this source of CPU and no better one */
	char wait_reason[SOURCE_REASON_MAX]; /* why waits are recorded, or why not */
	char heap_reason[SOURCE_REASON_MAX]; /* why the heap is not; "": the source tells */
	/* Why the agent does not count the heap, a clause; "": it does, or nobody should. */
	char agent_reason[SOURCE_REASON_MAX];
	/* What a person has to know of the agent: a sentence, or "". */
	char agent_note[SOURCE_REASON_MAX];
};

/* ERR_PERMISSION where a source, an event or a heap was asked for that cannot be had, with what
 * would allow it. */
int record_source_choose(const struct source_wish *wish, const struct source_verdicts *verdicts,
			 struct source_choice *ret_choice, struct err *err);

/* What options ask for; asked has the events of --event. A replay has its own source. target is
 * NULL for a replay, plan where it is not to be started. Asks the kernel where that decides. */
int record_source_pick(const struct record_options *options, const struct target *target,
		       const struct agent_plan *plan, const struct source_config *asked,
		       struct source_choice *ret_choice, struct err *err);

/* After the chosen source could not be opened: true with the next one in *choice and the reason
 * kept, or false where there is none, where this very source is needed for what was asked, or where
 * the failure has nothing to do with the source. */
bool record_source_fall_back(struct source_choice *choice, const struct err *why);

/* "cpu by perf (bpf: needs CAP_BPF); waiting is not recorded", "cpu and wait by bpf, heap by agent
 * (exact)"; facts of the source, opened. */
void record_source_describe(const struct source_choice *choice, const struct source_facts *facts,
			    struct str *line);
/* "heap: totals from /proc only: needs CAP_BPF"; nothing where it is counted, or not wanted. */
void record_source_describe_totals(const struct source_choice *choice,
				   const struct source_facts *facts, enum heap_mode wanted,
				   struct str *line);
/* A sentence as it goes behind a colon: "The kernel is too old." becomes "the kernel is too old".
 * Names in capitals stay as they are. */
void record_source_add_sentence(struct str *to, const char *sentence);

#endif
