#include "reader/target/inject_sleep.h"

#include <sys/syscall.h>

enum sleep_class inject_sleep_class(long number)
{
	switch (number) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
	case SYS_poll:
	case SYS_ppoll:
	case SYS_select:
	case SYS_pselect6:
	case SYS_accept:
	case SYS_accept4:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_pause:
	case SYS_rt_sigsuspend:
	case SYS_rt_sigtimedwait:
	case SYS_wait4:
	case SYS_waitid:
	case SYS_io_getevents:
	case SYS_io_uring_enter:
		return SLEEP_LONG;
	case SYS_restart_syscall: /* a timed one of these, or a lock's, after an earlier stop */
	case SYS_nanosleep:
	case SYS_clock_nanosleep:
	case SYS_read:
	case SYS_readv:
	case SYS_write:
	case SYS_writev:
	case SYS_sendto:
	case SYS_sendmsg:
		return SLEEP_SHORT;
	case SYS_futex:
		return SLEEP_LOCK;
	default:
		return SLEEP_NONE;
	}
}
