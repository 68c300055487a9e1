/* SIGPROF, which the timers and the program share.
 *
 * Once there has been a timer, the agent's handler stays installed for the life of the process,
 * since a signal of a timer that is gone may still be on its way. The program sees its own action
 * all the same: the functions that set and ask for it are hooked, and what no timer of ours sent is
 * handed on to it.
 *
 * Honoured are the program's handler, sa_mask, SA_NODEFER, SA_RESETHAND, and, where it has a
 * handler, SA_RESTART and SA_ONSTACK. What remains different: with SIG_IGN a SIGPROF from elsewhere
 * may still end a system call with EINTR that is never restarted, and a program that is exec'ed
 * finds SIG_DFL where it would have found SIG_IGN.
 *
 * A thread that blocks SIGPROF is sampled when it unblocks it, with the weight of all the time in
 * between. sigwait and its kin do not return our signals, which are counted as lost. Where the
 * program reads SIGPROF from a signalfd there are no timers (signalfd.c). */
#ifndef RSPROF_AGENT_SIGNALS_H
#define RSPROF_AGENT_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* Installs the handler, if it is not yet. */
bool signals_take(void);
/* Of a SIGPROF that is not ours: what the program would have it do. May not return. */
void signals_chain(int number, siginfo_t *info, void *context);

#endif
