/* What the parts of the agent know of each other. RULES.md is the law for all of them.
 *
 *     hooks.c      malloc and its family, as the process calls them
 *     hooks_new.c  operators that do not come through malloc
 *     real.c       the functions that they stand before; the boot arena
 *     heap.c       counting: sites, blocks, samples, traces; heap_slow.c: where it takes more than
 *                  usual; sample.c: which ones are sampled
 *     shadow.c     the map from a block to its site and size
 *     region.c     the shared memory: made, laid out, given up
 *     lane.c       the places of threads in it; ring.c: their events
 *     life.c       beginning, fork, thread ends, dormant and awake
 *     unwind*.c    stacks: memos, walks, rules, modules (modules.h); site.c: their numbers
 *     cpu.c        CPU samples; timers.c: the timers of threads; signals*.c: the program's own
 *                  SIGPROF (signals_parts.h)
 *                  signal_stack.c: alternate stacks; thread_list.c: all threads
 *     threads.c    pthread_create: threads known from their beginning
 *     api.c        what include/rsprof/rsprof.h declares
 *     patch.c      relocation slots of objects that were bound before the agent came;
 *                  patch_load.c: of those that come later
 *     symbols.c    whether there is a symbol
 *     config.c     the environment
 *     lock.c       mlockall, which would fill the shared memory; limits that it would not fit in
 *     confine.c    seccomp; signalfd.c: a file that timers would be read from
 *     sys.c        raw system calls and the few functions of C that are needed
 */
#ifndef RSPROF_AGENT_AGENT_H
#define RSPROF_AGENT_AGENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/rsprof/shm_abi.h"

#define AGENT_EXPORT __attribute__((visibility("default")))
#define AGENT_LIKELY(what) __builtin_expect(!!(what), 1)
#define AGENT_UNLIKELY(what) __builtin_expect(!!(what), 0)

enum {
	AGENT_FRAMES_MAX = 127, /* what --frames is by default; more are cut and said to be */
	AGENT_EVENTS_A_LOOK = 4096,
	AGENT_SITES_MAX = 1 << 18,
	/* glibc's chunks have at least 32 bytes: no two of them begin in the same 32. */
	AGENT_GRANULE_GLIBC = 5,
	AGENT_PART = 4, /* of what the program may have mapped, the agent takes no more than this */
	/* Shared events of a thread after which it asks for a lane again. */
	AGENT_LANE_RETRY = 4096,
};

/* The agent's memory beside a lane's shared part; private, never given back before the process
 * ends: the next owner finds it warm. */
struct agent_lane {
	struct rsprof_shm_lane *shared;
	struct rsprof_shm_counts *counts; /* of this lane, by site */
	struct rsprof_shm_event *ring;
	uint64_t ring_mask;
	uint32_t index;
	bool is_shared; /* of threads that have none of their own, and of handlers that interrupt
			 * the agent: atomics only, no memos */
	uint32_t generation;		   /* of the process that memos are of */
	uint32_t parts_generation;	   /* that counts and ring are of; 0: they are not mapped */
	uint64_t counts_bytes, ring_bytes; /* of their mappings */
	uint64_t random;		   /* of the owner */
	char *signal_stack;		   /* of signal_stack.c; NULL: none yet */
	void *memos; /* unwind_memo_bytes() of zeroed memory when first used; NULL for the shared
		      * one */
	/* That is reserved: above shared->head while an event is written. */
	_Atomic uint64_t ring_next;
};

/* Of each thread. Small, since an LD_PRELOADed or dlopen'ed library gets little of the initial-exec
 * TLS: at most 96 bytes with all other thread-local variables. */
struct agent_thread {
	struct agent_lane *lane; /* NULL: none yet */
	/* The stack that the thread was given, [low, high). Both 0: not known yet. */
	uintptr_t stack_low, stack_high;
	/* The frame of a hook that is at its bookkeeping; 0: none is. A handler that comes in then
	 * counts in the shared lane. Where it is below the stack pointer of another hook, it is
	 * dead (longjmp). */
	uintptr_t busy_frame;
	/* The agent is calling into libc on its own behalf: hooks pass through. */
	uint32_t internal_depth;
	uint32_t tid;
	uintptr_t last_block; /* that this thread allocated last; for temporaries */
	uint64_t last_slot;   /* and what shadow.c knows of it */
	int64_t left; /* bytes until the next sample (SAMPLED), else events until a look at the
		       * lease */
	/* agent_state.is_on when a lane of its own was got; 0: it has none. Another one's lane is
	 * gone. */
	uint32_t generation;
	uint16_t flags;		/* AGENT_THREAD_… */
	uint16_t shared_events; /* that were counted in the shared lane */
};
_Static_assert(sizeof(struct agent_thread) <= 80, "all thread-local variables have 96 bytes");
enum {
	/* Its lane is given back; what still comes is counted in the shared one. */
	AGENT_THREAD_ENDED = 1,
	AGENT_THREAD_CLAIMING = 2, /* is at getting one */
	AGENT_THREAD_DRAWN = 4,	   /* `left` leads to its first sample */
};
extern __thread struct agent_thread agent_thread
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* On pages that the kernel zeroes in a forked child (MADV_WIPEONFORK), however it is forked:
 * nothing of the parent's shared memory is written to from there. */
struct agent_state {
	/* Hooks count: agent_process.fork_count + 1. 0 while starting, dormant, paused, off, and in
	 * a child that has not begun anew. */
	_Atomic uint32_t is_on;
	_Atomic uint32_t phase; /* enum agent_phase; 0 after fork */
	struct rsprof_shm_header *header;
	struct rsprof_shm_control *control;
	struct rsprof_shm_lane *lanes;
	_Atomic uint64_t *sites;
	uint8_t *stacks;
	uint64_t stacks_bytes;
	struct rsprof_shm_module *modules;
	uint32_t module_max;
	uint32_t heap;	     /* enum rsprof_shm_heap */
	uint32_t generation; /* what is_on is when it is on */
	_Atomic uint64_t
		*lease; /* control.lease_ns where a reader may wake a dormant agent, else NULL */
	uint64_t lease_past;		 /* a lease up to here wakes nobody */
	_Atomic uint32_t is_paused;	 /* blocks are not counted, but frees of counted ones are */
	_Atomic uint64_t lanes_taken[4]; /* a bit each */
	_Atomic uint32_t lane_misses;
	_Atomic uint32_t shared_ring_busy; /* tid of who is at it */
	bool is_tsc;			   /* agent_clock()'s */
};
enum agent_phase {
	AGENT_FRESH = 0,
	AGENT_BEGINNING = 1, /* one thread is at it */
	AGENT_READY = 2,     /* state and header tell the rest */
	AGENT_FAILED = 3,    /* the program runs on, unprofiled */
};
/* Has pages of its own. */
extern union agent_page {
	struct agent_state state;
	char bytes[4096];
} agent_page __attribute__((visibility("hidden")));
#define agent_state (agent_page.state)

/* Survives fork. */
struct agent_process {
	uint32_t fork_count;   /* how often this process is a child of one with the agent */
	uint32_t granule_bits; /* AGENT_GRANULE_GLIBC with its malloc, else 3 */
	uintptr_t main_stack_high;
	/* The shared memory of this process or, before it has begun anew, of its parent; but for
	 * what is each lane's. */
	void *region;
	uint64_t region_bytes;
	int region_fd;
	uint64_t region_device, region_inode;
	uint32_t pid;
	bool is_wiped_on_fork; /* agent_page is */
};
extern struct agent_process agent_process __attribute__((visibility("hidden")));

/* The environment and what the linked program asked for, read once. */
struct agent_config {
	bool is_dormant; /* RSPROF_AGENT=dormant, or inherited from a process that rsprof runs */
	bool is_off;	 /* RSPROF_AGENT=off */
	bool is_verbose;
	uint8_t heap;		/* enum rsprof_shm_heap; RSPROF_HEAP=exact|sampled|trace|off */
	uint32_t cpu_frequency; /* RSPROF_CPU_FREQ; 0: no timers */
	uint64_t sample_bytes;	/* RSPROF_HEAP_SAMPLE, 512 KiB */
	int shm_fd;		/* RSPROF_SHM_FD: an empty memfd from `rsprof run`; -1: none */
	uint32_t shm_pid; /* RSPROF_SHM_PID: of the process that it runs, whatever that becomes by
			     exec */
};
extern struct agent_config agent_config __attribute__((visibility("hidden")));

/* ---- life.c */

/* From the constructor, from a hook that comes before it, and by a child after fork. Idempotent,
 * any thread, in a signal handler, too. true: is_on. */
bool agent_begin(void);
/* This thread's lane; the shared one where there is none left or the thread has said its end. Never
 * NULL while is_on. `is_nested`: within a hook's bookkeeping, or in a handler that may be. */
struct agent_lane *agent_lane_of(struct agent_thread *thread, bool is_nested);
/* Every AGENT_EVENTS_A_LOOK events of a thread: an agent that was woken sleeps again once nobody
 * reads. */
void agent_look_at_lease(void);
/* The program's wish (rsprof_pause …). */
void agent_pause(bool is_paused);
void agent_stop(enum rsprof_shm_reason reason);
/* As agent_stop, and of children, too: nothing in here asks for the shared memory again, but for
 * its header. */
void agent_end(enum rsprof_shm_reason reason);
/* By a child of vfork, whose actions, limits and wishes are its own and whose memory is the
 * parent's. */
bool agent_is_borrowed(void);
/* Something but is_on may call for agent_begin(): the process is new, or a reader waits for a
 * dormant one. */
static inline bool agent_is_called(void)
{
	_Atomic uint64_t *lease = agent_state.lease;

	if (lease)
		return atomic_load_explicit(lease, memory_order_relaxed) > agent_state.lease_past;
	return !atomic_load_explicit(&agent_state.phase, memory_order_relaxed);
}
/* One line to descriptor 2, only with RSPROF_VERBOSE=1. */
void agent_say(const char *what, const char *why);
/* Of a lane: its own or, shared, with atomics. */
void agent_lost(enum rsprof_shm_lost cause, uint64_t count);

/* ---- rings (ring.c) */

uint64_t agent_clock(void); /* by header.clock */
/* Bounded: waits by control only in TRACE and where may_wait. From the lane's own thread, also from
 * a handler that interrupts it anywhere; from anyone for the shared one. */
void agent_ring_put(struct agent_lane *lane, enum rsprof_shm_event_kind kind, uint32_t site,
		    uint64_t address, uint64_t value, bool may_wait);
/* Of an earlier time. */
void agent_ring_put_at(struct agent_lane *lane, uint64_t time, enum rsprof_shm_event_kind kind,
		       uint32_t site, uint64_t address, uint64_t value, bool may_wait);

/* ---- stacks (unwind.h has what is inlined) */

/* Registers of the frame that called the hook, at the return address. */
struct agent_frame {
	uintptr_t pc, sp, bp;
};
/* The number of the stack that begins with `leaf` and goes on with frame. Through the lane's memos,
 * or without where lane->is_shared. Never 0. */
uint32_t unwind_site(struct agent_thread *thread, struct agent_lane *lane, uintptr_t leaf,
		     const struct agent_frame *frame);
/* From what a signal interrupted (a ucontext_t); no memos. Never 0. */
uint32_t unwind_context_site(struct agent_thread *thread, const void *context);
/* Bytes of agent_lane.memos. */
size_t unwind_memo_bytes(void);
/* Once, before the first walk, and again in a forked child and in a new session: what is known of
 * sites is forgotten (numbers go on from header.next_site), rules are kept. */
bool unwind_begin(void);
/* Modules were unmapped: rules, memos and modules are looked at anew. */
void unwind_modules_changed(void);
/* Where the thread's stack is; called by threads.c at its beginning, else found out at its first
 * walk. */
void unwind_set_stack(struct agent_thread *thread, uintptr_t low, uintptr_t high);

/* ---- cpu.c, threads.c */

void cpu_begin(void); /* with agent_config.cpu_frequency; also in a forked child */
void cpu_thread_end(struct agent_thread *thread);
void cpu_end(void);

/* ---- config.c */

/* Reads the environment unless it has been read; what a linked program wants is written over it
 * after. false: the process has no environment yet. */
bool config_begin(void);

/* ---- sys.c: raw system calls that leave errno alone, -errno */

long sys_call(long number, long a, long b, long c, long d, long e, long f);
void *sys_map(size_t bytes); /* private, zeroed, not reserved, not in core dumps; NULL */
void sys_unmap(void *memory, size_t bytes); /* the whole of what sys_map gave */
/* Whether a mapping of the process is, as far as is remembered, a large one by sys_map(): these
 * never merge with the program's, whose core dumps have them. */
bool sys_is_mapped(uintptr_t start, uintptr_t end);
/* Of the large mappings. */
uint64_t sys_large_bytes(void);
void sys_release_large(void);
uint32_t sys_tid(void);
int sys_open(const char *path, int flags);
long sys_read(int fd, void *to, size_t bytes);
int sys_close(int fd);
/* Reads this process's memory, which may not be there; bytes read, or -errno. */
long sys_peek(uintptr_t from, void *to, size_t bytes);
uint64_t sys_monotonic_ns(void);

#endif
