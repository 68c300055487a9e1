/* The parts of the chart pane: what time it shows, what it draws of it, and how. */
#ifndef RSPROF_TUI_PANE_CHART_H
#define RSPROF_TUI_PANE_CHART_H

#include "reader/tui/pane.h"
#include "reader/view/axis.h"
#include "reader/view/series.h"

enum { CHART_LINES = 2 };

/* The time that is shown; end_ns: how far the recording goes, which may be before or after to_ns.
 */
struct chart_window {
	uint64_t from_ns, to_ns, end_ns;
	bool is_following; /* it goes on with the recording */
};

struct pane_chart {
	struct pane pane;
	/* What was asked of the feed last, which models follow late; only its chart_ fields. */
	bool has_asked;
	struct model_request asked;
	uint64_t cursor_ns; /* UINT64_MAX: at the end, wherever that goes */
	/* The lines, and what they are of. */
	const struct model *model;
	uint64_t serial;
	enum model_table table;
	struct row_key key;
	uint32_t row;
	struct series lines[CHART_LINES];
	int line_count;
};

/* Makes the lines anew where the model or the row is another. */
void pane_chart_refresh(struct pane_chart *chart, const struct pane_context *context);
struct chart_window pane_chart_window(const struct pane_chart *chart,
				      const struct pane_context *context);
/* The bucket that the cursor is in; SIZE_MAX: there is none. */
size_t pane_chart_cursor(const struct pane_chart *chart, const struct chart_window *window);
void pane_chart_draw(struct pane *pane, const struct pane_context *context, struct canvas *canvas,
		     struct area area);

/* ---- where things are in the pane */

struct chart_layout {
	struct area inside, plot;
	struct chart_window window;
	struct axis axis;
	enum series_unit unit;
	bool has_legend;
};

void chart_layout_init(struct chart_layout *layout, const struct pane_chart *chart,
		       const struct pane_context *context, struct area area);
/* Columns and times of the plot; a time outside of it is in no column, below 0 or too large. */
int chart_column(const struct chart_layout *layout, uint64_t time_ns);
uint64_t chart_time(const struct chart_layout *layout, int column);

/* ---- lines of dots */

/* 2 x 4 dots a cell, by rows: as canvas_braille has them. */
struct chart_plot {
	int width, height; /* cells */
	uint8_t *dots[CHART_LINES];
};

void chart_plot_init(struct chart_plot *plot, const struct pane_chart *chart,
		     const struct chart_layout *layout);
void chart_plot_done(struct chart_plot *plot);

#endif
