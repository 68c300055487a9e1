/* What a source delivers: one record of one moment, on CLOCK_MONOTONIC. Pointers inside are valid
 * only during the call that hands the event over. */
#ifndef RSPROF_CORE_EVENT_H
#define RSPROF_CORE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "reader/core/heap.h"
#include "reader/core/loss.h"
#include "reader/core/wait_kind.h"

enum event_type {
	EVENT_SAMPLE,
	EVENT_MMAP,
	EVENT_COMM,	  /* with is_exec: the program was replaced, all mappings are gone */
	EVENT_FORK,	  /* a new thread; a new process where pid differs from parent_pid */
	EVENT_EXIT,	  /* a thread ended */
	EVENT_LOST,	  /* `count` of `cause` happened */
	EVENT_HEAP_STACK, /* a stack that allocates, and the number that it is called by from now on
			   */
	EVENT_HEAP_COUNTS, /* what was counted of one since the last time */
	EVENT_HEAP_STATE,  /* of the heap as a whole */
	EVENT_TYPES
};

/* How good a stack is. The numbers are stored in the database: append only. */
enum stack_status {
	STACK_COMPLETE = 0, /* the walk ended at the root of the thread */
	/* The kernel's walk along frame pointers; whether it is complete is decided from unwind
	 * tables and root functions after resolution. */
	STACK_FRAME_POINTERS = 1,
	STACK_BROKEN = 2,	 /* the walk ended before the root */
	STACK_TRUNCATED = 3,	 /* more frames than --frames keeps; the innermost are kept */
	STACK_NO_MAPPING = 4,	 /* an address in no known mapping */
	STACK_NO_TABLE = 5,	 /* code without unwind information */
	STACK_READ_ERROR = 6,	 /* the stack's memory could not be read */
	STACK_HIDDEN_CALLER = 7, /* a frame without frame pointer hides its caller */
	STACK_EMPTY = 8,	 /* no user frame at all */
	/* The root was reached, over frames without unwind information along the frame pointer: a
	 * caller may be missing. */
	STACK_USED_FRAME_POINTERS = 9,
	/* A wait that was counted without its stack: walking it would have cost too much, or it
	 * found no room. */
	STACK_NOT_WALKED = 10,
	STACK_STATUSES
};

/* Stable names: database and JSON. Indexed by enum stack_status. */
extern const char *const stack_status_names[STACK_STATUSES];

enum {
	EVENT_PATH_MAX = 4096,	/* PATH_MAX: the kernel reports no longer one */
	EVENT_COMM_MAX = 16,	/* TASK_COMM_LEN */
	EVENT_FRAMES_MAX = 511, /* what --frames allows */
	EVENT_REGISTERS = 16,
	EVENT_REGISTER_RSP = 7
};

/* The registers of a thread in user mode, by DWARF's numbers. */
struct event_registers {
	uint64_t rip;
	uint64_t general[EVENT_REGISTERS];
	uint32_t known; /* bit r: general[r] was sampled */
};

struct event {
	uint64_t time_ns;
	enum event_type type;
	uint32_t pid, tid;
	union {
		struct {
			const uint64_t *pcs; /* leaf first; return addresses after the leaf */
			uint32_t pc_count;
			uint32_t event_index; /* of the recorded events, in the order of -e */
			uint64_t value;	      /* in the event's unit; 1 for plain occurrences */
			/* Of a wait (the event wait-time), where value is the time waited. One
			 * event may stand for several waits of a thread in one stack. A thread that
			 * ended has run without a wait: waits and value are 0. */
			enum wait_kind wait_kind; /* WAIT_NONE: no wait, and one sample */
			uint64_t waits;
			uint64_t run_ns; /* that the thread ran before it waited */
			enum stack_status status;
			bool in_kernel; /* hit while the kernel worked for the thread */
			/* Where registers is not NULL, pcs holds the leaf alone: the stack is still
			 * to be unwound, from the copy of its memory at rsp. */
			const struct event_registers *registers;
			const uint8_t *stack;
			uint32_t stack_bytes;
		} sample;
		struct {
			uint64_t start, length, file_offset;
			uint64_t inode;
			uint32_t device_major, device_minor;
			bool is_executable;
			const char *path;
		} mmap;
		struct {
			const char *comm;
			bool is_exec;
		} comm;
		struct {
			uint32_t parent_pid, parent_tid;
		} fork;
		struct {
			uint64_t count;
			enum loss_cause cause;
		} lost;
		/* As a sample's; a site that is told again means the new stack from then on. */
		struct {
			uint64_t site;
			const uint64_t *pcs;
			uint32_t pc_count;
			enum stack_status status;
			const struct event_registers *registers;
			const uint8_t *stack;
			uint32_t stack_bytes;
		} heap_stack;
		struct {
			uint64_t site; /* one that was not told has no stack: STACK_NOT_WALKED */
			struct heap_counts counts;
			/* Of a trace: the most that was live of it at any time since the last one.
			 * 0: nobody knows. */
			uint64_t peak_bytes;
		} heap_counts;
		struct heap_state
			heap_state; /* live_bytes and live_blocks are left 0: the pump sums */
	};
};

#endif
