/* A mapping of a process as the event that would have told of it. */
#ifndef RSPROF_SOURCE_MAPPING_EVENT_H
#define RSPROF_SOURCE_MAPPING_EVENT_H

#include <stdint.h>

#include "reader/core/event.h"
#include "reader/target/target.h"

/* Its path stays the mapping's. */
struct event mapping_event(const struct target *target, const struct target_mapping *mapping,
			   uint64_t time_ns);

#endif
