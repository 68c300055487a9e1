/* What is new in the pump's tables, copied into a delta. */
#ifndef RSPROF_RECORD_TELL_H
#define RSPROF_RECORD_TELL_H

#include "reader/core/delta.h"
#include "reader/core/thread_table.h"

/* How much of each table deltas have told so far. */
struct told {
	size_t modules, threads, frames, nodes, stacks;
};

void tell_modules(struct told *told, const struct module_table *table, struct delta *delta);
void tell_threads(struct told *told, const struct thread_table *table, struct delta *delta);
void tell_stacks(struct told *told, const struct stack_table *table, struct delta *delta);
/* Their times are CLOCK_MONOTONIC, and become the recording's. */
void tell_steps(const struct delta_step *steps, size_t count, uint64_t start_ns,
		struct delta *delta);

#endif
