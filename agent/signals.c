#include "agent/signals.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/cpu.h"

enum {
	/* Actions that are set while another thread reads an older one: more would have to come
	 * than there are, within a few instructions. */
	SLOTS = 32,
	KERNEL_SET_BYTES = 8,
};

/* The program's action, and those before it. `number` is written last. */
struct action_slot {
	_Atomic uint64_t number;
	struct sigaction action;
};

enum { NOT_OURS = 0, TAKING = 1, OURS = 2 };

static struct action_slot slots[SLOTS];
static _Atomic uint64_t last_number;
static _Atomic uint64_t current_number; /* 0: none yet */
static _Atomic uint32_t state;
static _Atomic bool is_interrupting; /* siginterrupt(SIGPROF, 1) */

typedef int sigaction_function(int, const struct sigaction *, struct sigaction *);
typedef sighandler_t signal_function(int, sighandler_t);
typedef int ignore_function(int);
typedef int interrupt_function(int, int);
typedef int wait_function(const sigset_t *, int *);
typedef int wait_info_function(const sigset_t *, siginfo_t *);
typedef int wait_time_function(const sigset_t *, siginfo_t *, const struct timespec *);

enum real_index {
	REAL_SIGACTION,
	REAL_SIGNAL,
	REAL_SYSV_SIGNAL,
	REAL_SIGSET,
	REAL_SIGIGNORE,
	REAL_SIGINTERRUPT,
	REAL_SIGWAIT,
	REAL_SIGWAITINFO,
	REAL_SIGTIMEDWAIT,
	REAL_COUNT,
};

static const char *const real_names[REAL_COUNT] = {
	[REAL_SIGACTION] = "sigaction",	      [REAL_SIGNAL] = "signal",
	[REAL_SYSV_SIGNAL] = "sysv_signal",   [REAL_SIGSET] = "sigset",
	[REAL_SIGIGNORE] = "sigignore",	      [REAL_SIGINTERRUPT] = "siginterrupt",
	[REAL_SIGWAIT] = "sigwait",	      [REAL_SIGWAITINFO] = "sigwaitinfo",
	[REAL_SIGTIMEDWAIT] = "sigtimedwait",
};

static void *_Atomic reals[REAL_COUNT];

/* Found when first called for, which the constructor does for all: later calls may come from
 * handlers. */
static void *real_of(enum real_index index)
{
	void *found = atomic_load_explicit(&reals[index], memory_order_relaxed);

	if (AGENT_LIKELY(found))
		return found;
	agent_thread.internal_depth++;
	found = dlsym(RTLD_NEXT, real_names[index]);
	agent_thread.internal_depth--;
	atomic_store_explicit(&reals[index], found, memory_order_relaxed);
	return found;
}

__attribute__((constructor)) static void find_reals(void)
{
	int error = errno;

	for (int i = 0; i < REAL_COUNT; i++)
		real_of(i);
	errno = error;
}

static int real_sigaction(int number, const struct sigaction *action, struct sigaction *ret_old)
{
	sigaction_function *real = (sigaction_function *)real_of(REAL_SIGACTION);

	if (real)
		return real(number, action, ret_old);
	errno = ENOSYS;
	return -1;
}

/* There are timers in this process, or have been. */
static bool are_ours(void)
{
	return atomic_load(&state) != NOT_OURS;
}

/* ---- the program's action */

/* Returns the number under which it can be read; not current yet. */
static uint64_t put_action(const struct sigaction *action)
{
	uint64_t number = atomic_fetch_add(&last_number, 1) + 1;
	struct action_slot *slot = &slots[number % SLOTS];

	atomic_store_explicit(&slot->number, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	slot->action = *action;
	/* With the acquires of read_action. */
	atomic_store_explicit(&slot->number, number, memory_order_release);
	return number;
}

static bool read_action(uint64_t number, struct sigaction *ret_action)
{
	struct action_slot *slot = &slots[number % SLOTS];

	if (!number || atomic_load_explicit(&slot->number, memory_order_acquire) != number)
		return false;
	*ret_action = slot->action;
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&slot->number, memory_order_relaxed) == number;
}

static void default_action(struct sigaction *ret_action)
{
	*ret_action = (struct sigaction){.sa_handler = SIG_DFL};
}

/* Returns its number. */
static uint64_t current_action(struct sigaction *ret_action)
{
	for (int i = 0; i < SLOTS; i++) {
		uint64_t number = atomic_load(&current_number);

		if (read_action(number, ret_action))
			return number;
	}
	default_action(ret_action);
	return 0;
}

static bool is_handler(const struct sigaction *action)
{
	return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

/* Tells the kernel what of the program's action only the kernel can do. Again where another thread
 * has set another one meanwhile. */
static int install(struct sigaction *ret_old)
{
	struct sigaction theirs, ours, old;
	uint64_t number;
	int failed;

	do {
		number = current_action(&theirs);
		ours = (struct sigaction){
			.sa_sigaction = cpu_on_signal,
			.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK,
		};
		sigemptyset(&ours.sa_mask);
		if (is_handler(&theirs)) {
			ours.sa_flags = SA_SIGINFO | (theirs.sa_flags & (SA_RESTART | SA_ONSTACK));
			ours.sa_mask = theirs.sa_mask;
		}
		failed = real_sigaction(SIGPROF, &ours, &old);
		if (ret_old) {
			*ret_old = old;
			ret_old = NULL;
		}
	} while (!failed && number && number != atomic_load(&current_number));
	return failed;
}

bool signals_take(void)
{
	struct sigaction old;
	uint32_t free = NOT_OURS;
	uint64_t none = 0;

	if (!atomic_compare_exchange_strong(&state, &free, TAKING))
		return true;
	if (install(&old)) {
		atomic_store(&state, NOT_OURS);
		return false;
	}
	if (old.sa_sigaction == cpu_on_signal)
		default_action(&old);
	/* Where another thread has set one already, that one is it. */
	atomic_compare_exchange_strong(&current_number, &none, put_action(&old));
	install(NULL);
	atomic_store(&state, OURS);
	return true;
}

/* Its memory is the parent's, its actions are its own: what it sets is for the kernel alone. */
static bool is_vfork_child(void)
{
	return atomic_load_explicit(&agent_state.phase, memory_order_relaxed) == AGENT_READY &&
	       sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0) != (long)agent_process.pid;
}

static int set_action(const struct sigaction *action, struct sigaction *ret_old)
{
	struct sigaction old, next;
	uint64_t number;

	if (!action) {
		current_action(ret_old ? ret_old : &old);
		return 0;
	}
	/* The two may be the same memory. */
	next = *action;
	if (is_vfork_child()) {
		current_action(&old);
		if (ret_old)
			*ret_old = old;
		return real_sigaction(SIGPROF, &next, NULL);
	}
	number = atomic_exchange(&current_number, put_action(&next));
	if (!read_action(number, &old))
		default_action(&old);
	if (ret_old)
		*ret_old = old;
	return install(NULL);
}

/* ---- signals that are not ours */

static void set_blocked(int how)
{
	uint64_t set = UINT64_C(1) << (SIGPROF - 1);

	sys_call(SYS_rt_sigprocmask, how, (long)&set, 0, KERNEL_SET_BYTES, 0, 0);
}

/* Ends the process as the signal does where nobody handles it. The first process of a PID
 * namespace, whom no such signal ends, goes on. */
static void die(void)
{
	struct sigaction action;

	default_action(&action);
	real_sigaction(SIGPROF, &action, NULL);
	sys_call(SYS_tgkill, getpid(), sys_tid(), SIGPROF, 0, 0, 0);
	set_blocked(SIG_UNBLOCK);
	set_blocked(SIG_BLOCK);
	install(NULL);
}

void signals_chain(int number, siginfo_t *info, void *context)
{
	struct sigaction action, reset;
	uint64_t seen = current_action(&action);
	int error = errno;

	if (action.sa_handler == SIG_IGN)
		return;
	if (action.sa_handler == SIG_DFL) {
		die();
		errno = error;
		return;
	}
	if (action.sa_flags & SA_RESETHAND) {
		default_action(&reset);
		reset.sa_flags = action.sa_flags;
		atomic_compare_exchange_strong(&current_number, &seen, put_action(&reset));
		install(NULL);
	}
	if ((action.sa_flags & SA_NODEFER) && !sigismember(&action.sa_mask, SIGPROF))
		set_blocked(SIG_UNBLOCK);
	errno = error;
	/* It may never return (siglongjmp). */
	action.sa_sigaction(number, info, context);
}

/* ---- hooks */

AGENT_EXPORT int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	int result;

	if (AGENT_LIKELY(number != SIGPROF))
		return real_sigaction(number, action, old);
	if (are_ours())
		return set_action(action, old);
	result = real_sigaction(number, action, old);
	/* Timers came in between, and this has removed their handler. */
	if (!result && action && are_ours())
		result = set_action(action, NULL);
	return result;
}

static sighandler_t set_handler(sighandler_t handler, int flags, bool is_masked)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, old;

	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	sigemptyset(&action.sa_mask);
	if (is_masked)
		sigaddset(&action.sa_mask, SIGPROF);
	return set_action(&action, &old) ? SIG_ERR : old.sa_handler;
}

static sighandler_t call_real(enum real_index index, int number, sighandler_t handler)
{
	signal_function *real = (signal_function *)real_of(index);

	if (real)
		return real(number, handler);
	errno = ENOSYS;
	return SIG_ERR;
}

AGENT_EXPORT sighandler_t signal(int number, sighandler_t handler)
{
	if (number != SIGPROF || !are_ours())
		return call_real(REAL_SIGNAL, number, handler);
	return set_handler(handler, atomic_load(&is_interrupting) ? 0 : SA_RESTART, true);
}

/* Headers declare it for old editions of POSIX only. */
sighandler_t bsd_signal(int number, sighandler_t handler);

AGENT_EXPORT sighandler_t bsd_signal(int number, sighandler_t handler)
{
	return signal(number, handler);
}

AGENT_EXPORT sighandler_t ssignal(int number, sighandler_t handler)
{
	return signal(number, handler);
}

AGENT_EXPORT sighandler_t sysv_signal(int number, sighandler_t handler)
{
	if (number != SIGPROF || !are_ours())
		return call_real(REAL_SYSV_SIGNAL, number, handler);
	return set_handler(handler, SA_RESETHAND | SA_NODEFER, false);
}

AGENT_EXPORT sighandler_t __sysv_signal(int number, sighandler_t handler)
{
	return sysv_signal(number, handler);
}

AGENT_EXPORT sighandler_t sigset(int number, sighandler_t handler)
{
	struct sigaction old;
	sighandler_t before;
	sigset_t set, was;

	if (number != SIGPROF || !are_ours())
		return call_real(REAL_SIGSET, number, handler);
	sigemptyset(&set);
	sigaddset(&set, SIGPROF);
	if (handler == SIG_HOLD) {
		if (sigprocmask(SIG_BLOCK, &set, &was))
			return SIG_ERR;
		current_action(&old);
		before = old.sa_handler;
	} else {
		before = set_handler(handler, 0, false);
		if (before == SIG_ERR || sigprocmask(SIG_UNBLOCK, &set, &was))
			return SIG_ERR;
	}
	return sigismember(&was, SIGPROF) ? SIG_HOLD : before;
}

AGENT_EXPORT int sigignore(int number)
{
	ignore_function *real;

	if (number == SIGPROF && are_ours())
		return set_handler(SIG_IGN, 0, false) == SIG_ERR ? -1 : 0;
	real = (ignore_function *)real_of(REAL_SIGIGNORE);
	if (real)
		return real(number);
	errno = ENOSYS;
	return -1;
}

AGENT_EXPORT int siginterrupt(int number, int interrupts)
{
	interrupt_function *real;
	struct sigaction action;

	if (number == SIGPROF) {
		atomic_store(&is_interrupting, interrupts != 0);
		if (are_ours()) {
			current_action(&action);
			action.sa_flags &= ~SA_RESTART;
			action.sa_flags |= interrupts ? 0 : SA_RESTART;
			return set_action(&action, NULL);
		}
	}
	real = (interrupt_function *)real_of(REAL_SIGINTERRUPT);
	if (real)
		return real(number, interrupts);
	errno = ENOSYS;
	return -1;
}

/* ---- waiting for signals */

static bool may_get_ours(const sigset_t *set)
{
	return are_ours() && set && sigismember(set, SIGPROF) == 1;
}

/* Says whether what came is a timer of ours, and counts it: where it was due cannot be told. */
static bool was_ours(int number, const siginfo_t *info)
{
	uint64_t weight = number == SIGPROF ? cpu_signal_weight(info) : 0;

	if (weight && atomic_load(&agent_state.is_on))
		agent_lost(RSPROF_SHM_LOST_SAMPLES, weight);
	return weight != 0;
}

AGENT_EXPORT int sigwaitinfo(const sigset_t *set, siginfo_t *ret_info)
{
	wait_info_function *real = (wait_info_function *)real_of(REAL_SIGWAITINFO);
	siginfo_t info;
	int number;

	if (!real) {
		errno = ENOSYS;
		return -1;
	}
	if (!may_get_ours(set))
		return real(set, ret_info);
	do
		number = real(set, &info);
	while (was_ours(number, &info));
	if (number > 0 && ret_info)
		*ret_info = info;
	return number;
}

AGENT_EXPORT int sigwait(const sigset_t *set, int *ret_number)
{
	wait_function *real = (wait_function *)real_of(REAL_SIGWAIT);
	int number, error = errno, result = 0;

	if (!real)
		return ENOSYS;
	if (!may_get_ours(set))
		return real(set, ret_number);
	do
		number = sigwaitinfo(set, NULL);
	while (number < 0 && errno == EINTR);
	if (number < 0)
		result = errno;
	else
		*ret_number = number;
	errno = error;
	return result;
}

static void take_passed(struct timespec *left, const struct timespec *since)
{
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (left->tv_sec - (now.tv_sec - since->tv_sec)) * INT64_C(1000000000) + left->tv_nsec -
	     (now.tv_nsec - since->tv_nsec);
	if (ns < 0)
		ns = 0;
	left->tv_sec = ns / 1000000000;
	left->tv_nsec = ns % 1000000000;
}

AGENT_EXPORT int sigtimedwait(const sigset_t *set, siginfo_t *ret_info,
			      const struct timespec *timeout)
{
	wait_time_function *real = (wait_time_function *)real_of(REAL_SIGTIMEDWAIT);
	struct timespec left, begin;
	siginfo_t info;
	int number;

	if (!real) {
		errno = ENOSYS;
		return -1;
	}
	/* Beyond what can be counted in ns, as good as without an end. */
	if (!timeout || timeout->tv_sec > INT32_MAX)
		return sigwaitinfo(set, ret_info);
	if (!may_get_ours(set) || timeout->tv_sec < 0)
		return real(set, ret_info, timeout);
	left = *timeout;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	while ((number = real(set, &info, &left)), was_ours(number, &info)) {
		left = *timeout;
		take_passed(&left, &begin);
	}
	if (number > 0 && ret_info)
		*ret_info = info;
	return number;
}
