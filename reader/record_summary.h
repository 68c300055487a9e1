/* What a recording has to say at its end. */
#ifndef RSPROF_RECORD_SUMMARY_H
#define RSPROF_RECORD_SUMMARY_H

#include <stdint.h>
#include <stdio.h>

#include "reader/util/err.h"

/* The first rows of each table, from the finished file, as `rsprof top` reads it: the two cannot
 * disagree. began_ns: when rsprof did, for what it cost. */
int record_print_summary(FILE *to, const char *output, uint64_t began_ns, struct err *err);
/* Where its rows were on the screen a moment ago: what it cost and where it is. */
void record_print_end(FILE *to, const char *output, uint64_t began_ns);

#endif
