/* May the bpf source work on this machine? Decided from a few facts, without loading its programs.
 */
#ifndef RSPROF_SOURCE_BPF_CHECK_H
#define RSPROF_SOURCE_BPF_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "reader/target/target.h"
#include "reader/util/err.h"

struct bpf_facts {
	uint64_t capabilities; /* effective */
	char kernel[64];       /* release */
	bool is_root;
	bool in_pid_namespace;	/* of rsprof's own: BPF programs see other numbers */
	int btf_error;		/* of opening /sys/kernel/btf/vmlinux; 0: it may be read */
	int map_error;		/* of creating a small ring buffer */
	int loop_error;		/* of asking for bpf_loop; -ENOENT: the kernel has none */
	uint64_t memlock_bytes; /* soft limit */
};

/* Errors that cannot be asked for want of capabilities are left 0. Never prints. */
void bpf_facts_read(struct bpf_facts *facts);
/* 0, or -EPERM or -ENOTSUP with the sentence (ERR_PERMISSION) and what would allow it. pid: the
 * target's, for the command to type; 0: none. */
int bpf_facts_judge(const struct bpf_facts *facts, pid_t pid, struct err *err);
/* Both in one; the target may be NULL. */
int bpf_check(const struct target *target, struct err *err);

/* libbpf must not print. What it says in between is kept, and its last line can be told. Calls may
 * not be nested, and are of one thread at a time. */
void bpf_log_begin(void);
/* The last line, shortened, "" where there was none; valid until the next begin. */
const char *bpf_log_end(void);

#endif
