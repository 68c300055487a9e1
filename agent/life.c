/* The agent's life in a process: fresh, beginning, ready or failed (agent_state.phase). Once it is
 * ready the header's state says what it does. A forked child finds phase zeroed and is fresh again.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "agent/api.h"
#include "agent/heap.h"
#include "agent/hooks.h"
#include "agent/lane.h"
#include "agent/patch.h"
#include "agent/real.h"
#include "agent/region.h"
#include "agent/shadow.h"

__thread struct agent_thread agent_thread;
union agent_page agent_page __attribute__((aligned(4096)));
struct agent_process agent_process = {.region_fd = -1};

void agent_say(const char *what, const char *why)
{
	char line[256] = "rsprof: ";
	size_t at = strlen(line), i;
	const char *parts[] = {what, ": ", why, "\n"};

	if (!agent_config.is_verbose)
		return;
	for (i = 0; i < 4; i++) {
		size_t bytes = strlen(parts[i]);

		if (bytes > sizeof(line) - at)
			bytes = sizeof(line) - at;
		memcpy(line + at, parts[i], bytes);
		at += bytes;
	}
	sys_call(SYS_write, 2, (long)line, (long)at, 0, 0, 0);
}

void agent_lost(enum rsprof_shm_lost cause, uint64_t count)
{
	if (agent_state.header)
		lane_add_shared(&agent_state.header->lost[cause], count);
}

static void set_state(enum rsprof_shm_state state)
{
	__atomic_store_n(&agent_state.header->state, state, __ATOMIC_RELEASE);
}

static void set_phase(enum agent_phase phase)
{
	atomic_store_explicit(&agent_state.phase, phase, memory_order_release);
}

/* ---- on and off */

static void turn_on(void)
{
	agent_state.lease = NULL;
	set_state(RSPROF_SHM_ON);
	if (agent_state.heap != RSPROF_SHM_HEAP_OFF)
		atomic_store_explicit(&agent_state.is_on, agent_state.generation,
				      memory_order_release);
	cpu_begin();
}

static void fall_asleep(uint64_t lease_past)
{
	agent_state.lease_past = lease_past;
	agent_state.lease = (_Atomic uint64_t *)&agent_state.control->lease_ns;
	set_state(RSPROF_SHM_DORMANT);
}

/* With phase BEGINNING. A new session: what is live by now is unknown to it. */
static void wake(void)
{
	uint64_t lease = atomic_load_explicit(agent_state.lease, memory_order_acquire);
	struct rsprof_shm_header *header = agent_state.header;

	if (lease <= sys_monotonic_ns()) {
		agent_state.lease_past = lease;
		return;
	}
	shadow_clear();
	__atomic_store_n(&header->first_site, __atomic_load_n(&header->next_site, __ATOMIC_ACQUIRE),
			 __ATOMIC_RELEASE);
	if (unwind_begin())
		turn_on();
	else
		agent_state.lease = NULL;
}

void agent_look_at_lease(void)
{
	uint64_t lease;
	uint32_t on = agent_state.generation;

	if (!agent_config.is_dormant)
		return;
	lease = __atomic_load_n(&agent_state.control->lease_ns, __ATOMIC_ACQUIRE);
	if (lease > sys_monotonic_ns() ||
	    !atomic_compare_exchange_strong_explicit(&agent_state.is_on, &on, 0,
						     memory_order_acq_rel, memory_order_relaxed))
		return;
	cpu_end();
	fall_asleep(lease);
}

void agent_pause(bool is_paused)
{
	if (atomic_load_explicit(&agent_state.phase, memory_order_acquire) != AGENT_READY ||
	    agent_state.header->state != (uint32_t)(is_paused ? RSPROF_SHM_ON : RSPROF_SHM_PAUSED))
		return;
	if (is_paused) {
		atomic_store_explicit(&agent_state.is_paused, 1, memory_order_release);
		atomic_store_explicit(&agent_state.is_on, 0, memory_order_release);
		set_state(RSPROF_SHM_PAUSED);
		cpu_end();
	} else {
		turn_on();
		atomic_store_explicit(&agent_state.is_paused, 0, memory_order_release);
	}
}

void agent_stop(enum rsprof_shm_reason reason)
{
	if (atomic_load_explicit(&agent_state.phase, memory_order_acquire) != AGENT_READY)
		return;
	atomic_store_explicit(&agent_state.is_on, 0, memory_order_release);
	atomic_store_explicit(&agent_state.is_paused, 0, memory_order_release);
	agent_state.lease = NULL;
	cpu_end();
	agent_state.header->reason = reason;
	set_state(RSPROF_SHM_OFF);
}

void agent_end(enum rsprof_shm_reason reason)
{
	agent_config.is_off = true;
	agent_stop(reason);
	/* In a forked child that has not begun, too. */
	cpu_end();
	agent_state.generation = 0;
	set_phase(AGENT_FAILED);
}

bool agent_is_borrowed(void)
{
	return atomic_load_explicit(&agent_state.phase, memory_order_relaxed) == AGENT_READY &&
	       sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0) != (long)agent_process.pid;
}

/* ---- beginning */

/* Numbers of sites go on from the parent's, whose blocks the child has inherited. Where there is
 * little room left, the blocks are forgotten instead. */
static void set_first_site(uint32_t first)
{
	struct rsprof_shm_header *header = agent_state.header;

	if (first > header->site_count / 2) {
		shadow_clear();
		first = RSPROF_SHM_SITE_FIRST;
	}
	if (first < RSPROF_SHM_SITE_FIRST)
		first = RSPROF_SHM_SITE_FIRST;
	header->first_site = first;
	header->next_site = first;
}

static void set_off(enum rsprof_shm_reason reason)
{
	agent_state.header->reason = reason;
	set_state(RSPROF_SHM_OFF);
}

/* NULL, or why not. */
static const char *begin(void)
{
	uint32_t first = RSPROF_SHM_SITE_FIRST;
	bool is_given = false, is_child = agent_process.region != NULL;
	const char *why;

	if (is_child) {
		first = __atomic_load_n(
			&((struct rsprof_shm_header *)agent_process.region)->next_site,
			__ATOMIC_RELAXED);
		if (first < RSPROF_SHM_SITE_FIRST) /* it had failed to begin */
			first = RSPROF_SHM_SITE_FIRST;
		agent_process.fork_count++;
		lane_leave();
		region_leave();
	}
	agent_process.pid = (uint32_t)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
	if (!shadow_begin())
		return "no memory";
	why = region_begin(&is_given);
	if (why)
		return why;
	agent_state.generation = agent_process.fork_count + 1;
	set_first_site(first);
	if (!lane_begin()) {
		region_leave();
		return "no address space";
	}
	if (!lane_key_begin())
		agent_say("ends of threads are not seen", "no thread key is left");
	/* Another process of the one that rsprof runs: nobody reads it yet. */
	if (agent_config.shm_fd >= 0 && !is_given && agent_process.pid != agent_config.shm_pid)
		agent_config.is_dormant = true;
	if (real_place() == REAL_EXECUTABLE) {
		set_off(RSPROF_SHM_OWN_ALLOCATOR);
		agent_say("the heap is not counted", "the executable has its own allocator");
	} else if (!unwind_begin()) {
		set_off(RSPROF_SHM_NO_MEMORY);
	} else if (agent_config.is_dormant) {
		fall_asleep(0);
	} else {
		turn_on();
	}
	region_publish();
	if (!is_child && real_place() != REAL_EXECUTABLE &&
	    (hooks_find_new() || real_place() == REAL_BEFORE))
		agent_patch_objects();
	return NULL;
}

/* The kernel wipes the page in children from here on. */
static bool wipe_on_fork(void)
{
	if (!agent_process.is_wiped_on_fork)
		agent_process.is_wiped_on_fork =
			!sys_call(SYS_madvise, (long)&agent_page, sizeof(agent_page),
				  MADV_WIPEONFORK, 0, 0, 0);
	return agent_process.is_wiped_on_fork;
}

static bool is_found(void)
{
	if (!config_begin())
		return false;
	real_begin();
	return real_is_found();
}

static void begin_fresh(void)
{
	const char *why;

	agent_thread.internal_depth++;
	why = wipe_on_fork() ? begin() : "the kernel has no MADV_WIPEONFORK";
	agent_thread.internal_depth--;
	if (why)
		agent_say("not profiled", why);
	set_phase(why ? AGENT_FAILED : AGENT_READY);
}

bool agent_begin(void)
{
	uint32_t phase = atomic_load_explicit(&agent_state.phase, memory_order_acquire);
	int saved = errno;

	if (!agent_is_called() || phase == AGENT_BEGINNING || !is_found())
		return false;
	if (!atomic_compare_exchange_strong_explicit(&agent_state.phase, &phase, AGENT_BEGINNING,
						     memory_order_acq_rel, memory_order_relaxed))
		return false;
	if (phase == AGENT_READY) {
		wake();
		set_phase(AGENT_READY);
	} else if (agent_config.is_off || api_yields()) {
		set_phase(AGENT_FAILED);
	} else {
		begin_fresh();
	}
	errno = saved;
	return atomic_load_explicit(&agent_state.is_on, memory_order_relaxed);
}

struct agent_lane *agent_lane_of(struct agent_thread *thread, bool is_nested)
{
	struct agent_lane *lane;

	if (is_nested)
		return lane_shared();
	if (thread->generation && thread->generation == agent_state.generation)
		return thread->lane;
	if (thread->generation) {
		thread->generation = 0;
		thread->shared_events = 0;
	}
	/* Lanes may have become free since. */
	if (thread->shared_events++ & (AGENT_LANE_RETRY - 1))
		return lane_shared();
	lane = lane_claim(thread);
	return lane ? lane : lane_shared();
}

/* As early as constructors are: threads and timers are known from the start, also in a program that
 * never allocates. */
__attribute__((constructor(101))) static void construct(void)
{
	agent_begin();
}
