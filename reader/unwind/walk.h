/* Walks a stack from the registers of one moment and a copy of the stack's memory. */
#ifndef RSPROF_UNWIND_WALK_H
#define RSPROF_UNWIND_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/core/event.h"
#include "reader/unwind/table.h"

enum {
	/* A handler may be interrupted by another signal's, but nobody nests them this deep; what
	 * does is a stack that leads into itself. */
	UNWIND_SIGNALS_MAX = 16,
};

struct unwind_registers {
	uint64_t rip;
	uint64_t general[EH_REGISTERS]; /* by enum ehframe_register */
	uint32_t known;			/* bit r: general[r] was sampled; rsp must be */
};

struct unwind_copy {
	uint64_t address; /* of the first byte */
	const uint8_t *bytes;
	size_t size;
};

/* Where an absolute address is. */
struct unwind_place {
	const struct unwind_table *table; /* NULL: the code there has none */
	uint64_t bias;			  /* address - bias is the ELF address */
};

/* false where no mapping holds the address. */
typedef bool (*unwind_find_fn)(void *context, uint64_t address, struct unwind_place *ret_place);

struct unwind_walk {
	const struct unwind_rules *rules;
	unwind_find_fn find;
	void *context;
	/* Where there is no unwind information, follow rbp. It is right for code with frame
	 * pointers, and skips the caller of a function that has not set up its own. */
	bool may_use_frame_pointers;
};

struct unwind_stack {
	uint64_t *pcs; /* the caller's, of pc_max; leaf first, return addresses after the leaf */
	uint32_t pc_max, pc_count;
	/* STACK_COMPLETE: a frame without caller was reached. STACK_TRUNCATED: pc_max frames, and
	 * there are more. STACK_READ_ERROR: memory outside of the copy was needed.
	 * STACK_NO_MAPPING, STACK_NO_TABLE: at the last frame. STACK_BROKEN: its rule is not
	 * supported, or the stack does not ascend. */
	enum stack_status status;
	uint32_t frame_pointer_count; /* steps along rbp; where not 0, a frame may be missing */
	uint32_t signal_count;	      /* signal frames passed */
};

/* Fills stack but for pcs and pc_max (at least 1), which the caller sets. Always ends. */
void unwind_walk(const struct unwind_walk *walk, const struct unwind_registers *registers,
		 const struct unwind_copy *copy, struct unwind_stack *stack);

#endif
