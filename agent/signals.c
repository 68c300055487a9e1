#include "agent/signals.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/cpu.h"
#include "agent/signals_parts.h"

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

typedef int sigaction_function(int, const struct sigaction *, struct sigaction *);

static const char *const real_names[SIGNALS_REAL_COUNT] = {
	[SIGNALS_REAL_SIGACTION] = "sigaction",	      [SIGNALS_REAL_SIGNAL] = "signal",
	[SIGNALS_REAL_SYSV_SIGNAL] = "sysv_signal",   [SIGNALS_REAL_SIGSET] = "sigset",
	[SIGNALS_REAL_SIGIGNORE] = "sigignore",	      [SIGNALS_REAL_SIGINTERRUPT] = "siginterrupt",
	[SIGNALS_REAL_SIGWAIT] = "sigwait",	      [SIGNALS_REAL_SIGWAITINFO] = "sigwaitinfo",
	[SIGNALS_REAL_SIGTIMEDWAIT] = "sigtimedwait",
};

static void *_Atomic reals[SIGNALS_REAL_COUNT];

void *signals_real(enum signals_real_index index)
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

	for (int i = 0; i < SIGNALS_REAL_COUNT; i++)
		signals_real(i);
	errno = error;
}

int signals_real_action(int number, const struct sigaction *action, struct sigaction *ret_old)
{
	sigaction_function *real = (sigaction_function *)signals_real(SIGNALS_REAL_SIGACTION);

	if (real)
		return real(number, action, ret_old);
	errno = ENOSYS;
	return -1;
}

bool signals_are_ours(void)
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

uint64_t signals_action(struct sigaction *ret_action)
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
		number = signals_action(&theirs);
		ours = (struct sigaction){
			.sa_sigaction = cpu_on_signal,
			.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK,
		};
		sigemptyset(&ours.sa_mask);
		if (is_handler(&theirs)) {
			ours.sa_flags = SA_SIGINFO | (theirs.sa_flags & (SA_RESTART | SA_ONSTACK));
			ours.sa_mask = theirs.sa_mask;
		}
		failed = signals_real_action(SIGPROF, &ours, &old);
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

int signals_set_action(const struct sigaction *action, struct sigaction *ret_old)
{
	struct sigaction old, next;
	uint64_t number;

	if (!action) {
		signals_action(ret_old ? ret_old : &old);
		return 0;
	}
	/* The two may be the same memory. */
	next = *action;
	/* What it sets is for the kernel alone. */
	if (agent_is_borrowed()) {
		signals_action(&old);
		if (ret_old)
			*ret_old = old;
		return signals_real_action(SIGPROF, &next, NULL);
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
	signals_real_action(SIGPROF, &action, NULL);
	sys_call(SYS_tgkill, getpid(), sys_tid(), SIGPROF, 0, 0, 0);
	set_blocked(SIG_UNBLOCK);
	set_blocked(SIG_BLOCK);
	install(NULL);
}

/* The thread may have no errno. What is called in here changes it only where it fails, which none
 * of it does. */
void signals_chain(int number, siginfo_t *info, void *context)
{
	struct sigaction action, reset;
	uint64_t seen = signals_action(&action);

	if (action.sa_handler == SIG_IGN)
		return;
	if (action.sa_handler == SIG_DFL) {
		die();
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
	/* It may never return (siglongjmp). */
	action.sa_sigaction(number, info, context);
}
