/* signalfd. A thread that blocks SIGPROF and reads it from a descriptor would read the timers'
 * signals, too: nothing can be told apart there in time. So there are no timers any more. */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

#include "agent/agent.h"
#include "agent/cpu.h"

enum { KERNEL_SET_BYTES = 8 };

AGENT_EXPORT int signalfd(int fd, const sigset_t *set, int flags)
{
	/* No set is the kernel's to refuse, whatever the header says of it. */
	const sigset_t *volatile wish = set;
	long result;

	if (wish && agent_config.cpu_frequency && sigismember(set, SIGPROF) == 1 &&
	    !agent_is_borrowed()) {
		cpu_set_frequency(0);
		agent_lost(RSPROF_SHM_LOST_TIMERS, 1);
	}
	result = sys_call(SYS_signalfd4, fd, (long)set, KERNEL_SET_BYTES, flags, 0, 0);
	if (result >= 0)
		return (int)result;
	errno = (int)-result;
	return -1;
}
