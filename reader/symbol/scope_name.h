/* What a function is called, out of its entry in the debug information. Private to the symbol
 * room. */
#ifndef RSPROF_SYMBOL_SCOPE_NAME_H
#define RSPROF_SYMBOL_SCOPE_NAME_H

#include "reader/symbol/dwarf_file.h"

/* The mangled name, demangled; else the plain name behind its namespaces and types; else NULL. */
const char *scope_name(struct dwarf_file *file, struct unit *unit, struct scope *scope,
		       struct intern *strings);

#endif
