/* The memory that an agent in the target shares (include/rsprof/shm_abi.h): found, opened, and held
 * against what it says of itself. It is the target's: every number in it is copied first and
 * believed only within its bounds; it is never mapped, so that nothing the target does to it can
 * harm the reader. */
#ifndef RSPROF_SOURCE_AGENT_REGION_H
#define RSPROF_SOURCE_AGENT_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/rsprof/shm_abi.h"
#include "reader/core/heap.h"
#include "reader/target/target.h"
#include "reader/util/err.h"

struct agent_region;

/* As of the last agent_region_refresh; opening is the first. */
struct agent_region_facts {
	enum rsprof_shm_state state;
	enum rsprof_shm_reason reason;
	enum heap_mode heap;	/* that it counts by while it is on */
	uint32_t cpu_frequency; /* of its timers, Hz; 0: none */
	uint64_t sample_bytes;	/* of sampled mode */
	bool is_forked, is_linked;
	bool is_writable; /* a lease can be given: a dormant agent can be woken */
	uint32_t lanes, sites;
	uint64_t created_ns; /* CLOCK_MONOTONIC */
	char version[16];    /* of the agent; scrubbed, as allocator is */
	char allocator[128]; /* path of what serves malloc */
};

/* -ENOENT (ERR_NOT_FOUND): the process has no agent. Else ERR_PERMISSION or ERR_GENERAL, with one
 * sentence: another version (both are named), another user's, truncated, damaged. */
int agent_region_find(const struct target *target, struct agent_region **ret_region,
		      struct err *err);
/* Of the memfd that `rsprof run` gave its child; it stays the caller's. -EAGAIN, without a word:
 * no agent has taken it into use yet. */
int agent_region_adopt(int memfd, const struct target *target, struct agent_region **ret_region,
		       struct err *err);
void agent_region_close(struct agent_region *region); /* NULL allowed */

const struct agent_region_facts *agent_region_facts(const struct agent_region *region);
/* Why nothing is counted by it, as a sentence; NULL: it counts, or will once it is woken. */
const char *agent_region_refusal(const struct agent_region_facts *facts);

#endif
