/* Alternate signal stacks, which may be small: the kernel's frame is all that they have to hold. */
#ifndef RSPROF_AGENT_SIGNAL_STACK_H
#define RSPROF_AGENT_SIGNAL_STACK_H

#include <signal.h>
#include <stdbool.h>
#include <ucontext.h>

#include "agent/agent.h"

/* It cannot hold a signal of ours. */
bool signal_stack_is_too_small(const stack_t *stack);
/* The handler that was given this context runs on one. */
bool signal_stack_is_in_use(const ucontext_t *context);
/* By a handler on one: calls the function on a stack of the lane's own. false: it has none. */
bool signal_stack_call(struct agent_lane *lane, void (*function)(void *), void *argument);

#endif
