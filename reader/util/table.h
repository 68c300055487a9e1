/* Rows of text in aligned columns: numbers to the right, text to the left, foreign characters
 * scrubbed. Widths follow the first TABLE_ROWS_KEPT rows; what comes later is printed as it comes.
 */
#ifndef RSPROF_UTIL_TABLE_H
#define RSPROF_UTIL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
	TABLE_ROWS_KEPT = 1000, /* as much as one looks at; a longer result must not fill memory */
};

struct table;

/* Headings are copied. */
struct table *table_new(FILE *to, const char *const *headings, size_t column_count);
/* cells[i].text NULL is empty. A column is set to the right when its first cell with text is. */
struct table_cell {
	const char *text;
	bool is_number;
};
void table_add(struct table *table, const struct table_cell *cells);
/* Prints what is kept, and frees it. Without a row the headings alone. NULL allowed. */
void table_end(struct table *table);

#endif
