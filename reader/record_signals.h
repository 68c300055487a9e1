/* How a recording ends from outside: the first SIGINT, SIGTERM or SIGHUP finishes it, a second
 * SIGINT or SIGTERM exits at once, SIGQUIT always does. What was committed stays readable either way. */
#ifndef RSPROF_RECORD_SIGNALS_H
#define RSPROF_RECORD_SIGNALS_H

#include <signal.h>

/* Before any thread starts: the signals wait in a descriptor from now on. The mask that was in
 * force goes to *ret_old, for a child. -errno on failure. */
int record_signals_open(sigset_t *ret_old);
/* Takes a signal off the descriptor, 0 where there is none; from then on the next one ends rsprof. */
int record_signals_take(int fd);
/* From now on the next SIGINT or SIGTERM ends rsprof at once (while the end takes its time). Not
 * SIGHUP: a terminal that closes sends several, and what was recorded is to be saved. */
void record_signals_arm(void);
/* SIGHUP too: nothing is left to be saved. */
void record_signals_arm_all(void);

#endif
