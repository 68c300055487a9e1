/* CPU samples: a timer on the CPU clock of each thread (timers.c), whose signal goes to that
 * thread.
 *
 * The kernel looks at such timers at its ticks (4 ms at 250 Hz), so that above that rate several
 * periods are over when the signal comes; si_overrun says how many, and a sample has that as its
 * weight. The first period is of a random length, so that threads that are shorter than one count
 * as what they are in sum.
 *
 * What a thread has run since the tick that saw it last is known at its end: periods that were due
 * by then are charged to the stack of its last sample, else to the function it began with.
 *
 * In a forked child there are no timers; it begins with one for its only thread, at whose first
 * sample the agent begins anew.
 *
 * Threads that cannot bear a signal have none: where the stack that it would come on is small, or
 * where libc's thread-local variables are not there. What is not known before is looked at when the
 * first one comes. */
#include <asm/prctl.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "agent/cpu.h"
#include "agent/signal_stack.h"
#include "agent/signals.h"
#include "agent/thread_list.h"
#include "agent/timers.h"
#include "agent/unwind.h"

enum {
	FREQUENCY_MAX = 10000,
	KEYS_INLINE = 32, /* of glibc: to set these never allocates */
	/* The kernel's frame may have 11 KiB, and the handler's functions 8, beside the thread's
	 * own. */
	LEAST_STACK = 40 << 10,
};
#define SECOND_NS UINT64_C(1000000000)

/* Survive fork. */
static _Atomic bool is_wanted;
static pthread_key_t end_key;
static _Atomic bool has_key;

/* Of each thread. */
static __thread struct {
	uint64_t next_ns; /* CPU time at which the next period is over; 0: not known */
	uint32_t round;	  /* of arming, that this is of */
	uint32_t site;	  /* of the last sample, or where the thread began; 0: neither */
} mine __attribute__((tls_model("initial-exec")));
static _Atomic bool is_fork_watched;

/* Not is_on: that is of the heap. */
static bool is_sampling(void)
{
	struct rsprof_shm_header *header = agent_state.header;

	return header && __atomic_load_n(&header->state, __ATOMIC_RELAXED) == RSPROF_SHM_ON;
}

/* As far as its stack is known. */
static bool is_small(const struct agent_thread *thread)
{
	return thread->stack_high > thread->stack_low &&
	       thread->stack_high - thread->stack_low < LEAST_STACK;
}

static void refuse(uint32_t tid)
{
	if (timers_refuse(tid) && timers_are_on())
		agent_lost(RSPROF_SHM_LOST_TIMERS, 1);
}

/* ---- all timers */

/* Of all others. */
struct provision {
	uint32_t own_tid;
	unsigned how;
};

static void provide_other(void *context, uint32_t tid)
{
	const struct provision *provision = context;

	if (tid != provision->own_tid)
		timers_provide(tid, provision->how | TIMERS_UNSEEN);
}

/* Of the calling thread, which has begun before. */
static void provide_own(unsigned how)
{
	struct agent_thread *thread = &agent_thread;
	uint32_t tid = sys_tid();

	/* Finds it. */
	unwind_stack_has(thread, (uintptr_t)__builtin_frame_address(0));
	if (is_small(thread))
		refuse(tid);
	else
		timers_provide(tid, how);
}

static void in_forked_child(void)
{
	stack_t stack;

	mine.next_ns = 0;
	if (!atomic_load(&is_wanted))
		return;
	timers_turn(true);
	if (sys_call(SYS_sigaltstack, 0, (long)&stack, 0, 0, 0, 0) ||
	    signal_stack_is_too_small(&stack))
		timers_refuse(sys_tid());
	else
		provide_own(TIMERS_ANEW);
}

/* Other destructors use CPU time, too: the last round of them is waited for. */
static void at_thread_end(void *value)
{
	uintptr_t round = (uintptr_t)value;

	if (round < PTHREAD_DESTRUCTOR_ITERATIONS &&
	    !pthread_setspecific(end_key, (void *)(round + 1)))
		return;
	cpu_thread_end(&agent_thread);
}

static void watch(void)
{
	if (atomic_exchange(&is_fork_watched, true))
		return;
	agent_thread.internal_depth++;
	pthread_atfork(NULL, NULL, in_forked_child);
	atomic_store(&has_key, !pthread_key_create(&end_key, at_thread_end));
	agent_thread.internal_depth--;
}

static void watch_end(bool is_in_handler)
{
	if (!atomic_load(&has_key) || (is_in_handler && end_key >= KEYS_INLINE))
		return;
	agent_thread.internal_depth++;
	pthread_setspecific(end_key, (void *)1);
	agent_thread.internal_depth--;
}

void cpu_begin(void)
{
	struct provision provision = {.own_tid = sys_tid()};
	uint32_t frequency = agent_config.cpu_frequency;
	int error = errno;

	if (!frequency)
		return;
	if (frequency > FREQUENCY_MAX)
		frequency = FREQUENCY_MAX;
	if (!timers_begin() || !signals_take()) {
		agent_lost(RSPROF_SHM_LOST_TIMERS, 1);
		errno = error;
		return;
	}
	provision.how = timers_set_interval(SECOND_NS / frequency) ? TIMERS_ANEW : 0;
	atomic_store(&is_wanted, true);
	watch();
	/* Before the list is read: who is not on it yet sees that it has to provide for itself. */
	timers_turn(true);
	provide_own(provision.how);
	thread_list_each(provide_other, &provision);
	errno = error;
}

void cpu_end(void)
{
	atomic_store(&is_wanted, false);
	if (timers_turn(false))
		timers_remove_all();
}

void cpu_set_frequency(uint32_t frequency)
{
	if (frequency > FREQUENCY_MAX)
		frequency = FREQUENCY_MAX;
	agent_config.cpu_frequency = frequency;
	if (!is_sampling())
		return;
	if (frequency)
		cpu_begin();
	else
		cpu_end();
	__atomic_store_n(&agent_state.header->cpu_frequency, frequency, __ATOMIC_RELAXED);
}

/* ---- samples */

uint64_t cpu_signal_weight(const siginfo_t *info)
{
	bool is_unseen;

	return timers_weight(info, &is_unseen);
}

/* Whether a hook is at its bookkeeping below us. One that a longjmp has left is not. */
static bool is_within_agent(const struct agent_thread *thread, uintptr_t sp)
{
	uintptr_t busy = thread->busy_frame;

	if (thread->internal_depth)
		return true;
	if (!busy)
		return false;
	return !(busy < sp && busy >= thread->stack_low && sp < thread->stack_high);
}

static void add(uint64_t *counter, uint64_t value, bool is_shared)
{
	if (is_shared)
		__atomic_fetch_add(counter, value, __ATOMIC_RELAXED);
	else
		__atomic_store_n(counter, *counter + value, __ATOMIC_RELAXED);
}

static void count(struct agent_lane *lane, uint32_t site, uint64_t weight)
{
	add(&lane->shared->samples, weight, lane->is_shared);
	add(&lane->counts[site].samples, weight, lane->is_shared);
	agent_ring_put(lane, RSPROF_SHM_EVENT_SAMPLE, site, 0, weight, false);
}

/* ---- what is left at a thread's end */

/* The end of the next period moves on by those that are over. In a thread that did not begin here
 * it is asked for. */
static void follow(uint64_t weight, int number)
{
	uint32_t round = timers_round();

	if (mine.next_ns && mine.round == round) {
		mine.next_ns += weight * timers_interval();
		return;
	}
	mine.next_ns = timers_next(number);
	if (!mine.next_ns)
		return;
	mine.round = round;
	watch_end(true);
}

static void count_rest(struct agent_thread *thread)
{
	uint64_t now, weight, next = mine.next_ns;

	mine.next_ns = 0;
	if (!next || mine.round != timers_round() || !is_sampling())
		return;
	now = timers_clock(CLOCK_THREAD_CPUTIME_ID);
	if (now < next)
		return;
	weight = (now - next) / timers_interval() + 1;
	if (mine.site >= agent_state.header->first_site || mine.site == RSPROF_SHM_SITE_FULL)
		count(agent_lane_of(thread, false), mine.site, weight);
	else
		agent_lost(RSPROF_SHM_LOST_SAMPLES, weight);
}

void cpu_thread_starts(struct agent_thread *thread, uintptr_t routine,
		       const struct agent_frame *frame)
{
	uint32_t tid = sys_tid(), round = timers_round(), timer;
	int error = errno;

	/* Also where there are none now: whoever turns them on knows no more than its number. */
	if (is_small(thread)) {
		refuse(tid);
		watch_end(false);
		errno = error;
		return;
	}
	/* Another thread had its number. */
	timers_allow(tid);
	if (!timers_are_on())
		return;
	timers_provide(tid, TIMERS_ANEW);
	timer = timers_number(tid);
	if (timer) {
		mine.site = unwind_site(thread, agent_lane_of(thread, false), routine, frame);
		mine.next_ns = 0;
		mine.round = round - 1;
		follow(0, (int)timer - 1);
		watch_end(false);
	}
	errno = error;
}

void cpu_thread_end(struct agent_thread *thread)
{
	timers_end(sys_tid());
	if (timers_are_on())
		count_rest(thread);
}

/* ---- what the handler does */

static void sample(uint64_t weight, const siginfo_t *info, const ucontext_t *context)
{
	struct agent_thread *thread = &agent_thread;
	uintptr_t sp = (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
	uintptr_t busy = thread->busy_frame;
	struct agent_lane *lane = agent_lane_of(thread, is_within_agent(thread, sp));

	/* Other handlers may interrupt this one, and their hooks must keep off the lane. */
	thread->busy_frame = (uintptr_t)__builtin_frame_address(0);
	atomic_signal_fence(memory_order_seq_cst);
	mine.site = unwind_context_site(thread, context);
	count(lane, mine.site, weight);
	atomic_signal_fence(memory_order_seq_cst);
	thread->busy_frame = busy;
	follow(weight, info->si_timerid);
}

/* ---- the handler's stack */

struct sample_call {
	uint64_t weight;
	const siginfo_t *info;
	const void *context;
};

static void sample_call(void *argument)
{
	const struct sample_call *call = argument;

	sample(call->weight, call->info, call->context);
}

/* A thread whose signal stack cannot hold our signal gets none. */
void cpu_signal_stack(bool is_too_small)
{
	uint32_t tid = sys_tid();

	if (is_too_small)
		refuse(tid);
	else if (!is_small(&agent_thread) && timers_allow(tid) && timers_are_on())
		timers_provide(tid, 0);
}

/* ---- the signal */

/* Of threads that are not of libc's making. Touches no thread-local variable. */
static bool has_variables(void)
{
	uintptr_t base = 0, control[3] = {0};
	long got;

	if (sys_call(SYS_arch_prctl, ARCH_GET_FS, (long)&base, 0, 0, 0, 0))
		return false;
	got = sys_peek(base, control, sizeof(control));
	/* Where nothing can be read so, they are taken to be there. */
	if (got == -EPERM || got == -ENOSYS)
		return true;
	/* The control block begins with its own address, and has it in its third word again. */
	return got == sizeof(control) && control[0] == base && control[2] == base;
}

/* Of threads that have some. They may be another thread's, of which it is a clone. */
static bool may_be_sampled(struct agent_thread *thread, const ucontext_t *context, uint32_t tid)
{
	unwind_stack_has(thread, (uintptr_t)context->uc_mcontext.gregs[REG_RSP]);
	return !is_small(thread) &&
	       (!thread->generation || thread->generation != agent_state.generation ||
		thread->tid == tid);
}

__attribute__((noinline)) static void on_timer(uint64_t weight, bool is_unseen,
					       const siginfo_t *info, void *context)
{
	int error = errno;

	if (is_unseen && !may_be_sampled(&agent_thread, context, sys_tid())) {
		refuse(sys_tid());
		errno = error;
		return;
	}
	if (atomic_load_explicit(&agent_state.phase, memory_order_relaxed) == AGENT_FRESH)
		agent_begin();
	if (is_sampling()) {
		struct sample_call call = {weight, info, context};

		if (!signal_stack_is_in_use(context))
			sample_call(&call);
		else if (!signal_stack_call(agent_lane_of(&agent_thread, false), sample_call,
					    &call))
			agent_lost(RSPROF_SHM_LOST_SAMPLES, weight);
	}
	errno = error;
}

/* The thread may have no thread-local variables, and errno is one. */
void cpu_on_signal(int number, siginfo_t *info, void *context)
{
	bool is_unseen;
	uint64_t weight = timers_weight(info, &is_unseen);

	if (!weight)
		signals_chain(number, info, context);
	else if (is_unseen && !has_variables())
		refuse(sys_tid());
	else
		on_timer(weight, is_unseen, info, context);
}
