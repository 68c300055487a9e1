/* CPU samples: a timer on the CPU clock of each thread, whose signal goes to that thread.
 *
 * The kernel looks at such timers at its ticks (4 ms at 250 Hz), so that above that rate several
 * periods are over when the signal comes; si_overrun says how many, and a sample has that as its
 * weight. The first period is of a random length, so that threads that are shorter than one count
 * as what they are in sum.
 *
 * What a thread has run since the tick that saw it last is known at its end: periods that were due
 * by then are charged to the stack of its last sample, else to the function it began with.
 *
 * The kernel does not delete a thread's timer when it ends, only when the process does:
 * cpu_thread_end does, else whoever is given the same tid. In a forked child there are none; it
 * begins with one for its only thread, at whose first sample the agent begins anew. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/cpu.h"
#include "agent/signals.h"

enum {
	TIDS = 1 << 22, /* what Linux can number at most */
	BUSY = UINT32_MAX,
	FREQUENCY_MAX = 10000,
	NOTIFY_THREAD = 4, /* SIGEV_THREAD_ID */
	LIST_BYTES = 1024,
	KEYS_INLINE = 32, /* of glibc: to set these never allocates */
};
#define SECOND_NS UINT64_C(1000000000)

/* Wiped in a forked child, as its timers are. */
struct timers {
	_Atomic uint32_t is_on;
	/* By tid: the timer's number + 1; 0: none; BUSY: being made. Touched where there are
	 * threads. */
	_Atomic uint32_t of[TIDS];
};

static struct timers *_Atomic the_timers;
/* Survive fork. */
static _Atomic bool is_wanted;
static _Atomic uint64_t interval_ns;
static _Atomic uint32_t arming_round; /* counts changes of the interval */
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

/* ---- one timer */

static uint64_t mixed(uint64_t value)
{
	value ^= value >> 33;
	value *= UINT64_C(0xff51afd7ed558ccd);
	value ^= value >> 33;
	value *= UINT64_C(0xc4ceb9fe1a85ec53);
	return value ^ value >> 33;
}

static uint64_t ns_of(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * SECOND_NS + (uint64_t)time->tv_nsec;
}

static struct timespec time_of(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / SECOND_NS),
				 .tv_nsec = (long)(ns % SECOND_NS)};
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now = {0};

	sys_call(SYS_clock_gettime, clock, (long)&now, 0, 0, 0, 0);
	return ns_of(&now);
}

/* The first period is over after some part of it. */
static long timer_arm(uint32_t number, uint32_t tid)
{
	uint64_t interval = atomic_load(&interval_ns);
	uint64_t first = 1 + mixed(clock_ns(CLOCK_MONOTONIC) << 22 ^ tid) % interval;
	struct itimerspec times = {.it_interval = time_of(interval), .it_value = time_of(first)};

	return sys_call(SYS_timer_settime, (int)number, 0, (long)&times, 0, 0, 0);
}

static void timer_remove(uint32_t number)
{
	sys_call(SYS_timer_delete, (int)number, 0, 0, 0, 0, 0);
}

/* The number, or -errno. */
static long timer_make(uint32_t tid)
{
	/* CPUCLOCK_PERTHREAD | CPUCLOCK_SCHED, of that thread. */
	clockid_t clock = (clockid_t)(~tid << 3 | 6);
	struct sigevent event = {
		.sigev_value.sival_ptr = &the_timers,
		.sigev_signo = SIGPROF,
		.sigev_notify = NOTIFY_THREAD,
	};
	int number = 0;
	long result;

	event._sigev_un._tid = (pid_t)tid;
	result = sys_call(SYS_timer_create, clock, (long)&event, (long)&number, 0, 0, 0);
	if (result)
		return result;
	result = timer_arm((uint32_t)number, tid);
	if (!result)
		return number;
	timer_remove((uint32_t)number);
	return result;
}

/* ---- all timers */

static void forget(struct timers *timers, uint32_t tid)
{
	uint32_t was = atomic_exchange(&timers->of[tid], 0);

	if (was != 0 && was != BUSY)
		timer_remove(was - 1);
}

/* `is_anew`: a timer that is there is armed anew. It may be that of a thread which is gone and had
 * the same tid: that one fails. */
static void provide(struct timers *timers, uint32_t tid, bool is_anew)
{
	uint32_t seen = 0, busy = BUSY;
	long number;

	if (tid >= TIDS)
		return;
	if (!atomic_compare_exchange_strong(&timers->of[tid], &seen, BUSY)) {
		if (seen == BUSY || !is_anew || timer_arm(seen - 1, tid) == 0)
			return;
		if (!atomic_compare_exchange_strong(&timers->of[tid], &seen, BUSY))
			return;
		timer_remove(seen - 1);
	}
	number = timer_make(tid);
	if (number < 0) {
		atomic_compare_exchange_strong(&timers->of[tid], &busy, 0);
		/* A thread that ended meanwhile needs none. */
		if (number != -ESRCH && number != -EINVAL)
			agent_lost(RSPROF_SHM_LOST_TIMERS, 1);
		return;
	}
	/* Its thread has ended, or all have: this one is not theirs any more. */
	if (!atomic_compare_exchange_strong(&timers->of[tid], &busy, (uint32_t)number + 1))
		timer_remove((uint32_t)number);
	else if (!atomic_load(&timers->is_on))
		forget(timers, tid);
}

static struct timers *timers_map(void)
{
	struct timers *timers = atomic_load(&the_timers), *none = NULL;

	if (timers)
		return timers;
	timers = sys_map(sizeof(*timers));
	if (!timers)
		return NULL;
	if (sys_call(SYS_madvise, (long)timers, sizeof(*timers), MADV_WIPEONFORK, 0, 0, 0) == 0 &&
	    atomic_compare_exchange_strong(&the_timers, &none, timers))
		return timers;
	sys_call(SYS_munmap, (long)timers, sizeof(*timers), 0, 0, 0, 0);
	return atomic_load(&the_timers);
}

struct directory_entry {
	uint64_t inode;
	int64_t offset;
	uint16_t bytes;
	uint8_t type;
	char name[];
};

/* false: they cannot be listed. */
static bool for_each_thread(struct timers *timers, void (*act)(struct timers *, uint32_t))
{
	char list[LIST_BYTES] __attribute__((aligned(8)));
	int fd = sys_open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long bytes;

	if (fd < 0)
		return false;
	while ((bytes = sys_call(SYS_getdents64, fd, (long)list, sizeof(list), 0, 0, 0)) > 0) {
		for (long at = 0; at < bytes;) {
			const struct directory_entry *entry = (const void *)(list + at);
			uint32_t tid = 0;

			for (const char *digit = entry->name; *digit >= '0' && *digit <= '9';
			     digit++)
				tid = tid * 10 + (uint32_t)(*digit - '0');
			if (tid && tid < TIDS)
				act(timers, tid);
			at += entry->bytes;
		}
	}
	sys_close(fd);
	return true;
}

static void provide_old(struct timers *timers, uint32_t tid)
{
	provide(timers, tid, false);
}

static void provide_anew(struct timers *timers, uint32_t tid)
{
	provide(timers, tid, true);
}

static bool is_too_small(const stack_t *stack);

static void in_forked_child(void)
{
	struct timers *timers = atomic_load(&the_timers);
	stack_t stack;

	mine.next_ns = 0;
	if (!timers || !atomic_load(&is_wanted))
		return;
	atomic_store(&timers->is_on, 1);
	if (!sys_call(SYS_sigaltstack, 0, (long)&stack, 0, 0, 0, 0) && !is_too_small(&stack))
		provide(timers, sys_tid(), true);
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
	uint32_t frequency = agent_config.cpu_frequency;
	struct timers *timers;
	int error = errno;
	bool is_changed;

	if (!frequency)
		return;
	if (frequency > FREQUENCY_MAX)
		frequency = FREQUENCY_MAX;
	timers = timers_map();
	if (!timers || !signals_take()) {
		agent_lost(RSPROF_SHM_LOST_TIMERS, 1);
		errno = error;
		return;
	}
	is_changed = atomic_exchange(&interval_ns, SECOND_NS / frequency) != SECOND_NS / frequency;
	if (is_changed)
		atomic_fetch_add(&arming_round, 1);
	atomic_store(&is_wanted, true);
	watch();
	/* Before the list is read: who is not on it yet sees that it has to provide for itself. */
	atomic_store(&timers->is_on, 1);
	if (!for_each_thread(timers, is_changed ? provide_anew : provide_old))
		provide(timers, sys_tid(), is_changed);
	errno = error;
}

void cpu_end(void)
{
	struct timers *timers = atomic_load(&the_timers);

	atomic_store(&is_wanted, false);
	if (!timers || !atomic_exchange(&timers->is_on, 0))
		return;
	if (!for_each_thread(timers, forget))
		forget(timers, sys_tid());
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
	if (info->si_code != SI_TIMER || info->si_ptr != &the_timers)
		return 0;
	return info->si_overrun > 0 ? (uint64_t)info->si_overrun + 1 : 1;
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
	uint32_t round = atomic_load(&arming_round);
	struct itimerspec left;

	if (mine.next_ns && mine.round == round) {
		mine.next_ns += weight * atomic_load(&interval_ns);
		return;
	}
	if (sys_call(SYS_timer_gettime, number, (long)&left, 0, 0, 0, 0))
		return;
	mine.next_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns_of(&left.it_value);
	mine.round = round;
	watch_end(true);
}

static void count_rest(struct agent_thread *thread)
{
	uint64_t now, weight, next = mine.next_ns;

	mine.next_ns = 0;
	if (!next || mine.round != atomic_load(&arming_round) || !is_sampling())
		return;
	now = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	if (now < next)
		return;
	weight = (now - next) / atomic_load(&interval_ns) + 1;
	if (mine.site >= agent_state.header->first_site || mine.site == RSPROF_SHM_SITE_FULL)
		count(agent_lane_of(thread, false), mine.site, weight);
	else
		agent_lost(RSPROF_SHM_LOST_SAMPLES, weight);
}

void cpu_thread_starts(struct agent_thread *thread, uintptr_t routine,
		       const struct agent_frame *frame)
{
	struct timers *timers = atomic_load(&the_timers);
	uint32_t tid = sys_tid(), round = atomic_load(&arming_round);
	int error = errno;
	uint32_t timer;

	if (!timers || !atomic_load(&timers->is_on) || tid >= TIDS)
		return;
	provide(timers, tid, true);
	timer = atomic_load(&timers->of[tid]);
	if (timer && timer != BUSY) {
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
	struct timers *timers = atomic_load(&the_timers);
	uint32_t tid = sys_tid();

	if (!timers || !atomic_load(&timers->is_on) || tid >= TIDS)
		return;
	forget(timers, tid);
	count_rest(thread);
}

/* ---- the handler */

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

/* ---- alternate signal stacks, which may be small: the kernel's frame is all that they have to
 * hold */

enum { SIGNAL_STACK_BYTES = 64 << 10, AUX_MINIMUM = 51, LEAST_BYTES = 4096, OWN_BYTES = 512 };

struct sample_call {
	uint64_t weight;
	const siginfo_t *info;
	const void *context;
};

static void sample_call(const struct sample_call *call)
{
	sample(call->weight, call->info, call->context);
}

/* All signals are held back: the kernel would take the alternate stack for free. */
static void sample_elsewhere(const struct sample_call *call, char *top)
{
	uint64_t all = ~UINT64_C(0), before = 0;

	sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, sizeof(all), 0, 0);
	__asm__ volatile("mov %%rsp, %%rbx\n\t"
			 "mov %[top], %%rsp\n\t"
			 "call *%[function]\n\t"
			 "mov %%rbx, %%rsp"
			 : "+D"(call)
			 : [top] "r"(top), [function] "r"(sample_call)
			 : "rbx", "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "cc",
			   "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
			   "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof(before), 0, 0);
}

static bool is_on_alternate(const ucontext_t *context)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	return context->uc_stack.ss_size &&
	       here - (uintptr_t)context->uc_stack.ss_sp < context->uc_stack.ss_size;
}

static void sample_on_alternate(const struct sample_call *call)
{
	struct agent_lane *lane = agent_lane_of(&agent_thread, false);

	if (!lane->is_shared && !lane->signal_stack)
		lane->signal_stack = sys_map(SIGNAL_STACK_BYTES);
	if (lane->is_shared || !lane->signal_stack)
		agent_lost(RSPROF_SHM_LOST_SAMPLES, call->weight);
	else
		sample_elsewhere(call, lane->signal_stack + SIGNAL_STACK_BYTES);
}

static bool is_too_small(const stack_t *stack)
{
	unsigned long least = getauxval(AUX_MINIMUM);

	if (least < 2 * LEAST_BYTES)
		least += OWN_BYTES;
	if (least < LEAST_BYTES)
		least = LEAST_BYTES;
	return !(stack->ss_flags & SS_DISABLE) && stack->ss_size < least;
}

/* A thread whose signal stack cannot hold our signal gets none: its place says that its timer is
 * being made, for as long as it is so. */
static void judge_stack(struct timers *timers, const stack_t *stack, uint32_t tid)
{
	uint32_t was = BUSY;

	if (is_too_small(stack)) {
		was = atomic_exchange(&timers->of[tid], BUSY);
		if (was != 0 && was != BUSY)
			timer_remove(was - 1);
		if (atomic_load(&timers->is_on))
			agent_lost(RSPROF_SHM_LOST_TIMERS, 1);
	} else if (atomic_compare_exchange_strong(&timers->of[tid], &was, 0) &&
		   atomic_load(&timers->is_on)) {
		provide(timers, tid, false);
	}
}

AGENT_EXPORT int sigaltstack(const stack_t *stack, stack_t *ret_old)
{
	struct timers *timers = atomic_load(&the_timers);
	uint32_t tid = sys_tid();
	long result;

	/* Before, since the first signal may come at once. */
	if (stack && is_too_small(stack) && (timers || (timers = timers_map())) && tid < TIDS)
		judge_stack(timers, stack, tid);
	result = sys_call(SYS_sigaltstack, (long)stack, (long)ret_old, 0, 0, 0, 0);
	if (!result && stack && timers && tid < TIDS)
		judge_stack(timers, stack, tid);
	if (!result)
		return 0;
	errno = (int)-result;
	return -1;
}

void cpu_on_signal(int number, siginfo_t *info, void *context)
{
	uint64_t weight = cpu_signal_weight(info);
	int error = errno;

	if (!weight) {
		signals_chain(number, info, context);
		return;
	}
	if (atomic_load_explicit(&agent_state.phase, memory_order_relaxed) == AGENT_FRESH)
		agent_begin();
	if (is_sampling()) {
		struct sample_call call = {weight, info, context};

		if (is_on_alternate(context))
			sample_on_alternate(&call);
		else
			sample_call(&call);
	}
	errno = error;
}
