/* Two neighbouring checkpoints as one: the rows added up, everything new of both. */
#ifndef RSPROF_RECORD_DELTA_MERGE_H
#define RSPROF_RECORD_DELTA_MERGE_H

#include "reader/core/delta.h"

/* A new delta with the younger's number and end; the two stay the caller's. */
struct delta *delta_merge(const struct delta *older, const struct delta *younger);

#endif
