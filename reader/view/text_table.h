/* The rows of the table for people, with their headings. */
#ifndef RSPROF_VIEW_TEXT_TABLE_H
#define RSPROF_VIEW_TEXT_TABLE_H

#include <stdio.h>

#include "reader/view/view.h"

#define SGR_DIM "\033[2m"
#define SGR_BOLD "\033[1m"
#define SGR_WARM "\033[33m"
#define SGR_HOT "\033[31m"
#define SGR_END "\033[0m"

void text_print_table(FILE *to, const struct view *view, enum view_group group,
		      const struct view_print *print);

#endif
