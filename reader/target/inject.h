/* Puts the agent into a running process: one thread is stopped where it may call the dynamic
 * linker, calls dlopen on a stack of our own, and goes on as if nothing had been. Whatever happens
 * to rsprof meanwhile, the thread finds its way back by itself. */
#ifndef RSPROF_TARGET_INJECT_H
#define RSPROF_TARGET_INJECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "reader/target/target.h"
#include "reader/util/err.h"

struct inject_result {
	bool was_there; /* the process has an agent: nothing was done */
	bool is_copy;	/* the file is not in the target's mount namespace: it was given a copy */
	pid_t tid;	/* of the thread that was borrowed */
	uint32_t tries; /* stops, of whatever thread */
	uint64_t pause_ns;   /* how long that thread did not go on with its own work */
	uint64_t looking_ns; /* all stops before, in which it was only looked at */
};

/* 0, or refused with a sentence: the target is as it was. ERR_PERMISSION where ptrace is not
 * allowed. Takes at most some seconds; a few milliseconds where a thread sleeps in a system call.
 */
int inject_agent(const struct target *target, const char *agent_path,
		 struct inject_result *ret_result, struct err *err);

#endif
