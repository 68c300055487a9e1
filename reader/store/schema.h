/* The schema itself, and the test whether a file has it. */
#ifndef RSPROF_STORE_SCHEMA_H
#define RSPROF_STORE_SCHEMA_H

#include <stdbool.h>

#include "reader/store/sql.h"
#include "reader/util/err.h"

/* In the file's header, "RSPF": tells it from other programs' databases. */
enum { SCHEMA_APPLICATION_ID = 0x52535046 };

/* Tables, views, version and application id; inside the caller's transaction. */
int schema_create(struct sql *sql, struct err *err);
/* rsprof's own, and its version. Reads the file for the first time. */
int schema_read_version(struct sql *sql, int64_t *ret_version, struct err *err);
/* The tables are those that this version makes: no view or odd column in their place. */
int schema_check_tables(struct sql *sql, struct err *err);
/* By the header alone; for folders with files of other programs. Opens and closes the file, which
 * drops this process's SQLite locks on it: not for a process that records. */
bool schema_is_own_file(const char *path);

#endif
