/* The functions that set and ask for the action of SIGPROF. */
#include <errno.h>
#include <signal.h>

#include "agent/agent.h"
#include "agent/signals_parts.h"

typedef sighandler_t signal_function(int, sighandler_t);
typedef int ignore_function(int);
typedef int interrupt_function(int, int);

static _Atomic bool is_interrupting; /* siginterrupt(SIGPROF, 1) */

AGENT_EXPORT int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	int result;

	if (AGENT_LIKELY(number != SIGPROF))
		return signals_real_action(number, action, old);
	if (signals_are_ours())
		return signals_set_action(action, old);
	result = signals_real_action(number, action, old);
	/* Timers came in between, and this has removed their handler. */
	if (!result && action && signals_are_ours())
		result = signals_set_action(action, NULL);
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
	return signals_set_action(&action, &old) ? SIG_ERR : old.sa_handler;
}

static sighandler_t call_real(enum signals_real_index index, int number, sighandler_t handler)
{
	signal_function *real = (signal_function *)signals_real(index);

	if (real)
		return real(number, handler);
	errno = ENOSYS;
	return SIG_ERR;
}

AGENT_EXPORT sighandler_t signal(int number, sighandler_t handler)
{
	if (number != SIGPROF || !signals_are_ours())
		return call_real(SIGNALS_REAL_SIGNAL, number, handler);
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
	if (number != SIGPROF || !signals_are_ours())
		return call_real(SIGNALS_REAL_SYSV_SIGNAL, number, handler);
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

	if (number != SIGPROF || !signals_are_ours())
		return call_real(SIGNALS_REAL_SIGSET, number, handler);
	sigemptyset(&set);
	sigaddset(&set, SIGPROF);
	if (handler == SIG_HOLD) {
		if (sigprocmask(SIG_BLOCK, &set, &was))
			return SIG_ERR;
		signals_action(&old);
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

	if (number == SIGPROF && signals_are_ours())
		return set_handler(SIG_IGN, 0, false) == SIG_ERR ? -1 : 0;
	real = (ignore_function *)signals_real(SIGNALS_REAL_SIGIGNORE);
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
		if (signals_are_ours()) {
			signals_action(&action);
			action.sa_flags &= ~SA_RESTART;
			action.sa_flags |= interrupts ? 0 : SA_RESTART;
			return signals_set_action(&action, NULL);
		}
	}
	real = (interrupt_function *)signals_real(SIGNALS_REAL_SIGINTERRUPT);
	if (real)
		return real(number, interrupts);
	errno = ENOSYS;
	return -1;
}
