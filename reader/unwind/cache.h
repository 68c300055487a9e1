/* Unwind tables of files, each built once: a file is known by device, inode, size, time of its last
 * change and build-id. All tables share one set of rules. One thread at a time. */
#ifndef RSPROF_UNWIND_CACHE_H
#define RSPROF_UNWIND_CACHE_H

#include <stdint.h>

#include "reader/unwind/table.h"

enum {
	/* Files, those without a table included. A browser maps some hundreds; a target that maps
	 * new ones for ever is bounded. */
	UNWIND_CACHE_FILES_MAX = 8192,
};

struct unwind_cache;

struct unwind_cache *unwind_cache_new(void);
void unwind_cache_free(struct unwind_cache *cache);
/* The table lives as long as the cache. Errors as unwind_table_build, those about the contents
 * remembered as tables are; and
 * -EAGAIN: the file changed while it was read; -ENOSPC: the cache is full. */
int unwind_cache_get(struct unwind_cache *cache, int fd, const struct unwind_table **ret_table);
/* Without building: 0 or the error that is remembered; -ENOENT where the file was never asked for.
 */
int unwind_cache_find(const struct unwind_cache *cache, int fd,
		      const struct unwind_table **ret_table);
const struct unwind_rules *unwind_cache_rules(const struct unwind_cache *cache);
/* Files asked for that were not taken because the cache is full. */
uint64_t unwind_cache_full_count(const struct unwind_cache *cache);
/* Memory of all tables. */
uint64_t unwind_cache_bytes(const struct unwind_cache *cache);

#endif
