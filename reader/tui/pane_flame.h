/* Within the flame graph's pane: its state, and what its files give each other. */
#ifndef RSPROF_TUI_PANE_FLAME_H
#define RSPROF_TUI_PANE_FLAME_H

#include "reader/tui/pane.h"
#include "reader/util/vec.h"
#include "reader/view/flame.h"

struct pane_flame {
	struct pane pane;
	/* What the graph is of; made anew where one of these is another. */
	const struct model *model;
	uint64_t serial;
	enum model_table table;
	bool wants_other; /* of the heap what is not shown at first */
	bool is_allocated;

	bool is_there; /* there is a graph */
	struct flame flame;
	struct flame_boxes boxes; /* of the last layout */
	/* Hashes of names from the root on, and the nodes that they are now. Both depths are
	 * within; the root is at depth 0 and not in `names`. */
	VEC(uint64_t) names;
	VEC(uint32_t) path;
	size_t zoomed, selected;
	VEC(size_t) zooms; /* depths to go back to */
	int top;	   /* the first level that is shown */
	bool is_scrolled;  /* away from the selection, by the wheel */
	struct row_key key;
};

static inline uint32_t flame_zoomed(const struct pane_flame *pane)
{
	return pane->path.items[pane->zoomed];
}

static inline uint32_t flame_selected(const struct pane_flame *pane)
{
	return pane->path.items[pane->selected];
}

bool pane_flame_is_empty(const struct pane_flame *pane);
/* Makes the graph anew where the context has another model or table: the one it points into may be
 * gone as soon as there is another. Returns whether it did. */
bool pane_flame_refresh(struct pane_flame *pane, const struct pane_context *context);
void pane_flame_make(struct pane_flame *pane, const struct pane_context *context);

/* Levels that fit: within the frame, above the words of the selection. */
int pane_flame_rows(struct area area);
/* Writes pane->boxes: what is seen, and one level more to know whether there is one. Returns the
 * first level that is shown. */
int pane_flame_lay(struct pane_flame *pane, struct area area);

void pane_flame_draw(struct pane *base, const struct pane_context *context, struct canvas *canvas,
		     struct area area);
struct pane_answer pane_flame_act(struct pane *base, const struct pane_context *context,
				  const struct input *input, struct area area);

#endif
