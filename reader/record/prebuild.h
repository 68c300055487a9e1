/* Unwind tables of a program that is about to be started, so that they are there when it has
 * mapped its files: its first milliseconds are otherwise over before their tables are built. */
#ifndef RSPROF_RECORD_PREBUILD_H
#define RSPROF_RECORD_PREBUILD_H

#include <stddef.h>

#include "reader/unwind/cache.h"

/* Puts into the cache the tables of the executable (of a script: of its interpreter), of its
 * loader, and of the libraries that it needs, as far as they are found where the loader looks
 * first; and of the usual parts of libc. What is missing, damaged or beyond the bounds is passed
 * over. Returns how many files have a table. */
size_t prebuild(struct unwind_cache *cache, const char *executable);

#endif
