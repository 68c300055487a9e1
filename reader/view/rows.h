/* The steps of view_build between the choice of samples and the order of rows. */
#ifndef RSPROF_VIEW_ROWS_H
#define RSPROF_VIEW_ROWS_H

#include "reader/util/vec.h"
#include "reader/view/row_map.h"
#include "reader/view/view.h"

typedef VEC(struct view_row) view_rows;

/* What one request is about, resolved to indexes. */
struct selection {
	const struct snapshot *snapshot;
	const struct view_request *request;
	uint32_t event;	      /* index, or SNAPSHOT_NONE in an empty profile */
	bool *is_thread_kept; /* by thread; NULL: all */
	bool by_value;	      /* shares are of values, not of samples */
	bool is_wait;	      /* these values are the time waited */
	struct row_map *map;  /* to be told; NULL: nobody asks */
};

/* ERR_USAGE for an event or a thread that is not there. */
int selection_init(struct selection *selection, const struct snapshot *snapshot,
		   const struct view_request *request, struct err *err);
void selection_done(struct selection *selection);
/* Is this row of the snapshot of the event, and of a thread that is asked for? */
bool selection_has_event(const struct selection *selection, const struct snapshot_row *row);
bool selection_has_thread(const struct selection *selection, const struct snapshot_row *row);

/* Rows without shares, not sorted; those that the filter leaves out are only counted. */
void rows_of_threads(const struct selection *selection, struct arena *arena, view_rows *rows,
		     size_t *ret_location_count);
void rows_of_locations(const struct selection *selection, struct arena *arena, view_rows *rows,
		       size_t *ret_location_count);

/* ASCII letters match in either case, all other bytes only themselves. */
bool filter_matches(const char *filter, const char *text);

#endif
