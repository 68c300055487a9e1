/* The entries below a unit's own, each once, in the order of the file. Private to the symbol room.
 *
 * Asking libdw for the next sibling makes it read everything below an entry first, unless the
 * compiler left a shortcut, which LLVM never does; done at each level that costs the depth of the
 * tree times its size. This walk goes down first, so that the next sibling is always near. */
#ifndef RSPROF_SYMBOL_DIE_WALK_H
#define RSPROF_SYMBOL_DIE_WALK_H

#include <elfutils/libdw.h>
#include <stdbool.h>

enum {
	/* Deeper entries are passed over. Inlined calls nest some tens deep; what is beyond this
	 * was not written by a compiler. */
	DIE_DEPTH_MAX = 256,
};

struct die_walk {
	Dwarf *dwarf;
	Dwarf_Die die;	/* the entry the walk is at */
	unsigned depth; /* of it: 1 for the unit's children */
};

/* Begins at the unit's own entry, at depth 0. */
void die_walk_start(struct die_walk *walk, const Dwarf_Die *unit);
/* To the next entry: the first below this one if `into` is true, else the one behind it and all
 * below it. false at the end of the unit, and where it is damaged. */
bool die_walk_next(struct die_walk *walk, bool into);

#endif
