/* Older formats: read as they are where nothing that is read has changed, brought up to date before
 * anything is appended. */
#ifndef RSPROF_STORE_MIGRATE_H
#define RSPROF_STORE_MIGRATE_H

#include "reader/store/sql.h"
#include "reader/util/err.h"

/* A file of that version can be read: newer ones are refused with "upgrade". */
int migrate_check(const struct sql *sql, int64_t version, struct err *err);
/* Brings it up to STORE_VERSION, inside the caller's transaction. */
int migrate(struct sql *sql, int64_t version, struct err *err);

#endif
