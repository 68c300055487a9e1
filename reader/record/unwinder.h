/* Stack copies become stacks: the rows of each module's unwind table, followed through the copy.
 * Belongs to the pump's thread, since it needs the mappings of the sample's moment. */
#ifndef RSPROF_RECORD_UNWINDER_H
#define RSPROF_RECORD_UNWINDER_H

#include "reader/core/event.h"
#include "reader/record/module_tables.h"
#include "reader/record/modules.h"

struct unwinder;

/* frames_max: --frames; copy_bytes: how much of a stack the source copies, 0: never. */
struct unwinder *unwinder_new(struct modules *modules, struct module_tables *tables,
			      uint32_t frames_max, uint32_t copy_bytes);
void unwinder_free(struct unwinder *unwinder);
/* Unwinds a sample with registers: a sample without them whose pcs, leaf first, are valid until the
 * next call. */
void unwinder_walk(struct unwinder *unwinder, const struct event *sample, struct event *ret_sample);

#endif
