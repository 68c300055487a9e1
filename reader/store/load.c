/* Rows of a file that may say anything. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reader/store/heap_read.h"

uint32_t id_index_get(const struct id_index *index, int64_t id)
{
	size_t low = 0, high = index->ids.count;

	if (!high || id < index->ids.items[0] || id > index->ids.items[high - 1])
		return SNAPSHOT_NONE;
	low = (size_t)(id - index->ids.items[0]);
	if (!index->has_gaps || (low < high && index->ids.items[low] == id))
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
	index->has_gaps |= id - index->ids.items[0] != (int64_t)count;
	return true;
}

void load_done(struct load *load)
{
	struct id_index *const indexes[] = {
		&load->recordings, &load->events, &load->threads, &load->modules, &load->texts,
		&load->locations,  &load->frames, &load->nodes,	  &load->stacks,
	};

	for (size_t i = 0; i < sizeof(indexes) / sizeof(*indexes); i++)
		vec_done(&indexes[i]->ids);
	vec_done(&load->text);
	vec_done(&load->tables.meta);
	vec_done(&load->tables.recordings);
	vec_done(&load->tables.intervals);
	vec_done(&load->tables.events);
	vec_done(&load->tables.threads);
	vec_done(&load->tables.modules);
	vec_done(&load->tables.locations);
	vec_done(&load->tables.frames);
	vec_done(&load->tables.lines);
	vec_done(&load->tables.nodes);
	vec_done(&load->tables.depths);
	vec_done(&load->tables.stacks);
	vec_done(&load->tables.steps);
	vec_done(&load->open_frames);
	vec_done(&load->open_stacks);
	vec_done(&load->checkpoints);
	vec_done(&load->spans);
	aggregate_free(load->whole.aggregate);
	heap_load_free(load->heap);
	heap_held_done(&load->held);
}

int load_begin(struct load *load, struct load_rows *rows, const char *table, const char *sql)
{
	*rows = (struct load_rows){.load = load, .table = table};
	if (load->is_cancelled && atomic_load(load->is_cancelled))
		return rows->ret = -ECANCELED;
	rows->ret = sql_prepare(&load->reader->sql, sql, false, &rows->statement, load->err);
	return rows->ret;
}

int load_begin_new(struct load *load, struct load_rows *rows, const char *table, const char *sql,
		   const struct id_index *index)
{
	int64_t first = INT64_MIN;

	if (index->ids.count)
		first = index->ids.items[index->ids.count - 1];
	if (first >= 0 && first < INT64_MAX)
		first++;
	if (load_begin(load, rows, table, sql) == 0)
		sqlite3_bind_int64(rows->statement, 1, first);
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

const char *load_text_again(struct load_rows *rows, int column, const char *before)
{
	const char *text = NULL;

	if (sqlite3_column_type(rows->statement, column) == SQLITE_TEXT)
		text = (const char *)sqlite3_column_text(rows->statement, column);
	if (!text) {
		load_damaged(rows, "a text is missing");
		return "";
	}
	if (before && strcmp(text, before) == 0)
		return before;
	return arena_strdup(rows->load->strings, text);
}

const char *load_text(struct load_rows *rows, int column)
{
	return load_text_again(rows, column, NULL);
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
