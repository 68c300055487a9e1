#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "agent/lane.h"
#include "agent/region.h"

enum {
	BITS = 64,
	/* Every so many threads without a lane, the lanes of dead ones are looked for: a system
	 * call each. */
	MISSES_A_LOOK = 64,
};

/* Private halves; what is in them survives fork and is then of another generation. */
static struct agent_lane lanes[LANES_MAX];
static pthread_key_t end_key;
static bool has_key;

static uint32_t own_count(void)
{
	return agent_state.header->lane_count - 1;
}

struct agent_lane *lane_shared(void)
{
	return &lanes[own_count()];
}

/* Where they were before, so that what a hook of this thread is at stays where it is. */
static bool map_parts(struct agent_lane *lane, uint32_t index)
{
	void *counts = lane->counts, *ring = lane->ring;

	if (lane->parts_generation == agent_state.generation)
		return true;
	if (!region_map_part(RSPROF_SHM_COUNTS, index, &counts, &lane->counts_bytes))
		return false;
	lane->counts = counts;
	if (!region_map_part(RSPROF_SHM_RINGS, index, &ring, &lane->ring_bytes))
		return false;
	lane->ring = ring;
	lane->parts_generation = agent_state.generation;
	return true;
}

static bool attach(struct agent_lane *lane, uint32_t index)
{
	struct rsprof_shm_header *header = agent_state.header;

	if (!map_parts(lane, index))
		return false;
	lane->index = index;
	lane->is_shared = false;
	lane->shared = &agent_state.lanes[index];
	lane->ring_mask = header->ring_events - 1;
	atomic_store_explicit(&lane->ring_next,
			      __atomic_load_n(&lane->shared->head, __ATOMIC_RELAXED),
			      memory_order_relaxed);
	return true;
}

bool lane_begin(void)
{
	struct agent_lane *shared = lane_shared();

	if (!attach(shared, own_count()))
		return false;
	shared->is_shared = true;
	shared->generation = agent_state.generation;
	shared->shared->flags = RSPROF_SHM_LANE_SHARED;
	return true;
}

void lane_leave(void)
{
	uint32_t index;

	for (index = 0; index < LANES_MAX; index++) {
		region_leave_part(lanes[index].counts, lanes[index].counts_bytes);
		region_leave_part(lanes[index].ring, lanes[index].ring_bytes);
	}
}

static bool overlaps(const void *at, uint64_t bytes, uintptr_t start, uintptr_t end)
{
	return at && start < (uintptr_t)at + bytes && (uintptr_t)at < end;
}

bool lane_has(uintptr_t start, uintptr_t end)
{
	uint32_t index;

	for (index = 0; index < LANES_MAX; index++) {
		const struct agent_lane *lane = &lanes[index];

		if (overlaps(lane->counts, lane->counts_bytes, start, end) ||
		    overlaps(lane->ring, lane->ring_bytes, start, end))
			return true;
	}
	return false;
}

/* ---- ends of threads */

static void put_thread_event(struct agent_lane *lane, enum rsprof_shm_event_kind kind)
{
	agent_ring_put(lane, kind, RSPROF_SHM_SITE_NONE, 0, 0, false);
}

static void release(struct agent_thread *thread)
{
	struct agent_lane *lane = thread->lane;
	bool has_own = lane && thread->generation == agent_state.generation;

	thread->flags |= AGENT_THREAD_ENDED;
	if (!has_own)
		return;
	put_thread_event(lane, RSPROF_SHM_EVENT_THREAD_END);
	thread->generation = 0;
	thread->lane = NULL;
	/* Pairs with the next owner's exchanges: it finds all that was counted. */
	__atomic_store_n(&lane->shared->owner, 0, __ATOMIC_RELEASE);
	atomic_fetch_and_explicit(&agent_state.lanes_taken[lane->index / BITS],
				  ~(UINT64_C(1) << lane->index % BITS), memory_order_release);
}

/* Other destructors may allocate and free: the last round of them is waited for. */
static void on_thread_end(void *value)
{
	uintptr_t round = (uintptr_t)value;

	if (round < PTHREAD_DESTRUCTOR_ITERATIONS &&
	    !pthread_setspecific(end_key, (void *)(round + 1)))
		return;
	cpu_thread_end(&agent_thread);
	release(&agent_thread);
}

bool lane_key_begin(void)
{
	if (!has_key)
		has_key = !pthread_key_create(&end_key, on_thread_end);
	return has_key;
}

/* ---- claiming */

static bool is_dead(uint32_t tid)
{
	return sys_call(SYS_tgkill, (long)agent_process.pid, (long)tid, 0, 0, 0, 0) == -ESRCH;
}

/* A place that nobody has; LANES_MAX: none. */
static uint32_t take_free(uint32_t tid)
{
	uint32_t index, free_owner = 0;

	for (index = 0; index < own_count(); index += BITS) {
		_Atomic uint64_t *word = &agent_state.lanes_taken[index / BITS];
		uint64_t taken = atomic_load_explicit(word, memory_order_relaxed), mask;
		uint32_t bit;

		while (~taken) {
			bit = (uint32_t)__builtin_ctzll(~taken);
			if (index + bit >= own_count())
				break;
			mask = UINT64_C(1) << bit;
			taken = atomic_fetch_or_explicit(word, mask, memory_order_acquire);
			if (taken & mask)
				continue;
			__atomic_compare_exchange_n(&agent_state.lanes[index + bit].owner,
						    &free_owner, tid, false, __ATOMIC_ACQUIRE,
						    __ATOMIC_RELAXED);
			return index + bit;
		}
	}
	return LANES_MAX;
}

/* Those whose threads have gone without a word are free again. What such a thread's memos hold may
 * be half-written. A thread that asks has none, so one of its number is of another's before it. */
static void free_dead(uint32_t tid)
{
	uint32_t index, owner;

	for (index = 0; index < own_count(); index++) {
		owner = __atomic_load_n(&agent_state.lanes[index].owner, __ATOMIC_RELAXED);
		if (!owner || (owner != tid && !is_dead(owner)) ||
		    !__atomic_compare_exchange_n(&agent_state.lanes[index].owner, &owner, 0, false,
						 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			continue;
		lanes[index].generation = 0;
		atomic_fetch_and_explicit(&agent_state.lanes_taken[index / BITS],
					  ~(UINT64_C(1) << index % BITS), memory_order_release);
	}
}

static bool set_memos(struct agent_lane *lane)
{
	size_t bytes = unwind_memo_bytes();

	if (!lane->memos)
		lane->memos = sys_map(bytes);
	else if (lane->generation != agent_state.generation)
		sys_call(SYS_madvise, (long)lane->memos, (long)bytes, MADV_DONTNEED, 0, 0, 0);
	return lane->memos != NULL;
}

void lane_forget(struct agent_thread *thread)
{
	if (thread->generation && thread->generation == agent_state.generation)
		sys_call(SYS_madvise, (long)thread->lane->memos, (long)unwind_memo_bytes(),
			 MADV_DONTNEED, 0, 0, 0);
}

static struct agent_lane *take(struct agent_thread *thread)
{
	uint32_t index = take_free(thread->tid);
	struct agent_lane *lane;

	if (index == LANES_MAX &&
	    atomic_fetch_add_explicit(&agent_state.lane_misses, 1, memory_order_relaxed) %
			    MISSES_A_LOOK ==
		    MISSES_A_LOOK - 1) {
		free_dead(thread->tid);
		index = take_free(thread->tid);
	}
	if (index == LANES_MAX)
		return NULL;
	lane = &lanes[index];
	/* It stays taken, as the next one would not get any, either. */
	if (!set_memos(lane) || !attach(lane, index))
		return NULL;
	lane->generation = agent_state.generation;
	if (!lane->random)
		lane->random = (uint64_t)thread->tid << 32 ^ agent_state.header->created_ns ^ index;
	return lane;
}

struct agent_lane *lane_claim(struct agent_thread *thread)
{
	struct agent_lane *lane;
	int saved = errno;

	if (thread->flags & (AGENT_THREAD_ENDED | AGENT_THREAD_CLAIMING))
		return NULL;
	/* A handler that comes in between counts in the shared lane. */
	thread->flags |= AGENT_THREAD_CLAIMING;
	atomic_signal_fence(memory_order_seq_cst);
	thread->tid = sys_tid();
	lane = take(thread);
	if (lane) {
		thread->lane = lane;
		thread->last_block = 0;
		put_thread_event(lane, RSPROF_SHM_EVENT_THREAD_START);
		atomic_signal_fence(memory_order_seq_cst);
		thread->generation = agent_state.generation;
	}
	atomic_signal_fence(memory_order_seq_cst);
	thread->flags &= (uint16_t)~AGENT_THREAD_CLAIMING;
	/* May allocate; that is counted like all else, since the thread has its lane. */
	if (lane && has_key)
		pthread_setspecific(end_key, (void *)1);
	errno = saved;
	return lane;
}
