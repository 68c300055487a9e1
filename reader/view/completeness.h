/* Why stacks are not complete, as it stands behind their share: "99.1 % complete stacks (0.6 % no
 * mapping, 0.3 % truncated)". */
#ifndef RSPROF_VIEW_COMPLETENESS_H
#define RSPROF_VIEW_COMPLETENESS_H

#include "reader/util/str.h"
#include "reader/view/view.h"

/* Appends " (…)" with the two reasons that most samples have; nothing where all are complete. */
void completeness_add_reasons(struct str *line, const struct view *view);

#endif
