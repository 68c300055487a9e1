/* Within the pane of callers and callees: its state, and what its files give each other. */
#ifndef RSPROF_TUI_PANE_TREE_H
#define RSPROF_TUI_PANE_TREE_H

#include "reader/tui/pane.h"
#include "reader/util/hash.h"
#include "reader/util/vec.h"
#include "reader/view/callers.h"

/* As shown; the sections' heads have depth 0. */
struct tree_row {
	uint32_t node;
	int depth;
	uint64_t hash; /* of the names from the section on */
	bool is_down;  /* among what the row calls */
	bool has_children, is_open;
};

struct pane_tree {
	struct pane pane;
	struct row_key of;
	/* What the tree is of; made anew where one of these is another. */
	const struct model *model;
	uint64_t serial;
	enum model_table table;
	bool wants_other; /* of the heap what is not shown at first */
	bool is_allocated;

	bool is_there;
	struct callers callers;
	VEC(struct tree_row) rows;
	struct u64_map choices; /* by a row's hash: opened (1) or closed (0) by hand */
	size_t selected, top;
	uint64_t selected_hash; /* while there are no rows */
	struct row_key key;
};

void pane_tree_make(struct pane_tree *pane, const struct pane_context *context);
void pane_tree_refresh(struct pane_tree *pane, const struct pane_context *context);
/* Writes the rows that are shown; the selection stays on its own. */
void pane_tree_flatten(struct pane_tree *pane);
/* Of the row that the tree is of; 0: it has nothing here. */
uint64_t pane_tree_total(const struct pane_tree *pane);
/* Rows that fit, and the first one that is shown. */
int pane_tree_height(struct area area);
size_t pane_tree_top(const struct pane_tree *pane, int height);

void pane_tree_draw(struct pane *base, const struct pane_context *context, struct canvas *canvas,
		    struct area area);
struct pane_answer pane_tree_act(struct pane *base, const struct pane_context *context,
				 const struct input *input, struct area area);

#endif
