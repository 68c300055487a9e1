/* How a recording ends from outside: the first SIGINT, SIGTERM or SIGHUP finishes it, a second one
 * exits at once, SIGQUIT always does. What was committed stays readable either way. */
#ifndef RSPROF_RECORD_SIGNALS_H
#define RSPROF_RECORD_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* Before any thread starts: the signals wait in a descriptor from now on. The mask that was in
 * force goes to *ret_old, for a child. -errno on failure. */
int record_signals_open(sigset_t *ret_old);
/* Takes a signal off the descriptor; from then on the next one ends rsprof. */
bool record_signals_take(int fd);
/* From now on the next signal ends rsprof at once (while the end takes its time). */
void record_signals_arm(void);

#endif
