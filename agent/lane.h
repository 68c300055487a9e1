/* The places of threads in the shared memory. */
#ifndef RSPROF_AGENT_LANE_H
#define RSPROF_AGENT_LANE_H

#include "agent/agent.h"

enum { LANES_MAX = 256 };

/* Once for each region; the thread that begins has none of its lanes. false: there is no memory. */
bool lane_begin(void);
/* In a forked child, before region_leave(): the lanes' parts of the parent's memory are given up.
 */
void lane_leave(void);
/* These addresses are a lane's part of the shared memory. */
bool lane_has(uintptr_t start, uintptr_t end);
/* Once a process: threads' ends are to be told. false: they cannot be. */
bool lane_key_begin(void);
/* This thread's own; NULL: there is none left, or it has ended. */
struct agent_lane *lane_claim(struct agent_thread *thread);
struct agent_lane *lane_shared(void);
/* What its memos hold, which may be half-written. */
void lane_forget(struct agent_thread *thread);
/* enum rsprof_shm_clock: what is good enough for this heap mode. */
uint8_t lane_clock_kind(void);

/* One instruction, so that a handler of the same thread may come at any time. Only the owner of
 * *count adds to it. */
static inline void lane_add(uint64_t *count, uint64_t value)
{
	__asm__("addq %1, %0" : "+m"(*count) : "er"(value));
}

static inline void lane_add_shared(uint64_t *count, uint64_t value)
{
	__atomic_fetch_add(count, value, __ATOMIC_RELAXED);
}

#endif
