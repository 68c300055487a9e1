/* An open file for reading: the tests that it is one, and what is asked of it as a whole. */
#include "reader/store/read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/store/migrate.h"
#include "reader/store/schema.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/str.h"

static int refuse_path(const char *path, const char *why, int error, struct err *err)
{
	struct str shown = {0};

	str_add_scrubbed(&shown, path);
	err_set(err, ERR_DATABASE, -error, "%s cannot be read: %s.", str_text(&shown), why);
	if (error == ENOENT)
		err_remedy(err, "Type `rsprof list` for the profiles of this folder.");
	str_done(&shown);
	return -error;
}

/* stat, not open: closing a descriptor of a file that this process also records to would drop
 * SQLite's locks on it. */
static int check_path(const char *path, struct err *err)
{
	struct stat status;

	if (stat(path, &status))
		return refuse_path(path, strerror(errno), errno, err);
	if (S_ISDIR(status.st_mode))
		return refuse_path(path, "it is a folder", EISDIR, err);
	if (!S_ISREG(status.st_mode))
		return refuse_path(path, "it is not a file", EINVAL, err);
	if (!status.st_size)
		return refuse_path(path, "it is empty, nothing was recorded in it", ENODATA, err);
	return 0;
}

/* Size of a file that SQLite keeps beside the database. */
static uint64_t bytes_beside(const char *path, const char *suffix)
{
	struct str name = {0};
	struct stat status;
	uint64_t bytes = 0;

	str_addf(&name, "%s%s", path, suffix);
	if (stat(str_text(&name), &status) == 0 && status.st_size > 0)
		bytes = (uint64_t)status.st_size;
	str_done(&name);
	return bytes;
}

/* SQLite reads a page that is cut off as if it ended in zeroes. */
static int check_length(struct store_reader *reader, struct err *err)
{
	struct stat status;
	int64_t page;
	int ret = sql_get_int(&reader->sql, "PRAGMA page_size", 0, &page, err);

	if (ret < 0)
		return ret;
	if (page > 0 && stat(reader->path, &status) == 0 && status.st_size % page != 0)
		return sql_damaged(&reader->sql, err, "its end is cut off");
	return 0;
}

static int check_format(struct store_reader *reader, struct err *err)
{
	int64_t version;
	int ret = schema_read_version(&reader->sql, &version, err);

	if (ret == 0)
		ret = migrate_check(&reader->sql, version, err);
	if (ret == 0)
		ret = check_length(reader, err);
	if (ret == 0 && version == STORE_VERSION)
		ret = schema_check_tables(&reader->sql, err);
	return ret;
}

static int refuse_beside(const char *path, const char *why, const char *remedy, struct err *err)
{
	refuse_path(path, why, EROFS, err);
	err_remedy(err, "%s", remedy);
	return -EROFS;
}

/* A file that was left in WAL mode needs its -shm, which cannot be made in a folder that is not
 * writable. Without a -wal there is nothing to share, and the file can be read as it is. */
static int open_unshared(struct store_reader *reader, const char *path, struct err *err)
{
	int ret;

	if (bytes_beside(path, "-wal"))
		return refuse_beside(path,
				     "its last checkpoints are in the -wal file beside it, and the "
				     "folder is not writable for you",
				     "Copy both files to a folder of yours and open the copy.",
				     err);
	if (bytes_beside(path, "-journal"))
		return refuse_beside(
			path,
			"it was left in the middle of a write, which the -journal file "
			"beside it undoes",
			"Type `sqlite3 FILE .tables` where you may write, then try again.", err);
	sql_close(&reader->sql);
	ret = sql_open(&reader->sql, path, path, SQLITE_OPEN_READONLY, true, err);
	return ret < 0 ? ret : check_format(reader, err);
}

int store_reader_open(const char *path, struct store_reader **ret_reader, struct err *err)
{
	struct store_reader *reader;
	int ret = check_path(path, err);
	int code;

	if (ret < 0)
		return ret;
	reader = mem_zalloc(sizeof(*reader));
	reader->path = mem_strdup(path);
	ret = sql_open(&reader->sql, path, path, SQLITE_OPEN_READONLY, false, err);
	if (ret == 0)
		ret = check_format(reader, err);
	code = reader->sql.db ? sqlite3_errcode(reader->sql.db) & 0xff : SQLITE_OK;
	if (ret < 0 && (code == SQLITE_CANTOPEN || code == SQLITE_READONLY) &&
	    access(path, R_OK) == 0)
		ret = open_unshared(reader, path, err);
	if (ret < 0) {
		store_reader_close(reader);
		return ret;
	}
	*ret_reader = reader;
	return 0;
}

int store_reader_reopen(const char *path, struct store_reader **ret_reader, struct err *err)
{
	struct store_reader *reader;
	int64_t application;
	int ret = check_path(path, err);

	if (ret < 0)
		return ret;
	reader = mem_zalloc(sizeof(*reader));
	reader->path = mem_strdup(path);
	ret = sql_open(&reader->sql, path, path, SQLITE_OPEN_READONLY, false, NULL);
	if (ret == 0)
		ret = sql_get_int(&reader->sql, "PRAGMA application_id", 0, &application, NULL);
	if (ret < 0 || application != SCHEMA_APPLICATION_ID) {
		/* The long way has the sentence, or another way in. */
		store_reader_close(reader);
		return store_reader_open(path, ret_reader, err);
	}
	*ret_reader = reader;
	return 0;
}

void store_reader_close(struct store_reader *reader)
{
	if (!reader)
		return;
	sql_close(&reader->sql);
	free(reader->path);
	free(reader);
}

uint64_t store_reader_duration_ns(struct store_reader *reader)
{
	int64_t duration;

	/* What is wrong with the file is told by whoever reads it next. */
	if (sql_get_int(&reader->sql, "SELECT MAX(offset_ns + duration_ns) FROM recordings", 0,
			&duration, NULL) < 0 ||
	    duration < 0)
		return 0;
	return (uint64_t)duration;
}

int store_reader_snapshot(struct store_reader *reader, struct store_window window,
			  struct snapshot **ret_snapshot, struct err *err)
{
	struct load load = {.reader = reader, .err = err};
	/* One state of the file, however long this takes and whoever writes to it. */
	int ret = sql_exec(&reader->sql, "BEGIN", err);

	if (ret < 0)
		return ret;
	load.snapshot = mem_zalloc(sizeof(*load.snapshot));
	load.snapshot->file = arena_strdup(&load.snapshot->arena, reader->path);
	load.strings = &load.snapshot->arena;
	ret = load_tables(&load);
	if (ret == 0)
		ret = load_checkpoints(&load);
	if (ret == 0)
		ret = load_spans(&load);
	if (ret == 0)
		ret = load_make(&load, window);
	sqlite3_exec(reader->sql.db, "ROLLBACK", NULL, NULL, NULL);
	load_done(&load);
	if (ret < 0) {
		snapshot_free(load.snapshot);
		return ret;
	}
	*ret_snapshot = load.snapshot;
	return 0;
}

/* The samples of the event that stands for CPU time, else of the first. Waits are no samples. */
static int sum_samples(struct store_reader *reader, struct store_summary *summary, struct err *err)
{
	int64_t samples;
	int ret =
		sql_get_int(&reader->sql,
			    "SELECT SUM(count) FROM totals WHERE event_id = (SELECT id FROM events "
			    "WHERE name <> 'wait-time' ORDER BY is_cpu DESC, id LIMIT 1)",
			    0, &samples, err);

	if (ret < 0)
		return ret;
	if (samples < 0)
		return sql_damaged(&reader->sql, err, "a number is out of range");
	summary->samples = (uint64_t)samples;
	return 0;
}

static int sum_recordings(struct store_reader *reader, struct store_summary *summary,
			  struct err *err)
{
	OWN(own_statement) sqlite3_stmt *rows = NULL;
	const char *name;
	int ret = sql_prepare(&reader->sql,
			      "SELECT process_name, pid, start_unix_ns, "
			      "(SELECT MAX(offset_ns + duration_ns) FROM recordings), "
			      "(SELECT MIN(is_finished) FROM recordings) "
			      "FROM recordings ORDER BY id LIMIT 1",
			      false, &rows, err);

	if (ret == 0)
		ret = sql_step(&reader->sql, rows, err);
	if (ret < 0)
		return ret;
	if (ret == 0)
		return sql_damaged(&reader->sql, err, "it holds no recording");
	name = (const char *)sqlite3_column_text(rows, 0);
	if (!name || sqlite3_column_int64(rows, 1) < 0 ||
	    sqlite3_column_int64(rows, 1) > UINT32_MAX || sqlite3_column_int64(rows, 2) < 0 ||
	    sqlite3_column_int64(rows, 3) < 0)
		return sql_damaged(&reader->sql, err, "its recording is not valid");
	snprintf(summary->process_name, sizeof(summary->process_name), "%s", name);
	summary->pid = (uint32_t)sqlite3_column_int64(rows, 1);
	summary->start_unix_ns = (uint64_t)sqlite3_column_int64(rows, 2);
	summary->duration_ns = (uint64_t)sqlite3_column_int64(rows, 3);
	summary->is_finished = sqlite3_column_int(rows, 4) == 1;
	return 0;
}

int store_reader_summary(struct store_reader *reader, struct store_summary *ret_summary,
			 struct err *err)
{
	struct store_summary summary = {0};
	struct stat status;
	int ret = sum_recordings(reader, &summary, err);

	if (ret == 0)
		ret = sum_samples(reader, &summary, err);
	if (ret < 0)
		return ret;
	if (stat(reader->path, &status) == 0)
		summary.bytes = (uint64_t)status.st_size + bytes_beside(reader->path, "-wal");
	*ret_summary = summary;
	return 0;
}
