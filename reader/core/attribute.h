/* Who is charged: the first frame that is the user's own. One table of rules, as data
 * (attribute.c), with a version that the database remembers: a newer table recomputes old
 * recordings. */
#ifndef RSPROF_CORE_ATTRIBUTE_H
#define RSPROF_CORE_ATTRIBUTE_H

#include <stdbool.h>

/* Raise with every change to the rules. */
enum { ATTRIBUTE_VERSION = 1 };

/* Is this line internal: the allocator's, std's, core's, alloc's, libc's, the loader's? file is the
 * shortened one, path the full one (may be NULL), module the module's path. */
bool attribute_is_internal(const char *function, const char *file, const char *path,
			   const char *module);

/* Is this the function where a thread's stack begins (_start, start_thread, clone3 …)? */
bool attribute_is_root(const char *function, const char *module);

#endif
