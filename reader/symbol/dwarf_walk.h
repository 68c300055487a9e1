/* Stacks by libdw, from the registers of one moment and a copy of the stack's memory: what rsprof's
 * own walk is held against. Much slower than that, and for checks only. One thread at a time. */
#ifndef RSPROF_SYMBOL_DWARF_WALK_H
#define RSPROF_SYMBOL_DWARF_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/core/event.h"

struct dwarf_walk;

struct dwarf_walk_module {
	/* The same key is the same file, also after another dwarf_walk_set_modules: it is read
	 * once. */
	uint32_t key;
	const char *name;	     /* for libdw's own messages */
	int fd;			     /* stays the caller's; -1: the module is left out */
	uint64_t start, file_offset; /* of a mapping of its code */
};

struct dwarf_walk_copy {
	uint64_t address; /* of the first byte */
	const uint8_t *bytes;
	size_t size;
};

enum dwarf_walk_end {
	DWARF_WALK_ROOT,   /* a frame without caller was reached */
	DWARF_WALK_FULL,   /* pc_max frames, and there are more */
	DWARF_WALK_STOPPED /* libdw could not go on */
};

struct dwarf_stack {
	uint64_t *pcs; /* the caller's, of pc_max; leaf first, return addresses after the leaf */
	uint32_t pc_max, pc_count;
	enum dwarf_walk_end end;
	const char *reason; /* where it stopped: libdw's message, valid until the next walk */
};

struct dwarf_walk *dwarf_walk_new(void);
void dwarf_walk_free(struct dwarf_walk *walk);
/* Code of the target from now on; mappings of one file in one place belong together. Returns how
 * many could not be used: no ELF file of x86-64, damaged, or refused by libdw. */
size_t dwarf_walk_set_modules(struct dwarf_walk *walk, const struct dwarf_walk_module *modules,
			      size_t count);
/* Fills stack but for pcs and pc_max. Memory is the copy, and what the modules' files say of
 * segments that are not writable. Where a file's code has no unwind information, libdw would guess,
 * along rbp: the walk stops there. In code that is in no file there is nothing but rbp, and it goes
 * on. Always ends. */
void dwarf_walk_stack(struct dwarf_walk *walk, const struct event_registers *registers,
		      const struct dwarf_walk_copy *copy, struct dwarf_stack *stack);

#endif
