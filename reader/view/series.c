#include "reader/view/series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reader/util/clock.h"
#include "reader/util/err.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "reader/view/head.h"
#include "reader/view/number.h"
#include "reader/view/row_key.h"
#include "reader/view/rows.h"

/* What a bucket has of an event. */
struct share {
	uint64_t part, whole; /* in what shares are of */
	uint64_t samples;     /* of the part */
};

static const struct view *view_of(const struct model *model, enum model_table table)
{
	return table == MODEL_WAIT ? model->wait : model->cpu;
}

uint32_t series_row(const struct model *model, enum model_table table, const struct row_key *key)
{
	const struct view *view = view_of(model, table);

	if (!key || !row_key_is_set(key))
		return SNAPSHOT_NONE;
	if (table == MODEL_HEAP) {
		for (size_t i = 0; model->heap && i < model->heap->row_count; i++) {
			const struct heap_row *row = &model->heap->rows[i];

			if (row_key_is(key, row->function, row->file, row->line))
				return (uint32_t)i;
		}
		return SNAPSHOT_NONE;
	}
	for (size_t i = 0; view && i < view->row_count; i++) {
		const struct view_row *row = &view->rows[i];

		if (row_key_is(key, row->function, row->file, row->line))
			return (uint32_t)i;
	}
	return SNAPSHOT_NONE;
}

/* Threads that are the row; a thread may be several in the snapshot. */
static bool *threads_of(const struct snapshot *snapshot, const char *name)
{
	bool *is_row = mem_array(snapshot->thread_count + 1, sizeof(*is_row));
	OWN(str_done) struct str found = {0};

	for (size_t i = 0; i < snapshot->thread_count; i++) {
		str_clear(&found);
		str_addf(&found, "%s (%u)", snapshot->threads[i].comm, snapshot->threads[i].tid);
		is_row[i] = !strcmp(str_text(&found), name);
	}
	return is_row;
}

/* Which samples are the row's: all of a thread, or those whose stack is charged to it. */
struct row_test {
	uint32_t row;
	const uint32_t *row_of_stack;
	bool *is_thread; /* NULL: rows are no threads */
};

static void row_test_init(struct row_test *test, const struct model *model, enum model_table table,
			  uint32_t row)
{
	const struct view *view = view_of(model, table);

	*test = (struct row_test){.row = row, .row_of_stack = model->tables[table].row_of_stack};
	if (row != SNAPSHOT_NONE && model->request.by_thread && view && row < view->row_count)
		test->is_thread = threads_of(model->snapshot, view->rows[row].function);
}

static bool row_test_is(const struct row_test *test, const struct snapshot *snapshot,
			uint32_t thread, uint32_t stack)
{
	if (test->row == SNAPSHOT_NONE)
		return true;
	if (test->is_thread)
		return thread < snapshot->thread_count && test->is_thread[thread];
	return test->row_of_stack && stack < snapshot->stack_count &&
	       test->row_of_stack[stack] == test->row;
}

/* By bucket; all 0 where there is no such event. */
static struct share *find_shares(const struct model *model, enum model_table table, uint32_t row)
{
	const struct timeline *timeline = model->chart;
	const struct view *view = view_of(model, table);
	struct view_request request = {
		.event = view && view->event ? view->event->name : NULL,
		.thread = *model->request.thread ? model->request.thread : NULL,
	};
	struct share *shares = mem_array(timeline->bucket_count + 1, sizeof(*shares));
	struct selection selection;
	struct row_test test;
	struct err err = {0};

	if (!request.event || selection_init(&selection, model->snapshot, &request, &err) < 0)
		return shares;
	row_test_init(&test, model, table, row);
	for (size_t i = 0; i < timeline->row_count; i++) {
		const struct timeline_row *at = &timeline->rows[i];
		struct snapshot_row as_sample = {.event = at->event, .thread = at->thread};
		uint64_t weight = selection.by_value ? at->value : at->count;
		struct share *share;

		if (at->bucket >= timeline->bucket_count ||
		    !selection_has_event(&selection, &as_sample))
			continue;
		share = &shares[at->bucket];
		number_add(&share->whole, weight);
		if (!selection_has_thread(&selection, &as_sample) ||
		    !row_test_is(&test, model->snapshot, at->thread, at->stack))
			continue;
		number_add(&share->part, weight);
		number_add(&share->samples, at->count);
	}
	free(test.is_thread);
	selection_done(&selection);
	return shares;
}

static double bucket_seconds(const struct series_point *point)
{
	return (double)(point->to_ns - point->from_ns) / NS_PER_S;
}

/* Samples a second that a busy core gives; 0: not known. */
static double clock_hz(const struct model *model)
{
	const struct event_kind *kind = model->cpu ? head_event_kind(model->cpu) : NULL;
	const char *text = snapshot_meta_get(model->snapshot, "cpu_freq_hz");
	uint64_t hz = 0;

	if (!kind || !kind->is_cpu || kind->unit != EVENT_UNIT_SAMPLES || !text)
		return 0;
	return parse_count(text, &hz) == 0 ? (double)hz : 0;
}

static bool has_cpu_time(const struct model *model)
{
	const struct timeline *timeline = model->chart;

	if (!model->cpu || !model->cpu->event || !model->cpu->event->is_cpu)
		return false;
	for (size_t i = 0; i < timeline->bucket_count; i++) {
		if (timeline->buckets[i].cpu_ns)
			return true;
	}
	return false;
}

static void fill_cpu(struct series *series, const struct model *model, uint32_t row)
{
	OWN(own_free) struct share *shares = find_shares(model, MODEL_CPU, row);
	bool is_timed = has_cpu_time(model);
	double hz = clock_hz(model);
	bool is_all = row == SNAPSHOT_NONE && !*model->request.thread;

	series->unit = is_timed || hz > 0 ? SERIES_CORE_PCT : SERIES_PER_S;
	for (size_t i = 0; i < series->count; i++) {
		struct series_point *point = &series->points[i];
		double cpu_ns = (double)model->chart->buckets[i].cpu_ns;
		double seconds = bucket_seconds(point);

		point->is_known = seconds > 0 && model->cpu;
		if (!point->is_known)
			continue;
		if (is_timed && is_all && cpu_ns > 0)
			point->value = 100 * cpu_ns / NS_PER_S / seconds;
		else if (is_timed && cpu_ns > 0)
			point->value = number_share(shares[i].part, shares[i].whole) * cpu_ns /
				       NS_PER_S / seconds;
		else if (hz > 0)
			point->value = 100 * (double)shares[i].samples / hz / seconds;
		else if (!is_timed)
			point->value = (double)shares[i].samples / seconds;
	}
}

static void fill_wait(struct series *series, const struct model *model, uint32_t row)
{
	OWN(own_free) struct share *shares = find_shares(model, MODEL_WAIT, row);

	series->unit = SERIES_WAIT_PER_S;
	for (size_t i = 0; i < series->count; i++) {
		struct series_point *point = &series->points[i];
		double seconds = bucket_seconds(point);

		point->is_known = seconds > 0 && model->wait;
		if (point->is_known)
			point->value = (double)shares[i].part / seconds;
	}
}

/* Blocks are one process's: where the last recording begins. */
static uint64_t heap_begin_ns(const struct model *model, uint64_t end_ns)
{
	const struct snapshot *snapshot = model->snapshot;
	uint64_t begin = 0;

	for (size_t i = 0; i < snapshot->recording_count; i++) {
		if (snapshot->recordings[i].offset_ns < end_ns)
			begin = snapshot->recordings[i].offset_ns;
	}
	return begin;
}

static void fill_heap_row(struct series *series, const struct model *model, uint32_t row)
{
	const struct timeline *timeline = model->chart;
	uint64_t begin = heap_begin_ns(model, series->points[series->count - 1].to_ns);
	OWN(own_free) double *changes = mem_array(series->count, sizeof(*changes));
	struct row_test test = {.row = row, .row_of_stack = model->tables[MODEL_HEAP].row_of_stack};
	double live = 0;

	for (size_t i = 0; i < timeline->held_count; i++) {
		if (row_test_is(&test, model->snapshot, 0, timeline->held[i].stack))
			live += (double)timeline->held[i].live_bytes;
	}
	for (size_t i = 0; i < timeline->heap_row_count; i++) {
		const struct timeline_heap_row *at = &timeline->heap_rows[i];

		if (at->bucket < series->count && row_test_is(&test, model->snapshot, 0, at->stack))
			changes[at->bucket] += (double)at->live_bytes;
	}
	for (size_t i = 0; i < series->count; i++) {
		struct series_point *point = &series->points[i];

		live += changes[i];
		point->value = live > 0 ? live : 0;
		point->is_known = timeline->buckets[i].is_heap_counted && point->to_ns > begin;
	}
}

static void fill_bytes(struct series *series, const struct model *model, uint32_t row)
{
	series->unit = SERIES_BYTES;
	if (series->kind == SERIES_HEAP && row != SNAPSHOT_NONE && series->count) {
		fill_heap_row(series, model, row);
		return;
	}
	for (size_t i = 0; i < series->count; i++) {
		const struct timeline_bucket *bucket = &model->chart->buckets[i];
		struct series_point *point = &series->points[i];
		bool is_heap = series->kind == SERIES_HEAP;

		point->is_known = is_heap ? bucket->is_heap_counted : bucket->rss_bytes > 0;
		if (point->is_known)
			point->value =
				(double)(is_heap ? bucket->heap_live_bytes : bucket->rss_bytes);
	}
}

/* Buckets of a damaged file that go back in time are empty. */
static void lay_out(struct series *series, const struct model *model)
{
	const struct snapshot *snapshot = model->snapshot;
	uint64_t begin = model->chart->from_ns;

	for (size_t i = 0; i < series->count; i++) {
		uint64_t end = model->chart->buckets[i].end_ns;
		struct series_point *point = &series->points[i];

		point->from_ns = begin;
		point->to_ns = end > begin ? end : begin;
		for (size_t j = 1; j < snapshot->recording_count; j++)
			point->is_apart |= snapshot->recordings[j].offset_ns >= point->from_ns &&
					   snapshot->recordings[j].offset_ns < point->to_ns;
		begin = point->to_ns;
	}
}

void series_init(struct series *series, const struct model *model, enum series_kind kind,
		 uint32_t row)
{
	*series = (struct series){.kind = kind};
	if (model->chart) {
		series->count = model->chart->bucket_count;
		series->points = mem_array(series->count, sizeof(*series->points));
		lay_out(series, model);
	}
	switch (kind) {
	case SERIES_CPU:
		if (model->chart)
			fill_cpu(series, model, row);
		break;
	case SERIES_WAIT:
		series->unit = SERIES_WAIT_PER_S;
		if (model->chart)
			fill_wait(series, model, row);
		break;
	case SERIES_HEAP:
	case SERIES_RSS:
		fill_bytes(series, model, kind == SERIES_RSS ? SNAPSHOT_NONE : row);
		break;
	}
}

void series_done(struct series *series)
{
	free(series->points);
	memset(series, 0, sizeof(*series));
}

uint64_t series_point_ns(const struct series *series, size_t index)
{
	const struct series_point *point = &series->points[index];

	if (series->unit == SERIES_BYTES)
		return point->to_ns;
	return point->from_ns + (point->to_ns - point->from_ns) / 2;
}

size_t series_find(const struct series *series, uint64_t time_ns)
{
	for (size_t i = 0; i < series->count; i++) {
		const struct series_point *point = &series->points[i];

		if (time_ns <= point->to_ns &&
		    (time_ns > point->from_ns || (!i && time_ns == point->from_ns)))
			return i;
	}
	return SIZE_MAX;
}

/* A number that a format of whole ones takes. */
static uint64_t whole(double value)
{
	if (!(value > 0))
		return 0;
	return value < 1.8e19 ? (uint64_t)(value + 0.5) : UINT64_MAX;
}

const char *series_label(char buffer[FMT_MAX], enum series_unit unit, double value, double step)
{
	switch (unit) {
	case SERIES_CORE_PCT:
		/* Of many cores. */
		if (value >= 999.5)
			fmt_count(buffer, whole(value));
		else
			number_decimal(buffer, value, step < 1);
		strcat(buffer, "%");
		return buffer;
	case SERIES_PER_S:
		return step < 1 ? number_decimal(buffer, value, 1)
				: fmt_count(buffer, whole(value));
	case SERIES_BYTES:
		return fmt_bytes(buffer, whole(value));
	case SERIES_WAIT_PER_S:
		return fmt_span(buffer, whole(value));
	}
	return strcpy(buffer, "");
}

const char *series_value(char buffer[FMT_MAX], enum series_unit unit, double value)
{
	/* Decimals tell small numbers apart. */
	series_label(buffer, unit, value, unit == SERIES_PER_S && value >= 10 ? 1 : 0.1);
	if (unit == SERIES_PER_S || unit == SERIES_WAIT_PER_S)
		strcat(buffer, "/s");
	return buffer;
}

double series_step_min(enum series_unit unit, double high)
{
	switch (unit) {
	case SERIES_BYTES:
		/* As fmt_bytes has one decimal. */
		return high < 1000 ? 1 : pow(1000, floor(log10(high) / 3)) / 10;
	case SERIES_WAIT_PER_S:
		/* As fmt_span has three digits, then whole seconds, then minutes. */
		if (high >= 3599e9)
			return 60e9;
		if (high >= 59e9)
			return 1e9;
		return high < 1000 ? 1 : pow(10, floor(log10(high)) - 2);
	default:
		/* As shares and rates have a decimal up to a thousand. */
		return high < 999.5 ? 0.1 : 1;
	}
}
