/* What the hooks tell: blocks that come and go.
 *
 * `hook` is the address of the hook's frame: the caller's rbp and the return address are there. */
#ifndef RSPROF_AGENT_HEAP_H
#define RSPROF_AGENT_HEAP_H

#include "agent/agent.h"
#include "agent/lane.h"
#include "agent/sample.h"
#include "agent/shadow.h"

/* A block that realloc is given, between before and after. */
struct heap_old {
	uint64_t slot; /* 0: it is not known */
	uint64_t weight, time;
	bool is_taken; /* frees were counted then */
};

void heap_count(uintptr_t block, uint64_t size, uintptr_t leaf, uintptr_t hook);
void heap_sample(uintptr_t block, uint64_t size, uintptr_t leaf, uintptr_t hook);
void heap_count_slowly(uintptr_t block, uint64_t size, uintptr_t leaf, uintptr_t hook);
void heap_count_free(uintptr_t block);
/* And frees it. */
void heap_count_and_free(void *block);
/* Before the real realloc, which is not given NULL; then one of the others. */
void heap_reallocating(uintptr_t block, struct heap_old *ret_old);
void heap_reallocated(const struct heap_old *old, uintptr_t old_block, uintptr_t block,
		      uint64_t size, uintptr_t leaf, uintptr_t hook);
void heap_not_reallocated(const struct heap_old *old, uintptr_t old_block);
/* Blocks of the program's own. */
void heap_report_alloc(uintptr_t block, uint64_t size, uintptr_t leaf, uintptr_t hook);
void heap_report_free(uintptr_t block);

static inline uint32_t heap_generation(void)
{
	return atomic_load_explicit(&agent_state.is_on, memory_order_relaxed);
}

static inline bool heap_is_idle(void)
{
	return !heap_generation() && !agent_is_called();
}

static inline __attribute__((always_inline)) void heap_allocated(void *block, uint64_t size,
								 uintptr_t leaf, uintptr_t hook)
{
	if (AGENT_UNLIKELY(!heap_generation()))
		heap_count_slowly((uintptr_t)block, size, leaf, hook);
	else if (AGENT_LIKELY(agent_state.heap != RSPROF_SHM_HEAP_SAMPLED))
		heap_count((uintptr_t)block, size, leaf, hook);
	else
		heap_sample((uintptr_t)block, size, leaf, hook);
}

/* Frees matter. A reader who waits is no matter of theirs. */
static inline bool heap_has_frees(void)
{
	return AGENT_LIKELY(heap_generation()) ||
	       !atomic_load_explicit(&agent_state.phase, memory_order_relaxed) ||
	       agent_state.is_paused;
}

/* Before the real free. */
static inline void heap_freeing(void *block)
{
	if (heap_has_frees())
		heap_count_free((uintptr_t)block);
}

#endif
