/* Everything that can be missing from a profile, by cause. Each has a counter that reaches the
 * database and every view; the sentence and its hint are told from this one table. */
#ifndef RSPROF_CORE_LOSS_H
#define RSPROF_CORE_LOSS_H

#include <stdint.h>

enum loss_cause {
	LOSS_RING_FULL,		 /* samples the kernel dropped because our ring was full */
	LOSS_THROTTLED,		 /* times the kernel throttled an event */
	LOSS_EVENTS_UNSAMPLED,	 /* events counted by the kernel that made no sample */
	LOSS_THREADS_NOT_OPENED, /* threads with no event open on some CPU (descriptors) */
	LOSS_SYSTEM_TIME_MS,	 /* target's system time that may not be sampled */
	LOSS_CPU_UNSAMPLED_MS,	 /* CPU time of the target that left no samples, where it is much */
	LOSS_LATE,	       /* records that came after their time was already flushed; kept, but
				* placed in a later checkpoint */
	LOSS_BAD_RECORD,       /* records of a shape that cannot be */
	LOSS_STACKS_FULL,      /* samples whose stack found no room in the stack table */
	LOSS_MODULES_FULL,     /* mappings beyond the module table */
	LOSS_ADDRESS_UNKNOWN,  /* frames whose address is in no known mapping; kept as [unknown] */
	LOSS_THREADS_FULL,     /* samples of threads beyond the thread table */
	LOSS_TABLES_FULL,      /* files whose unwind table found no room in the kernel's arena */
	LOSS_CODE_FULL,	       /* mappings of code beyond what the kernel's programs can look up */
	LOSS_WAITS_RING_FULL,  /* waits that found no room in the ring */
	LOSS_WAITS_UNWALKED,   /* waits without a stack: walking each one cost too much */
	LOSS_SWITCHES_MISSED,  /* switches that the kernel's tracepoint did not tell */
	LOSS_WAIT_THREADS,     /* switches of threads beyond what is watched for waiting */
	LOSS_HEAP_BLOCKS_FULL, /* allocations that found no room to be tracked: in totals, not live
				*/
	LOSS_HEAP_STACKS_FULL, /* allocations whose stack found no room among those that allocate */
	LOSS_HEAP_STACKS_LOST, /* allocations whose stack could not be told: ring full */
	LOSS_HEAP_CALLS_MISSED, /* calls of the allocator that could not be followed */
	LOSS_HEAP_TRACE,     /* events of the heap's trace that were dropped, or came too fast to be
				read */
	LOSS_TIMERS_MISSING, /* threads for which the agent got no CPU timer */
	LOSS_TIMER_SAMPLES,  /* samples of the agent's timers that found no place to be put */
	LOSS_CAUSES
};

enum loss_weight {
	LOSS_IS_LOST,  /* counts towards "lost N" */
	LOSS_IS_NOTED, /* shown, but nothing is missing from the counts */
};

struct loss_text {
	const char *name;   /* stable: database and JSON key */
	const char *unit;   /* "samples", "ms", "threads" … */
	const char *reason; /* "ring full" */
	const char *hint;   /* "lower --cpu-freq or raise --buffer"; may be "" */
	enum loss_weight weight;
};

/* Indexed by enum loss_cause. */
extern const struct loss_text loss_texts[LOSS_CAUSES];

struct losses {
	uint64_t count[LOSS_CAUSES];
};

/* The cause of that stable name, or LOSS_CAUSES. */
enum loss_cause loss_by_name(const char *name);
/* Sum of what counts as lost, in samples and events (never the milliseconds). */
uint64_t losses_total(const struct losses *losses);

#endif
