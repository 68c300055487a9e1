/* A growing array of one type.
 *     VEC(struct row) rows = {0};
 *     *vec_add(&rows) = (struct row){...};
 *     for (size_t i = 0; i < rows.count; i++) use(rows.items[i]);
 *     vec_done(&rows); */
#ifndef RSPROF_UTIL_VEC_H
#define RSPROF_UTIL_VEC_H

#include <stdlib.h>

#include "reader/util/mem.h"

#define VEC(type)                                                                                  \
	struct {                                                                                   \
		type *items;                                                                       \
		size_t count;                                                                      \
		size_t capacity;                                                                   \
	}

/* Makes room for `extra` more items. */
#define vec_reserve(vec, extra)                                                                    \
	do {                                                                                       \
		if ((vec)->count + (extra) > (vec)->capacity) {                                    \
			size_t vec_want = (vec)->capacity ? (vec)->capacity * 2 : 16;              \
			while (vec_want < (vec)->count + (extra))                                  \
				vec_want *= 2;                                                     \
			(vec)->items = mem_grow((vec)->items, vec_want, sizeof(*(vec)->items));    \
			(vec)->capacity = vec_want;                                                \
		}                                                                                  \
	} while (0)

/* A pointer to a new last item, not initialised; valid until the next growth. */
#define vec_add(vec)                                                                               \
	({                                                                                         \
		vec_reserve(vec, 1);                                                               \
		&(vec)->items[(vec)->count++];                                                     \
	})

#define vec_clear(vec) ((vec)->count = 0)

#define vec_done(vec)                                                                              \
	do {                                                                                       \
		free((vec)->items);                                                                \
		(vec)->items = NULL;                                                               \
		(vec)->count = (vec)->capacity = 0;                                                \
	} while (0)

#endif
