/* The parts of the source pane: pane_source.c has what it knows and where things are,
 * pane_source_draw.c how it looks, pane_source_keys.c what keys do. Private to them. */
#ifndef RSPROF_TUI_PANE_SOURCE_H
#define RSPROF_TUI_PANE_SOURCE_H

#include "reader/tui/pane.h"
#include "reader/view/annotate_page.h"

enum { SOURCE_GAP = 2 }; /* between columns */

struct source_pane {
	struct pane pane;
	struct row_key of;
	struct annotation *annotation; /* NULL: nothing known yet */
	struct source_text source;
	bool is_read; /* the file was looked for */
	uint64_t serial;
	char message[256];  /* why there is no annotation */
	size_t cursor, top; /* rows */
	uint32_t line;	    /* the cursor's: rows may come in before it */
	bool is_placed;	    /* top is meant; else the cursor is in the middle */
	size_t left;	    /* first column of the text that is shown */
};

struct source_column {
	const char *heading;
	int width;
	void (*add)(struct str *cell, const struct annotate_line *line);
};

/* Where things are in an area. */
struct source_layout {
	struct area inside, body;
	struct source_column columns[4];
	size_t column_count;
	int mark, number, number_width, text; /* from the left */
	size_t row_count, top;
	bool has_note;
};

static inline struct source_pane *source_pane_of(struct pane *pane)
{
	return (struct source_pane *)pane;
}

struct source_layout source_pane_lay_out(const struct source_pane *source, enum model_table table,
					 struct area area);
/* The first row that is shown. */
size_t source_pane_top(const struct source_pane *source, size_t row_count, size_t height);
/* The share that the view is about. */
double source_pane_share(const struct annotate_line *line, enum model_table table);

void source_pane_draw(struct pane *pane, const struct pane_context *context, struct canvas *canvas,
		      struct area area);
struct pane_answer source_pane_act(struct pane *pane, const struct pane_context *context,
				   const struct input *input, struct area area);

#endif
