/* Threads that sleep when a recording begins: no switch has told of them. What they wait in is read
 * from /proc, without stopping them. */
#ifndef RSPROF_SOURCE_BPF_SLEEPERS_H
#define RSPROF_SOURCE_BPF_SLEEPERS_H

#include <stdbool.h>

#include "bpf/shared.h"
#include "reader/core/event.h"
#include "reader/target/target.h"

struct bpf_sleeper {
	uint32_t kind; /* enum bpf_wait_kind */
	bool has_stack;
	struct event_registers registers; /* rip and rsp; the others are not known */
	uint32_t size;			  /* of bytes, from rsp */
	uint8_t bytes[BPF_COPY_BYTES];
};

/* false: the thread runs or could, or has ended. The stack may have changed while it was read,
 * unless the thread is known to have slept all the time. */
bool bpf_sleeper_read(const struct target *target, pid_t tid, struct bpf_sleeper *ret_sleeper);

/* The kind of a wait in that system call; -1: in none. */
uint32_t bpf_sleeper_kind(long system_call);

#endif
