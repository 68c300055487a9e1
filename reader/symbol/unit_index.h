/* One compilation unit: its functions and inlined calls as flat arrays, and its lines. Private to
 * the symbol room. */
#ifndef RSPROF_SYMBOL_UNIT_INDEX_H
#define RSPROF_SYMBOL_UNIT_INDEX_H

#include <elfutils/libdw.h>

#include "reader/symbol/elf_file.h"
#include "reader/symbol/line_table.h"
#include "reader/symbol/range_index.h"
#include "reader/util/vec.h"

#define SCOPE_NONE UINT32_MAX

/* A function, or a call that was inlined into its parent. */
struct scope {
	Dwarf_Off die;
	const char *name;	       /* for the caller: once it is asked for */
	uint32_t parent;	       /* SCOPE_NONE for a function that stands alone */
	uint32_t call_file, call_line; /* in the parent */
};

/* A namespace or type. */
struct container {
	const char *name; /* libdw's; NULL where it has none */
	uint32_t parent;
	bool is_namespace;
};

/* A function's entry that has no linkage name, and what it is declared in. */
struct home {
	Dwarf_Off die;
	uint32_t container;
};

/* A file of the unit's table, told when first asked for. */
struct unit_file {
	const char *path, *shown;
};

struct unit_files {
	struct unit_file *items;
	Dwarf_Files *table;
	size_t count;
	bool is_read;
};

struct unit {
	Dwarf_Die own;	/* the entry in the file itself */
	Dwarf_Die tree; /* the one with everything below: of the .dwo file for a skeleton */
	bool is_built;	/* whether what follows was read */
	VEC(struct scope) scopes;
	VEC(struct container) containers;
	VEC(struct home) homes;	  /* sorted by die */
	struct range_index index; /* of scopes */
	struct line_table lines;
	struct unit_files line_files, call_files; /* of own, of tree */
};

/* Reads scopes and names' places. Only ranges that begin in code count. */
void unit_build(struct unit *unit, const struct elf_file *code);
void unit_done(struct unit *unit);

/* The container of a function's entry, or SCOPE_NONE. */
uint32_t unit_home(const struct unit *unit, Dwarf_Off die);

#endif
