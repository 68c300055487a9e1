/* The parts of the table pane: what its rows are, which columns have room, in which order rows are,
 * and how they look. pane.h has what the screen sees of it. */
#ifndef RSPROF_TUI_PANE_TABLE_H
#define RSPROF_TUI_PANE_TABLE_H

#include "reader/tui/pane.h"
#include "reader/view/place.h"

enum table_column {
	COLUMN_SHARE, /* CPU%, Wait%: what samples and waits are ranked by */
	COLUMN_LIVE_PCT,
	COLUMN_INCL,
	COLUMN_LIVE,
	COLUMN_PEAK,
	COLUMN_TOTAL,
	COLUMN_ALLOCS,
	COLUMN_TEMPORARY,
	COLUMN_WAIT,
	COLUMN_WAITS,
	COLUMN_RAN,
	COLUMN_KIND,
	COLUMN_FUNCTION,
	COLUMN_LOCATION,
	COLUMN_THREAD,
	COLUMN_TREND,
	TABLE_COLUMNS
};

/* One table of one model. */
struct table_source {
	const struct model *model; /* NULL: there is none yet */
	enum model_table table;
	const struct view *view;      /* of samples and waits; NULL: not recorded */
	const struct heap_view *heap; /* likewise */
	const struct model_rows *rows;
	size_t count;
	bool is_by_thread;
};

void table_source_init(struct table_source *source, const struct model *model,
		       enum model_table table);
struct row_place table_place(const struct table_source *source, uint32_t row);
/* By what rows are sorted, a column of numbers; grows with them. */
uint64_t table_number(const struct table_source *source, enum table_column column, uint32_t row);
/* Of a column of text. */
const char *table_text(const struct table_source *source, enum table_column column, uint32_t row);
bool table_column_is_text(enum table_column column);
const char *table_heading(const struct table_source *source, enum table_column column);
/* What the model itself has its rows sorted by. */
enum table_column table_rank_column(enum model_table table);

/* ---- which rows there are, in which order */

struct table_order {
	uint32_t *rows; /* of the model's table */
	size_t count, capacity;
};

void table_order_done(struct table_order *order);
/* The rows that the filter lets through; numbers fall, text rises, is_reversed the other way. */
void table_order_build(struct table_order *order, const struct table_source *source,
		       const char *filter, enum table_column by, bool is_reversed);

/* ---- which columns have room */

struct table_cell {
	enum table_column column;
	int line; /* of the row */
	int x, width;
	int heading_x;
};

struct table_layout {
	struct area inside, rows; /* of the frame; below the headings */
	struct table_cell cells[TABLE_COLUMNS];
	int cell_count;
	int row_lines;
	int visible; /* rows */
};

/* sorted: the column that has a mark beside its heading. */
void table_layout_init(struct table_layout *layout, const struct table_source *source,
		       struct area area, bool is_narrow, enum table_column sorted);

/* ---- the pane */

struct pane_table {
	struct pane pane;
	enum model_table table;
	bool is_narrow;
	enum table_column sorted;
	bool is_reversed;
	struct table_order order;
	/* What the order is of. */
	const struct model *model;
	uint64_t serial;
	char *filter;
	/* Until the first move no row is chosen, and none of the rows that come and go at first is
	 * followed. */
	bool is_chosen;
	bool is_kept_visible; /* else it was scrolled away from by the wheel */
	struct row_key key;   /* of the chosen row */
	size_t selected;      /* its rank */
	size_t top;	      /* rank of the first row that is shown */
};

/* For the screen: what pane_context.selected is to be after an update, when rows come and go. NULL:
 * none is chosen, as at first and after ACTION_UP on the first row. Valid until the next call. */
const struct row_key *pane_table_selected(const struct pane *pane);
void pane_table_draw(struct pane *pane, const struct pane_context *context, struct canvas *canvas,
		     struct area area);
/* Why there are no rows, and what to do about it. */
void pane_table_draw_words(const struct pane_context *context, const struct table_source *source,
			   const struct pane_table *table, struct canvas *canvas,
			   struct area inside);
/* Makes the order anew where it is of another model or filter. */
void pane_table_refresh(struct pane_table *table, const struct pane_context *context);

/* Scrolls so that the chosen row is seen, where that is wanted, and no room is left empty. */
void pane_table_scroll(struct pane_table *table, size_t visible);

#endif
