/* What agent.h does not tell of the timers. */
#ifndef RSPROF_AGENT_CPU_H
#define RSPROF_AGENT_CPU_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/agent.h"

/* Of all threads, from now on; 0: no timers. The header tells the new one. */
void cpu_set_frequency(uint32_t frequency);
/* By a new thread, which goes on to `routine`, called from frame. */
void cpu_thread_starts(struct agent_thread *thread, uintptr_t routine,
		       const struct agent_frame *frame);
/* By a thread that has such a signal stack, or is about to. */
void cpu_signal_stack(bool is_too_small);
/* The handler of SIGPROF. */
void cpu_on_signal(int number, siginfo_t *info, void *context);
/* How many periods a signal of a timer of ours stands for; 0: it is not ours. */
uint64_t cpu_signal_weight(const siginfo_t *info);

#endif
