/* A flame graph: the calls of a model's table from the root down, by function within its module,
 * each as wide as its share. */
#ifndef RSPROF_VIEW_FLAME_H
#define RSPROF_VIEW_FLAME_H

#include "reader/view/calls.h"

enum { FLAME_ROOT = 0 }; /* the node that stands for all */

struct flame {
	struct calls calls;
	/* Of the last search: by group, and by kind for what is no function. */
	bool *is_matched_group;
	bool is_matched_kind[CALL_NO_STACK + 1];
	bool has_search;
	uint64_t matched; /* what is in or below any that matches, once */
};

/* As weighing_init. */
void flame_init(struct flame *flame, const struct model *model, enum model_table table,
		bool is_allocated);
void flame_done(struct flame *flame);

/* Whose name or file has the pattern in it, as in the tables; NULL or "": nothing is searched. */
void flame_search(struct flame *flame, const char *pattern);
bool flame_is_matched(const struct flame *flame, uint32_t node);
/* A child by its hash; CALL_NONE where there is none. */
uint32_t flame_child(struct flame *flame, uint32_t node, uint64_t hash);

/* A node as it is drawn, in columns from 0. */
struct flame_box {
	uint32_t node;
	int left, right; /* right is the first column that is not its own */
};

/* Boxes by level, those of a level from left to right. */
struct flame_boxes {
	VEC(struct flame_box) boxes;
	VEC(size_t) levels; /* the first box of each, and the end of the last */
};

void flame_boxes_done(struct flame_boxes *boxes);
/* Writes the boxes of at most level_count levels: zoom and its callers in the whole width, then
 * what is below it as far as it is a column wide. */
void flame_boxes_lay(struct flame_boxes *boxes, struct flame *flame, uint32_t zoom, int width,
		     int level_count);
static inline int flame_boxes_levels(const struct flame_boxes *boxes)
{
	return boxes->levels.count ? (int)boxes->levels.count - 1 : 0;
}
/* The box of a node on its level; NULL where it is none. */
const struct flame_box *flame_boxes_find(const struct flame_boxes *boxes, int level, uint32_t node);

#endif
