/* The memory that the agent in a process shares with readers outside: THE layout. shm/FORMAT.md
 * says in which order it is written and read, and what is true when the process dies in between.
 *
 * It is a memfd named RSPROF_SHM_NAME, sparse, found through /proc/PID/fd. All positions are told
 * by the header's sections; nothing in here is a pointer. Numbers are of the machine that wrote
 * them.
 *
 * Versions: another major is another layout, and is refused. A minor only adds: fields behind the
 * ones that are here (strides and header_bytes tell), sections behind the last one, new numbers in
 * enums.
 *
 * Fields are written by the agent, and each by one thread at a time (the owner of a lane) or with
 * atomic instructions (where it says "shared"). A reader writes only struct rsprof_shm_control. */
#ifndef RSPROF_SHM_ABI_H
#define RSPROF_SHM_ABI_H

#include <stdint.h>

#define RSPROF_SHM_NAME "rsprof-agent"
/* `rsprof run` gives its child some, empty, from descriptor $RSPROF_SHM_FD on: each program that
 * the child becomes by exec takes the next one. So what a program did is there after its end,
 * however short it was. They are looked for so far from that number. */
enum { RSPROF_SHM_GIVEN = 4, RSPROF_SHM_GIVEN_SPAN = 16 };
/* "RSPROFSH" in memory. */
#define RSPROF_SHM_MAGIC UINT64_C(0x4853464f52505352)

enum { RSPROF_SHM_MAJOR = 1, RSPROF_SHM_MINOR = 0 };

enum rsprof_shm_section_id {
	RSPROF_SHM_CONTROL = 0, /* one struct rsprof_shm_control */
	RSPROF_SHM_LANES = 1,	/* struct rsprof_shm_lane */
	RSPROF_SHM_COUNTS = 2,	/* struct rsprof_shm_counts [lane][site] */
	RSPROF_SHM_SITES =
		3, /* uint64_t: where in STACKS the stack of a site is; 0: not told yet */
	RSPROF_SHM_STACKS = 4,	/* bytes: struct rsprof_shm_stack, each at a multiple of 8 */
	RSPROF_SHM_MODULES = 5, /* struct rsprof_shm_module */
	RSPROF_SHM_RINGS = 6,	/* struct rsprof_shm_event [lane][ring_events] */
	RSPROF_SHM_SECTIONS = 7,
	RSPROF_SHM_SECTIONS_MAX = 16,
};

struct rsprof_shm_section {
	uint64_t offset; /* in the memfd, a multiple of 4096 */
	uint64_t stride; /* bytes of an element */
	uint64_t count;	 /* elements: of all lanes together where they are by lane */
};

enum rsprof_shm_heap {
	RSPROF_SHM_HEAP_OFF = 0,
	RSPROF_SHM_HEAP_EXACT = 1,
	RSPROF_SHM_HEAP_SAMPLED = 2,
	RSPROF_SHM_HEAP_TRACE = 3, /* exact, and each event in the rings */
};

enum rsprof_shm_clock {
	RSPROF_SHM_CLOCK_MONOTONIC = 0, /* ns */
	RSPROF_SHM_CLOCK_TSC = 1,	/* of the time-stamp counter: the reader calibrates it */
};

enum rsprof_shm_state {
	RSPROF_SHM_STARTING = 0,
	RSPROF_SHM_ON = 1,
	RSPROF_SHM_DORMANT = 2, /* until a lease says that somebody reads */
	RSPROF_SHM_PAUSED = 3,	/* by the program itself */
	RSPROF_SHM_OFF = 4,	/* for good; `reason` says why */
};

enum rsprof_shm_reason {
	RSPROF_SHM_NO_REASON = 0,
	/* The executable has an allocator of its own, whose calls go past the hooks. */
	RSPROF_SHM_OWN_ALLOCATOR = 1,
	RSPROF_SHM_NO_MEMORY = 2,
	RSPROF_SHM_STOPPED = 3, /* by rsprof_stop() */
	/* The program confines itself (seccomp), and would be killed for the agent's system calls; or
	 * it allows itself less memory than the agent leaves. */
	RSPROF_SHM_CONFINED = 4,
};

/* Whole process, shared. */
enum rsprof_shm_lost {
	RSPROF_SHM_LOST_SITES = 0,  /* allocations and samples whose stack found no room: charged to
				     * RSPROF_SHM_SITE_FULL */
	RSPROF_SHM_LOST_BLOCKS = 1, /* allocations that could not be tracked for want of memory */
	RSPROF_SHM_LOST_MODULES = 2,   /* modules beyond the table */
	RSPROF_SHM_LOST_TIMERS = 3,    /* threads without a CPU timer */
	RSPROF_SHM_LOST_SAMPLES = 4,   /* CPU samples that found no lane */
	RSPROF_SHM_LOST_REENTRIES = 5, /* calls within the agent's own work that were not counted */
	RSPROF_SHM_LOST_CAUSES = 6,
	RSPROF_SHM_LOST_MAX = 16,
};

/* Numbers of sites with a meaning of their own; SITE_FIRST is the first that may have a stack. */
enum {
	RSPROF_SHM_SITE_NONE = 0,
	RSPROF_SHM_SITE_FULL = 1,      /* stacks that found no room */
	RSPROF_SHM_SITE_UNTRACKED = 2, /* blocks whose free cannot be told */
	RSPROF_SHM_SITE_FIRST = 16,
};

struct rsprof_shm_header {
	uint64_t magic; /* last of all that is constant, with release */
	uint16_t major, minor;
	uint32_t header_bytes;
	uint32_t section_count;
	uint32_t lane_count;
	uint32_t site_count;  /* sites a lane has counters for */
	uint32_t ring_events; /* of a lane; a power of two */
	uint32_t frames_max;
	uint32_t pid;		/* as the process sees it; may differ outside of its namespace */
	uint64_t start_time;	/* of the process: field 22 of /proc/PID/stat */
	uint64_t created_ns;	/* CLOCK_MONOTONIC */
	uint8_t heap;		/* enum rsprof_shm_heap */
	uint8_t clock;		/* enum rsprof_shm_clock: of the events */
	uint8_t is_forked;	/* from a process that had the agent on: has inherited blocks */
	uint8_t is_linked;	/* into the program, not preloaded */
	uint32_t cpu_frequency; /* of the timers; 0: none */
	uint64_t sample_bytes;	/* mean distance of samples (SAMPLED) */
	char version[16];	/* of the agent */
	char allocator[128];	/* path of what serves malloc */
	struct rsprof_shm_section sections[RSPROF_SHM_SECTIONS_MAX];
	uint64_t constant_end[4];

	/* ---- changes while it runs; shared */
	uint32_t state;	       /* enum rsprof_shm_state */
	uint32_t reason;       /* enum rsprof_shm_reason */
	uint32_t first_site;   /* of the session that is on: blocks of lower ones are from before
				* (inherited   by fork, or from before the agent slept); their frees
				* are   inherited ones */
	uint32_t next_site;    /* sites below may be told */
	uint32_t module_count; /* modules below are told */
	uint32_t module_epoch; /* how often modules were unmapped */
	uint64_t stacks_used;  /* bytes of STACKS */
	uint64_t lost[RSPROF_SHM_LOST_MAX];
};

/* Written by readers. */
struct rsprof_shm_control {
	/* Somebody reads, until then on CLOCK_MONOTONIC (only ever raised, atomically). Wakes a
	 * dormant agent, which sleeps again a while after it has passed. */
	uint64_t lease_ns;
	/* Somebody follows the rings, until then, and raises the lanes' tails: a full ring is worth
	 * waiting for (TRACE), by at most wait_us an event; then events are dropped. */
	uint64_t follow_ns;
	uint32_t wait_us;
	uint32_t reserved;
};

/* A thread's place, or of several threads after each other; its counts add up. */
struct rsprof_shm_lane {
	uint32_t owner;		  /* tid; 0: free. Shared */
	uint32_t flags;		  /* RSPROF_SHM_LANE_… */
	uint64_t head;		  /* events ever put into the ring; after the event, with release */
	uint64_t dropped;	  /* events that were not put in */
	uint64_t unknown_frees;	  /* of blocks that are not known */
	uint64_t inherited_frees; /* reserved: sites below first_site tell them */
	uint64_t samples;	  /* CPU samples, each with its weight */
	uint64_t reserved[2];
	uint64_t tail; /* written by the reader that follows: events below are read */
	uint64_t reserved_reader[7];
};

enum {
	RSPROF_SHM_LANE_SHARED = 1, /* of all threads that have none of their own; with atomics */
};

/* Of one site and lane, since the beginning; calls and bytes. In sampled mode estimates. */
struct rsprof_shm_counts {
	uint64_t allocs, alloc_bytes;
	uint64_t frees, free_bytes; /* of blocks that this site allocated, by this lane's threads */
	uint64_t temporary;	    /* of frees: before the same thread allocated again */
	uint64_t reallocs, growth_bytes; /* of allocs: by realloc; how much larger they became */
	uint64_t samples;		 /* of CPU */
};

/* The numbers are those of enum stack_status in the reader. */
enum rsprof_shm_status {
	RSPROF_SHM_COMPLETE = 0,
	RSPROF_SHM_BROKEN = 2,
	RSPROF_SHM_TRUNCATED = 3,
	RSPROF_SHM_NO_MAPPING = 4,
	RSPROF_SHM_NO_TABLE = 5,
	RSPROF_SHM_READ_ERROR = 6,
	RSPROF_SHM_EMPTY = 8,
	RSPROF_SHM_USED_FRAME_POINTERS = 9,
};

/* Immutable once SITES tells of it. */
struct rsprof_shm_stack {
	uint32_t site;
	uint16_t frame_count;
	uint8_t status; /* enum rsprof_shm_status */
	uint8_t reserved;
	uint32_t module_epoch; /* when it was walked */
	uint32_t module_count;
	/* Here frame_count addresses of 8 bytes follow, leaf first: the function that was called
	 * (malloc …) or the sampled instruction; then return addresses. */
};

/* Code that a stack has led through. Immutable once module_count tells of it, but for
 * removed_epoch. */
struct rsprof_shm_module {
	uint64_t start, end;  /* of the mapping of code */
	uint64_t file_offset; /* of start */
	uint64_t bias;	      /* address - bias is the ELF address */
	uint64_t inode;
	uint32_t device_major, device_minor;
	uint32_t added_epoch;
	uint32_t removed_epoch; /* 0: still there */
	uint32_t build_id_bytes;
	uint8_t build_id[36];
	char path[416]; /* ends with 0, cut if need be; the executable's is its real one; "[vdso]"
			 */
};

enum rsprof_shm_event_kind {
	RSPROF_SHM_EVENT_NONE = 0,
	RSPROF_SHM_EVENT_SAMPLE = 1, /* value: how many it stands for */
	RSPROF_SHM_EVENT_ALLOC = 2,  /* address, value: bytes */
	RSPROF_SHM_EVENT_FREE = 3, /* address, value: bytes; site: that allocated; NONE: unknown */
	RSPROF_SHM_EVENT_THREAD_START = 4,
	RSPROF_SHM_EVENT_THREAD_END = 5,
	RSPROF_SHM_EVENT_MARK = 6, /* address: offset in STACKS of a struct rsprof_shm_text */
};

struct rsprof_shm_event {
	uint64_t time; /* by header.clock */
	uint64_t address;
	uint64_t value;
	uint32_t site;
	uint32_t tid_kind; /* tid in the lower 24 bits, enum rsprof_shm_event_kind above */
};

struct rsprof_shm_text {
	uint32_t bytes;
	/* Here they follow. */
};

#if defined(__cplusplus)
#define RSPROF_SHM_ASSERT(what) static_assert(what, #what)
#else
#define RSPROF_SHM_ASSERT(what) _Static_assert(what, #what)
#endif
RSPROF_SHM_ASSERT(sizeof(struct rsprof_shm_section) == 24);
RSPROF_SHM_ASSERT(sizeof(struct rsprof_shm_lane) == 128);
RSPROF_SHM_ASSERT(sizeof(struct rsprof_shm_counts) == 64);
RSPROF_SHM_ASSERT(sizeof(struct rsprof_shm_stack) == 16);
RSPROF_SHM_ASSERT(sizeof(struct rsprof_shm_module) == 512);
RSPROF_SHM_ASSERT(sizeof(struct rsprof_shm_event) == 32);
RSPROF_SHM_ASSERT(sizeof(struct rsprof_shm_header) % 8 == 0);

#endif
