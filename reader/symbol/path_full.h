/* The full form of a path out of DWARF. Private to the symbol room. */
#ifndef RSPROF_SYMBOL_PATH_FULL_H
#define RSPROF_SYMBOL_PATH_FULL_H

/* A new string, for the caller to free: directory (may be NULL) joined to a relative path, without
 * `.`, `x/..` and doubled slashes. Lexical: no file is looked at. */
char *path_full(const char *path, const char *directory);

#endif
