/* What signals.c has for the functions that it stands before: signals_set.c, signals_wait.c. */
#ifndef RSPROF_AGENT_SIGNALS_PARTS_H
#define RSPROF_AGENT_SIGNALS_PARTS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

enum signals_real_index {
	SIGNALS_REAL_SIGACTION,
	SIGNALS_REAL_SIGNAL,
	SIGNALS_REAL_SYSV_SIGNAL,
	SIGNALS_REAL_SIGSET,
	SIGNALS_REAL_SIGIGNORE,
	SIGNALS_REAL_SIGINTERRUPT,
	SIGNALS_REAL_SIGWAIT,
	SIGNALS_REAL_SIGWAITINFO,
	SIGNALS_REAL_SIGTIMEDWAIT,
	SIGNALS_REAL_COUNT,
};

/* Found when first called for, which a constructor does for all: later calls may come from
 * handlers. */
void *signals_real(enum signals_real_index index);
int signals_real_action(int number, const struct sigaction *action, struct sigaction *ret_old);
/* There are timers in this process, or have been. */
bool signals_are_ours(void);
/* The program's. Returns its number. */
uint64_t signals_action(struct sigaction *ret_action);
int signals_set_action(const struct sigaction *action, struct sigaction *ret_old);

#endif
