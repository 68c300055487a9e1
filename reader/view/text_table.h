/* A table for people: columns of numbers, then the place and the name of each row, fitted to the
 * terminal. */
#ifndef RSPROF_VIEW_TEXT_TABLE_H
#define RSPROF_VIEW_TEXT_TABLE_H

#include <stdio.h>

#include "reader/util/str.h"
#include "reader/view/place.h"
#include "reader/view/view.h"

#define SGR_DIM "\033[2m"
#define SGR_BOLD "\033[1m"
#define SGR_WARM "\033[33m"
#define SGR_HOT "\033[31m"
#define SGR_END "\033[0m"

enum {
	TEXT_COLUMNS_MAX = 6,
	TEXT_SHARE_WIDTH = 6, /* "100.0%" */
};

struct text_column {
	const char *heading;
	size_t width_min;
	bool is_text; /* and so to the left */
};

/* A row's cells, clean and not yet cut. */
struct text_cells {
	struct str columns[TEXT_COLUMNS_MAX];
	const char *colours[TEXT_COLUMNS_MAX]; /* of each column; NULL: none */
	struct str place, name;
};

/* Zero-initialised, then text_table_init, columns added by text_table_add_column, cells filled. */
struct text_table {
	enum view_group group;
	struct text_column columns[TEXT_COLUMNS_MAX];
	size_t column_count;
	struct text_cells *rows;
	size_t row_count;
};

void text_table_init(struct text_table *table, enum view_group group, size_t row_count);
void text_table_done(struct text_table *table);
void text_table_add_column(struct text_table *table, struct text_column column);
/* Fills the cells of place and name. By thread only the function, which is the thread's name. */
void text_cells_place(struct text_cells *cells, const struct row_place *place,
		      enum view_group group);
/* The colour of a share in percent, NULL where it has none. */
const char *text_heat(double share);
void text_table_print(FILE *to, const struct text_table *table, const struct view_print *print);

/* The rows of samples or waits. */
void text_print_rows(FILE *to, const struct view *view, enum view_group group,
		     const struct view_print *print);

#endif
