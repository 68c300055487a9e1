/* The child whose calls are timed: a copy of rsprof with two threads, that does nothing but call
 * functions which do nothing. */
#ifndef RSPROF_SOURCE_HEAP_CALIBRATE_CHILD_H
#define RSPROF_SOURCE_HEAP_CALIBRATE_CHILD_H

#include <stdint.h>
#include <sys/types.h>

/* What is probed: first instructions as allocators have them. push and jcc are what is mostly
 * found, and the kernel emulates both, at prices of their own. */
enum calibrate_place {
	CALIBRATE_PUSH,
	CALIBRATE_JCC,
	CALIBRATE_STEPPED,
	CALIBRATE_RETURN, /* a push, too; its return is probed */
	CALIBRATE_PLACES
};

struct calibrate_request {
	enum calibrate_place place;
	uint32_t in_second_thread;
	uint32_t calls;
};

struct calibrate_child {
	pid_t pid;
	int pidfd, fd;
};

/* 0 or -errno. It dies with the calling thread. */
int calibrate_child_start(struct calibrate_child *child);
void calibrate_child_end(struct calibrate_child *child);
/* What the calls cost. 0 or -errno: it is gone, or does not answer. */
int calibrate_child_ask(const struct calibrate_child *child, struct calibrate_request request,
			uint64_t *ret_ns);
/* Where the functions are in the file that rsprof runs from; 0 or -ENOEXEC. */
int calibrate_file_offsets(uint64_t ret_offsets[CALIBRATE_PLACES]);

#endif
