/* What cannot be recorded as it was asked for, each in a sentence and what to type instead. */
#ifndef RSPROF_RECORD_REFUSAL_H
#define RSPROF_RECORD_REFUSAL_H

#include "reader/record_source.h"

/* Why a source may not be used, in short. */
void record_add_missing(struct str *to, const struct source_verdict *verdict);

int record_refuse_unknown(const char *source, struct err *err);
int record_refuse_wait(const char *source, const char *why, struct err *err);
int record_refuse_heap_by_perf(struct err *err);
int record_refuse_trace(const struct source_choice *choice, struct err *err);
int record_refuse_without_bpf(const char *what, const char *agent, const struct source_verdict *bpf,
			      struct err *err);
int record_refuse_bpf(const struct source_verdict *bpf, struct err *err);
int record_refuse_agent(const struct agent_verdict *agent, struct err *err);
int record_refuse_timers(struct err *err);
int record_refuse_agent_events(struct err *err);
int record_refuse_agent_heap(const struct agent_verdict *agent, struct err *err);

#endif
