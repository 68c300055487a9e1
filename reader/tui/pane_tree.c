/* Who calls a row, and what it calls: a tree of two sections. What is open is remembered by names,
 * so that it stays over new models. */
#include "reader/tui/pane_tree.h"

#include <stdlib.h>

#include "reader/tui/pane_words.h"

enum {
	/* What has no brother is opened with its parent, so deep. */
	CHAIN_MAX = 12,
	/* A tree that is opened by hand has no more; it bounds a frame's work all the same. */
	ROWS_MAX = 200000,
};

static void drop(struct pane_tree *pane)
{
	if (pane->is_there)
		callers_done(&pane->callers);
	pane->is_there = false;
	vec_clear(&pane->rows);
}

static void tree_free(struct pane *base)
{
	struct pane_tree *pane = (struct pane_tree *)base;

	drop(pane);
	vec_done(&pane->rows);
	u64_map_done(&pane->choices);
	row_key_done(&pane->of);
	row_key_done(&pane->key);
	free(pane);
}

uint64_t pane_tree_total(const struct pane_tree *pane)
{
	return pane->is_there ? calls_node(&pane->callers.calls, pane->callers.up)->total : 0;
}

static bool is_open(const struct pane_tree *pane, const struct tree_row *row, bool is_only_child,
		    int chain)
{
	uint32_t choice = u64_map_get(&pane->choices, row->hash);

	if (choice != UINT32_MAX)
		return choice;
	return !row->depth || (is_only_child && chain < CHAIN_MAX);
}

/* A row that is still to be shown. */
struct pending {
	struct tree_row row;
	int chain; /* rows above it that were opened because they had no brothers */
	bool is_only_child;
};

/* In the order of the screen; children that are not looked at are not made. */
static void flatten(struct pane_tree *pane)
{
	struct calls *calls = &pane->callers.calls;
	VEC(struct pending) stack = {0};

	vec_clear(&pane->rows);
	*vec_add(&stack) = (struct pending){
		.row = {.node = pane->callers.down, .hash = hash_u64(2), .is_down = true}};
	*vec_add(&stack) = (struct pending){.row = {.node = pane->callers.up, .hash = hash_u64(1)}};
	while (stack.count && pane->rows.count < ROWS_MAX) {
		struct pending next = stack.items[--stack.count];
		const struct call_node *node;
		uint32_t first, count;

		calls_expand(calls, next.row.node);
		node = calls_node(calls, next.row.node);
		first = node->first_child;
		count = node->child_count;
		next.row.has_children = count > 0;
		next.row.is_open =
			count && is_open(pane, &next.row, next.is_only_child, next.chain);
		*vec_add(&pane->rows) = next.row;
		for (uint32_t i = count; i-- > 0 && next.row.is_open;)
			*vec_add(&stack) = (struct pending){
				.row = {.node = first + i,
					.depth = next.row.depth + 1,
					.hash = hash_two(next.row.hash,
							 calls_hash(calls, first + i)),
					.is_down = next.row.is_down},
				.is_only_child = count == 1,
				.chain = next.is_only_child ? next.chain + 1 : 0,
			};
	}
	vec_done(&stack);
}

void pane_tree_flatten(struct pane_tree *pane)
{
	uint64_t hash = pane->selected_hash;

	if (pane->selected < pane->rows.count)
		hash = pane->rows.items[pane->selected].hash;
	flatten(pane);
	for (size_t i = 0; i < pane->rows.count; i++) {
		if (pane->rows.items[i].hash == hash) {
			pane->selected = i;
			return;
		}
	}
	if (pane->selected >= pane->rows.count)
		pane->selected = pane->rows.count ? pane->rows.count - 1 : 0;
}

void pane_tree_make(struct pane_tree *pane, const struct pane_context *context)
{
	const struct model *model = context->model;

	if (pane->selected < pane->rows.count)
		pane->selected_hash = pane->rows.items[pane->selected].hash;
	drop(pane);
	pane->model = model;
	pane->serial = model ? model->serial : 0;
	pane->table = context->table;
	if (!model)
		return;
	pane->is_there = true;
	pane->is_allocated = pane->wants_other;
	callers_init(&pane->callers, model, context->table, pane->is_allocated, &pane->of);
	/* A row that holds nothing any more is there for what it allocated. */
	if (context->table == MODEL_HEAP && !pane_tree_total(pane)) {
		callers_done(&pane->callers);
		pane->is_allocated = !pane->is_allocated;
		callers_init(&pane->callers, model, context->table, pane->is_allocated, &pane->of);
	}
	/* Else the selection waits for a table that has the row. */
	if (pane_tree_total(pane))
		pane_tree_flatten(pane);
}

void pane_tree_refresh(struct pane_tree *pane, const struct pane_context *context)
{
	uint64_t serial = context->model ? context->model->serial : 0;

	if (pane->model != context->model || pane->serial != serial ||
	    pane->table != context->table)
		pane_tree_make(pane, context);
}

static void tree_update(struct pane *base, const struct pane_context *context)
{
	pane_tree_refresh((struct pane_tree *)base, context);
}

int pane_tree_height(struct area area)
{
	int rows = area_inside(area).height - 1;

	return rows > 0 ? rows : 0;
}

size_t pane_tree_top(const struct pane_tree *pane, int height)
{
	size_t rows = (size_t)height, top = pane->top;

	if (pane->selected < top)
		top = pane->selected;
	if (rows && pane->selected >= top + rows)
		top = pane->selected - rows + 1;
	if (top + rows > pane->rows.count)
		top = pane->rows.count > rows ? pane->rows.count - rows : 0;
	return top;
}

static const struct pane_ops tree_ops = {
	.name = "tree",
	.free = tree_free,
	.update = tree_update,
	.draw = pane_tree_draw,
	.act = pane_tree_act,
	.footer = "Enter open  o callers of it  a source  F flame",
	.has_search = true,
	.is_of_calls = true,
};

struct pane *pane_tree_new(const struct row_key *of)
{
	struct pane_tree *pane = mem_zalloc(sizeof(*pane));

	pane->pane.ops = &tree_ops;
	row_key_copy(&pane->of, of);
	return &pane->pane;
}
