/* Where a thread may be borrowed for a call of the dynamic linker: its whole stack is known, and
 * none of it is in the linker or in an allocator. Private to this room. */
#ifndef RSPROF_TARGET_INJECT_POINT_H
#define RSPROF_TARGET_INJECT_POINT_H

#include <stdbool.h>
#include <stdint.h>

#include "reader/target/inject_image.h"
#include "reader/target/inject_trace.h"
#include "reader/target/target.h"
#include "reader/util/err.h"

struct inject_search {
	const struct target *target;
	const struct inject_image *image;
	uint64_t deadline_ns;
	uint32_t tries;
	uint64_t looking_ns; /* of stops that led to nothing */
};

/* The borrowed thread: traced, stopped, and what it was about to do. */
struct inject_thread {
	pid_t tid;
	uint64_t stopped_ns; /* CLOCK_MONOTONIC, when it stood still */
	struct user_regs_struct registers;
	uint64_t mask; /* of signals */
};

/* 0, or refused with a sentence; then all threads run as before. */
int inject_point_find(struct inject_search *search, struct inject_thread *ret_thread,
		      struct err *err);

#endif
