/* Which row of a built view a stack is charged to, or a thread is. The view decides it; this is
 * how it tells. */
#ifndef RSPROF_VIEW_ROW_MAP_H
#define RSPROF_VIEW_ROW_MAP_H

#include "reader/view/heap.h"
#include "reader/view/view.h"

/* By stack of the snapshot; by thread where rows are threads. Zero-initialised is empty. */
struct row_map {
	uint32_t *of; /* its row, SNAPSHOT_NONE: none; its group, until rows have their order */
	size_t count, group_count;
};

void row_map_done(struct row_map *map);
/* For so many stacks or threads in groups 0..group_count-1; of is the caller's to fill. */
void row_map_init(struct row_map *map, size_t count, size_t group_count);
/* From groups to rows: the row of the group that is on at index i. */
typedef uint32_t (*row_group_fn)(const void *rows, size_t i);
void row_map_settle(struct row_map *map, const void *rows, size_t row_count, row_group_fn group);

/* As view_build and heap_view_build; stacks that nothing was seen of in the window have their row
 * too. */
int view_build_mapped(const struct snapshot *snapshot, const struct view_request *request,
		      struct view **ret_view, struct row_map *ret_map, struct err *err);
int heap_view_build_mapped(const struct snapshot *snapshot, const struct view_request *request,
			   struct heap_view **ret_view, struct row_map *ret_map, struct err *err);

#endif
