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
/* A forked child gives up its parent's, but for the lanes' parts. */
void region_leave(void);

/* COUNTS or RINGS, of one lane. They are mapped when there is a thread for it: those of all lanes
 * are gigabytes of the address space, of which a program may be allowed little. *at and *bytes are
 * where the parent's was, or NULL and 0, and become where it is now. false: there is no room, or
 * the program has closed the memfd. */
bool region_map_part(enum rsprof_shm_section_id section, uint32_t lane, void **at, uint64_t *bytes);
/* It is nobody's from now on, but may be touched. */
void region_leave_part(void *at, uint64_t bytes);

#endif
