/* Reading and writing an agent's shared memory, within the bounds that its header was believed in.
 * Private to agent_*.c. */
#ifndef RSPROF_SOURCE_AGENT_MEMORY_H
#define RSPROF_SOURCE_AGENT_MEMORY_H

#include <sys/types.h>

#include "reader/source/agent_layout.h"
#include "reader/source/agent_region.h"

struct agent_region {
	int fd; /* opened by ourselves */
	bool is_writable;
	dev_t device;
	ino_t inode;
	uint64_t file_bytes;
	struct rsprof_shm_header header; /* as of the last refresh */
	struct agent_layout layout;
	struct agent_region_facts facts;
};

/* Copies the part of the header that changes. -EBADMSG where the constant part is no longer what it
 * was, or the file has shrunk: the region is not to be read any more. */
int agent_region_refresh(struct agent_region *region);

/* Bytes of a section from its byte `at`. -EBADMSG where they are not all there. */
int agent_region_read(const struct agent_region *region, enum rsprof_shm_section_id section,
		      uint64_t at, void *to, size_t bytes);
/* The first `bytes` of element `index`, no more than its stride. */
int agent_region_read_element(const struct agent_region *region, enum rsprof_shm_section_id section,
			      uint64_t index, void *to, size_t bytes);
/* Of all lanes, as of now. */
uint64_t agent_region_unknown_frees(const struct agent_region *region);
/* 0 or -errno. */
int agent_region_write(struct agent_region *region, enum rsprof_shm_section_id section, uint64_t at,
		       const void *from, size_t bytes);

/* The next part of [*at, end) of a section that is not a hole: true with *at and *ret_end set.
 * Where holes cannot be told all is one part. */
bool agent_region_next_data(const struct agent_region *region, enum rsprof_shm_section_id section,
			    uint64_t *at, uint64_t end, uint64_t *ret_end);

/* Somebody reads until then (CLOCK_MONOTONIC). Never lowered: another reader's may be later. */
void agent_region_lease(struct agent_region *region, uint64_t until_ns);

/* The target still has this memory: by a descriptor of its, or mapped. */
bool agent_region_is_held(const struct agent_region *region, const struct target *target);

#endif
