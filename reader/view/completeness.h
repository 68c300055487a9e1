/* Why stacks are not complete, as it stands behind their share: "99.1 % complete stacks (0.6 % no
 * mapping, 0.3 % truncated)". */
#ifndef RSPROF_VIEW_COMPLETENESS_H
#define RSPROF_VIEW_COMPLETENESS_H

#include "reader/core/event.h"
#include "reader/util/str.h"

/* Appends " (…)" with the two reasons that most samples have; nothing where all are complete.
 * samples are by status. */
void completeness_add_reasons(struct str *line, const uint64_t samples[STACK_STATUSES]);

#endif
