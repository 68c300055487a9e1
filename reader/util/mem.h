/* Memory of the reader. Out of memory ends rsprof with one sentence (exit 1): what a recording
 * has committed stays readable, and the target does not depend on us. */
#ifndef RSPROF_UTIL_MEM_H
#define RSPROF_UTIL_MEM_H

#include <stddef.h>

void *mem_alloc(size_t bytes) __attribute__((malloc, returns_nonnull));
void *mem_zalloc(size_t bytes) __attribute__((malloc, returns_nonnull));
/* items * size, checked for overflow. */
void *mem_array(size_t items, size_t size) __attribute__((malloc, returns_nonnull));
void *mem_grow(void *block, size_t items, size_t size) __attribute__((returns_nonnull));
/* NULL gives NULL. */
char *mem_strdup(const char *text);
void *mem_copy(const void *from, size_t bytes);

#endif
