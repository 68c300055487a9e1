/* What a row is called: a place in the text of the program. Rows wider than lines are called by
 * their hottest line. */
#ifndef RSPROF_VIEW_PLACE_H
#define RSPROF_VIEW_PLACE_H

#include "reader/view/grouping.h"
#include "reader/view/view.h"

struct row_place {
	const char *function, *file, *module; /* never NULL */
	const char *path;		      /* may be NULL */
	uint32_t line;			      /* 0: none */
};

/* That of a struct view_row or heap_row. */
#define ROW_PLACE(row)                                                                             \
	((struct row_place){.function = (row)->function,                                           \
			    .file = (row)->file,                                                   \
			    .module = (row)->module,                                               \
			    .path = (row)->path,                                                   \
			    .line = (row)->line})

extern const char place_unknown[], place_no_stack[];

/* location is one of the snapshot's. */
struct row_place place_at(const struct snapshot *snapshot, uint32_t location);
/* Does the filter let it through? In its file or function, by module in that too. */
bool place_matches(const struct view_request *request, const struct row_place *place);
/* What a row of the group is called comes first, the rest makes the order the same every time. */
int place_compare(enum view_group group, const struct row_place *a, const struct row_place *b);

/* By what one line is hotter than another: its own, then what is below it too, then the rest. A
 * line that has nothing of it all is in no row. */
struct line_heat {
	uint64_t self, incl, rest;
};

/* What a group is called. */
struct group_place {
	uint32_t location; /* of its hottest line; SNAPSHOT_NONE: no line has anything */
	bool is_matched;   /* by the filter, in at least one line */
};

/* lines is the grouping by line, heats are by its groups; found is by group of groups. */
void group_places_find(const struct snapshot *snapshot, const struct view_request *request,
		       const struct grouping *lines, const struct line_heat *heats,
		       const struct grouping *groups, struct group_place *found);

#endif
