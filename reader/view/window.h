/* Which part of a recording is read: --since, --until and --window. */
#ifndef RSPROF_VIEW_WINDOW_H
#define RSPROF_VIEW_WINDOW_H

#include <stdint.h>

#include "reader/util/err.h"

struct window_request {
	uint64_t since_ns;  /* the last so much; 0: not asked for */
	uint64_t until_ns;  /* the first so much; 0: not asked for */
	const char *window; /* "A..B" from the start, either may be left out; NULL: not asked for */
};

/* The part of duration_ns that is meant; *ret_to_ns is UINT64_MAX where it is open. ERR_USAGE for
 * what is malformed, empty or beyond the end. */
int window_resolve(const struct window_request *request, uint64_t duration_ns,
		   uint64_t *ret_from_ns, uint64_t *ret_to_ns, struct err *err);

#endif
