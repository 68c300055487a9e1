/* Source paths as people read them: src/foo.rs, serde/src/de/mod.rs, std/src/io/mod.rs. */
#ifndef RSPROF_SYMBOL_PATH_H
#define RSPROF_SYMBOL_PATH_H

/* A new string, for the caller to free. directory is DW_AT_comp_dir, or NULL. */
char *path_shorten(const char *path, const char *directory);

#endif
