/* Blocks that come and go, in whatever lane there is, sampled or not. */
#include "agent/heap_slow.h"

#include <signal.h>
#include <sys/syscall.h>

#include "agent/hooks.h"
#include "agent/site.h"

/* From this size on a block has three cells for sure; the others say what a sampled block stands
 * for. Smaller ones have their part of chance from their address: of their large weights it is
 * little. */
enum { WEIGHT_CELLS_BYTES = 128 };

/* A block that comes. */
struct arrival {
	uintptr_t block;
	uint64_t size, weight;
	uintptr_t leaf, hook;
	const struct heap_old *old; /* NULL: not by realloc */
	bool is_reported;
};

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

/* Of a block of WEIGHT_CELLS_BYTES or more. false: there is no memory. */
static bool put_weight(uintptr_t block, bool is_reported, uint64_t weight)
{
	uintptr_t granule = (uintptr_t)1 << agent_process.granule_bits;
	uint32_t *low, *high;

	if (is_reported)
		return shadow_put_reported(block + 8, weight);
	low = shadow_cell(block + granule);
	high = shadow_cell(block + 2 * granule);
	if (!low || !high)
		return false;
	*low = (uint32_t)weight;
	*high = (uint32_t)(weight >> 32);
	return true;
}

static uint64_t take_weight(uintptr_t block, bool is_reported)
{
	uintptr_t granule = (uintptr_t)1 << agent_process.granule_bits;
	uint32_t *low, *high;
	uint64_t weight;

	if (is_reported)
		return shadow_take_reported(block + 8);
	low = shadow_find(block + granule);
	high = shadow_find(block + 2 * granule);
	if (!low || !high)
		return 0;
	weight = (uint64_t)*high << 32 | *low;
	*low = *high = 0;
	return weight;
}

static bool put(uintptr_t block, bool is_reported, uint64_t slot)
{
	return is_reported ? shadow_put_reported(block, slot) : shadow_put(block, slot);
}

static uint64_t slot_of(uintptr_t block, bool is_reported)
{
	const uint32_t *place;

	if (is_reported)
		return shadow_reported(block);
	place = shadow_find(block);
	return place && *place ? shadow_get(*place, block) : 0;
}

bool heap_is_counted(uint32_t site, uintptr_t hook)
{
	return site_has_call(site, (uintptr_t)hooks_start, (uintptr_t)hooks_end, frame_of(hook).pc);
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
	uint64_t slot = slot_of(arrival->block, arrival->is_reported);
	struct rsprof_shm_counts *counts;
	uint32_t site;

	if (slot && heap_is_counted(shadow_site(slot), arrival->hook)) {
		if (arrival->old)
			count_realloc(lane, &lane->counts[shadow_site(slot)], arrival, size);
		return false;
	}
	site = unwind_site(thread, lane, arrival->leaf, &frame);
	if (generation != agent_state.generation)
		return false;
	if (!put(arrival->block, arrival->is_reported, shadow_slot(size, site))) {
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

	if (arrival->size >= WEIGHT_CELLS_BYTES)
		random = sample_random(&lane->random);
	thread->left = sample_gap(&lane->random, agent_config.sample_bytes);
	arrival->weight = sample_weight(arrival->size, agent_config.sample_bytes, (uint32_t)random);
	if (!count_where_it_may(thread, arrival))
		return;
	if (arrival->size >= WEIGHT_CELLS_BYTES &&
	    !put_weight(block, arrival->is_reported, arrival->weight))
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

void heap_count_slowly(uintptr_t block, uint64_t size, uintptr_t leaf, uintptr_t hook)
{
	struct arrival arrival = {.block = block, .size = size, .leaf = leaf, .hook = hook};

	come(&arrival);
}

void heap_count_own_sample(uintptr_t block, uint64_t size, uintptr_t leaf, uintptr_t hook)
{
	struct arrival arrival = {.block = block, .size = size, .leaf = leaf, .hook = hook};

	count_sampled(&agent_thread, agent_thread.lane, &arrival);
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
static uint64_t take(uintptr_t block, bool is_reported, uint64_t *ret_weight)
{
	bool is_sampled = agent_state.heap == RSPROF_SHM_HEAP_SAMPLED;
	uint64_t slot, size;

	*ret_weight = 1;
	if (is_sampled && !sample_may_have(block))
		return 0;
	slot = is_reported ? shadow_take_reported(block) : shadow_take(block);
	if (!is_sampled || !slot)
		return slot;
	sample_remove(block);
	size = shadow_size(slot);
	*ret_weight = size >= WEIGHT_CELLS_BYTES ? take_weight(block, is_reported)
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

void heap_count_free_slowly(uintptr_t block, bool is_reported)
{
	struct agent_thread *thread = &agent_thread;
	struct agent_lane *lane = lane_for_free(thread);
	uint64_t slot, weight;

	if (!lane)
		return;
	slot = take(block, is_reported, &weight);
	if (is_reported && !slot)
		return;
	if (agent_state.heap == RSPROF_SHM_HEAP_TRACE)
		trace_free(lane, block, slot);
	count_free(thread, lane, block, slot, weight, true);
}

/* ---- realloc */

void heap_reallocating_slowly(uintptr_t block, struct heap_old *ret_old)
{
	if (!heap_generation() && !agent_is_called() && !agent_state.is_paused)
		return;
	ret_old->is_taken = lane_for_free(&agent_thread) != NULL;
	if (!ret_old->is_taken)
		return;
	ret_old->slot = take(block, false, &ret_old->weight);
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
	if (shadow_size(old->slot) >= WEIGHT_CELLS_BYTES)
		put_weight(old_block, false, old->weight);
	sample_add(old_block);
}

void heap_reallocated_slowly(const struct heap_old *old, uintptr_t old_block, uintptr_t block,
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

/* ---- what the program reports */

void heap_report_alloc(uintptr_t block, uint64_t size, uintptr_t leaf, uintptr_t hook)
{
	struct arrival arrival = {
		.block = block, .size = size, .leaf = leaf, .hook = hook, .is_reported = true};

	/* What it replaces. */
	heap_report_free(block);
	come(&arrival);
}

void heap_report_free(uintptr_t block)
{
	if (heap_has_frees())
		heap_count_free_slowly(block, true);
}
