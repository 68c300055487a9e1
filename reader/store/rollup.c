#include "reader/store/rollup.h"

#include <stdlib.h>
#include <string.h>

#include "reader/store/ids.h"
#include "reader/util/own.h"
#include "reader/util/mem.h"

int rollup_init(struct rollup *rollup, struct sql *sql, struct err *err)
{
	int ret;

	rollup->sql = sql;
	rollup->aggregate = aggregate_new();
	ret = sql_prepare(sql, "INSERT INTO rollup_spans VALUES(?, ?, ?)", true,
			  &rollup->insert_span, err);
	if (ret == 0)
		ret = sql_prepare(sql, "INSERT INTO rollups VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
				  true, &rollup->insert_row, err);
	if (ret == 0)
		ret = sql_prepare(sql,
				  "INSERT INTO heap_rollups "
				  "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
				  true, &rollup->insert_heap, err);
	return ret;
}

static int load_rows(struct rollup *rollup, int64_t after, struct err *err)
{
	OWN(own_statement) sqlite3_stmt *rows = NULL;
	int ret = sql_prepare(rollup->sql,
			      "SELECT event_id, thread_id, stack_id, kind, count, kernel_count, "
			      "value, run_ns FROM samples WHERE checkpoint_id > ?",
			      false, &rows, err);

	if (ret == 0)
		sqlite3_bind_int64(rows, 1, after);
	while (ret == 0 && (ret = sql_step(rollup->sql, rows, err)) > 0) {
		struct delta_row row = {
			.kind = (enum wait_kind)sqlite3_column_int(rows, 3),
			.count = (uint64_t)sqlite3_column_int64(rows, 4),
			.kernel_count = (uint64_t)sqlite3_column_int64(rows, 5),
			.value = (uint64_t)sqlite3_column_int64(rows, 6),
			.run_ns = (uint64_t)sqlite3_column_int64(rows, 7),
		};

		row.event_index = (uint32_t)sqlite3_column_int64(rows, 0);
		row.thread.v = (uint32_t)sqlite3_column_int64(rows, 1);
		row.stack.v = (uint32_t)sqlite3_column_int64(rows, 2);
		rollup_add(rollup, &row);
		ret = 0;
	}
	return ret;
}

static int load_heap_rows(struct rollup *rollup, int64_t after, struct err *err)
{
	OWN(own_statement) sqlite3_stmt *rows = NULL;
	int ret = sql_prepare(rollup->sql,
			      "SELECT stack_id, " HEAP_COLUMN_NAMES " FROM heap_changes "
			      "WHERE checkpoint_id > ?",
			      false, &rows, err);

	if (ret == 0)
		sqlite3_bind_int64(rows, 1, after);
	while (ret == 0 && (ret = sql_step(rollup->sql, rows, err)) > 0) {
		struct delta_heap_row row;
		uint64_t columns[HEAP_COLUMNS];

		row.stack.v = (uint32_t)sqlite3_column_int64(rows, 0);
		for (int i = 0; i < HEAP_COLUMNS; i++)
			columns[i] = (uint64_t)sqlite3_column_int64(rows, i + 1);
		heap_from_columns(columns, &row.counts);
		rollup_add_heap(rollup, &row);
		ret = 0;
	}
	return ret;
}

int rollup_load(struct rollup *rollup, struct err *err)
{
	OWN(own_statement) sqlite3_stmt *rest = NULL;
	int64_t last, count, first;
	int ret = sql_get_int(rollup->sql, "SELECT MAX(id) FROM rollup_spans", 0,
			      &rollup->last_span, err);

	if (ret == 0)
		ret = sql_get_int(rollup->sql, "SELECT MAX(last_checkpoint_id) FROM rollup_spans",
				  0, &last, err);
	if (ret == 0)
		ret = sql_prepare(rollup->sql,
				  "SELECT COUNT(*), COALESCE(MIN(id), 0) FROM checkpoints "
				  "WHERE id > ?",
				  false, &rest, err);
	if (ret < 0)
		return ret;
	sqlite3_bind_int64(rest, 1, last);
	ret = sql_step(rollup->sql, rest, err);
	if (ret < 0)
		return ret;
	count = sqlite3_column_int64(rest, 0);
	first = sqlite3_column_int64(rest, 1);
	if (count >= ROLLUP_CHECKPOINTS || first < 0 || first > IDS_MAX)
		return sql_damaged(rollup->sql, err, "its roll-ups do not reach to its end");
	rollup->checkpoints = (uint32_t)count;
	rollup->first_checkpoint = (uint32_t)first;
	ret = load_rows(rollup, last, err);
	return ret < 0 ? ret : load_heap_rows(rollup, last, err);
}

void rollup_add(struct rollup *rollup, const struct delta_row *row)
{
	aggregate_add(rollup->aggregate, row);
}

void rollup_add_heap(struct rollup *rollup, const struct delta_heap_row *row)
{
	heap_sums_add(&rollup->heap, row->stack.v, &row->counts);
}

static int compare_rows(const void *left, const void *right)
{
	const struct delta_row *a = left, *b = right;

	if (a->event_index != b->event_index)
		return a->event_index < b->event_index ? -1 : 1;
	if (a->thread.v != b->thread.v)
		return a->thread.v < b->thread.v ? -1 : 1;
	if (a->stack.v != b->stack.v)
		return a->stack.v < b->stack.v ? -1 : 1;
	return (a->kind > b->kind) - (a->kind < b->kind);
}

void rollup_sort(struct delta_row *rows, size_t count)
{
	if (count)
		qsort(rows, count, sizeof(*rows), compare_rows);
}

static int write_heap_rows(struct rollup *rollup, int64_t span, struct err *err)
{
	int ret = 0;

	heap_sums_sort(&rollup->heap);
	for (size_t i = 0; i < rollup->heap.rows.count && ret == 0; i++) {
		const struct delta_heap_row *row = &rollup->heap.rows.items[i];
		int64_t values[2 + HEAP_COLUMNS] = {span, row->stack.v};

		heap_columns(&row->counts, values + 2);
		ret = sql_run_ints(rollup->sql, rollup->insert_heap, values, 2 + HEAP_COLUMNS, err);
	}
	return ret;
}

static int write_span(struct rollup *rollup, uint32_t last_checkpoint, struct err *err)
{
	int64_t span = rollup->last_span + 1;
	OWN(own_free) struct delta_row *rows = NULL;
	const struct delta_row *unsorted;
	size_t count;
	int ret = sql_run_ints(rollup->sql, rollup->insert_span,
			       (const int64_t[]){span, rollup->first_checkpoint, last_checkpoint},
			       3, err);

	if (ret == 0)
		ret = write_heap_rows(rollup, span, err);
	unsorted = aggregate_rows(rollup->aggregate, &count);
	if (!count)
		return ret;
	rows = mem_copy(unsorted, count * sizeof(*rows));
	rollup_sort(rows, count);
	for (size_t i = 0; i < count && ret == 0; i++)
		ret = sql_run_ints(
			rollup->sql, rollup->insert_row,
			(const int64_t[]){span, rows[i].event_index, rows[i].thread.v,
					  rows[i].stack.v, rows[i].kind, (int64_t)rows[i].count,
					  (int64_t)rows[i].kernel_count, (int64_t)rows[i].value,
					  (int64_t)rows[i].run_ns},
			9, err);
	return ret;
}

int rollup_end_checkpoint(struct rollup *rollup, uint32_t checkpoint, struct err *err)
{
	int ret;

	if (!rollup->checkpoints)
		rollup->first_checkpoint = checkpoint;
	if (++rollup->checkpoints < ROLLUP_CHECKPOINTS)
		return 0;
	ret = write_span(rollup, checkpoint, err);
	if (ret < 0)
		return ret;
	rollup->last_span++;
	rollup->checkpoints = 0;
	aggregate_clear(rollup->aggregate);
	heap_sums_clear(&rollup->heap);
	return 0;
}

void rollup_done(struct rollup *rollup)
{
	sqlite3_finalize(rollup->insert_span);
	sqlite3_finalize(rollup->insert_row);
	sqlite3_finalize(rollup->insert_heap);
	aggregate_free(rollup->aggregate);
	heap_sums_done(&rollup->heap);
	memset(rollup, 0, sizeof(*rollup));
}
