/* Calls functions of the target on a borrowed thread. Private to this room.
 *
 * A few hundred bytes of code are put where nobody runs. The thread gets memory for a stack of its
 * own, saves its extended registers there, then does what it is told through that memory, and at
 * last finds its own way back: so rsprof may end at any moment. Only where rsprof is still there
 * does it set the registers back itself, since then the kernel restarts an interrupted system call
 * in its own way. */
#ifndef RSPROF_TARGET_INJECT_CALL_H
#define RSPROF_TARGET_INJECT_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "reader/target/inject_point.h"

enum {
	INJECT_TEXT_MAX = 3072, /* bytes that a call may be given by address */
};

struct inject_call {
	const struct target *target;
	const struct inject_image *image;
	const struct inject_thread *thread;
	uint64_t deadline_ns;
	uint64_t block; /* memory in the target */
	uint64_t hole;	/* where the code is */
	uint64_t count; /* calls done */
};

/* On the stopped thread. 0; -EBUSY: no place for the code; -ENOMEM: the target gets no memory;
 * -ESRCH: it has ended. Unless 0 the thread goes on with its own work. */
int inject_call_begin(struct inject_call *call);
/* function 0: a system call of that number. Waits for its end. 0, -ESRCH, -ETIMEDOUT. */
int inject_call_do(struct inject_call *call, uint64_t function, long number,
		   const uint64_t *arguments, uint64_t *ret_result);
/* Copies a text for a call to read, and returns its address there; 0: not possible. */
uint64_t inject_call_text(struct inject_call *call, const char *text);
/* The thread goes on with its own work. Also after an error. */
void inject_call_end(struct inject_call *call);

#endif
