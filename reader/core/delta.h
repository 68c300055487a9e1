/* What one checkpoint hands over from the pump to the symbol thread and the writer: immutable,
 * counted, freed by the last who lets go. Everything in it is new since the delta before it, and
 * lives in its arena; modules are the table's own. */
#ifndef RSPROF_CORE_DELTA_H
#define RSPROF_CORE_DELTA_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/core/heap.h"
#include "reader/core/loss.h"
#include "reader/core/module.h"
#include "reader/core/stack_table.h"
#include "reader/core/wait_kind.h"
#include "reader/util/arena.h"

typedef struct {
	uint32_t v;
} thread_id;

struct delta_row {
	thread_id thread;
	stack_id stack;
	uint32_t event_index;
	enum wait_kind kind;   /* rows differ by it too */
	uint64_t count;	       /* samples; waits where the event is wait-time */
	uint64_t kernel_count; /* of these, hit in the kernel */
	uint64_t value;	       /* sum of the samples' values */
	uint64_t run_ns;       /* of wait-time: how long the thread ran before these waits */
};

/* Of the heap, in one checkpoint. */
struct delta_heap_row {
	stack_id stack;
	struct heap_counts counts;
	uint64_t peak_bytes; /* the most that was live at any time in it; 0: not known */
};

/* One (tid, name) pair: a thread that changes its name becomes a second row. */
struct delta_thread {
	thread_id id;
	uint32_t pid, tid;
	const char *comm;
};

/* From when on a signal came from which source, and why: a row of the table steps. */
struct delta_step {
	uint64_t time_ns; /* since the recording began */
	const char *signal, *mode, *reason;
};

/* The target beside its events, at the checkpoint's end. */
struct delta_process {
	uint64_t user_ms, system_ms; /* CPU time since the recording began, in clock ticks */
	uint64_t rss_bytes;
	uint64_t rss_anonymous_bytes;
	uint64_t cpu_ns; /* user and system, by the kernel's own clock */
};

struct delta {
	atomic_uint references;
	struct arena arena;
	uint32_t checkpoint; /* from 1 in this recording */
	uint64_t end_ns;     /* of the checkpoint, since the recording began */
	const struct delta_row *rows;
	size_t row_count;
	const struct delta_heap_row *heap_rows; /* each stack once */
	size_t heap_row_count;
	struct heap_state heap; /* at the last look; is_counted: that was in this checkpoint */
	const struct delta_thread *threads;
	size_t thread_count;
	const struct module *const *modules;
	size_t module_count;
	uint32_t first_frame, first_node, first_stack; /* ids of element 0 below */
	const struct stack_frame *frames;
	size_t frame_count;
	const struct stack_node *nodes;
	size_t node_count;
	const struct stack_leaf *stacks;
	size_t stack_count;
	const struct delta_step *steps;
	size_t step_count;
	struct losses losses; /* since the recording began */
	struct delta_process process;
};

struct delta *delta_new(void); /* one reference */
struct delta *delta_hold(struct delta *delta);
void delta_release(struct delta *delta); /* NULL allowed */

/* What resolution found for one place in the text: a line of a function. */
struct source_line {
	const char
		*function; /* demangled, hash dropped; "libc.so.6+0x2a1f0" where nothing is known */
	const char *file;  /* shortened; "[libc.so.6]" where there is no line */
	const char *path;  /* full, as DWARF has it; NULL where there is none */
	uint32_t line;	   /* 0 where there is none */
};

enum symbol_quality {
	SYMBOL_NONE = 0,     /* module+offset */
	SYMBOL_FUNCTION = 1, /* from an ELF symbol table */
	SYMBOL_LINE = 2,     /* from DWARF */
};

/* How a frame finds its caller at this instruction, told by unwind tables. */
enum frame_base {
	FRAME_BASE_UNKNOWN = 0, /* no table covers it */
	FRAME_BASE_POINTER = 1, /* by the frame pointer */
	FRAME_BASE_OTHER = 2,	/* by the stack pointer: a frame-pointer walk skips its caller */
};

struct resolved_frame {
	frame_id id;
	enum symbol_quality quality;
	enum frame_base base;
	const struct source_line *lines; /* innermost inlined call first, the function itself last;
					  * at least one */
	size_t line_count;
};

/* Whose frame a stack is charged to, and how good the stack turned out to be. */
struct stack_charge {
	stack_id id;
	frame_id frame; /* 0: none (no user frame) */
	uint32_t depth; /* index into that frame's lines */
	enum stack_status status;
};

/* What the symbol thread hands to the writer; lives in its arena. */
struct resolved_batch {
	struct resolved_batch *next;
	struct arena arena;
	const struct resolved_frame *frames;
	size_t frame_count;
	const struct stack_charge *charges;
	size_t charge_count;
};

void resolved_batch_free(struct resolved_batch *batch); /* this one only; NULL allowed */

#endif
