#include "reader/store/locations.h"

#include <errno.h>
#include <string.h>

#include "reader/store/address.h"
#include "reader/util/own.h"

int locations_init(struct locations *locations, struct sql *sql, struct err *err)
{
	int ret;

	locations->sql = sql;
	ret = sql_prepare(sql, "INSERT INTO texts VALUES(?, ?)", true, &locations->insert_text,
			  err);
	if (ret < 0)
		return ret;
	return sql_prepare(sql, "INSERT INTO locations VALUES(?, ?, ?, ?, ?, NULLIF(?, 0), ?)",
			   true, &locations->insert_location, err);
}

static int load_texts(struct locations *locations, struct err *err)
{
	OWN(own_statement) sqlite3_stmt *rows = NULL;
	int ret = sql_prepare(locations->sql, "SELECT id, text FROM texts ORDER BY id", false,
			      &rows, err);

	while (ret == 0 && (ret = sql_step(locations->sql, rows, err)) > 0) {
		int64_t id = sqlite3_column_int64(rows, 0);
		const char *text = (const char *)sqlite3_column_text(rows, 1);

		if (id < 1 || id > IDS_MAX || !text)
			return sql_damaged(locations->sql, err, "a row of texts is not valid");
		str_map_put(&locations->texts, text, (uint32_t)id);
		locations->last_text = (uint32_t)id;
		ret = 0;
	}
	return ret;
}

int locations_load(struct locations *locations, struct err *err)
{
	OWN(own_statement) sqlite3_stmt *rows = NULL;
	int ret = load_texts(locations, err);

	if (ret == 0)
		ret = sql_prepare(locations->sql,
				  "SELECT id, module_id, function_id, file_id, "
				  "COALESCE(path_id, 0), line FROM locations ORDER BY id",
				  false, &rows, err);
	while (ret == 0 && (ret = sql_step(locations->sql, rows, err)) > 0) {
		int64_t id = sqlite3_column_int64(rows, 0);
		struct tuple key;

		if (id < 1 || id > IDS_MAX)
			return sql_damaged(locations->sql, err, "a row of locations is not valid");
		for (int i = 0; i < TUPLE_PARTS; i++)
			key.parts[i] = (uint64_t)sqlite3_column_int64(rows, i + 1);
		tuple_index_put(&locations->index, &key, (uint32_t)id);
		locations->last_id = (uint32_t)id;
		ret = 0;
	}
	return ret;
}

static int full(const struct locations *locations, struct err *err)
{
	return err_set(err, ERR_DATABASE, -EOVERFLOW, "%s is full: it has no ids left.",
		       locations->sql->shown);
}

static int intern_text(struct locations *locations, const char *text, uint64_t *ret_id,
		       struct err *err)
{
	uint32_t id = str_map_get(&locations->texts, text);
	int ret;

	if (id == UINT32_MAX) {
		if (locations->last_text >= IDS_MAX)
			return full(locations, err);
		id = locations->last_text + 1;
		sqlite3_bind_int64(locations->insert_text, 1, id);
		sqlite3_bind_text(locations->insert_text, 2, text, -1, SQLITE_TRANSIENT);
		ret = sql_run(locations->sql, locations->insert_text, err);
		if (ret < 0)
			return ret;
		str_map_put(&locations->texts, text, id);
		locations->last_text = id;
	}
	*ret_id = id;
	return 0;
}

int locations_intern(struct locations *locations, uint32_t module, const struct source_line *line,
		     uint64_t address, uint32_t *ret_id, struct err *err)
{
	uint64_t function, file, path = 0;
	struct tuple key;
	uint32_t id;
	int ret = intern_text(locations, line->function, &function, err);

	if (ret == 0)
		ret = intern_text(locations, line->file, &file, err);
	if (ret == 0 && line->path)
		ret = intern_text(locations, line->path, &path, err);
	if (ret < 0)
		return ret;
	key = (struct tuple){{module, function, file, path, line->line}};
	id = tuple_index_get(&locations->index, &key);
	if (id == UINT32_MAX) {
		if (locations->last_id >= IDS_MAX)
			return full(locations, err);
		id = locations->last_id + 1;
		if (!address)
			address = address_of_location(id);
		ret = sql_run_ints(locations->sql, locations->insert_location,
				   (const int64_t[]){id, (int64_t)address, module,
						     (int64_t)function, (int64_t)file,
						     (int64_t)path, line->line},
				   7, err);
		if (ret < 0)
			return ret;
		tuple_index_put(&locations->index, &key, id);
		locations->last_id = id;
	}
	*ret_id = id;
	return 0;
}

void locations_done(struct locations *locations)
{
	sqlite3_finalize(locations->insert_text);
	sqlite3_finalize(locations->insert_location);
	str_map_done(&locations->texts);
	tuple_index_done(&locations->index);
	memset(locations, 0, sizeof(*locations));
}
