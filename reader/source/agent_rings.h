/* The rings of an agent's lanes, put into the order of time. Each reader keeps its own place in
 * them: an agent that waits for nobody overwrites what was not read, and what was missed is
 * counted. Who follows moves the lanes' tails, and a full ring is waited for. */
#ifndef RSPROF_SOURCE_AGENT_RINGS_H
#define RSPROF_SOURCE_AGENT_RINGS_H

#include "reader/source/agent_clock.h"
#include "reader/source/agent_memory.h"
#include "reader/util/vec.h"

struct agent_rings;

/* event: within bounds, but for what only its reader knows. */
typedef void (*agent_event_sink)(void *context, const struct rsprof_shm_event *event);

struct agent_rings_lost {
	uint64_t missed;  /* overwritten before they were read */
	uint64_t dropped; /* not put in by the agent, which waits for nobody, or had waited */
	uint64_t bad;	  /* heads that went back */
};

struct agent_rings *agent_rings_new(void);
void agent_rings_free(struct agent_rings *rings); /* NULL allowed */
/* From the oldest event that is still there. wait_us > 0 or is_follower: the target may wait so
 * long for us, unless another reader follows already; false then. */
bool agent_rings_start(struct agent_rings *rings, struct agent_region *region, bool is_follower,
		       uint32_t wait_us);
/* No event was overwritten before the start: they are all of the program's life. */
bool agent_rings_is_whole(const struct agent_rings *rings);
/* All that is older than now, or all where is_last. 0, or -EBADMSG: the memory ends before its end.
 */
int agent_rings_drain(struct agent_rings *rings, struct agent_region *region,
		      const struct agent_clock *clock, bool is_last, agent_event_sink sink,
		      void *context);
/* Nobody follows any more. */
void agent_rings_stop(struct agent_rings *rings, struct agent_region *region);
const struct agent_rings_lost *agent_rings_lost(const struct agent_rings *rings);

#endif
