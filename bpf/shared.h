/* What the BPF programs and the reader tell each other. Both sides compile this file; a layout
 * exists nowhere else.
 *
 *
 * TABLES. The arena is one array of 32-bit words, mapped by the reader. A file's unwind table
 * (shm/ehframe.h) lies in it as its index, page_count + 1 words, and its rows, a word each. Rules
 * are an array of their own. A table that was placed stays where it is as long as code that names
 * it is published.
 *
 * CODE. Where the target has which table mapped is a list sorted by address. There are two lists:
 * walks use number `version & 1`, the reader writes into the other one and then adds 1 to version.
 * A walk that finds another version at its end than at its beginning may have read a list or a
 * table that was being replaced: it ends as WALK_STALE.
 *
 * EXEC. A program counts the target's execs in exec_count. Before the reader reads the target's
 * mappings it reads that number, and publishes it with the list; where the two differ, the list is
 * of a program that is gone, and walks see no code at all.
 *
 * RECORDS. What programs tell comes through one ring buffer, without a wake-up for each: the reader
 * is woken when the ring is half full, and polls besides. Each record begins with a struct
 * bpf_record. A walk that needs what was not published yet (WALK_NO_MAPPING, WALK_NO_TABLE in a
 * mapping that waits for its table, WALK_STALE) sends registers and stack instead, so that the
 * reader can walk with the tables it has by then. */
#ifndef RSPROF_BPF_SHARED_H
#define RSPROF_BPF_SHARED_H

#include <linux/types.h>

enum {
	BPF_FRAMES_MAX = 511,
	/* Mappings of code in one list: 14 steps of a binary search. Browsers have a thousand. */
	BPF_CODE_MAX = 16384,
	/* As UNWIND_RULES_MAX. */
	BPF_RULES_MAX = 16384,
	/* Events of one recording, SOURCE_EVENTS_MAX. */
	BPF_EVENTS_MAX = 8,
	/* Of the target, ever seen waiting or running. */
	BPF_THREADS_MAX = 32768,
	/* Distinct waiting stacks that programs remember to have told; a stack beyond them is told
	 * with each of its waits. */
	BPF_STACKS_MAX = 65536,
	/* Threads that began while the recording did: a thousand would be many. */
	BPF_LATE_THREADS_MAX = 4096,
	/* What is sent of a stack that the reader has to walk. */
	BPF_COPY_BYTES = 16384,
	BPF_REGISTERS = 16,
};

/* How a walk ended. */
enum walk_end {
	WALK_COMPLETE = 0,
	WALK_TRUNCATED = 1,   /* as many frames as may be kept, and there are more */
	WALK_NO_MAPPING = 2,  /* an address in no published mapping */
	WALK_NO_TABLE = 3,    /* code without unwind information, and no frame pointer to follow */
	WALK_READ_ERROR = 4,  /* the stack's memory could not be read */
	WALK_UNSUPPORTED = 5, /* a rule that cannot be followed, or a stack that does not ascend */
	WALK_EMPTY = 6, /* no user registers: a thread of the kernel, or one that is exiting */
	WALK_STALE = 7, /* the tables were replaced meanwhile */
};

enum walk_flags {
	WALK_USED_FRAME_POINTERS = 1, /* a step without table along rbp: a caller may be missing */
	WALK_PASSED_SIGNAL = 2,
	WALK_IN_KERNEL = 4, /* hit while the kernel worked for the thread */
};

/* Why a thread does not run. */
enum bpf_wait_kind {
	BPF_WAIT_OTHER = 1,
	BPF_WAIT_RUN_QUEUE = 2, /* it could run, and no CPU was free */
	BPF_WAIT_LOCK = 3,	/* futex */
	BPF_WAIT_SLEEP = 4,	/* nanosleep and its like */
	BPF_WAIT_IO = 5,	/* reads, writes and other transfers; sleeping on a device */
	BPF_WAIT_POLL = 6,	/* for one of several descriptors: poll, select, epoll */
	BPF_WAIT_FAULT = 7,	/* a page had to be brought in */
	BPF_WAIT_CHILD = 8,	/* wait4 and its like */
};

/* ---- written by the reader, read by the programs */

struct bpf_code {
	__u64 start, end; /* absolute */
	__u64 bias;	  /* absolute address - bias is the ELF address */
	__u64 base;	  /* ELF address of the table's page 0 */
	__u32 page_count; /* 0: no table */
	__u32 index;	  /* word of the arena where the table's index begins */
	__u32 rows;	  /* word of its row 0 */
	__u32 flags;	  /* enum code_flags */
};

enum code_flags {
	/* The reader has a table that is not in the arena: send such stacks to it. */
	CODE_IS_ELSEWHERE = 1,
};

struct bpf_code_list {
	__u32 count;
	__u32 unused;
	__u64 exec_count; /* of the program that these are the mappings of */
	struct bpf_code code[BPF_CODE_MAX];
};

struct bpf_code_lists {
	struct bpf_code_list list[2];
};

/* ---- in memory that both sides have mapped; each field has one writer */

struct bpf_control {
	/* The reader's. */
	__u64 version;
	__u64 start_ns;	      /* CLOCK_MONOTONIC: what was before is not told */
	__u32 target_tgid;    /* as the first PID namespace numbers it */
	__u32 is_on;	      /* 0: programs return at once */
	__u32 wait_walk_mask; /* a switch is walked where a random number & mask is 0 */
	__u32 is_checked;     /* a sample that is told is also written to its event's own ring */

	/* The programs'. Counters of all CPUs, added atomically. */
	__u64 exec_count;
	__u64 ring_full;	       /* samples that found no room */
	__u64 wait_ring_full;	       /* waits that found no room */
	__u64 wait_stacks_lost;	       /* waits told without a stack because that found no room */
	__u64 threads_full;	       /* switches of threads beyond BPF_THREADS_MAX */
	__u64 waits_unwalked;	       /* waits told without a stack because of wait_walk_mask */
	__u64 switches;		       /* of the target, walked or not */
	__u64 switches_missed;	       /* found out at the thread's next one: its times are right */
	__u64 switch_spent_ns;	       /* in the programs, for these */
	__u64 sampled[BPF_EVENTS_MAX]; /* records sent or lost, by event */
};

/* Thread of the target, by tid (first PID namespace). The reader may add one that is not there yet,
 * for a thread that sleeps when the recording begins. */
struct bpf_thread {
	__u64 since_ns;	 /* of its state */
	__u64 cpu_ns;	 /* the thread's CPU time then, as the kernel counts it; 0: not known */
	__u64 run_ns;	 /* that it ran before it began to wait */
	__u64 stack;	 /* hash of the stack it waits in; 0: not walked */
	__u32 kind;	 /* enum bpf_wait_kind; 0: it runs */
	__u32 end_flags; /* enum walk_end | enum walk_flags << 8, of that stack */
};

/* In the map late_threads, by tid: a thread for which an event was opened while the recording ran.
 */
enum bpf_late_thread {
	LATE_IS_NEW = 1,
	LATE_HAS_INHERITED = 2, /* written by the programs: it has an inherited event, too */
};

/* ---- records */

enum bpf_record_type {
	BPF_RECORD_SAMPLE = 1, /* struct bpf_sample */
	BPF_RECORD_COPY = 2,   /* struct bpf_copy: a sample, or a stack, that the reader walks */
	BPF_RECORD_STACK = 3,  /* struct bpf_sample: the stack whose hash is `stack` */
	BPF_RECORD_WAIT = 4,   /* struct bpf_wait */
};

struct bpf_record {
	__u32 type;
	__u32 tid;
	__u64 time_ns; /* CLOCK_MONOTONIC */
};

/* Also BPF_RECORD_STACK, where event and value mean nothing. */
struct bpf_sample {
	struct bpf_record record;
	__u64 value; /* in the event's unit */
	__u64 stack; /* BPF_RECORD_STACK: its hash */
	__u8 event;  /* index */
	__u8 end;    /* enum walk_end */
	__u8 flags;  /* enum walk_flags */
	__u8 unused;
	__u32 pc_count;
	__u64 pcs[]; /* leaf first, return addresses after the leaf */
};

struct bpf_copy {
	struct bpf_record record;
	__u64 value;
	__u64 stack; /* not 0: the copy is of a waiting stack with this hash, not of a sample */
	__u8 event;
	__u8 end;
	__u8 flags;
	__u8 unused;
	__u32 size; /* of bytes[] that hold something */
	__u64 rip;
	__u64 general[BPF_REGISTERS]; /* by DWARF's numbers */
	__u8 bytes[BPF_COPY_BYTES];   /* from rsp */
};

struct bpf_wait {
	struct bpf_record record; /* time_ns: when it ended */
	__u64 since_ns;		  /* when it began; record.time_ns where the thread only ran */
	__u64 run_ns;		  /* that the thread ran before it */
	__u64 stack;		  /* hash; 0: not walked */
	__u32 kind;		  /* 0: no wait: the thread ran, and ended */
	__u32 end_flags;
};

#endif
