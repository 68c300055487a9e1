/* Rows of a file that may say anything. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reader/store/read.h"

uint32_t id_index_get(const struct id_index *index, int64_t id)
{
	size_t low = 0, high = index->ids.count;

	if (!high || id < index->ids.items[0] || id > index->ids.items[high - 1])
		return SNAPSHOT_NONE;
	low = (size_t)(id - index->ids.items[0]);
	if (low < high && index->ids.items[low] == id)
		return (uint32_t)low;
	for (low = 0; low < high;) {
		size_t middle = low + (high - low) / 2;

		if (index->ids.items[middle] < id)
			low = middle + 1;
		else
			high = middle;
	}
	return index->ids.items[low] == id ? (uint32_t)low : SNAPSHOT_NONE;
}

bool id_index_add(struct id_index *index, int64_t id)
{
	size_t count = index->ids.count;

	if (id < 0 || count >= INT32_MAX || (count && id <= index->ids.items[count - 1]))
		return false;
	*vec_add(&index->ids) = id;
	return true;
}

int load_begin(struct load *load, struct load_rows *rows, const char *table, const char *sql)
{
	*rows = (struct load_rows){.load = load, .table = table};
	rows->ret = sql_prepare(&load->reader->sql, sql, false, &rows->statement, load->err);
	return rows->ret;
}

bool load_next(struct load_rows *rows)
{
	int ret;

	if (rows->ret < 0)
		return false;
	ret = sql_step(&rows->load->reader->sql, rows->statement, rows->load->err);
	if (ret < 0)
		rows->ret = ret;
	return ret > 0;
}

int load_end(struct load_rows *rows)
{
	sqlite3_finalize(rows->statement);
	rows->statement = NULL;
	return rows->ret;
}

int load_damaged(struct load_rows *rows, const char *what)
{
	if (rows->ret == 0)
		rows->ret = sql_damaged(&rows->load->reader->sql, rows->load->err,
					"%s in the table %s", what, rows->table);
	return rows->ret;
}

uint64_t load_number(struct load_rows *rows, int column, uint64_t max)
{
	int64_t value = sqlite3_column_int64(rows->statement, column);

	if (sqlite3_column_type(rows->statement, column) != SQLITE_INTEGER || value < 0 ||
	    (uint64_t)value > max) {
		load_damaged(rows, "a number is out of range");
		return 0;
	}
	return (uint64_t)value;
}

uint64_t load_bits(struct load_rows *rows, int column)
{
	if (sqlite3_column_type(rows->statement, column) != SQLITE_INTEGER)
		load_damaged(rows, "a number is missing");
	return (uint64_t)sqlite3_column_int64(rows->statement, column);
}

bool load_is_null(const struct load_rows *rows, int column)
{
	return sqlite3_column_type(rows->statement, column) == SQLITE_NULL;
}

const char *load_text(struct load_rows *rows, int column)
{
	const char *text = NULL;

	if (sqlite3_column_type(rows->statement, column) == SQLITE_TEXT)
		text = (const char *)sqlite3_column_text(rows->statement, column);
	if (!text) {
		load_damaged(rows, "a text is missing");
		return "";
	}
	return arena_strdup(&rows->load->snapshot->arena, text);
}

uint32_t load_reference(struct load_rows *rows, int column, const struct id_index *index)
{
	uint32_t found = SNAPSHOT_NONE;

	if (sqlite3_column_type(rows->statement, column) == SQLITE_INTEGER)
		found = id_index_get(index, sqlite3_column_int64(rows->statement, column));
	if (found == SNAPSHOT_NONE)
		load_damaged(rows, "a row refers to one that is not there");
	return found;
}

void load_id(struct load_rows *rows, struct id_index *index)
{
	if (!id_index_add(index, (int64_t)load_number(rows, 0, INT64_MAX)))
		load_damaged(rows, "the ids are out of order");
}
