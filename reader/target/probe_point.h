/* Where in a function a probe costs least: at the first instruction that the kernel emulates. It
 * single-steps all others, which costs 30 times as much in a virtual machine. */
#ifndef RSPROF_TARGET_PROBE_POINT_H
#define RSPROF_TARGET_PROBE_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct probe_point {
	uint64_t vaddr;	      /* at or behind the function's entry */
	uint64_t file_offset; /* of that instruction */
	bool is_emulated;
	uint8_t opcode;		 /* its first byte that is no prefix */
	const char *instruction; /* "push", "jcc" …; "other" where it is single-stepped */
};

struct probe_request {
	uint64_t vaddr, size; /* of the function; size 0: not known */
	/* Those that the probe reads, bit 0 the first one: others may be gone at the point. 0: all.
	 * jemalloc's free changes three registers before its first jump, but not its only argument.
	 */
	uint8_t arguments;
};

/* For each function, from the file open at fd: the first emulated instruction that is reached from
 * the entry over instructions that do not branch, write none of the arguments, not rsp and no
 * memory, and where neither another symbol nor any jump in the object's text leads between the
 * entry and it. Else the entry. 0; -EBADMSG or -errno where the file does not hold the code: no
 * point is set then. */
int probe_points_find(int fd, const struct probe_request *requests, size_t count,
		      struct probe_point *ret_points);

#endif
