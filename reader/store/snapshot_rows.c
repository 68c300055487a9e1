/* The counts of a window: from the totals where it is the whole file, else from whole roll-ups
 * inside it and single samples at its edges. Checkpoints and roll-ups themselves. */
#include <string.h>

#include "reader/core/aggregate.h"
#include "reader/store/read.h"
#include "reader/util/clock.h"

/* A run of checkpoints by id, both ends included. */
struct run {
	int64_t first, last;
};

struct counts {
	struct load *load;
	struct aggregate *aggregate;
	uint64_t count, value, run_ns; /* of all rows: where these do not overflow, no sum does */
};

int load_checkpoints(struct load *load)
{
	struct load_rows rows;
	struct read_checkpoint last = {0};

	load_begin(load, &rows, "checkpoints",
		   "SELECT id, timestamp_ms, recording_id, rss_bytes, rss_anonymous_bytes "
		   "FROM checkpoints ORDER BY id");
	while (load_next(&rows)) {
		struct read_checkpoint checkpoint = {
			.id = (int64_t)load_number(&rows, 0, INT32_MAX),
			.timestamp_ms = (int64_t)load_number(&rows, 1, INT64_MAX / NS_PER_MS),
			.recording = load_reference(&rows, 2, &load->recordings),
			.rss_bytes = load_number(&rows, 3, INT64_MAX),
			.rss_anonymous_bytes = load_number(&rows, 4, INT64_MAX),
		};

		if (checkpoint.id <= last.id || checkpoint.timestamp_ms < last.timestamp_ms ||
		    checkpoint.recording < last.recording)
			load_damaged(&rows, "the checkpoints are out of order");
		last = checkpoint;
		*vec_add(&load->checkpoints) = checkpoint;
	}
	return load_end(&rows);
}

static int load_spans(struct load *load)
{
	struct load_rows rows;
	int64_t last = 0;

	load_begin(load, &rows, "rollup_spans",
		   "SELECT id, first_checkpoint_id, last_checkpoint_id FROM rollup_spans "
		   "ORDER BY first_checkpoint_id");
	while (load_next(&rows)) {
		struct read_span span = {
			(int64_t)load_number(&rows, 0, INT64_MAX),
			(int64_t)load_number(&rows, 1, INT32_MAX),
			(int64_t)load_number(&rows, 2, INT32_MAX),
		};

		if (span.first <= last || span.last < span.first)
			load_damaged(&rows, "the spans overlap");
		last = span.last;
		*vec_add(&load->spans) = span;
	}
	return load_end(&rows);
}

static bool add_row(struct counts *counts, struct load_rows *rows)
{
	struct load *load = counts->load;
	struct delta_row row = {.event_index = load_reference(rows, 0, &load->events)};

	row.thread.v = load_reference(rows, 1, &load->threads);
	row.stack.v = load_reference(rows, 2, &load->stacks);
	row.kind = (enum wait_kind)load_number(rows, 3, WAIT_KINDS - 1);
	row.count = load_number(rows, 4, INT64_MAX);
	row.kernel_count = load_number(rows, 5, row.count);
	row.value = load_number(rows, 6, INT64_MAX);
	row.run_ns = load_number(rows, 7, INT64_MAX);
	if (__builtin_add_overflow(counts->count, row.count, &counts->count) ||
	    __builtin_add_overflow(counts->value, row.value, &counts->value) ||
	    __builtin_add_overflow(counts->run_ns, row.run_ns, &counts->run_ns))
		load_damaged(rows, "a number is out of range");
	if (rows->ret < 0)
		return false;
	aggregate_add(counts->aggregate, &row);
	return true;
}

static int add_rows(struct counts *counts, const char *table, const char *sql,
		    const int64_t *values, int value_count)
{
	struct load_rows rows;

	if (load_begin(counts->load, &rows, table, sql) == 0) {
		for (int i = 0; i < value_count; i++)
			sqlite3_bind_int64(rows.statement, i + 1, values[i]);
	}
	while (load_next(&rows) && add_row(counts, &rows))
		;
	return load_end(&rows);
}

#define COLUMNS "event_id, thread_id, stack_id, kind, count, kernel_count, value, run_ns"

static int add_totals(struct counts *counts)
{
	return add_rows(counts, "totals", "SELECT " COLUMNS " FROM totals", NULL, 0);
}

static int add_samples(struct counts *counts, struct run run)
{
	if (run.first > run.last)
		return 0;
	return add_rows(counts, "samples",
			"SELECT " COLUMNS " FROM samples WHERE checkpoint_id BETWEEN ? AND ?",
			(const int64_t[]){run.first, run.last}, 2);
}

static int add_rollup(struct counts *counts, int64_t span)
{
	return add_rows(counts, "rollups", "SELECT " COLUMNS " FROM rollups WHERE span_id = ?",
			&span, 1);
}

static int add_window(struct counts *counts, struct run window)
{
	int64_t next = window.first; /* not added yet */
	int ret = 0;

	for (size_t i = 0; i < counts->load->spans.count && ret == 0; i++) {
		const struct read_span *span = &counts->load->spans.items[i];

		if (span->first < window.first || span->last > window.last)
			continue;
		ret = add_samples(counts, (struct run){next, span->first - 1});
		if (ret == 0)
			ret = add_rollup(counts, span->id);
		next = span->last + 1;
	}
	return ret < 0 ? ret : add_samples(counts, (struct run){next, window.last});
}

size_t load_find_window(const struct load *load, struct store_window window, size_t *ret_first)
{
	size_t count = 0;

	for (size_t i = 0; i < load->checkpoints.count; i++) {
		const struct read_checkpoint *checkpoint = &load->checkpoints.items[i];
		uint64_t end_ns = (uint64_t)checkpoint->timestamp_ms * NS_PER_MS;

		/* From 0 on is from the start: a first checkpoint may end within its first
		 * millisecond. */
		if ((window.from_ns && end_ns <= window.from_ns) || end_ns > window.to_ns)
			continue;
		if (!count++)
			*ret_first = i;
	}
	return count;
}

int load_counts(struct load *load, struct store_window window)
{
	struct snapshot *snapshot = load->snapshot;
	struct counts counts = {.load = load, .aggregate = aggregate_new()};
	const struct read_checkpoint *checkpoints = load->checkpoints.items;
	const struct delta_row *sums;
	struct snapshot_row *rows;
	size_t first = 0, count = load_find_window(load, window, &first);
	int ret = load_spans(load);

	if (ret == 0 && count && count == load->checkpoints.count)
		ret = add_totals(&counts);
	else if (ret == 0 && count)
		ret = add_window(&counts, (struct run){checkpoints[first].id,
						       checkpoints[first + count - 1].id});
	snapshot->checkpoint_count = count;
	snapshot->window_from_ns =
		window.from_ns < snapshot->duration_ns ? window.from_ns : snapshot->duration_ns;
	snapshot->window_to_ns =
		window.to_ns < snapshot->duration_ns ? window.to_ns : snapshot->duration_ns;
	sums = aggregate_rows(counts.aggregate, &count);
	rows = arena_alloc(&snapshot->arena, count * sizeof(*rows));
	for (size_t i = 0; i < count; i++)
		rows[i] = (struct snapshot_row){
			.event = sums[i].event_index,
			.thread = sums[i].thread.v,
			.stack = sums[i].stack.v,
			.kind = sums[i].kind,
			.count = sums[i].count,
			.kernel_count = sums[i].kernel_count,
			.value = sums[i].value,
			.run_ns = sums[i].run_ns,
		};
	snapshot->rows = rows;
	snapshot->row_count = count;
	aggregate_free(counts.aggregate);
	return ret;
}
