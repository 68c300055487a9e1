/* What a table of options says of itself: --help and the man page print the same words. */
#ifndef RSPROF_UTIL_OPT_HELP_H
#define RSPROF_UTIL_OPT_HELP_H

#include <stdio.h>

#include "reader/util/opt.h"
#include "reader/util/str.h"

/* Appends "-n, --top N". */
void opt_add_label(struct str *to, const struct opt *opt);
/* Appends the help, the values it takes, its default and its variable. */
void opt_add_notes(struct str *to, const struct opt *opt);
/* The whole table in two columns, --help last; table may be NULL. */
void opt_print_help(FILE *to, const struct opt *table);

#endif
