/* seccomp. A program that confines itself is killed for system calls that it does not make, and the
 * agent makes some when it meets a new stack, thread or child. So it ends before: at the wish for
 * no new privileges, which whoever is no superuser has to say first, or at that for a filter. */
#include <errno.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "agent/agent.h"

AGENT_EXPORT int prctl(int option, ...)
{
	long a, b, c, d, result;
	va_list list;

	va_start(list, option);
	a = va_arg(list, long);
	b = va_arg(list, long);
	c = va_arg(list, long);
	d = va_arg(list, long);
	va_end(list);
	if (option == PR_SET_SECCOMP || option == PR_SET_NO_NEW_PRIVS) {
		/* Of children, too. */
		agent_config.is_off = true;
		agent_stop(RSPROF_SHM_CONFINED);
	}
	result = sys_call(SYS_prctl, option, a, b, c, d, 0);
	if (result >= 0 || result < -4095)
		return (int)result;
	errno = (int)-result;
	return -1;
}
