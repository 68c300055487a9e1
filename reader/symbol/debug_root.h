/* Where separate debug files lie. Private to the symbol room and its tests. */
#ifndef RSPROF_SYMBOL_DEBUG_ROOT_H
#define RSPROF_SYMBOL_DEBUG_ROOT_H

struct symbolizer;

/* Instead of /usr/lib/debug, for modules that have not been asked about yet. */
void symbolizer_set_debug_root(struct symbolizer *symbolizer, const char *root);

#endif
