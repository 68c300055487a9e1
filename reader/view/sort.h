/* The order of rows. */
#ifndef RSPROF_VIEW_SORT_H
#define RSPROF_VIEW_SORT_H

#include <stdbool.h>

#include "reader/util/str.h"
#include "reader/view/rows.h"

struct sort_order {
	const struct sort_key *key; /* NULL: self, then inclusive, then name */
	enum view_group group;
	bool by_value; /* shares are of values, not of samples */
};

/* key is a JSON key of the entries, or NULL. ERR_USAGE with the list where there is no such key. */
int sort_order_init(struct sort_order *order, const char *key, const struct selection *selection,
		    struct err *err);
/* ERR_USAGE: no such key; list has those that there are. */
int sort_refuse_key(const char *key, const struct str *list, struct err *err);
void sort_rows(const struct sort_order *order, struct view_row *rows, size_t count);

#endif
