/* The shared memory: made, laid out, given up. shm/FORMAT.md says what it means. */
#ifndef RSPROF_AGENT_REGION_H
#define RSPROF_AGENT_REGION_H

#include "agent/agent.h"

/* Makes, or adopts by agent_config.shm_fd, the memory of this process and lays it out into
 * agent_state and agent_process; all of the header is there but magic, state and the sites'
 * numbers. NULL, or why it cannot: then nothing has changed. */
const char *region_begin(bool *ret_is_given);
/* The memory may be read: magic. */
void region_publish(void);
/* A forked child gives up its parent's. */
void region_leave(void);

#endif
