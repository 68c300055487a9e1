/* Rust legacy and v0, C++: through libiberty, hashes dropped. */
#ifndef RSPROF_SYMBOL_DEMANGLE_H
#define RSPROF_SYMBOL_DEMANGLE_H

/* A new string, for the caller to free: demangled, or a copy where the name is not mangled. */
char *demangle(const char *name);

#endif
