/* The parts of JSON documents that all of them have. Lines are ended by ",\n", parts within a line
 * are not. */
#ifndef RSPROF_VIEW_JSON_PARTS_H
#define RSPROF_VIEW_JSON_PARTS_H

#include <stdint.h>
#include <stdio.h>

#include "reader/view/place.h"
#include "reader/view/view.h"

void json_share(FILE *to, const char *key, double share);
void json_text(FILE *to, const char *key, const char *text);

/* The bracket that opens the document, "file" and "duration_ms": lines. */
void json_head(FILE *to, const struct snapshot *snapshot);
/* Which source each signal had; a signal that the file does not speak of is left out. A line. */
void json_sources(FILE *to, const struct snapshot *snapshot);
/* Those that are not zero. A line. */
void json_losses(FILE *to, const struct losses *losses);
/* "stack_status", counts by enum stack_status. A line. */
void json_status(FILE *to, const uint64_t counts[STACK_STATUSES]);
/* "steps": from when on the signal came how. A line. */
void json_steps(FILE *to, const struct snapshot *snapshot, const char *signal);
/* The last keys of an entry, with the bracket that closes it. */
void json_place(FILE *to, const struct row_place *place);

#endif
