#include <signal.h>
#include <sys/syscall.h>

#include "agent/heap.h"
#include "agent/hooks.h"
#include "agent/real.h"
#include "agent/site.h"
#include "agent/unwind.h"

/* From this size on a block has two slots for sure; the second one says what a sampled block stands
 * for. Smaller ones have their part of chance from their address: of their large weights it is
 * little. */
enum { WEIGHT_SLOT_BYTES = 64 };

/* A block that comes. */
struct arrival {
	uintptr_t block;
	uint64_t size, weight;
	uintptr_t leaf, hook;
	const struct heap_old *old; /* NULL: not by realloc */
};

static inline struct agent_frame frame_of(uintptr_t hook)
{
	const uintptr_t *words = (const uintptr_t *)hook;

	struct agent_frame frame;

	frame.pc = words[1];
	/* Apart: two stores that are made one are late for the loads that follow. */
	__asm__("" : "+m"(frame.pc));
	frame.sp = hook + 16;
	frame.bp = words[0];
	return frame;
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

static void add(const struct agent_lane *lane, uint64_t *count, uint64_t value)
{
	if (lane->is_shared)
		lane_add_shared(count, value);
	else
		lane_add(count, value);
}

/* ---- whether a hook is within another one's bookkeeping */

/* The one that is busy may have been left by longjmp, and its frame been popped. Handlers may run
 * on stacks of their own, which compare with nothing, even where they lie within the thread's. */
static bool is_left(const struct agent_thread *thread, uintptr_t hook)
{
	stack_t stack;

	if (hook < thread->busy_frame || thread->busy_frame < thread->stack_low ||
	    hook >= thread->stack_high)
		return false;
	return !sys_call(SYS_sigaltstack, 0, (long)&stack, 0, 0, 0, 0) &&
	       !(stack.ss_flags & SS_ONSTACK);
}

static bool is_nested(struct agent_thread *thread, uintptr_t hook)
{
	if (!thread->busy_frame)
		return false;
	if (!is_left(thread, hook))
		return true;
	/* What it was at may be half done. */
	lane_forget(thread);
	thread->busy_frame = 0;
	return false;
}

/* ---- blocks that come */

static uint64_t weight_random(uintptr_t block)
{
	return (uint32_t)((block >> 3) * UINT64_C(0xd6e8feb86659fd93) >> 32);
}

static uintptr_t weight_place(uintptr_t block)
{
	return block + ((uintptr_t)1 << agent_process.granule_bits);
}

/* An allocator may call its own functions by their hooked names: then the block was counted just
 * now, by the hook of the inner call, whose stack leads through the outer one's. */
static __attribute__((noinline)) bool is_counted(uint64_t slot, uintptr_t hook)
{
	return site_has_call(shadow_site(slot), (uintptr_t)hooks_start, (uintptr_t)hooks_end,
			     frame_of(hook).pc);
}

static void count_realloc(const struct agent_lane *lane, struct rsprof_shm_counts *counts,
			  const struct arrival *arrival, uint64_t size)
{
	uint64_t old_size = shadow_size(arrival->old->slot);

	add(lane, &counts->reallocs, arrival->weight);
	if (arrival->old->slot && size > old_size)
		add(lane, &counts->growth_bytes, (size - old_size) * arrival->weight);
}

/* false: it is counted already, or is none of this process's. */
static bool count(struct agent_thread *thread, struct agent_lane *lane,
		  const struct arrival *arrival)
{
	struct agent_frame frame = frame_of(arrival->hook);
	uint64_t size = arrival->size < SHADOW_SIZE_MAX ? arrival->size : SHADOW_SIZE_MAX;
	uint32_t generation = agent_state.generation;
	const uint64_t *place = shadow_find(arrival->block);
	struct rsprof_shm_counts *counts;
	uint32_t site;

	if (place && *place && is_counted(*place, arrival->hook)) {
		if (arrival->old)
			count_realloc(lane, &lane->counts[shadow_site(*place)], arrival, size);
		return false;
	}
	site = unwind_site(thread, lane, arrival->leaf, &frame);
	if (generation != agent_state.generation)
		return false;
	if (!shadow_put(arrival->block, shadow_slot(size, site))) {
		site = RSPROF_SHM_SITE_UNTRACKED;
		agent_lost(RSPROF_SHM_LOST_BLOCKS, 1);
	}
	counts = &lane->counts[site];
	add(lane, &counts->allocs, arrival->weight);
	add(lane, &counts->alloc_bytes, size * arrival->weight);
	if (arrival->old)
		count_realloc(lane, counts, arrival, size);
	thread->last_block = arrival->block;
	thread->last_slot = shadow_slot(size, site);
	if (agent_state.heap == RSPROF_SHM_HEAP_TRACE)
		agent_ring_put(lane, RSPROF_SHM_EVENT_ALLOC, site, arrival->block, size,
			       thread->busy_frame == arrival->hook);
	return true;
}

/* In the thread's own lane, or in the shared one where it has none or a hook is at its own. */
static bool count_where_it_may(struct agent_thread *thread, const struct arrival *arrival)
{
	bool nested = is_nested(thread, arrival->hook);
	struct agent_lane *lane = agent_lane_of(thread, nested);
	bool is_new;

	if (!nested)
		set_busy(thread, arrival->hook);
	is_new = count(thread, lane, arrival);
	if (!nested)
		set_idle(thread);
	return is_new;
}

/* false: this one is not sampled. */
static bool is_sampled(struct agent_thread *thread, struct agent_lane *lane, uint64_t size)
{
	if (!(thread->flags & AGENT_THREAD_DRAWN)) {
		thread->flags |= AGENT_THREAD_DRAWN;
		thread->left = sample_gap(&lane->random, agent_config.sample_bytes);
	}
	thread->last_block = 0;
	thread->left -= (int64_t)(size < SHADOW_SIZE_MAX ? size : SHADOW_SIZE_MAX);
	return thread->left < 0;
}

/* The next sample is as far as it always is. */
static void count_sampled(struct agent_thread *thread, struct agent_lane *lane,
			  struct arrival *arrival)
{
	uint64_t random = weight_random(arrival->block);
	uintptr_t block = arrival->block;

	if (arrival->size >= WEIGHT_SLOT_BYTES)
		random = sample_random(&lane->random);
	thread->left = sample_gap(&lane->random, agent_config.sample_bytes);
	arrival->weight = sample_weight(arrival->size, agent_config.sample_bytes, (uint32_t)random);
	if (!count_where_it_may(thread, arrival))
		return;
	if (arrival->size >= WEIGHT_SLOT_BYTES && !shadow_put(weight_place(block), arrival->weight))
		return;
	sample_add(block);
	agent_look_at_lease();
}

static void come(struct arrival *arrival)
{
	struct agent_thread *thread = &agent_thread;
	struct agent_lane *lane;

	if (AGENT_UNLIKELY(thread->internal_depth)) {
		/* Of a handler, or of the C library for us. */
		if (heap_generation())
			agent_lost(RSPROF_SHM_LOST_REENTRIES, 1);
		return;
	}
	if (!heap_generation() && !agent_begin())
		return;
	arrival->weight = 1;
	if (agent_state.heap != RSPROF_SHM_HEAP_SAMPLED) {
		count_where_it_may(thread, arrival);
		return;
	}
	lane = agent_lane_of(thread, is_nested(thread, arrival->hook));
	if (is_sampled(thread, lane, arrival->size))
		count_sampled(thread, lane, arrival);
}

__attribute__((noinline)) void heap_count_slowly(uintptr_t block, uint64_t size, uintptr_t leaf,
						 uintptr_t hook)
{
	struct arrival arrival = {.block = block, .size = size, .leaf = leaf, .hook = hook};

	come(&arrival);
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

static __attribute__((noinline)) void count_own_sample(uintptr_t block, uint64_t size,
						       uintptr_t leaf, uintptr_t hook)
{
	struct arrival arrival = {.block = block, .size = size, .leaf = leaf, .hook = hook};

	count_sampled(&agent_thread, agent_thread.lane, &arrival);
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
		count_own_sample(block, size, leaf, hook);
}

/* As count(), in the thread's own lane and with nothing out of the ordinary. */
void heap_count(uintptr_t block, uint64_t size, uintptr_t leaf, uintptr_t hook)
{
	struct agent_thread *thread = &agent_thread;
	struct rsprof_shm_counts *counts;
	uint32_t on = heap_generation(), site;
	struct agent_frame frame;
	uint64_t slot, *place;

	if (AGENT_UNLIKELY(!on || thread->generation != on ||
			   (thread->busy_frame | thread->internal_depth) != 0 ||
			   size > SHADOW_SIZE_MAX)) {
		heap_count_slowly(block, size, leaf, hook);
		return;
	}
	place = shadow_find(block);
	if (AGENT_UNLIKELY(!place)) {
		heap_count_slowly(block, size, leaf, hook);
		return;
	}
	frame = frame_of(hook);
	set_busy(thread, hook);
	site = unwind_memo_find(thread->lane->memos, thread, leaf, &frame);
	if (AGENT_UNLIKELY(!site))
		site = unwind_site(thread, thread->lane, leaf, &frame);
	/* A handler that forked may have come in: then this is the child, and nothing of its own is
	 * there. */
	if (AGENT_UNLIKELY(thread->generation != agent_state.generation)) {
		set_idle(thread);
		return;
	}
	if (AGENT_UNLIKELY(*place != 0) && is_counted(*place, hook)) {
		set_idle(thread);
		return;
	}
	slot = size << SHADOW_SITE_BITS | site;
	*place = slot;
	counts = &thread->lane->counts[site];
	lane_add(&counts->allocs, 1);
	lane_add(&counts->alloc_bytes, size);
	thread->last_block = block;
	thread->last_slot = slot;
	if (AGENT_UNLIKELY(agent_state.heap == RSPROF_SHM_HEAP_TRACE))
		trace_alloc(block, size, site);
	set_idle(thread);
	if (AGENT_UNLIKELY(--thread->left < 0))
		look_at_lease(thread);
}

/* ---- blocks that go */

/* Where frees are counted: they need no memos, so the thread's own lane does within a hook, too.
 * NULL: they are not. */
static struct agent_lane *lane_for_free(struct agent_thread *thread)
{
	if (!heap_generation() && !agent_state.is_paused &&
	    (thread->internal_depth || !agent_begin()))
		return NULL;
	return agent_lane_of(thread, thread->internal_depth != 0);
}

/* Reads and forgets what is known of a block. 0: nothing. */
static uint64_t take(uintptr_t block, uint64_t *ret_weight)
{
	uint64_t slot, size;

	*ret_weight = 1;
	if (agent_state.heap != RSPROF_SHM_HEAP_SAMPLED)
		return shadow_take(block);
	if (!sample_may_have(block))
		return 0;
	slot = shadow_take(block);
	if (!slot)
		return 0;
	sample_remove(block);
	size = shadow_size(slot);
	*ret_weight = size >= WEIGHT_SLOT_BYTES ? shadow_take(weight_place(block))
						: sample_weight(size, agent_config.sample_bytes,
								(uint32_t)weight_random(block));
	return slot;
}

static void count_free(struct agent_thread *thread, struct agent_lane *lane, uintptr_t block,
		       uint64_t slot, uint64_t weight, bool may_be_temporary)
{
	struct rsprof_shm_counts *counts = &lane->counts[shadow_site(slot)];

	if (!slot) {
		/* What the C library allocates for us is not known. */
		if (agent_state.heap != RSPROF_SHM_HEAP_SAMPLED && !thread->internal_depth)
			add(lane, &lane->shared->unknown_frees, 1);
		return;
	}
	add(lane, &counts->frees, weight);
	add(lane, &counts->free_bytes, shadow_size(slot) * weight);
	if (may_be_temporary && thread->last_block == block && thread->last_slot == slot) {
		thread->last_block = 0;
		add(lane, &counts->temporary, weight);
	}
}

static void trace_free(struct agent_lane *lane, uintptr_t block, uint64_t slot)
{
	agent_ring_put(lane, RSPROF_SHM_EVENT_FREE, shadow_site(slot), block, shadow_size(slot),
		       true);
}

static __attribute__((noinline)) void count_free_slowly(uintptr_t block)
{
	struct agent_thread *thread = &agent_thread;
	struct agent_lane *lane = lane_for_free(thread);
	uint64_t slot, weight;

	if (!lane)
		return;
	slot = take(block, &weight);
	if (agent_state.heap == RSPROF_SHM_HEAP_TRACE)
		trace_free(lane, block, slot);
	count_free(thread, lane, block, slot, weight, true);
}

/* The counters are the thread's own and each is changed by one instruction, so a handler may come
 * in anywhere, and nothing says that the thread is busy. false: it takes more than this. */
static inline __attribute__((always_inline)) bool count_free_quickly(uintptr_t block)
{
	struct agent_thread *thread = &agent_thread;
	uint32_t on = heap_generation();
	struct rsprof_shm_counts *counts;
	uint64_t slot, *place;

	if (AGENT_UNLIKELY(agent_state.heap != RSPROF_SHM_HEAP_EXACT))
		return on && agent_state.heap == RSPROF_SHM_HEAP_SAMPLED && !sample_may_have(block);
	place = shadow_find(block);
	if (AGENT_UNLIKELY(!on || on != thread->generation || !place || !*place))
		return false;
	slot = *place;
	*place = 0;
	counts = &thread->lane->counts[shadow_site(slot)];
	lane_add(&counts->frees, 1);
	lane_add(&counts->free_bytes, shadow_size(slot));
	if (thread->last_block == block && thread->last_slot == slot) {
		thread->last_block = 0;
		lane_add(&counts->temporary, 1);
	}
	return true;
}

void heap_count_free(uintptr_t block)
{
	if (!count_free_quickly(block))
		count_free_slowly(block);
}

static __attribute__((noinline)) void free_slowly(void *block)
{
	count_free_slowly((uintptr_t)block);
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

void heap_reallocating(uintptr_t block, struct heap_old *ret_old)
{
	*ret_old = (struct heap_old){0};
	if (!heap_generation() && !agent_is_called() && !agent_state.is_paused)
		return;
	ret_old->is_taken = lane_for_free(&agent_thread) != NULL;
	if (!ret_old->is_taken)
		return;
	ret_old->slot = take(block, &ret_old->weight);
	if (agent_state.heap == RSPROF_SHM_HEAP_TRACE)
		ret_old->time = agent_clock();
}

/* The sampled filter has lost it, too. */
void heap_not_reallocated(const struct heap_old *old, uintptr_t old_block)
{
	if (!old->slot || !shadow_put(old_block, old->slot))
		return;
	if (agent_state.heap != RSPROF_SHM_HEAP_SAMPLED)
		return;
	if (shadow_size(old->slot) >= WEIGHT_SLOT_BYTES)
		shadow_put(weight_place(old_block), old->weight);
	sample_add(old_block);
}

void heap_reallocated(const struct heap_old *old, uintptr_t old_block, uintptr_t block,
		      uint64_t size, uintptr_t leaf, uintptr_t hook)
{
	struct arrival arrival = {
		.block = block, .size = size, .leaf = leaf, .hook = hook, .old = old};
	struct agent_thread *thread = &agent_thread;
	struct agent_lane *lane = old->is_taken ? lane_for_free(thread) : NULL;

	if (lane) {
		count_free(thread, lane, old_block, old->slot, old->weight, !block);
		if (agent_state.heap == RSPROF_SHM_HEAP_TRACE)
			agent_ring_put_at(lane, old->time, RSPROF_SHM_EVENT_FREE,
					  shadow_site(old->slot), old_block, shadow_size(old->slot),
					  true);
	}
	if (block)
		come(&arrival);
}
