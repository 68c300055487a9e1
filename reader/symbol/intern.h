/* Strings kept once, at an address that never changes. Private to the symbol room. */
#ifndef RSPROF_SYMBOL_INTERN_H
#define RSPROF_SYMBOL_INTERN_H

#include "reader/util/arena.h"
#include "reader/util/hash.h"
#include "reader/util/vec.h"

/* Zero-initialised is empty and usable. */
struct intern {
	struct arena arena;
	struct u64_map by_hash;
	VEC(const char *) strings;
};

/* The one copy of the text; it lives until intern_done. */
const char *intern(struct intern *table, const char *text);
void intern_done(struct intern *table);

#endif
