/* What an appended recording shares with those before it. */
#include <errno.h>
#include <inttypes.h>

#include "reader/store/write.h"
#include "reader/util/own.h"

struct tuple append_frame_key(uint32_t module, uint64_t vaddr)
{
	return (struct tuple){{module, vaddr}};
}

uint64_t append_pair_key(uint32_t first, uint32_t second)
{
	return (uint64_t)first << 32 | second;
}

void append_module_key(struct str *key, int kind, const char *path, const char *build_id,
		       int64_t inode, int64_t device_major, int64_t device_minor)
{
	str_clear(key);
	/* The build-id tells one content from another; where there is none, the inode has to. */
	if (*build_id)
		str_addf(key, "%d %s %s", kind, build_id, path);
	else
		str_addf(key, "%d %" PRId64 ",%" PRId64 ",%" PRId64 " %s", kind, inode,
			 device_major, device_minor, path);
}

/* Ids of a table in ascending order: false where the file has one that rsprof does not give. */
static bool next_id(sqlite3_stmt *rows, struct id_map *map)
{
	int64_t id = sqlite3_column_int64(rows, 0);

	if (id < 0 || id > IDS_MAX)
		return false;
	map->last = (uint32_t)id;
	return true;
}

static int load_modules(struct store *store, struct err *err)
{
	OWN(own_statement) sqlite3_stmt *rows = NULL;
	struct str key = {0};
	int ret = sql_prepare(&store->sql,
			      "SELECT id, kind, path, build_id, inode, device_major, device_minor "
			      "FROM modules ORDER BY id",
			      false, &rows, err);

	while (ret == 0 && (ret = sql_step(&store->sql, rows, err)) > 0) {
		const char *path = (const char *)sqlite3_column_text(rows, 2);
		const char *build_id = (const char *)sqlite3_column_text(rows, 3);

		ret = 0;
		if (!path || !build_id || !next_id(rows, &store->modules)) {
			ret = sql_damaged(&store->sql, err, "a row of modules is not valid");
			break;
		}
		append_module_key(&key, sqlite3_column_int(rows, 1), path, build_id,
				  sqlite3_column_int64(rows, 4), sqlite3_column_int64(rows, 5),
				  sqlite3_column_int64(rows, 6));
		str_map_put(&store->known.modules, str_text(&key), store->modules.last);
	}
	str_done(&key);
	return ret;
}

static int load_frames(struct store *store, struct err *err)
{
	OWN(own_statement) sqlite3_stmt *rows = NULL;
	int ret = sql_prepare(&store->sql, "SELECT id, module_id, vaddr FROM frames ORDER BY id",
			      false, &rows, err);

	while (ret == 0 && (ret = sql_step(&store->sql, rows, err)) > 0) {
		struct tuple key = append_frame_key((uint32_t)sqlite3_column_int64(rows, 1),
						    (uint64_t)sqlite3_column_int64(rows, 2));

		if (!next_id(rows, &store->frames))
			return sql_damaged(&store->sql, err, "a row of frames is not valid");
		tuple_index_put(&store->known.frames, &key, store->frames.last);
		ret = 0;
	}
	return ret;
}

static int load_pairs(struct store *store, const char *text, struct id_map *ids,
		      struct u64_map *known, struct err *err)
{
	OWN(own_statement) sqlite3_stmt *rows = NULL;
	int ret = sql_prepare(&store->sql, text, false, &rows, err);

	while (ret == 0 && (ret = sql_step(&store->sql, rows, err)) > 0) {
		uint64_t key = append_pair_key((uint32_t)sqlite3_column_int64(rows, 1),
					       (uint32_t)sqlite3_column_int64(rows, 2));

		if (!next_id(rows, ids))
			return sql_damaged(&store->sql, err,
					   "a row of nodes or stacks is not valid");
		u64_map_put(known, key, ids->last);
		ret = 0;
	}
	return ret;
}

static int load_last(struct store *store, const char *text, uint32_t *ret_last, struct err *err)
{
	int64_t last;
	int ret = sql_get_int(&store->sql, text, 0, &last, err);

	if (ret < 0)
		return ret;
	if (last < 0 || last > IDS_MAX)
		return sql_damaged(&store->sql, err, "an id is out of range");
	*ret_last = (uint32_t)last;
	return 0;
}

int append_load(struct store *store, struct err *err)
{
	int ret = load_modules(store, err);

	if (ret == 0)
		ret = load_frames(store, err);
	if (ret == 0)
		ret = load_pairs(store,
				 "SELECT id, COALESCE(parent_id, 0), frame_id FROM nodes "
				 "ORDER BY id",
				 &store->nodes, &store->known.nodes, err);
	if (ret == 0)
		ret = load_pairs(store,
				 "SELECT id, COALESCE(node_id, 0), walk_status FROM stacks "
				 "ORDER BY id",
				 &store->stacks, &store->known.stacks, err);
	if (ret == 0)
		ret = load_last(store, "SELECT MAX(id) FROM threads", &store->threads.last, err);
	if (ret == 0)
		ret = load_last(store, "SELECT MAX(id) FROM checkpoints", &store->checkpoint_base,
				err);
	if (ret == 0)
		ret = locations_load(&store->locations, err);
	if (ret == 0)
		ret = rollup_load(&store->rollup, err);
	return ret;
}
