/* Texts and locations of the file being written: each once. */
#ifndef RSPROF_STORE_LOCATIONS_H
#define RSPROF_STORE_LOCATIONS_H

#include <stdint.h>

#include "reader/core/delta.h"
#include "reader/store/ids.h"
#include "reader/store/sql.h"
#include "reader/util/hash.h"

struct locations {
	struct sql *sql;
	sqlite3_stmt *insert_text, *insert_location;
	struct str_map texts;
	struct tuple_index index;
	uint32_t last_text, last_id;
};

int locations_init(struct locations *locations, struct sql *sql, struct err *err);
/* What an appended file has already. */
int locations_load(struct locations *locations, struct err *err);
/* The line's location. One that is new takes address, or one of its own where address is 0. */
int locations_intern(struct locations *locations, uint32_t module, const struct source_line *line,
		     uint64_t address, uint32_t *ret_id, struct err *err);
void locations_done(struct locations *locations);

#endif
