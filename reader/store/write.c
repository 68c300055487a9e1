/* The life of a file that is being written: made or gone on with, ended or let go. */
#include "reader/store/write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reader/store/migrate.h"
#include "reader/store/schema.h"
#include "reader/util/clock.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"

static const char *const texts[WRITE_STATEMENTS] = {
	[WRITE_MODULE] = "INSERT INTO modules VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[WRITE_THREAD] = "INSERT INTO threads VALUES(?, ?, ?, ?, ?)",
	[WRITE_FRAME] = "INSERT INTO frames VALUES(?, ?, ?, 0, 0, 0)",
	[WRITE_NODE] = "INSERT INTO nodes VALUES(?, NULLIF(?, 0), ?)",
	[WRITE_STACK] = "INSERT INTO stacks VALUES(?1, NULLIF(?2, 0), ?3, ?3, NULL, NULL, ?4)",
	[WRITE_CHECKPOINT] = "INSERT INTO checkpoints VALUES(?, ?, ?, ?, ?, ?, ?)",
	[WRITE_SAMPLE] = "INSERT INTO samples VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[WRITE_TOTAL] =
		"INSERT INTO totals VALUES(?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
		"count = count + excluded.count, "
		"kernel_count = kernel_count + excluded.kernel_count, "
		"value = value + excluded.value, run_ns = run_ns + excluded.run_ns",
	/* Of two steps in one millisecond the later one holds. */
	[WRITE_STEP] = "INSERT INTO steps VALUES(?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
		       "mode = excluded.mode, reason = excluded.reason",
	[WRITE_HEAP_CHANGE] = "INSERT INTO heap_changes VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	/* The sum of two integers that is none any more is a real number, and so the larger. */
	[WRITE_HEAP_STACK] =
		"INSERT INTO heap_stacks VALUES(?1, ?2, ?3, ?2, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
		"?12, ?13) ON CONFLICT DO UPDATE SET "
		"live_bytes = ?2, live_blocks = ?3, peak_bytes = MAX(peak_bytes, ?2), "
		"total_allocs = MIN(total_allocs + ?4, 9223372036854775807), "
		"total_alloc_bytes = MIN(total_alloc_bytes + ?5, 9223372036854775807), "
		"total_frees = MIN(total_frees + ?6, 9223372036854775807), "
		"total_free_bytes = MIN(total_free_bytes + ?7, 9223372036854775807), "
		"untracked = MIN(untracked + ?8, 9223372036854775807), "
		"untracked_bytes = MIN(untracked_bytes + ?9, 9223372036854775807), "
		"temporary = MIN(temporary + ?10, 9223372036854775807), "
		"reallocs = MIN(reallocs + ?11, 9223372036854775807), "
		"growth_bytes = MIN(growth_bytes + ?12, 9223372036854775807), "
		"estimated = MIN(estimated + ?13, 9223372036854775807)",
	[WRITE_HEAP_CHECKPOINT] =
		"INSERT INTO heap_checkpoints VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[WRITE_HEAP_PEAK] = "INSERT INTO heap_peaks VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET "
			    "peak_bytes = MAX(peak_bytes, excluded.peak_bytes)",
	[WRITE_HEAP_STACK_PEAK] = "UPDATE heap_stacks SET peak_bytes = MAX(peak_bytes, ?2) "
				  "WHERE stack_id = ?1",
	[WRITE_LOSS] = "INSERT OR REPLACE INTO losses VALUES(?, ?, ?)",
	[WRITE_DURATION] = "UPDATE recordings SET duration_ns = ?2, is_finished = ?3 WHERE id = ?1",
	[WRITE_META] = "INSERT OR REPLACE INTO meta VALUES(?, ?)",
	[WRITE_FRAME_RESOLVED] = "UPDATE frames SET is_resolved = 1, quality = ?2, base = ?3 "
				 "WHERE id = ?1",
	[WRITE_FRAME_LINE] = "INSERT INTO frame_lines VALUES(?, ?, ?)",
	[WRITE_FRAME_LINES_GONE] = "DELETE FROM frame_lines WHERE frame_id = ?",
	[WRITE_CHARGE] = "UPDATE stacks SET status = ?2, charged_frame_id = NULLIF(?3, 0), "
			 "charged_location_id = NULLIF(?4, 0), addr = ?5 WHERE id = ?1",
	[READ_LEAF] = "SELECT f.id, f.module_id, f.vaddr, l.addr FROM nodes n "
		      "JOIN frames f ON f.id = n.frame_id "
		      "LEFT JOIN frame_lines x ON x.frame_id = f.id AND x.depth = 0 "
		      "LEFT JOIN locations l ON l.id = x.location_id WHERE n.id = ?",
	[READ_FRAME] = "SELECT module_id, vaddr, is_resolved, quality FROM frames WHERE id = ?",
	[READ_LINE] = "SELECT l.id, l.addr FROM frame_lines x "
		      "JOIN locations l ON l.id = x.location_id "
		      "WHERE x.frame_id = ? AND x.depth = ?",
};

int write_prepare(struct store *store, struct err *err)
{
	int ret = 0;

	for (int i = 0; i < WRITE_STATEMENTS && ret == 0; i++)
		ret = sql_prepare(&store->sql, texts[i], true, &store->statements[i], err);
	if (ret == 0)
		ret = locations_init(&store->locations, &store->sql, err);
	if (ret == 0)
		ret = rollup_init(&store->rollup, &store->sql, err);
	return ret;
}

int write_begin(struct store *store, struct err *err)
{
	int ret;

	if (store->in_transaction)
		return 0;
	/* IMMEDIATE: a lock that somebody else holds is met here, not half-way through. */
	ret = sql_exec(&store->sql, "BEGIN IMMEDIATE", err);
	store->in_transaction = ret == 0;
	return ret;
}

int write_end(struct store *store, struct err *err)
{
	int ret = sql_exec(&store->sql, "COMMIT", err);

	if (ret == 0)
		store->in_transaction = false;
	return ret;
}

void write_roll_back(struct store *store)
{
	/* A failure may have rolled back by itself. */
	if (store->in_transaction && !sqlite3_get_autocommit(store->sql.db))
		sqlite3_exec(store->sql.db, "ROLLBACK", NULL, NULL, NULL);
	store->in_transaction = false;
}

int write_meta(struct store *store, const char *key, const char *value, struct err *err)
{
	sqlite3_stmt *statement = store->statements[WRITE_META];

	sqlite3_bind_text(statement, 1, key, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(statement, 2, value, -1, SQLITE_TRANSIENT);
	return sql_run(&store->sql, statement, err);
}

int write_step(struct store *store, uint64_t time_ns, const char *signal, const char *mode,
	       const char *reason, struct err *err)
{
	sqlite3_stmt *statement = store->statements[WRITE_STEP];

	sqlite3_bind_int64(statement, 1, store->recording);
	sqlite3_bind_int64(statement, 2, (int64_t)((store->offset_ns + time_ns) / NS_PER_MS));
	sqlite3_bind_text(statement, 3, signal, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(statement, 4, mode, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(statement, 5, reason, -1, SQLITE_TRANSIENT);
	return sql_run(&store->sql, statement, err);
}

int write_no_ids(struct store *store, struct err *err)
{
	return err_set(err, ERR_DATABASE, -EOVERFLOW, "%s is full: it has no ids left.",
		       store->sql.shown);
}

static struct store *store_new(bool is_append)
{
	struct store *store = mem_zalloc(sizeof(*store));

	store->is_append = is_append;
	store->file.fd = -1;
	store->recording = 1;
	store->threads.first = store->frames.first = store->nodes.first = store->stacks.first = 1;
	store->modules.is_identity = store->threads.is_identity = store->frames.is_identity =
		store->nodes.is_identity = store->stacks.is_identity = !is_append;
	return store;
}

static void close_sql(struct store *store)
{
	write_roll_back(store);
	for (int i = 0; i < WRITE_STATEMENTS; i++)
		sqlite3_finalize(store->statements[i]);
	memset(store->statements, 0, sizeof(store->statements));
	locations_done(&store->locations);
	rollup_done(&store->rollup);
	heap_done(&store->heap);
	sql_close(&store->sql);
}

static void store_free(struct store *store)
{
	close_sql(store);
	store_file_close(&store->file);
	free(store->events);
	id_map_done(&store->modules);
	id_map_done(&store->threads);
	id_map_done(&store->frames);
	id_map_done(&store->nodes);
	id_map_done(&store->stacks);
	str_map_done(&store->known.modules);
	tuple_index_done(&store->known.frames);
	u64_map_done(&store->known.nodes);
	u64_map_done(&store->known.stacks);
	free(store);
}

/* A file that opens from read-only media, alone in its folder. A reader that is in the middle keeps
 * it from that; the file is whole then too, with its -wal beside it. */
static void settle(struct store *store)
{
	write_roll_back(store);
	sqlite3_exec(store->sql.db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
	sqlite3_exec(store->sql.db, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL);
}

static int open_sql(struct store *store, const char *given, struct err *err)
{
	/* No symbolic link: the path is resolved, so one in it was put there since. */
	int ret = sql_open(&store->sql, store->file.path, given,
			   SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, false, err);

	if (ret == 0 && !store_file_is_same(&store->file))
		ret = err_set(err, ERR_DATABASE, -ESTALE, "%s was replaced while it was opened.",
			      store->sql.shown);
	return ret;
}

/* Readers go on while checkpoints are written; where the file system cannot do that, SQLite stays
 * with its rollback journal. NORMAL: a checkpoint may be lost with the machine, never the file. */
static int use_wal(struct store *store, struct err *err)
{
	store->is_ours = true;
	return sql_exec(&store->sql, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL", err);
}

static int fill_new(struct store *store, const struct store_recording *recording, struct err *err)
{
	/* In the file itself before WAL begins: a recording is known by its header from the start.
	 */
	int ret = write_begin(store, err);

	if (ret == 0)
		ret = schema_create(&store->sql, err);
	if (ret == 0)
		ret = sql_exec(
			&store->sql,
			"INSERT INTO modules VALUES(0, 0, '[unknown]', '[unknown]', '', 0, 0, "
			"0, NULL)",
			err);
	if (ret == 0)
		ret = write_prepare(store, err);
	if (ret == 0)
		ret = recording_begin(store, recording, err);
	if (ret == 0)
		ret = write_end(store, err);
	if (ret == 0)
		ret = use_wal(store, err);
	store->modules.count = 1;
	return ret;
}

int store_create(const char *path, const struct store_recording *recording,
		 struct store **ret_store, struct err *err)
{
	struct store *store = store_new(false);
	int ret = store_file_create(&store->file, path, err);

	if (ret < 0) {
		store_free(store);
		return ret;
	}
	ret = open_sql(store, path, err);
	if (ret == 0)
		ret = fill_new(store, recording, err);
	if (ret < 0) {
		store_abandon(store, true);
		return ret;
	}
	*ret_store = store;
	return 0;
}

static int refuse_other_build(struct store *store, struct err *err)
{
	err_set(err, ERR_DATABASE, -EINVAL, "%s was recorded from another build of the executable.",
		store->sql.shown);
	err_remedy(err, "Record to a new file, without --append.");
	return -EINVAL;
}

static int check_build(struct store *store, const struct store_recording *recording,
		       struct err *err)
{
	OWN(own_statement) sqlite3_stmt *rows = NULL;
	const char *build_id = recording_text(recording->exe_build_id);
	int ret = sql_prepare(&store->sql, "SELECT exe_build_id, exe_path FROM recordings", false,
			      &rows, err);

	while (ret == 0 && (ret = sql_step(&store->sql, rows, err)) > 0) {
		const char *known = recording_text((const char *)sqlite3_column_text(rows, 0));
		const char *path = recording_text((const char *)sqlite3_column_text(rows, 1));

		if (strcmp(known, build_id) != 0)
			return refuse_other_build(store, err);
		/* Without build-ids the path is all there is to go by. */
		if (!*build_id && strcmp(path, recording_text(recording->exe_path)) != 0)
			return refuse_other_build(store, err);
		ret = 0;
	}
	return ret;
}

/* Where in the file's recorded time, and under which id, the next recording begins. */
static int find_end(struct store *store, struct err *err)
{
	int64_t last, offset;
	int ret = sql_get_int(&store->sql, "SELECT MAX(id) FROM recordings", 0, &last, err);

	if (ret == 0)
		ret = sql_get_int(&store->sql,
				  "SELECT MAX(offset_ns + duration_ns) FROM recordings", 0, &offset,
				  err);
	if (ret < 0)
		return ret;
	if (last < 0 || last >= IDS_MAX || offset < 0)
		return sql_damaged(&store->sql, err, "its recordings are not valid");
	store->recording = last + 1;
	store->offset_ns = (uint64_t)offset;
	return 0;
}

static int fill_append(struct store *store, const struct store_recording *recording,
		       struct err *err)
{
	int64_t version;
	int ret = schema_read_version(&store->sql, &version, err);

	if (ret == 0)
		ret = migrate_check(&store->sql, version, err);
	if (ret == 0)
		ret = use_wal(store, err);
	/* This transaction ends with the first commit: an appended recording that never began
	 * leaves nothing in the file. */
	if (ret == 0)
		ret = write_begin(store, err);
	if (ret == 0)
		ret = migrate(&store->sql, version, err);
	if (ret == 0)
		ret = schema_check_tables(&store->sql, err);
	if (ret == 0)
		ret = check_build(store, recording, err);
	if (ret == 0)
		ret = find_end(store, err);
	if (ret == 0)
		ret = write_prepare(store, err);
	if (ret == 0)
		ret = append_load(store, err);
	if (ret == 0)
		ret = recording_begin(store, recording, err);
	/* The unknown module is the same everywhere. */
	id_map_add_known(&store->modules, 0);
	return ret;
}

int store_append(const char *path, const struct store_recording *recording,
		 struct store **ret_store, struct err *err)
{
	struct store *store = store_new(true);
	int ret = store_file_open(&store->file, path, err);

	if (ret < 0) {
		store_free(store);
		return ret;
	}
	ret = open_sql(store, path, err);
	if (ret == 0)
		ret = fill_append(store, recording, err);
	if (ret < 0) {
		store_abandon(store, false);
		return ret;
	}
	*ret_store = store;
	return 0;
}

static int write_end_facts(struct store *store, const struct store_end *end, struct err *err)
{
	int ret = write_begin(store, err);

	if (end->duration_ns > store->duration_ns)
		store->duration_ns = end->duration_ns;
	if (ret == 0)
		ret = recording_write_facts(store, end->facts, end->fact_count, err);
	if (ret == 0)
		ret = heap_write_facts(store, err);
	if (ret == 0)
		ret = write_ints(store, WRITE_DURATION, err, store->recording,
				 (int64_t)store->duration_ns, 1);
	if (ret == 0)
		ret = write_end(store, err);
	return ret;
}

int store_finish(struct store *store, const struct store_end *end, struct err *err)
{
	int ret = store->failure;

	if (ret < 0 && err)
		*err = store->failure_err;
	if (ret == 0)
		ret = write_end_facts(store, end, err);
	settle(store);
	close_sql(store);
	if (ret == 0 && !store->is_append)
		store_file_hand_over(&store->file);
	store_free(store);
	return ret;
}

void store_abandon(struct store *store, bool remove_file)
{
	if (!store)
		return;
	if (!remove_file && store->is_ours)
		settle(store);
	close_sql(store);
	if (remove_file && store_file_is_same(&store->file))
		store_file_remove(&store->file);
	store_free(store);
}
