#include "reader/store/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/store/store.h"
#include "reader/util/own.h"

static const char schema_sql[] =
#include "reader/store/schema.inc"
	;

int schema_create(struct sql *sql, struct err *err)
{
	char pragmas[256];
	int ret;

	snprintf(pragmas, sizeof(pragmas),
		 "PRAGMA application_id=%d; PRAGMA user_version=%d;"
		 "INSERT INTO meta VALUES('version', '%d')",
		 SCHEMA_APPLICATION_ID, STORE_VERSION, STORE_VERSION);
	ret = sql_exec(sql, schema_sql, err);
	return ret < 0 ? ret : sql_exec(sql, pragmas, err);
}

int schema_read_version(struct sql *sql, int64_t *ret_version, struct err *err)
{
	int64_t application, has_meta, version;
	int ret;

	ret = sql_get_int(sql, "PRAGMA application_id", 0, &application, err);
	if (ret < 0)
		return ret;
	if (application != SCHEMA_APPLICATION_ID) {
		err_set(err, ERR_DATABASE, -EBADMSG, "%s is a database of another program.",
			sql->shown);
		err_remedy(err, "Type `rsprof list` for the profiles of this folder.");
		return -EBADMSG;
	}
	ret = sql_get_int(
		sql, "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'", 0,
		&has_meta, err);
	if (ret < 0)
		return ret;
	if (has_meta != 1)
		return sql_damaged(sql, err, "the table meta is missing");
	ret = sql_get_int(sql, "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'version'", 0,
			  &version, err);
	if (ret < 0)
		return ret;
	if (version < 1)
		return sql_damaged(sql, err, "it does not tell the version of its format");
	*ret_version = version;
	return 0;
}

/* The table's text in the file is the one it was made with. */
static int check_table(struct sql *sql, sqlite3_stmt *find, const char *name, const char *made_by,
		       struct err *err)
{
	const char *text;
	int ret;

	sqlite3_reset(find);
	sqlite3_bind_text(find, 1, name, -1, SQLITE_TRANSIENT);
	ret = sql_step(sql, find, err);
	if (ret < 0)
		return ret;
	text = ret ? (const char *)sqlite3_column_text(find, 0) : NULL;
	if (!text)
		return sql_damaged(sql, err, "the table %s is missing", name);
	if (strcmp(text, made_by) != 0)
		return sql_damaged(sql, err, "the table %s is not as rsprof makes it", name);
	return 0;
}

int schema_check_tables(struct sql *sql, struct err *err)
{
	OWN(own_statement) sqlite3_stmt *find = NULL, *wanted = NULL;
	struct sql model = {0};
	int ret;

	/* What SQLite makes of our own text is the measure, whitespace and all. */
	ret = sql_open_memory(&model, sql->shown, err);
	if (ret == 0)
		ret = schema_create(&model, err);
	if (ret == 0)
		ret = sql_prepare(&model,
				  "SELECT name, sql FROM sqlite_master WHERE type = 'table'", false,
				  &wanted, err);
	if (ret == 0)
		ret = sql_prepare(sql,
				  "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?",
				  false, &find, err);
	while (ret == 0 && (ret = sql_step(&model, wanted, err)) > 0)
		ret = check_table(sql, find, (const char *)sqlite3_column_text(wanted, 0),
				  (const char *)sqlite3_column_text(wanted, 1), err);
	sqlite3_finalize(own_take(wanted));
	sql_close(&model);
	return ret;
}

bool schema_is_own_file(const char *path)
{
	static const char magic[] = "SQLite format 3"; /* with its NUL */
	enum { HEADER_BYTES = 100, APPLICATION_ID_AT = 68 };
	unsigned char header[HEADER_BYTES];
	const unsigned char *id = header + APPLICATION_ID_AT;
	OWN(own_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || pread(fd, header, sizeof(header), 0) != HEADER_BYTES ||
	    memcmp(header, magic, sizeof(magic)) != 0)
		return false;
	return ((uint32_t)id[0] << 24 | id[1] << 16 | id[2] << 8 | id[3]) == SCHEMA_APPLICATION_ID;
}
