/* Whether a header of shared memory can be true of a file of so many bytes, and where what is. */
#ifndef RSPROF_SOURCE_AGENT_LAYOUT_H
#define RSPROF_SOURCE_AGENT_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "include/rsprof/shm_abi.h"

/* Beyond these no agent goes: what claims more would have the reader work for it. */
enum {
	AGENT_LANES_MAX = 4096,
	AGENT_SITES_MAX = 1 << 20,
	AGENT_RING_EVENTS_MAX = 1 << 22,
	AGENT_MODULES_MAX = 1 << 14,
	AGENT_STRIDE_MAX = 4096,
};

struct agent_layout {
	struct rsprof_shm_section sections[RSPROF_SHM_SECTIONS];
	uint32_t lanes, sites, ring_events, frames_max, modules;
	uint64_t stacks_bytes;
};

/* 0; -EAGAIN where the magic is not there yet; -EPROTO: another version; -EBADMSG with *ret_wrong,
 * in few words, what cannot be ("a section lies beyond its end"). */
int agent_layout_read(const struct rsprof_shm_header *header, uint64_t file_bytes,
		      struct agent_layout *ret_layout, const char **ret_wrong);

#endif
