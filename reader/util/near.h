/* How far a mistyped word is from a known one, for "did you mean". */
#ifndef RSPROF_UTIL_NEAR_H
#define RSPROF_UTIL_NEAR_H

#include <stdbool.h>
#include <stddef.h>

enum {
	NEAR_EDITS_MAX = 2,   /* more edits than this are another word */
	NEAR_LENGTH_MAX = 64, /* longer words have no neighbours; bounds the work */
};

/* Insertions, deletions and replacements of bytes that turn a into b; SIZE_MAX where one of them is
 * longer than NEAR_LENGTH_MAX. */
size_t near_distance(const char *a, const char *b);

/* Is candidate closer than *best (start with NEAR_EDITS_MAX + 1)? Then *best becomes its distance.
 * A word of one or two letters is no neighbour of every other short word: at least one letter has
 * to be left as it was. */
bool near_is_better(const char *typed, const char *candidate, size_t *best);

#endif
