/* The counts of a window: from the totals where it is the whole file, else from whole roll-ups
 * inside it and single samples at its edges. Checkpoints and roll-ups themselves. */
#include "reader/store/heap_read.h"
#include "reader/util/clock.h"

/* A run of checkpoints by id, both ends included. */
struct run {
	int64_t first, last;
};

int load_checkpoints(struct load *load)
{
	struct load_rows rows;
	struct read_checkpoint last = {0};

	if (load->checkpoints.count)
		last = load->checkpoints.items[load->checkpoints.count - 1];
	if (load_begin(load, &rows, "checkpoints",
		       "SELECT id, timestamp_ms, recording_id, user_ms, system_ms, rss_bytes, "
		       "rss_anonymous_bytes FROM checkpoints WHERE id > ? ORDER BY id") == 0)
		sqlite3_bind_int64(rows.statement, 1,
				   load->checkpoints.count ? last.id : INT64_MIN);
	while (load_next(&rows)) {
		struct read_checkpoint checkpoint = {
			.id = (int64_t)load_number(&rows, 0, INT32_MAX),
			.timestamp_ms = (int64_t)load_number(&rows, 1, INT64_MAX / NS_PER_MS),
			.recording = load_reference(&rows, 2, &load->recordings),
			.cpu_ms = load_number(&rows, 3, INT64_MAX / 2),
			.rss_bytes = load_number(&rows, 5, INT64_MAX),
			.rss_anonymous_bytes = load_number(&rows, 6, INT64_MAX),
		};

		checkpoint.cpu_ms += load_number(&rows, 4, INT64_MAX / 2);
		if (checkpoint.id <= last.id || checkpoint.timestamp_ms < last.timestamp_ms ||
		    checkpoint.recording < last.recording)
			load_damaged(&rows, "the checkpoints are out of order");
		last = checkpoint;
		*vec_add(&load->checkpoints) = checkpoint;
	}
	return load_end(&rows);
}

int load_spans(struct load *load)
{
	struct load_rows rows;
	int64_t last = 0;

	if (load->spans.count)
		last = load->spans.items[load->spans.count - 1].last;
	if (load_begin(load, &rows, "rollup_spans",
		       "SELECT id, first_checkpoint_id, last_checkpoint_id FROM rollup_spans "
		       "WHERE id > ? ORDER BY first_checkpoint_id") == 0)
		sqlite3_bind_int64(rows.statement, 1,
				   load->spans.count ? load->last_span : INT64_MIN);
	while (load_next(&rows)) {
		struct read_span span = {
			(int64_t)load_number(&rows, 0, INT64_MAX),
			(int64_t)load_number(&rows, 1, INT32_MAX),
			(int64_t)load_number(&rows, 2, INT32_MAX),
		};

		if (span.first <= last || span.last < span.first)
			load_damaged(&rows, "the spans overlap");
		last = span.last;
		if (span.id > load->last_span)
			load->last_span = span.id;
		*vec_add(&load->spans) = span;
	}
	return load_end(&rows);
}

static bool add_row(struct load *load, struct load_sums *sums, struct load_rows *rows)
{
	struct delta_row row = {.event_index = load_reference(rows, 0, &load->events)};

	row.thread.v = load_reference(rows, 1, &load->threads);
	row.stack.v = load_reference(rows, 2, &load->stacks);
	row.kind = (enum wait_kind)load_number(rows, 3, WAIT_KINDS - 1);
	row.count = load_number(rows, 4, INT64_MAX);
	row.kernel_count = load_number(rows, 5, row.count);
	row.value = load_number(rows, 6, INT64_MAX);
	row.run_ns = load_number(rows, 7, INT64_MAX);
	if (__builtin_add_overflow(sums->count, row.count, &sums->count) ||
	    __builtin_add_overflow(sums->value, row.value, &sums->value) ||
	    __builtin_add_overflow(sums->run_ns, row.run_ns, &sums->run_ns))
		load_damaged(rows, "a number is out of range");
	if (rows->ret < 0)
		return false;
	aggregate_add(sums->aggregate, &row);
	return true;
}

static int add_rows(struct load *load, struct load_sums *sums, const char *table, const char *sql,
		    const int64_t *values, int value_count)
{
	struct load_rows rows;

	if (load_begin(load, &rows, table, sql) == 0) {
		for (int i = 0; i < value_count; i++)
			sqlite3_bind_int64(rows.statement, i + 1, values[i]);
	}
	while (load_next(&rows) && add_row(load, sums, &rows))
		;
	return load_end(&rows);
}

#define COLUMNS "event_id, thread_id, stack_id, kind, count, kernel_count, value, run_ns"

static int add_totals(struct load *load, struct load_sums *sums)
{
	return add_rows(load, sums, "totals", "SELECT " COLUMNS " FROM totals", NULL, 0);
}

static int add_samples(struct load *load, struct load_sums *sums, struct run run)
{
	if (run.first > run.last)
		return 0;
	return add_rows(load, sums, "samples",
			"SELECT " COLUMNS " FROM samples WHERE checkpoint_id BETWEEN ? AND ?",
			(const int64_t[]){run.first, run.last}, 2);
}

static int add_rollup(struct load *load, struct load_sums *sums, int64_t span)
{
	return add_rows(load, sums, "rollups", "SELECT " COLUMNS " FROM rollups WHERE span_id = ?",
			&span, 1);
}

static int add_window(struct load *load, struct load_sums *sums, struct run window)
{
	int64_t next = window.first; /* not added yet */
	int ret = 0;

	for (size_t i = 0; i < load->spans.count && ret == 0; i++) {
		const struct read_span *span = &load->spans.items[i];

		if (span->first < window.first || span->last > window.last)
			continue;
		ret = add_samples(load, sums, (struct run){next, span->first - 1});
		if (ret == 0)
			ret = add_rollup(load, sums, span->id);
		next = span->last + 1;
	}
	return ret < 0 ? ret : add_samples(load, sums, (struct run){next, window.last});
}

/* By the last look of the last recording. */
static int load_last_heap(struct load *load)
{
	size_t count = load->checkpoints.count, begin = count;
	struct load_rows rows;

	load->last_heap.is_counted = false;
	load->last_heap.live_bytes = 0;
	if (!count)
		return 0;
	while (begin && load->checkpoints.items[begin - 1].recording ==
				load->checkpoints.items[count - 1].recording)
		begin--;
	if (load_begin(load, &rows, "heap_checkpoints",
		       "SELECT live_bytes FROM heap_checkpoints WHERE checkpoint_id >= ? "
		       "ORDER BY checkpoint_id DESC LIMIT 1") == 0)
		sqlite3_bind_int64(rows.statement, 1, load->checkpoints.items[begin].id);
	if (load_next(&rows)) {
		load->last_heap.is_counted = true;
		load->last_heap.live_bytes = load_number(&rows, 0, INT64_MAX);
	}
	return load_end(&rows);
}

int load_whole(struct load *load)
{
	size_t first = load->summed, count = load->checkpoints.count;
	int ret = 0;

	if (!load->whole.aggregate) {
		load->whole.aggregate = aggregate_new();
		ret = count ? add_totals(load, &load->whole) : 0;
		if (ret == 0)
			ret = heap_held_begin(load);
	} else if (first < count) {
		ret = add_samples(load, &load->whole,
				  (struct run){load->checkpoints.items[first].id,
					       load->checkpoints.items[count - 1].id});
	}
	load->summed = count;
	return ret < 0 ? ret : load_last_heap(load);
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

/* The first checkpoint from `first` to `last` that is not before that id; last + 1 where all are.
 */
static size_t find_checkpoint(const struct load *load, size_t first, size_t last, int64_t id)
{
	size_t low = first, high = last + 1;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (load->checkpoints.items[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct load_part load_next_part(const struct load *load, size_t first, size_t last, size_t *span)
{
	struct load_part part = {first, last, NULL};

	for (; *span < load->spans.count; ++*span) {
		const struct read_span *found = &load->spans.items[*span];
		size_t begin = find_checkpoint(load, first, last, found->first);
		size_t end = find_checkpoint(load, first, last, found->last);

		/* One that reaches beyond, or names checkpoints that are not there. */
		if (end > last || load->checkpoints.items[begin].id != found->first ||
		    load->checkpoints.items[end].id != found->last)
			continue;
		if (begin > first)
			part.last = begin - 1;
		else
			part = (struct load_part){begin, end, found};
		return part;
	}
	return part;
}

/* false where the file does not add up. */
static bool add_difference(struct load_sums *sums, const struct aggregate *whole,
			   const struct aggregate *outside)
{
	size_t count, outside_count, found = 0;
	const struct delta_row *rows = aggregate_rows(whole, &count);

	aggregate_rows(outside, &outside_count);
	for (size_t i = 0; i < count; i++) {
		const struct delta_row *less = aggregate_find(outside, &rows[i]);
		struct delta_row row = rows[i];

		if (less) {
			found++;
			if (less->count > row.count || less->kernel_count > row.kernel_count ||
			    less->value > row.value || less->run_ns > row.run_ns)
				return false;
			row.count -= less->count;
			row.kernel_count -= less->kernel_count;
			row.value -= less->value;
			row.run_ns -= less->run_ns;
		}
		if (row.count || row.value || row.run_ns)
			aggregate_add(sums->aggregate, &row);
	}
	return found == outside_count;
}

/* Most of the file is the whole of it without the rest. */
static int add_rest(struct load *load, struct load_sums *sums, size_t first, size_t count,
		    bool *ret_is_right)
{
	const struct read_checkpoint *checkpoints = load->checkpoints.items;
	size_t end = first + count, last = load->checkpoints.count - 1;
	struct load_sums outside = {.aggregate = aggregate_new()};
	int ret = 0;

	if (first)
		ret = add_window(load, &outside,
				 (struct run){checkpoints[0].id, checkpoints[first - 1].id});
	if (ret == 0 && end <= last)
		ret = add_window(load, &outside,
				 (struct run){checkpoints[end].id, checkpoints[last].id});
	if (ret == 0)
		*ret_is_right = add_difference(sums, load->whole.aggregate, outside.aggregate);
	aggregate_free(outside.aggregate);
	return ret;
}

static void make_rows(struct snapshot *snapshot, const struct load_sums *from)
{
	struct snapshot_row *rows;
	size_t count;
	const struct delta_row *sums = aggregate_rows(from->aggregate, &count);

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
}

int load_counts(struct load *load, struct store_window window)
{
	struct snapshot *snapshot = load->snapshot;
	const struct read_checkpoint *checkpoints = load->checkpoints.items;
	size_t first = 0, count = load_find_window(load, window, &first);
	struct load_sums sums = {0};
	bool is_right = false;
	int ret = 0;

	snapshot->checkpoint_count = count;
	snapshot->window_from_ns =
		window.from_ns < snapshot->duration_ns ? window.from_ns : snapshot->duration_ns;
	snapshot->window_to_ns =
		window.to_ns < snapshot->duration_ns ? window.to_ns : snapshot->duration_ns;
	if (count == load->checkpoints.count && load->whole.aggregate) {
		make_rows(snapshot, &load->whole);
		return 0;
	}
	sums.aggregate = aggregate_new();
	if (count && count == load->checkpoints.count) {
		ret = add_totals(load, &sums);
		is_right = true;
	} else if (load->whole.aggregate && count > load->checkpoints.count / 2) {
		ret = add_rest(load, &sums, first, count, &is_right);
	}
	if (ret == 0 && count && !is_right) {
		aggregate_clear(sums.aggregate);
		ret = add_window(
			load, &sums,
			(struct run){checkpoints[first].id, checkpoints[first + count - 1].id});
	}
	make_rows(snapshot, &sums);
	aggregate_free(sums.aggregate);
	return ret;
}
