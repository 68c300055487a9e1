/* The part of a sample that tells its stack. Private to this room. */
#ifndef RSPROF_SOURCE_PERF_SAMPLE_H
#define RSPROF_SOURCE_PERF_SAMPLE_H

#include "reader/source/perf_record.h"

/* Both fill pcs, pc_count and status of the event, which point into the record; false where the
 * record cannot be. The stack's registers are put into *registers. */
bool perf_sample_chain(const struct perf_decoder *decoder, const unsigned char *bytes, size_t size,
		       struct event *event);
bool perf_sample_stack(const unsigned char *bytes, size_t size, struct event_registers *registers,
		       struct event *event);

#endif
