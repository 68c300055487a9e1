#include "reader/store/sql.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/util/mem.h"
#include "reader/util/str.h"

static char *scrubbed(const char *text)
{
	struct str shown = {0};

	str_add_scrubbed(&shown, text);
	return shown.text ? shown.text : mem_strdup("");
}

/* A name that SQLite takes for a file, whatever its first characters are. */
static void add_file_name(struct str *name, const char *path)
{
	if (path[0] != '/')
		str_add(name, "./");
	str_add(name, path);
}

static void add_uri(struct str *uri, const char *path)
{
	struct str name = {0};

	add_file_name(&name, path);
	str_add(uri, "file:");
	for (const char *at = str_text(&name); *at; at++) {
		if (strchr("%?#", *at))
			str_addf(uri, "%%%02x", (unsigned char)*at);
		else
			str_add_bytes(uri, at, 1);
	}
	str_add(uri, "?immutable=1");
	str_done(&name);
}

int sql_open(struct sql *sql, const char *path, const char *given, int flags, bool is_immutable,
	     struct err *err)
{
	struct str name = {0};
	int code;

	sql->shown = scrubbed(given);
	if (is_immutable) {
		add_uri(&name, path);
		flags |= SQLITE_OPEN_URI;
	} else {
		add_file_name(&name, path);
	}
	code = sqlite3_open_v2(str_text(&name), &sql->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	str_done(&name);
	if (code != SQLITE_OK)
		return sql_fail(sql, code, err);
	sqlite3_extended_result_codes(sql->db, 1);
	sqlite3_busy_timeout(sql->db, SQL_BUSY_MS);
	sqlite3_limit(sql->db, SQLITE_LIMIT_LENGTH, SQL_LENGTH_MAX);
	/* A file from elsewhere may hold a schema made to do harm. */
	sqlite3_db_config(sql->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(sql->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return sql_exec(sql, "PRAGMA cell_size_check=ON", err);
}

int sql_open_memory(struct sql *sql, const char *given, struct err *err)
{
	int code;

	sql->shown = scrubbed(given);
	code = sqlite3_open_v2(":memory:", &sql->db,
			       SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			       NULL);
	return code == SQLITE_OK ? 0 : sql_fail(sql, code, err);
}

void sql_close(struct sql *sql)
{
	sqlite3_close_v2(sql->db);
	free(sql->shown);
	memset(sql, 0, sizeof(*sql));
}

static bool is_disk_full(const struct sql *sql, int code)
{
	if ((code & 0xff) == SQLITE_FULL)
		return true;
	return (code & 0xff) == SQLITE_IOERR && sql->db &&
	       (sqlite3_system_errno(sql->db) == ENOSPC || sqlite3_system_errno(sql->db) == EDQUOT);
}

int sql_fail(const struct sql *sql, int code, struct err *err)
{
	const char *name = sql->shown;
	int system = sql->db ? sqlite3_system_errno(sql->db) : 0;
	struct str why = {0};
	int ret;

	if (is_disk_full(sql, code)) {
		err_set(err, ERR_DATABASE, -ENOSPC,
			"The disk is full: %s keeps what was recorded up to the last checkpoint.",
			name);
		err_remedy(err, "Free some space, or record to another disk with -o FILE.");
		return -ENOSPC;
	}
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		err_set(err, ERR_DATABASE, -EBUSY, "%s is locked by another program.", name);
		err_remedy(err, "Let that program finish, then try again.");
		return -EBUSY;
	case SQLITE_NOTADB:
		return err_set(err, ERR_DATABASE, -EBADMSG, "%s is not an SQLite database.", name);
	case SQLITE_CORRUPT:
		err_set(err, ERR_DATABASE, -EBADMSG,
			"%s is damaged: SQLite cannot read all of its pages.", name);
		err_remedy(err, "Try `sqlite3 FILE .recover` to save what can be saved.");
		return -EBADMSG;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return err_set(err, ERR_DATABASE, -EROFS, "%s cannot be written.", name);
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		return err_set(err, ERR_DATABASE, -EIO, "%s cannot be %s: %s.", name,
			       (code & 0xff) == SQLITE_IOERR ? "read or written" : "opened",
			       strerror(system ? system : EIO));
	default:
		/* Messages repeat names out of the file. */
		str_add_scrubbed(&why, sql->db ? sqlite3_errmsg(sql->db) : sqlite3_errstr(code));
		ret = err_set(err, ERR_DATABASE, -EIO, "%s: %s.", name, str_text(&why));
		str_done(&why);
		return ret;
	}
}

int sql_damaged(const struct sql *sql, struct err *err, const char *format, ...)
{
	char what[256];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return err_set(err, ERR_DATABASE, -EBADMSG, "%s is damaged: %s.", sql->shown, what);
}

int sql_exec(struct sql *sql, const char *text, struct err *err)
{
	int code = sqlite3_exec(sql->db, text, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : sql_fail(sql, code, err);
}

int sql_prepare(struct sql *sql, const char *text, bool persistent, sqlite3_stmt **ret_statement,
		struct err *err)
{
	sqlite3_stmt *statement;
	int code = sqlite3_prepare_v3(sql->db, text, -1, persistent ? SQLITE_PREPARE_PERSISTENT : 0,
				      &statement, NULL);

	if (code != SQLITE_OK)
		return sql_fail(sql, code, err);
	*ret_statement = statement;
	return 0;
}

int sql_step(struct sql *sql, sqlite3_stmt *statement, struct err *err)
{
	int code = sqlite3_step(statement);

	if (code == SQLITE_ROW)
		return 1;
	return code == SQLITE_DONE ? 0 : sql_fail(sql, code, err);
}

int sql_run(struct sql *sql, sqlite3_stmt *statement, struct err *err)
{
	int ret;

	do
		ret = sql_step(sql, statement, err);
	while (ret > 0);
	sqlite3_reset(statement);
	return ret;
}

int sql_run_ints(struct sql *sql, sqlite3_stmt *statement, const int64_t *values, size_t count,
		 struct err *err)
{
	for (size_t i = 0; i < count; i++)
		sqlite3_bind_int64(statement, (int)i + 1, values[i]);
	return sql_run(sql, statement, err);
}

int sql_get_int(struct sql *sql, const char *text, int64_t fallback, int64_t *ret_value,
		struct err *err)
{
	sqlite3_stmt *statement = NULL;
	int ret = sql_prepare(sql, text, false, &statement, err);

	if (ret < 0)
		return ret;
	ret = sql_step(sql, statement, err);
	if (ret >= 0)
		*ret_value = ret && sqlite3_column_type(statement, 0) != SQLITE_NULL
				     ? sqlite3_column_int64(statement, 0)
				     : fallback;
	sqlite3_finalize(statement);
	return ret < 0 ? ret : 0;
}
