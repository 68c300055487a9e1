/* The keys of an entry: what JSON and CSV print, and what --sort takes. */
#ifndef RSPROF_VIEW_HEAP_KEYS_H
#define RSPROF_VIEW_HEAP_KEYS_H

#include "reader/view/heap.h"

struct heap_key {
	const char *name;
	/* One of the two. */
	uint64_t (*number)(const struct heap_row *row);
	const char *(*text)(const struct heap_row *row);
	bool is_bool;
};

/* In the order of JSON, the place last; ended by one without a name. */
extern const struct heap_key heap_keys[];

/* The key of that name; NULL: none. */
const struct heap_key *heap_key_by_name(const char *name);
/* key NULL: live bytes, then inclusive ones, then total ones, then the name; the same order goes on
 * behind a key. ERR_USAGE with the list where there is no such key. */
int heap_key_choose(const char *name, const struct heap_key **ret_key, struct err *err);
void heap_rows_sort(const struct heap_key *key, enum view_group group, struct heap_row *rows,
		    size_t count);

#endif
