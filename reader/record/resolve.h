/* Late resolution: frames that a recording could not name before it was cut off are named when it
 * is read, where the file is still the same build. */
#ifndef RSPROF_RECORD_RESOLVE_H
#define RSPROF_RECORD_RESOLVE_H

#include "reader/core/snapshot.h"

/* Resolves what it can, charges the stacks anew and leaves in unresolved_count what it could not.
 */
void resolve_late(struct snapshot *snapshot);

#endif
