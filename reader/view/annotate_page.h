/* Annotated source as it is shown: which lines, and what stands beside them. */
#ifndef RSPROF_VIEW_ANNOTATE_PAGE_H
#define RSPROF_VIEW_ANNOTATE_PAGE_H

#include <stdio.h>

#include "reader/util/str.h"
#include "reader/util/vec.h"
#include "reader/view/annotate.h"
#include "reader/view/source_text.h"
#include "reader/view/view.h"

enum {
	ANNOTATE_CONTEXT = 3,	    /* lines around those that have anything */
	ANNOTATE_CONTEXT_LINE = 10, /* lines around a single one */
};

struct annotate_page {
	const struct snapshot *snapshot;
	const struct annotation *annotation;
	const struct source_text *source;
	const struct annotate_target *target;
	uint32_t context;
};

/* ---- every line: those of the text, then those that have anything and are not in it */

size_t annotate_row_count(const struct annotation *annotation, const struct source_text *source);
/* Its number; 0 where that is not known. row is below the count. */
uint32_t annotate_row_line(const struct annotation *annotation, const struct source_text *source,
			   size_t row);
/* The row of that line, the nearest one where it has none. */
size_t annotate_row_of(const struct annotation *annotation, const struct source_text *source,
		       uint32_t line);

/* ---- what stands in a cell; line may be NULL. Nothing, or a dash, where the line has nothing */

void annotate_add_self(struct str *cell, const struct annotate_line *line);
void annotate_add_incl(struct str *cell, const struct annotate_line *line);
void annotate_add_live(struct str *cell, const struct annotate_line *line);
void annotate_add_wait(struct str *cell, const struct annotate_line *line);
/* "unchanged since recording", "changed since recording", "source not found". */
const char *annotate_state(const struct source_text *source);
/* Heading of the self share: "CPU%". */
const char *annotate_heading(const struct annotation *annotation);

/* ---- the lines that are asked for */

typedef VEC(uint32_t) annotate_numbers;

/* Their numbers, in order. */
void annotate_page_lines(const struct annotate_page *page, annotate_numbers *numbers);

void annotate_print_text(FILE *to, const struct annotate_page *page,
			 const struct view_print *print);
void annotate_print_json(FILE *to, const struct annotate_page *page);
void annotate_print_csv(FILE *to, const struct annotate_page *page);

#endif
