/* What the programs share with the reader. Sizes that are 1 here are set by the loader. */
#ifndef RSPROF_BPF_MAPS_BPF_H
#define RSPROF_BPF_MAPS_BPF_H

#include "bpf/kernel.bpf.h"
#include "bpf/shared.h"
#include "shm/ehframe.h"

/* ---- constants: the loader sets them, the verifier sees their values */

const volatile __u32 arena_mask = 0;
const volatile __u32 frames_max = 127;
const volatile __u32 copy_bytes = BPF_COPY_BYTES;
const volatile __u32 value_is_period = 0;

struct bpf_control control;

/* ---- unwind tables, rules and mappings: written by the reader through its own mapping */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} arena SEC(".maps");

struct bpf_rules {
	struct ehframe_rule rule[BPF_RULES_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct bpf_rules);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct bpf_code_lists);
} code SEC(".maps");

/* ---- what the programs tell */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1);
} ring SEC(".maps");

/* Hash maps are allocated in full beforehand: the programs run where nothing may be allocated. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BPF_THREADS_MAX);
	__type(key, __u32);
	__type(value, struct bpf_thread);
} threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BPF_STACKS_MAX);
	__type(key, __u64);
	__type(value, __u32);
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BPF_LATE_THREADS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} late_threads SEC(".maps");

/* ---- room to work in */

enum {
	/* A power of two above BPF_FRAMES_MAX: an index masked with one less is in bounds. */
	PCS_ROOM = 512,
	/* As UNWIND_SIGNALS_MAX of the reader's walk. */
	SIGNALS_MAX = 16,
	/* Of a walk: the words below the CFA, read at once. Callers' registers are mostly there. */
	CFA_WORDS = 8,
	CFA_BYTES = 8 * CFA_WORDS,
	/* From EH_SIGNAL_R8 up to EH_SIGNAL_RIP. */
	SIGNAL_WORDS = (EH_SIGNAL_RIP - EH_SIGNAL_R8) / 8 + 1,
};

_Static_assert(PCS_ROOM > BPF_FRAMES_MAX, "every frame has room");

struct walk_registers {
	__u64 rip;
	__u64 general[BPF_REGISTERS]; /* by enum ehframe_register */
};

struct copy_room {
	struct bpf_copy copy;
	/* Never used: what is read begins within copy.bytes, and the verifier takes it for as long
	 * as a page. */
	__u8 behind[KERNEL_PAGE_BYTES];
};

/* A walk and its frame at work. In the scratch, not on the stack: what
 * comes from a map is unknown to the verifier, so that to it all turns of the loop are alike. */
struct walk {
	__u64 version;
	__u64 rip, rsp, rbp;
	__u64 hash;	      /* of the frames so far, and of the version */
	struct bpf_code code; /* that the last look-up found */
	__u32 list, code_count;
	__u64 pc_count;
	__u32 signal_count;
	__u8 end;      /* enum walk_end */
	__u8 flags;    /* enum walk_flags */
	__u8 is_exact; /* rip is where it stopped, not where a call returns to */
	__u8 is_guess; /* found along rbp: it counts once its code is found */
	__u8 is_rbp_known;
	__u8 needs_reader; /* something that it needs is not published */
	__u8 may_copy;
};

struct scratch {
	struct walk walk;
	struct walk_registers leaf;
	struct walk_registers interrupted; /* by the signal that the walk passed last */
	__u64 words[CFA_WORDS];
	__u64 signal[SIGNAL_WORDS];
	__u64 signal_sp[SIGNALS_MAX];
	union {
		struct bpf_sample sample; /* and its pcs: PCS_ROOM */
		struct copy_room copy;
	} room;
};

_Static_assert(sizeof(struct copy_room) >= sizeof(struct bpf_sample) + PCS_ROOM * sizeof(__u64),
	       "every frame has room");

/* The kernel runs no two perf_event programs on one CPU at a time, but one of them may interrupt a
 * switch: that has its own. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} event_scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} switch_scratch SEC(".maps");

#endif
