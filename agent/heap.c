/* What nearly all calls of the hooks take: a thread that has a lane and is at nothing else. All
 * other ones are heap_slow.c's. */
#include "agent/heap_slow.h"
#include "agent/real.h"
#include "agent/unwind.h"

/* ---- blocks that come */

/* Where nothing is sampled. */
static inline void count_growth(struct rsprof_shm_counts *counts, const struct heap_old *old,
				uint64_t size)
{
	uint64_t old_size = shadow_size(old->slot);

	lane_add(&counts->reallocs, 1);
	if (old->slot && size > old_size)
		lane_add(&counts->growth_bytes, size - old_size);
}

static __attribute__((noinline)) void trace_alloc(uintptr_t block, uint64_t size, uint32_t site)
{
	agent_ring_put(agent_thread.lane, RSPROF_SHM_EVENT_ALLOC, site, block, size, true);
}

static __attribute__((noinline)) void look_at_lease(struct agent_thread *thread)
{
	thread->left = AGENT_EVENTS_A_LOOK;
	agent_look_at_lease();
}

/* SAMPLED: nearly always no more than a subtraction. */
void heap_sample(uintptr_t block, uint64_t size, uintptr_t leaf, uintptr_t hook)
{
	struct agent_thread *thread = &agent_thread;
	uint32_t on = heap_generation();

	if (AGENT_UNLIKELY(!on || thread->generation != on || thread->internal_depth ||
			   size > SHADOW_SIZE_MAX)) {
		heap_count_slowly(block, size, leaf, hook);
		return;
	}
	thread->last_block = 0;
	thread->left -= (int64_t)size;
	if (AGENT_UNLIKELY(thread->left < 0))
		heap_count_own_sample(block, size, leaf, hook);
}

static __attribute__((noinline)) uint32_t find_site(struct agent_thread *thread, uintptr_t leaf,
						    uintptr_t hook)
{
	struct agent_frame frame = frame_of(hook);

	return unwind_new_site(thread, thread->lane, leaf, &frame);
}

/* As count(), in the thread's own lane and with nothing out of the ordinary. false: there is. */
static inline __attribute__((always_inline)) bool count_quickly(uintptr_t block, uint64_t size,
								uintptr_t leaf, uintptr_t hook,
								const struct heap_old *old)
{
	struct agent_thread *thread = &agent_thread;
	struct rsprof_shm_counts *counts;
	uint32_t on = heap_generation(), site, *place;

	if (AGENT_UNLIKELY(!on || thread->generation != on ||
			   (thread->busy_frame | thread->internal_depth) != 0 ||
			   size > SHADOW_SIZE_MAX))
		return false;
	place = shadow_find(block);
	if (AGENT_UNLIKELY(!place))
		return false;
	__builtin_prefetch(place, 1);
	set_busy(thread, hook);
	site = UNWIND_HAS_MEMOS ? unwind_memo_find(thread->lane->memos, thread, leaf,
						   return_address(hook), hook + 16, saved_bp(hook))
				: 0;
	if (AGENT_UNLIKELY(!site))
		site = find_site(thread, leaf, hook);
	/* A handler that forked may have come in: then this is the child, and nothing of its own is
	 * there. */
	if (AGENT_UNLIKELY(thread->generation != agent_state.generation))
		goto out;
	if (AGENT_UNLIKELY(!shadow_is_empty(place)) &&
	    heap_is_counted(shadow_cell_site(*place), hook)) {
		if (old)
			count_growth(&thread->lane->counts[shadow_cell_site(*place)], old, size);
		goto out;
	}
	shadow_set(place, block, size, site);
	counts = &thread->lane->counts[site];
	lane_add(&counts->allocs, 1);
	lane_add(&counts->alloc_bytes, size);
	if (old)
		count_growth(counts, old, size);
	thread->last_block = block;
	thread->last_slot = size << SHADOW_SITE_BITS | site;
	if (AGENT_UNLIKELY(agent_state.heap == RSPROF_SHM_HEAP_TRACE))
		trace_alloc(block, size, site);
	set_idle(thread);
	if (AGENT_UNLIKELY(--thread->left < 0))
		look_at_lease(thread);
	return true;
out:
	set_idle(thread);
	return true;
}

void heap_count(uintptr_t block, uint64_t size, uintptr_t leaf, uintptr_t hook)
{
	if (AGENT_UNLIKELY(!count_quickly(block, size, leaf, hook, NULL)))
		heap_count_slowly(block, size, leaf, hook);
}

/* ---- blocks that go */

/* Takes what is not large, as the thread's own. 0: it takes more than this. */
static inline __attribute__((always_inline)) uint32_t
take_quickly(const struct agent_thread *thread, uintptr_t block)
{
	uint32_t on = heap_generation(), *place = shadow_find(block), cell;

	if (AGENT_UNLIKELY(!on || on != thread->generation || !place))
		return 0;
	cell = *place;
	if (AGENT_UNLIKELY(shadow_cell_size(cell) == SHADOW_LARGE))
		return 0;
	if (AGENT_LIKELY(cell != 0))
		*place = 0;
	return cell;
}

/* The counters are the thread's own and each is changed by one instruction, so a handler may come
 * in anywhere, and nothing says that the thread is busy. false: it takes more than this. */
static inline __attribute__((always_inline)) bool count_free_quickly(uintptr_t block)
{
	struct agent_thread *thread = &agent_thread;
	struct rsprof_shm_counts *counts;
	uint32_t cell;

	if (AGENT_UNLIKELY(agent_state.heap != RSPROF_SHM_HEAP_EXACT))
		return heap_generation() && agent_state.heap == RSPROF_SHM_HEAP_SAMPLED &&
		       !sample_may_have(block);
	cell = take_quickly(thread, block);
	if (AGENT_UNLIKELY(!cell))
		return false;
	counts = &thread->lane->counts[shadow_cell_site(cell)];
	lane_add(&counts->frees, 1);
	lane_add(&counts->free_bytes, shadow_cell_size(cell));
	if (thread->last_block == block && thread->last_slot == shadow_get(cell, block)) {
		thread->last_block = 0;
		lane_add(&counts->temporary, 1);
	}
	return true;
}

void heap_count_free(uintptr_t block)
{
	if (!count_free_quickly(block))
		heap_count_free_slowly(block, false);
}

static __attribute__((noinline)) void free_slowly(void *block)
{
	heap_count_free_slowly((uintptr_t)block, false);
	real.free(block);
}

void heap_count_and_free(void *block)
{
	if (AGENT_LIKELY(count_free_quickly((uintptr_t)block)))
		real.free(block);
	else
		free_slowly(block);
}

/* ---- realloc */

/* Its free is counted by the thread's own lane, with what comes of the block. */
static inline bool is_plain(const struct agent_thread *thread)
{
	uint32_t on = heap_generation();

	return AGENT_LIKELY(agent_state.heap == RSPROF_SHM_HEAP_EXACT && on &&
			    on == thread->generation && !thread->internal_depth);
}

void heap_reallocating(uintptr_t block, struct heap_old *ret_old)
{
	uint32_t cell = is_plain(&agent_thread) ? take_quickly(&agent_thread, block) : 0;

	*ret_old = (struct heap_old){.weight = 1};
	if (AGENT_LIKELY(cell != 0)) {
		ret_old->slot = shadow_get(cell, block);
		ret_old->is_taken = true;
	} else {
		heap_reallocating_slowly(block, ret_old);
	}
}

void heap_reallocated(const struct heap_old *old, uintptr_t old_block, uintptr_t block,
		      uint64_t size, uintptr_t leaf, uintptr_t hook)
{
	struct rsprof_shm_counts *counts;
	struct heap_old rest;

	if (!is_plain(&agent_thread) || !old->slot || !block) {
		heap_reallocated_slowly(old, old_block, block, size, leaf, hook);
		return;
	}
	counts = &agent_thread.lane->counts[shadow_site(old->slot)];
	lane_add(&counts->frees, 1);
	lane_add(&counts->free_bytes, shadow_size(old->slot));
	if (AGENT_LIKELY(count_quickly(block, size, leaf, hook, old)))
		return;
	rest = *old;
	rest.is_taken = false;
	heap_reallocated_slowly(&rest, old_block, block, size, leaf, hook);
}
