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
 * reader can walk with the tables it has by then.
 *
 * HEAP. Probes on the functions of the target's allocators run a program at each call, and at the
 * return of those that give memory. What a probe is for is in its cookie (HEAP_COOKIE). Counters by
 * the stack that allocated are in heap_sites, blocks that live in heap_blocks, what a thread is at
 * in heap_threads; the reader reads these maps from time to time, and writes none of them while
 * probes are attached but to delete. A stack is told once, by a HEAP_STACK or HEAP_COPY record,
 * before its hash becomes a key of heap_sites; one that found no room in the ring is charged to
 * HEAP_SITE_UNTOLD, those beyond the map to HEAP_SITE_FULL. The hash of a stack holds
 * control.code_generation: the reader adds 1 to it where code went away or moved, so that the same
 * addresses may mean something else; code that merely joins leaves it as it is.
 *
 * A call that an allocator makes to itself is no call: one that begins while another of the same
 * thread is not over, deeper on the stack and with a return address in the same layer (an object
 * with an allocator, control.heap_layers), or at the same depth (it was jumped to).
 *
 * Weights. What is counted is counted in units of 1 / HEAP_ONE. Each allocation has a weight:
 * HEAP_ONE where all are counted, more where it stands for others. Its free is counted with the
 * same weight, so that what is freed in the end is what was allocated. */
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
	/* Objects with an allocator: a program has one or two. */
	HEAP_LAYERS_MAX = 8,
	/* Calls of one thread that are not over: an allocation in a signal handler that came during
	 * one, and so on. */
	HEAP_DEPTH_MAX = 4,
	/* Entries of the tables of Poisson sampling, and one more for the end of the last. */
	HEAP_TABLE_MAX = 1024,
	/* A weight of 1. 2^22 times as much has room in 32 bits. */
	HEAP_ONE = 1024,
	/* heap_weights is for sizes up to so many times the mean distance of samples; what is
	 * larger is always sampled. */
	HEAP_WEIGHT_SPAN = 8,
	/* Rooms to work in, for each CPU: a thread may be preempted in the midst of a program, and
	 * so may the next. */
	HEAP_ROOMS_PER_CPU = 4,
};

/* What is counted of the heap: the numbers of enum heap_mode (reader/core/heap.h). */
enum bpf_heap_mode {
	BPF_HEAP_OFF = 0,
	BPF_HEAP_EXACT = 1,
	BPF_HEAP_SAMPLED = 2,
	BPF_HEAP_ALLOCS = 3,
};

/* What a probed function does. */
enum bpf_heap_call {
	HEAP_CALL_ALLOC = 1,	    /* p = f(…, size, …) */
	HEAP_CALL_CALLOC = 2,	    /* p = f(count, size): the size's argument and the one before */
	HEAP_CALL_REALLOC = 3,	    /* p = f(old, …, size) */
	HEAP_CALL_REALLOCARRAY = 4, /* p = f(old, count, size) */
	HEAP_CALL_POSIX_MEMALIGN = 5, /* f(&p, alignment, size) is 0 */
	HEAP_CALL_FREE = 6,	      /* f(…, p, …) */
	HEAP_CALL_MMAP = 7,	      /* f(address, size, protection, flags) */
	HEAP_CALL_MUNMAP = 8,	      /* f(address, size) */
	HEAP_CALL_SBRK = 9,	      /* f(increment) */
};

/* The cookie of a probe. Arguments of the function are numbered from 0 to 5: the one with the size
 * (of two factors the second), and the one with the block, old or &p. */
#define HEAP_COOKIE(call, layer, size_argument, pointer_argument, is_stepped)                      \
	((__u64)(call) | (__u64)(layer) << 8 | (__u64)(size_argument) << 16 |                      \
	 (__u64)(pointer_argument) << 24 | (__u64) !!(is_stepped) << 32)
#define HEAP_COOKIE_CALL(cookie) ((__u32)((cookie)&0xff))
#define HEAP_COOKIE_LAYER(cookie) ((__u32)((cookie) >> 8 & 0xff))
#define HEAP_COOKIE_SIZE(cookie) ((__u32)((cookie) >> 16 & 0xff))
#define HEAP_COOKIE_POINTER(cookie) ((__u32)((cookie) >> 24 & 0xff))
#define HEAP_COOKIE_STEPPED (1ULL << 32)
/* The return of this call is seen as well. Set by heap_probes_add: it knows. An allocation whose
 * return is not seen is counted at the call, as untracked. */
#define HEAP_COOKIE_RETURNS (1ULL << 33)

/* Keys of heap_sites that are no hash of a stack; no stack has them. */
/* Its stack found no room in the ring, or no room to be walked in. */
#define HEAP_SITE_UNTOLD 1ULL
/* heap_sites is full. */
#define HEAP_SITE_FULL 2ULL
#define HEAP_SITES_FIRST 16ULL

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
	__u32 heap_mode;      /* enum bpf_heap_mode */
	__u32 heap_mean;      /* bytes between two samples, 1 KiB to 4 MiB */
	__u64 code_generation;
	/* Text of the objects that the probes are in, absolute; nothing in it: { 0, 0 }. */
	struct {
		__u64 start, end;
	} heap_layers[HEAP_LAYERS_MAX];

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

	/* Of the heap; the programs', too. */
	__u64 unknown_frees;	 /* frees, in mode exact, of blocks that are not known */
	__u64 heap_blocks_full;	 /* allocations that found no room in heap_blocks */
	__u64 heap_sites_full;	 /* allocations charged to HEAP_SITE_FULL */
	__u64 heap_stacks_lost;	 /* allocations charged to HEAP_SITE_UNTOLD */
	__u64 heap_calls_missed; /* calls of threads beyond BPF_THREADS_MAX, or deeper than
				  * HEAP_DEPTH_MAX */
	__u64 mmap_count, mmap_bytes, munmap_count, munmap_bytes;
	__u64 brk_count;
	__s64 brk_bytes; /* sum of the increments */
};

/* What heap programs know of a thread of the target; key: tid. Only that thread writes it. */
struct bpf_heap_call_state {
	__u64 sp;	/* where the return address is */
	__u64 ip;	/* of the probe */
	__u64 site;	/* hash of the stack */
	__u64 size;	/* that was asked for */
	__u64 out;	/* HEAP_CALL_POSIX_MEMALIGN: &p */
	__u64 old;	/* HEAP_CALL_REALLOC: the block, which is not tracked meanwhile */
	__u64 old_site; /* 0: it was not known */
	__u64 old_size;
	__u32 old_weight;
	__u32 weight; /* 0: not sampled */
	__u32 call;   /* enum bpf_heap_call */
	__u32 old_tid;
};

struct bpf_heap_thread {
	__u64 start_time; /* of the task: another thread may have had this tid */
	/* Hits of probes: calls where the instruction is emulated, where it is single-stepped, and
	 * returns. */
	__u64 hits, stepped_hits, return_hits;
	__u64 free_hits;    /* of hits and stepped_hits: at HEAP_CALL_FREE */
	__u64 spent_ns;	    /* in the programs */
	__u64 last_block;   /* that it allocated, while it is its last one */
	__s64 until_sample; /* bytes; 0: no sample was drawn yet */
	__u32 depth;	    /* calls that are not over */
	__u32 exec_count;   /* low bits: calls of a program that was replaced do not return */
	struct bpf_heap_call_state calls[HEAP_DEPTH_MAX];
	/* The last call whose return is not waited for; the allocator may have called itself since.
	 */
	__u64 passed_sp, passed_ip, passed_return, passed_size;
};

/* In units of 1 / HEAP_ONE; bytes are bytes. */
struct bpf_heap_site {
	__u64 allocs, alloc_bytes;
	__u64 frees, free_bytes;
	/* Of these allocations: their free will not be seen (no room, or BPF_HEAP_ALLOCS). */
	__u64 untracked, untracked_bytes;
	__u64 temporary; /* frees by the thread that allocated the block, before it allocated again
			  */
	__u64 reallocs, growth_bytes; /* of these allocations: by realloc; how much larger */
	__u64 estimated;	      /* of allocs: with another weight than HEAP_ONE */
};

/* A block that lives; key: its address. */
struct bpf_heap_block {
	__u64 site;
	__u64 size;
	__u32 weight;
	__u32 tid;
	__u64 exec_count; /* a block of a program that was replaced is none */
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
	BPF_RECORD_HEAP_STACK = 5, /* struct bpf_sample: the stack of a key of heap_sites */
	BPF_RECORD_HEAP_COPY = 6,  /* struct bpf_copy: the same, for the reader to walk */
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
