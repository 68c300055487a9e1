/* Where events come from. A source is a struct of ops, one instance a file (src_perf.c,
 * src_replay.c …); NULL = not supported. open, start and the first set_code come from main's
 * thread, before the pump runs; all else comes from the pump's. */
#ifndef RSPROF_SOURCE_SOURCE_H
#define RSPROF_SOURCE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/core/delta.h"
#include "reader/core/event.h"
#include "reader/core/event_kind.h"
#include "reader/core/heap.h"
#include "reader/target/target.h"
#include "reader/unwind/table.h"
#include "reader/util/arena.h"
#include "reader/util/err.h"

enum { SOURCE_EVENTS_MAX = 8 };

struct source_config {
	const struct target *target; /* NULL for a replay */
	bool start_on_exec;	     /* the target is a child of ours that has not exec'ed yet */
	const struct event_kind *events[SOURCE_EVENTS_MAX];
	size_t event_count;
	uint32_t frequency;	   /* Hz, for events that are sampled by time or period */
	uint32_t frames_max;	   /* --frames */
	uint32_t stack_bytes;	   /* --stack-copy; 0: stacks along frame pointers */
	uint64_t buffer_bytes;	   /* --buffer, all rings together */
	uint64_t unwind_bytes;	   /* --unwind-memory, for tables in the kernel */
	uint32_t overhead_max_pct; /* --max-overhead */
	/* --heap. HEAP_MODE_OFF: the heap is not counted; the source may count less than is asked
	 * for and says so (next_step, notes). */
	enum heap_mode heap;
	bool heap_is_asked;	    /* by name: not what auto stands for */
	bool heap_is_forced;	    /* never step down, whatever it costs */
	uint32_t heap_sample_bytes; /* --heap-sample: mean distance of samples */
	uint32_t heap_blocks_max;   /* --heap-blocks: that are tracked at a time */
	uint32_t heap_stacks_max;   /* --heap-stacks: distinct ones that allocate */
	const char *replay_path;
	/* Of source_agent, which serves the heap. Who serves the other events beside it, by rings
	 * of its own; NULL: the agent's timers, or nobody. */
	const struct source_ops *beside;
	/* The memfds that a child was given to put its agent's memory in: the programs that it
	 * becomes take them one after the other. */
	const int *agent_fds;
	size_t agent_fd_count;
	/* Of a trace: how long the target may wait, at one event, for a reader that falls behind;
	 * then, and always where it is 0, events are dropped and counted. */
	uint32_t heap_wait_us;
};

/* Code that is mapped in the target, for sources that walk stacks themselves. */
struct source_code {
	uint64_t start, end;		  /* absolute */
	uint64_t bias;			  /* absolute address - bias is the ELF address */
	const struct unwind_table *table; /* NULL: none; lives until the source is stopped */
};

/* What a source has to say of itself once it is open; strings in the arena given to describe. */
struct source_facts {
	const char *name;	  /* "perf" */
	const char *stacks;	  /* how stacks are read: "frame pointers" */
	bool user_time_only;	  /* kernel time may not be sampled */
	const char *const *notes; /* whole sentences: what was asked for and is not so */
	size_t note_count;
	uint64_t buffer_bytes; /* what was really got */
	uint32_t threads_opened;
	uint32_t copy_bytes;   /* how much of a stack it copies at most, for the pump to walk */
	enum heap_mode heap;   /* as it begins */
	const char *heap_name; /* who counts it: "agent"; NULL: name */
	/* What serves the target's memory and where it is watched ("glibc malloc in libc.so.6: 10
	 * functions"), or why the heap is not counted. NULL where it was not asked for. */
	const char *heap_reason;
};

typedef void (*source_sink)(void *context, const struct event *event);

struct source;

struct source_ops {
	const char *name;
	/* ERR_USAGE for an event that cannot be counted here, ERR_PERMISSION with the remedy. */
	int (*open)(const struct source_config *config, struct source **ret_source,
		    struct err *err);
	/* Events flow from here on (where they do not start on exec). */
	int (*start)(struct source *source, struct err *err);
	/* Hands over all that is there now. In order within a ring, not across rings; records
	 * already there when drain is called are all handed over, whichever ring they are in. */
	int (*drain)(struct source *source, source_sink sink, void *context);
	/* Waits until it is worth draining, timeout_ms or until wake_fd is readable. */
	void (*wait)(struct source *source, int wake_fd, int timeout_ms);
	/* Both NULL for a source that leaves walking to the pump. code_epoch first, then the
	 * target's mappings are read, then set_code takes them all, sorted by start: what has been
	 * mapped since an exec in between is not theirs. */
	uint64_t (*code_epoch)(struct source *source);
	void (*set_code)(struct source *source, uint64_t epoch, const struct source_code *code,
			 size_t count, const struct unwind_rules *rules);
	/* A step since the last call (the cost of waits was too high); false: none. Times are
	 * CLOCK_MONOTONIC, strings live until the source is closed. NULL: there never are. */
	bool (*next_step)(struct source *source, struct delta_step *ret_step);
	/* A replay says when its events are over; NULL: never by itself. */
	bool (*is_over)(const struct source *source);
	/* No more events; what is in the rings can still be drained. Losses only known at the end
	 * are delivered by the next drain as EVENT_LOST. */
	void (*stop)(struct source *source);
	void (*describe)(const struct source *source, struct arena *arena,
			 struct source_facts *ret_facts);
	void (*close)(struct source *source);
};

/* The first member of every source. */
struct source {
	const struct source_ops *ops;
};

extern const struct source_ops source_agent;
extern const struct source_ops source_bpf;
extern const struct source_ops source_perf;
extern const struct source_ops source_replay;

#endif
