/* The ways out of heap.c, and what both need. */
#ifndef RSPROF_AGENT_HEAP_SLOW_H
#define RSPROF_AGENT_HEAP_SLOW_H

#include "agent/heap.h"

/* An allocator may call its own functions by their hooked names: then the block was counted just
 * now, by the hook of the inner call, whose stack leads through the outer one's. */
bool heap_is_counted(uint32_t site, uintptr_t hook);
/* In the thread's own lane: the time for a sample has come. */
void heap_count_own_sample(uintptr_t block, uint64_t size, uintptr_t leaf, uintptr_t hook);
void heap_count_free_slowly(uintptr_t block, bool is_reported);
void heap_reallocating_slowly(uintptr_t block, struct heap_old *ret_old);
void heap_reallocated_slowly(const struct heap_old *old, uintptr_t old_block, uintptr_t block,
			     uint64_t size, uintptr_t leaf, uintptr_t hook);

/* ---- a hook's frame */

static inline uintptr_t saved_bp(uintptr_t hook)
{
	return ((const uintptr_t *)hook)[0];
}

static inline uintptr_t return_address(uintptr_t hook)
{
	return ((const uintptr_t *)hook)[1];
}

static inline struct agent_frame frame_of(uintptr_t hook)
{
	return (struct agent_frame){
		.pc = return_address(hook), .sp = hook + 16, .bp = saved_bp(hook)};
}

static inline void set_busy(struct agent_thread *thread, uintptr_t hook)
{
	thread->busy_frame = hook;
	atomic_signal_fence(memory_order_seq_cst);
}

static inline void set_idle(struct agent_thread *thread)
{
	atomic_signal_fence(memory_order_seq_cst);
	thread->busy_frame = 0;
}

#endif
