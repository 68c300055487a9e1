/* SQL of the user's: one statement, read-only. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "reader/store/read.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/str.h"

enum pragma_value {
	PRAGMA_PLAIN, /* a value would set something */
	PRAGMA_NAMED, /* the value is the name of a table or index */
};

/* Pragmas that tell and change nothing. */
static const struct {
	const char *name;
	enum pragma_value value;
} pragmas[] = {
	{"application_id", PRAGMA_PLAIN},  {"collation_list", PRAGMA_PLAIN},
	{"compile_options", PRAGMA_PLAIN}, {"database_list", PRAGMA_PLAIN},
	{"encoding", PRAGMA_PLAIN},	   {"foreign_key_list", PRAGMA_NAMED},
	{"freelist_count", PRAGMA_PLAIN},  {"function_list", PRAGMA_PLAIN},
	{"index_info", PRAGMA_NAMED},	   {"index_list", PRAGMA_NAMED},
	{"index_xinfo", PRAGMA_NAMED},	   {"integrity_check", PRAGMA_NAMED},
	{"journal_mode", PRAGMA_PLAIN},	   {"page_count", PRAGMA_PLAIN},
	{"page_size", PRAGMA_PLAIN},	   {"pragma_list", PRAGMA_PLAIN},
	{"quick_check", PRAGMA_NAMED},	   {"schema_version", PRAGMA_PLAIN},
	{"table_info", PRAGMA_NAMED},	   {"table_list", PRAGMA_NAMED},
	{"table_xinfo", PRAGMA_NAMED},	   {"user_version", PRAGMA_PLAIN},
};

static bool is_allowed_pragma(const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof(pragmas) / sizeof(*pragmas); i++) {
		if (strcasecmp(pragmas[i].name, name) == 0)
			return !value || pragmas[i].value == PRAGMA_NAMED;
	}
	return false;
}

/* What the authorizer refused, for the sentence. */
struct refusal {
	const char *what; /* NULL: nothing */
};

static const char *what_is_refused(int action, const char *first, const char *second)
{
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE:
		return NULL;
	case SQLITE_FUNCTION:
		return strcasecmp(second, "load_extension") ? NULL : "load_extension()";
	case SQLITE_UPDATE:
		/* SQLite asks this for every table-valued function (json_each), as it declares its
		 * columns. An UPDATE of it by hand fails by itself, the file is open for reading.
		 */
		return strcmp(first, "sqlite_master") ? "a statement that writes" : NULL;
	case SQLITE_PRAGMA:
		return is_allowed_pragma(first, second) ? NULL : "this PRAGMA";
	case SQLITE_ATTACH:
		return "ATTACH";
	case SQLITE_DETACH:
		return "DETACH";
	case SQLITE_TRANSACTION:
	case SQLITE_SAVEPOINT:
		return "a transaction";
	default:
		return "a statement that writes";
	}
}

static int authorize(void *context, int action, const char *first, const char *second,
		     const char *database, const char *inside)
{
	struct refusal *refusal = context;
	const char *what = what_is_refused(action, first, second);

	if (!what)
		return SQLITE_OK;
	if (!refusal->what)
		refusal->what = what;
	return SQLITE_DENY;
}

static int refuse_sql(struct store_reader *reader, const struct refusal *refusal, int code,
		      struct err *err)
{
	struct str why = {0};

	switch (code & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		return sql_fail(&reader->sql, code, err);
	}
	if (refusal->what || (code & 0xff) == SQLITE_READONLY) {
		err_set(err, ERR_USAGE, -EPERM, "query only reads: %s is refused.",
			refusal->what ? refusal->what : "a statement that writes");
		err_remedy(err, "Use sqlite3 on a copy of the file to change it.");
		return -EPERM;
	}
	str_add_scrubbed(&why, sqlite3_errmsg(reader->sql.db));
	err_set(err, ERR_USAGE, -EINVAL, "The SQL is not valid: %s.", str_text(&why));
	err_remedy(err, "Tables to begin with: meta, checkpoints, cpu_samples, wait_samples, "
			"symbols, heap_samples.");
	str_done(&why);
	return -EINVAL;
}

static int prepare(struct store_reader *reader, const char *sql, const struct refusal *refusal,
		   sqlite3_stmt **ret_statement, struct err *err)
{
	sqlite3_stmt *statement = NULL, *second = NULL;
	const char *rest = sql;
	int code = SQLITE_OK;

	/* Comments and empty statements before the one that counts give no statement. */
	while (code == SQLITE_OK && !statement && *rest)
		code = sqlite3_prepare_v2(reader->sql.db, rest, -1, &statement, &rest);
	if (code != SQLITE_OK)
		return refuse_sql(reader, refusal, code, err);
	while (statement && *rest && code == SQLITE_OK && !second)
		code = sqlite3_prepare_v2(reader->sql.db, rest, -1, &second, &rest);
	sqlite3_finalize(second);
	if (!statement || second || code != SQLITE_OK) {
		sqlite3_finalize(statement);
		err_set(err, ERR_USAGE, -EINVAL, "query takes exactly one SQL statement.");
		err_remedy(err, "Type, for example, `rsprof query FILE 'SELECT * FROM meta'`.");
		return -EINVAL;
	}
	if (!sqlite3_stmt_readonly(statement)) {
		sqlite3_finalize(statement);
		return refuse_sql(reader, refusal, SQLITE_READONLY, err);
	}
	*ret_statement = statement;
	return 0;
}

static void add_hexadecimal(struct str *to, const unsigned char *bytes, int count)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < count; i++) {
		str_add_bytes(to, &digits[bytes[i] >> 4], 1);
		str_add_bytes(to, &digits[bytes[i] & 15], 1);
	}
}

/* storage: keeps the text of a blob until the row is handed over. */
static struct store_value value_of(sqlite3_stmt *statement, int column, struct str *storage)
{
	static const enum store_value_type types[] = {
		[SQLITE_INTEGER] = STORE_INTEGER, [SQLITE_FLOAT] = STORE_REAL,
		[SQLITE_TEXT] = STORE_TEXT,	  [SQLITE_BLOB] = STORE_BLOB,
		[SQLITE_NULL] = STORE_NULL,
	};
	struct store_value value = {types[sqlite3_column_type(statement, column)], NULL};

	if (value.type == STORE_BLOB) {
		str_clear(storage);
		add_hexadecimal(storage, sqlite3_column_blob(statement, column),
				sqlite3_column_bytes(statement, column));
		value.text = str_text(storage);
	} else if (value.type != STORE_NULL) {
		value.text = (const char *)sqlite3_column_text(statement, column);
	}
	if (!value.text)
		value.type = STORE_NULL;
	return value;
}

static int run(struct store_reader *reader, sqlite3_stmt *statement, const struct refusal *refusal,
	       store_columns_fn columns, store_row_fn row, void *context, struct err *err)
{
	int count = sqlite3_column_count(statement), code;
	OWN(own_free) const char **names = mem_array((size_t)count, sizeof(*names));
	OWN(own_free) struct store_value *values = mem_array((size_t)count, sizeof(*values));
	OWN(own_free) struct str *storage = mem_array((size_t)count, sizeof(*storage));

	for (int i = 0; i < count; i++)
		names[i] = sqlite3_column_name(statement, i);
	columns(context, names, (size_t)count);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		for (int i = 0; i < count; i++)
			values[i] = value_of(statement, i, &storage[i]);
		row(context, values);
	}
	for (int i = 0; i < count; i++)
		str_done(&storage[i]);
	return code == SQLITE_DONE ? 0 : refuse_sql(reader, refusal, code, err);
}

int store_reader_query(struct store_reader *reader, const char *sql, store_columns_fn columns,
		       store_row_fn row, void *context, struct err *err)
{
	struct refusal refusal = {NULL};
	sqlite3_stmt *statement = NULL;
	int ret;

	sqlite3_limit(reader->sql.db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_db_config(reader->sql.db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	sqlite3_set_authorizer(reader->sql.db, authorize, &refusal);
	ret = prepare(reader, sql, &refusal, &statement, err);
	if (ret == 0)
		ret = run(reader, statement, &refusal, columns, row, context, err);
	sqlite3_finalize(statement);
	sqlite3_set_authorizer(reader->sql.db, NULL, NULL);
	return ret;
}
