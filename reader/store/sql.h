/* SQLite as the store uses it: every failure becomes one sentence about the file. */
#ifndef RSPROF_STORE_SQL_H
#define RSPROF_STORE_SQL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/util/err.h"

enum {
	/* Whoever holds the file longer than this is not merely busy, and a person waits. */
	SQL_BUSY_MS = 3000,
	/* No text that rsprof writes is longer than a page of paths; a damaged file may claim any
	 * length. */
	SQL_LENGTH_MAX = 64 * 1024 * 1024,
};

struct sql {
	sqlite3 *db;
	char *shown; /* the file as sentences name it */
};

/* given: what the user calls the file. flags: of sqlite3_open_v2. is_immutable: nobody writes to
 * the file, so it needs neither locks nor files beside it. SQLite opens lazily: the first statement
 * may still fail. */
int sql_open(struct sql *sql, const char *path, const char *given, int flags, bool is_immutable,
	     struct err *err);
/* An empty database of its own, for comparing. */
int sql_open_memory(struct sql *sql, const char *given, struct err *err);
void sql_close(struct sql *sql); /* also where sql_open failed */

/* The sentence for the connection's last failure; code is what the call returned. Negative. */
int sql_fail(const struct sql *sql, int code, struct err *err);
/* "FILE is damaged: …" for what SQLite itself cannot see. */
int sql_damaged(const struct sql *sql, struct err *err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

int sql_exec(struct sql *sql, const char *text, struct err *err);
/* persistent: kept for the life of the connection. */
int sql_prepare(struct sql *sql, const char *text, bool persistent, sqlite3_stmt **ret_statement,
		struct err *err);
/* 1: a row, 0: the end, negative: failed. */
int sql_step(struct sql *sql, sqlite3_stmt *statement, struct err *err);
/* Runs a statement that gives no rows, and makes it ready for the next run. */
int sql_run(struct sql *sql, sqlite3_stmt *statement, struct err *err);
/* Binds 1..count and runs it. */
int sql_run_ints(struct sql *sql, sqlite3_stmt *statement, const int64_t *values, size_t count,
		 struct err *err);
/* The first column of the first row; fallback where there is no row or it is NULL. */
int sql_get_int(struct sql *sql, const char *text, int64_t fallback, int64_t *ret_value,
		struct err *err);

static inline void own_statement(sqlite3_stmt **statement)
{
	sqlite3_finalize(*statement);
}

#endif
