/* The agent of a recording's target: looked for in a running process, put into one, or loaded into
 * a command that is about to be started. */
#ifndef RSPROF_RECORD_AGENT_H
#define RSPROF_RECORD_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "include/rsprof/shm_abi.h"
#include "reader/core/heap.h"
#include "reader/target/target.h"
#include "reader/util/err.h"
#include "reader/util/str.h"

enum agent_presence {
	AGENT_ABSENT,
	AGENT_REFUSED, /* there, but of another version, or damaged */
	AGENT_PLANNED, /* would be loaded into the command */
	AGENT_RUNNING,
};

/* What a recording may expect of it. */
struct agent_verdict {
	enum agent_presence presence;
	pid_t pid;	     /* of the target; 0: not told */
	enum heap_mode heap; /* OFF: the heap is not counted. Of a planned one: EXACT, or OFF */
	/* It has counted since the program began: what lived before the recording is known. */
	bool is_from_start;
	bool is_heap_elsewhere; /* OFF since the program has an allocator of its own */
	uint64_t sample_bytes;	/* of sampled mode; of a planned one 0: what is asked for */
	uint32_t cpu_frequency; /* of its timers, 0: none. Of a planned one: what it would have */
	/* Where it is ABSENT: why, in short, as it goes behind a colon: "no agent is loaded". Where
	 * heap is OFF: likewise. */
	struct str missing;
	struct err err; /* where it is REFUSED */
	/* Of a running one. */
	const char *state; /* "on", "dormant" …; static */
	char version[16];
	char allocator[128]; /* path of what serves malloc */
};

void agent_verdict_done(struct agent_verdict *verdict);

/* Of a running process. */
void record_agent_look(const struct target *target, struct agent_verdict *ret_verdict);

/* The library: beside rsprof, in ../lib, or what $RSPROF_AGENT_LIB names. A new string, or NULL. */
char *record_agent_library(void);

/* Puts the agent into a running process, where it has none. 0, also where it has one; or the
 * refusal in *err. */
int record_agent_inject(const struct target *target, struct err *err);

/* For a command that `run` is to start: what could be done, and then, once the sources are chosen,
 * what is done. */
struct agent_plan {
	char *library;	    /* NULL: it cannot be loaded */
	bool can_count;	    /* the command calls malloc by its name */
	struct str missing; /* where one of them is not so: why */
	/* Of the memfds that its memory will be in: one for each program that it becomes by exec. */
	int fds[RSPROF_SHM_GIVEN];
	size_t fd_count;
	/* Decided when the command is released. Plain data: it is handed to the child as it is. */
	struct agent_order {
		bool is_loaded;
		enum heap_mode heap;
		uint64_t sample_bytes;
		uint32_t cpu_frequency; /* 0: no timers */
	} order;
};

/* path: of the command, as it was found. */
void record_agent_plan(const char *path, struct agent_plan *ret_plan);
void agent_plan_done(struct agent_plan *plan);
void record_agent_planned(const struct agent_plan *plan, uint32_t cpu_frequency,
			  struct agent_verdict *ret_verdict);
/* In the child, before its exec: environment and descriptor as ordered. */
void record_agent_enter(const struct agent_plan *plan, const struct agent_order *order);

#endif
