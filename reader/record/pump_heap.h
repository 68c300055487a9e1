/* The heap in the pump: which stack a site's number stands for, the counts of a checkpoint by
 * stack, and what is live by all that was counted. */
#ifndef RSPROF_RECORD_PUMP_HEAP_H
#define RSPROF_RECORD_PUMP_HEAP_H

#include "reader/core/event.h"
#include "reader/core/heap_aggregate.h"

/* Zero-initialised is empty and usable. */
struct pump_heap {
	struct u64_map stack_of_site;
	struct heap_aggregate rows; /* since the last delta */
	struct heap_counts sum;	    /* since the recording began */
	struct heap_state state;
	bool is_looked_at; /* since the last delta */
};

void pump_heap_done(struct pump_heap *heap);
/* From now on the site means this stack; 0: one that the stack table had no room for. */
void pump_heap_on_stack(struct pump_heap *heap, uint64_t site, stack_id stack);
/* Of a site without a stack, under one of status STACK_NOT_WALKED. */
void pump_heap_on_counts(struct pump_heap *heap, const struct event *event,
			 struct stack_table *stacks, struct losses *losses);
void pump_heap_on_state(struct pump_heap *heap, const struct event *event);
/* Everything since the last delta; before tell_stacks, which the stacks in it need. start_ns: of
 * the recording, CLOCK_MONOTONIC. */
void pump_heap_tell(struct pump_heap *heap, uint64_t start_ns, struct delta *delta);

#endif
