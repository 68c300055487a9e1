/* Text in the cells of a table: clean, and as wide as there is room. */
#ifndef RSPROF_VIEW_CELL_H
#define RSPROF_VIEW_CELL_H

#include <stdbool.h>
#include <stddef.h>

#include "reader/util/str.h"

/* Does the locale show more than ASCII? */
bool cell_is_unicode(void);
/* "…", "·" and "–", or what stands for them in ASCII. */
const char *cell_ellipsis(void);
const char *cell_dot(void);
const char *cell_dash(void);

/* Appends a foreign string so that it can move no cursor in this locale. */
void cell_add_clean(struct str *to, const char *text);

/* Both take clean text and append at most `width` columns of it.
 * A path keeps its tail, whole components where possible: "…/de/mod.rs:89". */
void cell_add_path(struct str *to, const char *clean, size_t width);
/* A name keeps its last component: "…::Cache::insert". */
void cell_add_name(struct str *to, const char *clean, size_t width);

/* Spaces until the text that begins at byte `from` is `width` columns wide. */
void cell_pad(struct str *to, size_t from, size_t width);

#endif
