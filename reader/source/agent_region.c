#include "reader/source/agent_region.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/source/agent_memory.h"
#include "reader/util/mem.h"

void agent_region_close(struct agent_region *region)
{
	if (!region)
		return;
	close(region->fd);
	free(region);
}

const struct agent_region_facts *agent_region_facts(const struct agent_region *region)
{
	return &region->facts;
}

const char *agent_region_refusal(const struct agent_region_facts *facts)
{
	if (facts->heap == HEAP_MODE_OFF)
		return "The agent was told not to count the heap.";
	if (facts->state != RSPROF_SHM_OFF)
		return NULL;
	switch (facts->reason) {
	case RSPROF_SHM_OWN_ALLOCATOR:
		return "The program has an allocator of its own, whose calls do not pass the "
		       "agent.";
	case RSPROF_SHM_NO_MEMORY:
		return "The agent found no memory to count in.";
	case RSPROF_SHM_STOPPED:
		return "The program has stopped the agent.";
	case RSPROF_SHM_CONFINED:
		return "The program has confined itself (no_new_privs, seccomp, a limit of its "
		       "memory), and the agent ended before.";
	case RSPROF_SHM_NO_REASON:
		break;
	}
	return "The agent has stopped counting.";
}

/* All of it, or -EBADMSG: the memory is not what its header says. */
static int read_at(int fd, uint64_t offset, void *to, size_t bytes)
{
	char *at = to;

	while (bytes) {
		ssize_t got = pread(fd, at, bytes, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -EBADMSG;
		at += got;
		offset += (uint64_t)got;
		bytes -= (size_t)got;
	}
	return 0;
}

static uint64_t bytes_of(const struct agent_region *region, enum rsprof_shm_section_id section)
{
	const struct rsprof_shm_section *is = &region->layout.sections[section];

	return is->stride * is->count;
}

int agent_region_read(const struct agent_region *region, enum rsprof_shm_section_id section,
		      uint64_t at, void *to, size_t bytes)
{
	uint64_t all = bytes_of(region, section);

	if (at > all || bytes > all - at)
		return -EBADMSG;
	return read_at(region->fd, region->layout.sections[section].offset + at, to, bytes);
}

int agent_region_read_element(const struct agent_region *region, enum rsprof_shm_section_id section,
			      uint64_t index, void *to, size_t bytes)
{
	if (index >= region->layout.sections[section].count)
		return -EBADMSG;
	return agent_region_read(region, section, index * region->layout.sections[section].stride,
				 to, bytes);
}

int agent_region_write(struct agent_region *region, enum rsprof_shm_section_id section, uint64_t at,
		       const void *from, size_t bytes)
{
	uint64_t all = bytes_of(region, section);
	ssize_t written;

	if (!region->is_writable)
		return -EACCES;
	if (at > all || bytes > all - at)
		return -EBADMSG;
	written = pwrite(region->fd, from, bytes,
			 (off_t)(region->layout.sections[section].offset + at));
	if (written < 0)
		return -errno;
	return (size_t)written == bytes ? 0 : -EIO;
}

bool agent_region_next_data(const struct agent_region *region, enum rsprof_shm_section_id section,
			    uint64_t *at, uint64_t end, uint64_t *ret_end)
{
	uint64_t base = region->layout.sections[section].offset;
	off_t data, hole;

	if (*at >= end)
		return false;
	data = lseek(region->fd, (off_t)(base + *at), SEEK_DATA);
	if (data < 0 && errno == ENXIO)
		return false;
	*ret_end = end;
	if (data < 0)
		return true;
	if ((uint64_t)data >= base + end)
		return false;
	hole = lseek(region->fd, data, SEEK_HOLE);
	if (hole > data && (uint64_t)hole < base + end)
		*ret_end = (uint64_t)hole - base;
	if ((uint64_t)data > base + *at)
		*at = (uint64_t)data - base;
	return true;
}

void agent_region_lease(struct agent_region *region, uint64_t until_ns)
{
	struct rsprof_shm_control control;

	if (agent_region_read(region, RSPROF_SHM_CONTROL, 0, &control, sizeof(control)) < 0 ||
	    control.lease_ns >= until_ns)
		return;
	agent_region_write(region, RSPROF_SHM_CONTROL,
			   offsetof(struct rsprof_shm_control, lease_ns), &until_ns,
			   sizeof(until_ns));
}

uint64_t agent_region_unknown_frees(const struct agent_region *region)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < region->layout.lanes; i++) {
		struct rsprof_shm_lane lane;

		if (agent_region_read_element(region, RSPROF_SHM_LANES, i, &lane, sizeof(lane)) ==
		    0)
			sum += lane.unknown_frees;
	}
	return sum;
}

/* Words that a later version may have added say what is known of them here. */
static void take_state(struct agent_region *region)
{
	const struct rsprof_shm_header *header = &region->header;
	uint32_t state = header->state, reason = header->reason;

	region->facts.state =
		state <= RSPROF_SHM_OFF ? (enum rsprof_shm_state)state : RSPROF_SHM_PAUSED;
	region->facts.reason = reason <= RSPROF_SHM_CONFINED ? (enum rsprof_shm_reason)reason
							     : RSPROF_SHM_NO_REASON;
}

int agent_region_refresh(struct agent_region *region)
{
	struct rsprof_shm_header now;
	struct stat stat;

	if (fstat(region->fd, &stat) < 0 || (uint64_t)stat.st_size < region->file_bytes ||
	    read_at(region->fd, 0, &now, sizeof(now)) < 0 ||
	    memcmp(&now, &region->header, offsetof(struct rsprof_shm_header, state)))
		return -EBADMSG;
	region->header = now;
	take_state(region);
	return 0;
}
