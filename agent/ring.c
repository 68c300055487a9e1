/* Events into rings, and their clock. */
#include <cpuid.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "agent/lane.h"

enum {
	INVARIANT_TSC = 1 << 8, /* in edx of leaf 0x80000007 */
	SHARED_TRIES = 100,
	/* Deeper nesting of handlers is none: an event was left behind half-written, by a longjmp.
	 */
	NESTED_MAX = 64,
	NAP_NS = 20000,
};

/* ---- clock */

/* The kernel trusts the counter: it takes its own time from it. */
static bool kernel_uses_tsc(void)
{
	static const char *const bad[] = {"hpet", "acpi_pm", "jiffies", "refined"};
	char name[32] = "";
	size_t i;
	int fd = sys_open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
			  O_RDONLY);

	if (fd < 0)
		return true;
	sys_read(fd, name, sizeof(name) - 1);
	sys_close(fd);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!strncmp(name, bad[i], strlen(bad[i])))
			return false;
	}
	return true;
}

uint8_t lane_clock_kind(void)
{
	unsigned a, b, c, d;

	/* Others than traces have few events, and the reader nothing to calibrate. */
	if (agent_config.heap != RSPROF_SHM_HEAP_TRACE)
		return RSPROF_SHM_CLOCK_MONOTONIC;
	if (!__get_cpuid(0x80000007, &a, &b, &c, &d) || !(d & INVARIANT_TSC) || !kernel_uses_tsc())
		return RSPROF_SHM_CLOCK_MONOTONIC;
	return RSPROF_SHM_CLOCK_TSC;
}

uint64_t agent_clock(void)
{
	if (agent_state.is_tsc)
		return __builtin_ia32_rdtsc();
	return sys_monotonic_ns();
}

/* ---- rings */

static void write_event(struct rsprof_shm_event *event, const struct rsprof_shm_event *from)
{
	/* One that is left half-written is none. */
	__atomic_store_n(&event->tid_kind, 0, __ATOMIC_RELAXED);
	atomic_signal_fence(memory_order_seq_cst);
	event->time = from->time;
	event->address = from->address;
	event->value = from->value;
	event->site = from->site;
	__atomic_store_n(&event->tid_kind, from->tid_kind, __ATOMIC_RELEASE);
}

static void put_shared(struct agent_lane *lane, const struct rsprof_shm_event *event)
{
	uint32_t nobody, tid = agent_thread.tid ? agent_thread.tid : 1, tries;
	uint64_t head;

	for (tries = 0; tries < SHARED_TRIES; tries++) {
		nobody = 0;
		if (atomic_compare_exchange_weak_explicit(&agent_state.shared_ring_busy, &nobody,
							  tid, memory_order_acquire,
							  memory_order_relaxed))
			break;
		/* A handler that came in while its own thread was here. */
		if (nobody == tid)
			tries = SHARED_TRIES - 1;
		__builtin_ia32_pause();
	}
	if (tries == SHARED_TRIES) {
		lane_add_shared(&lane->shared->dropped, 1);
		return;
	}
	head = lane->shared->head;
	write_event(&lane->ring[head & lane->ring_mask], event);
	__atomic_store_n(&lane->shared->head, head + 1, __ATOMIC_RELEASE);
	atomic_store_explicit(&agent_state.shared_ring_busy, 0, memory_order_release);
}

/* Reserved and published in the order of nesting: whoever finds that all below is published
 * publishes what handlers have put in meanwhile, too. */
static void put_own(struct agent_lane *lane, const struct rsprof_shm_event *event)
{
	uint64_t place = 1, head, next;

	__asm__("xaddq %0, %1" : "+r"(place), "+m"(lane->ring_next));
	write_event(&lane->ring[place & lane->ring_mask], event);
	head = __atomic_load_n(&lane->shared->head, __ATOMIC_RELAXED);
	if (place != head && place - head < NESTED_MAX)
		return;
	do {
		next = atomic_load_explicit(&lane->ring_next, memory_order_relaxed);
		__atomic_store_n(&lane->shared->head, next, __ATOMIC_RELEASE);
		atomic_signal_fence(memory_order_seq_cst);
	} while (atomic_load_explicit(&lane->ring_next, memory_order_relaxed) != next);
}

static bool has_room(const struct agent_lane *lane)
{
	return atomic_load_explicit(&lane->ring_next, memory_order_relaxed) -
		       __atomic_load_n(&lane->shared->tail, __ATOMIC_ACQUIRE) <=
	       lane->ring_mask;
}

/* Waits for the reader that follows, if there is one, as long as it wants that. */
static bool wait_for_room(const struct agent_lane *lane)
{
	const struct rsprof_shm_control *control = agent_state.control;
	const struct timespec nap = {.tv_nsec = NAP_NS};
	uint64_t follow = __atomic_load_n(&control->follow_ns, __ATOMIC_RELAXED), now, end;

	/* Where nobody ever did, the oldest is overwritten. */
	if (AGENT_LIKELY(follow == 0 || has_room(lane)))
		return true;
	now = sys_monotonic_ns();
	if (follow <= now)
		return true;
	end = now + (uint64_t)__atomic_load_n(&control->wait_us, __ATOMIC_RELAXED) * 1000;
	while (now < end) {
		sys_call(SYS_nanosleep, (long)&nap, 0, 0, 0, 0, 0);
		if (has_room(lane))
			return true;
		now = sys_monotonic_ns();
	}
	return false;
}

void agent_ring_put_at(struct agent_lane *lane, uint64_t time, enum rsprof_shm_event_kind kind,
		       uint32_t site, uint64_t address, uint64_t value, bool may_wait)
{
	struct rsprof_shm_event event = {
		.time = time,
		.address = address,
		.value = value,
		.site = site,
		.tid_kind = (agent_thread.tid & 0xffffff) | (uint32_t)kind << 24,
	};

	if (lane->is_shared) {
		put_shared(lane, &event);
		return;
	}
	if (may_wait && agent_state.heap == RSPROF_SHM_HEAP_TRACE && !wait_for_room(lane)) {
		lane_add(&lane->shared->dropped, 1);
		return;
	}
	put_own(lane, &event);
}

void agent_ring_put(struct agent_lane *lane, enum rsprof_shm_event_kind kind, uint32_t site,
		    uint64_t address, uint64_t value, bool may_wait)
{
	agent_ring_put_at(lane, agent_clock(), kind, site, address, value, may_wait);
}
