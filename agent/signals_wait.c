/* The functions that wait for signals, and must not return those of timers. */
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "agent/agent.h"
#include "agent/cpu.h"
#include "agent/signals_parts.h"

typedef int wait_function(const sigset_t *, int *);
typedef int wait_info_function(const sigset_t *, siginfo_t *);
typedef int wait_time_function(const sigset_t *, siginfo_t *, const struct timespec *);

static bool may_get_ours(const sigset_t *set)
{
	return signals_are_ours() && set && sigismember(set, SIGPROF) == 1;
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
	wait_info_function *real = (wait_info_function *)signals_real(SIGNALS_REAL_SIGWAITINFO);
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
	wait_function *real = (wait_function *)signals_real(SIGNALS_REAL_SIGWAIT);
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
	wait_time_function *real = (wait_time_function *)signals_real(SIGNALS_REAL_SIGTIMEDWAIT);
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
