/* What tables for people say before and after their rows, whatever the rows are of. */
#ifndef RSPROF_VIEW_TEXT_HEAD_H
#define RSPROF_VIEW_TEXT_HEAD_H

#include "reader/util/fmt.h"
#include "reader/util/str.h"
#include "reader/view/place.h"
#include "reader/view/view.h"

/* "x.db   my-app (12345)   5m23s", the window in it; no end of line. */
void text_add_title(struct str *line, const struct snapshot *snapshot);
/* A share in words; one that is not whole never reads as 100.0. */
const char *text_share(char buffer[FMT_MAX], double share);
/* Says in which files the lines of the rows shown could not be found: a line, or nothing. */
void text_add_missing_lines(struct str *line, const struct snapshot *snapshot,
			    const struct row_place *places, size_t count);
/* "20 of 1,204 locations, 71.3 % of samples" */
void text_print_shown(FILE *to, enum view_group group, size_t row_count, size_t location_count,
		      double share, const char *what);
void text_print_losses(FILE *to, const struct snapshot *snapshot, bool colour);

#endif
