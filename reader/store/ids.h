/* From a recording's own ids to the database's. In a new file the two are the same. In an appended
 * one what the file already knows keeps its id, so that modules, frames and stacks are shared, and
 * the rest goes on from the last id. */
#ifndef RSPROF_STORE_IDS_H
#define RSPROF_STORE_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/util/hash.h"
#include "reader/util/vec.h"

/* Ids stay below, so that each fits a snapshot's index and u64_map's values. */
enum { IDS_MAX = INT32_MAX };

/* Ids of one table, from `first` on in the order of telling. */
struct id_map {
	bool is_identity;
	uint32_t first; /* the recording's first id: 0 for modules, else 1 */
	uint32_t count; /* told so far */
	uint32_t last;	/* highest id in the database, 0 where there is none */
	VEC(uint32_t) ids;
};

/* The database's id. The recording has told of it before: anything else is an error in the
 * recorder. */
uint32_t id_map_get(const struct id_map *map, uint32_t own);
/* The recording's next id stands for one that the database has. */
void id_map_add_known(struct id_map *map, uint32_t id);
/* The recording's next id is new: the id to insert, or 0 where the database is full. */
uint32_t id_map_add_new(struct id_map *map);
void id_map_done(struct id_map *map);

enum { TUPLE_PARTS = 5 };

struct tuple {
	uint64_t parts[TUPLE_PARTS]; /* unused ones 0 */
};

struct tuple_entry {
	struct tuple key;
	uint32_t id;
	uint32_t next; /* entry of the same hash, UINT32_MAX at the end */
};

/* Which id a tuple has. */
struct tuple_index {
	VEC(struct tuple_entry) entries;
	struct u64_map by_hash;
};

/* UINT32_MAX where it has none. */
uint32_t tuple_index_get(const struct tuple_index *index, const struct tuple *key);
void tuple_index_put(struct tuple_index *index, const struct tuple *key, uint32_t id);
void tuple_index_done(struct tuple_index *index);

#endif
