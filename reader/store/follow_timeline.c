/* What happened when: checkpoints, or in long windows whole roll-ups, summed to buckets. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reader/store/follow_parts.h"
#include "reader/store/heap_read.h"
#include "reader/util/clock.h"
#include "reader/util/mem.h"

enum {
	/* Of a bucket: below it, single checkpoints are less work than the roll-ups at its edges.
	 */
	TIMELINE_ROLLUP_MIN = 60,
};

struct timeline_load {
	struct load *load;
	size_t begin, first, last;   /* checkpoints; begin: of the last recording */
	struct aggregate *aggregate; /* of the bucket */
	VEC(struct load_part) parts; /* in the order of time */
	VEC(size_t) ends;	     /* by bucket: its last checkpoint */
	VEC(struct timeline_row) rows;
	VEC(struct timeline_heap_row) heap_rows;
	VEC(struct timeline_held) held;
	struct heap_sums sums;	  /* of the last recording so far */
	struct heap_sums changes; /* of the bucket */
	struct heap_read heap;
};

/* In buckets of so many checkpoints or more, none in two buckets. */
static void make_parts(struct timeline_load *timeline, size_t bucket_max)
{
	size_t count = timeline->last - timeline->first + 1;
	size_t size = (count + bucket_max - 1) / bucket_max, in_bucket = 0, span = 0;

	for (size_t at = timeline->first; at <= timeline->last;) {
		struct load_part part = {at, timeline->last, NULL};

		if (size >= TIMELINE_ROLLUP_MIN)
			part = load_next_part(timeline->load, at, timeline->last, &span);
		if (!part.span && part.last - part.first >= size - in_bucket)
			part.last = part.first + (size - in_bucket) - 1;
		*vec_add(&timeline->parts) = part;
		in_bucket += part.last - part.first + 1;
		at = part.last + 1;
		if (in_bucket >= size || at > timeline->last) {
			*vec_add(&timeline->ends) = part.last;
			in_bucket = 0;
		}
	}
}

static int add_part(struct timeline_load *timeline, const struct load_part *part)
{
	struct load *load = timeline->load;
	struct load_rows rows;
	int ret;

	if (part->span)
		ret = load_begin(load, &rows, "rollups",
				 "SELECT event_id, thread_id, stack_id, count, value FROM rollups "
				 "WHERE span_id = ?");
	else
		ret = load_begin(load, &rows, "samples",
				 "SELECT event_id, thread_id, stack_id, count, value FROM samples "
				 "WHERE checkpoint_id BETWEEN ? AND ?");
	if (ret == 0 && part->span) {
		sqlite3_bind_int64(rows.statement, 1, part->span->id);
	} else if (ret == 0) {
		sqlite3_bind_int64(rows.statement, 1, load->checkpoints.items[part->first].id);
		sqlite3_bind_int64(rows.statement, 2, load->checkpoints.items[part->last].id);
	}
	while (load_next(&rows)) {
		struct delta_row row = {.event_index = load_reference(&rows, 0, &load->events)};

		row.thread.v = load_reference(&rows, 1, &load->threads);
		row.stack.v = load_reference(&rows, 2, &load->stacks);
		row.count = load_number(&rows, 3, INT64_MAX);
		row.value = load_number(&rows, 4, INT64_MAX);
		if (rows.ret == 0)
			aggregate_add(timeline->aggregate, &row);
	}
	return load_end(&rows);
}

static void end_rows(struct timeline_load *timeline, uint32_t bucket)
{
	size_t count;
	const struct delta_row *rows = aggregate_rows(timeline->aggregate, &count);

	vec_reserve(&timeline->rows, count);
	for (size_t i = 0; i < count; i++)
		*vec_add(&timeline->rows) = (struct timeline_row){
			.bucket = bucket,
			.event = rows[i].event_index,
			.thread = rows[i].thread.v,
			.stack = rows[i].stack.v,
			.count = rows[i].count,
			.value = rows[i].value,
		};
	aggregate_clear(timeline->aggregate);
}

static int add_samples(struct timeline_load *timeline)
{
	uint32_t bucket = 0;
	int ret = 0;

	timeline->aggregate = aggregate_new();
	for (size_t i = 0; i < timeline->parts.count && ret == 0; i++) {
		const struct load_part *part = &timeline->parts.items[i];

		ret = add_part(timeline, part);
		if (part->last == timeline->ends.items[bucket])
			end_rows(timeline, bucket++);
	}
	return ret;
}

static void add_change(void *context, size_t checkpoint, uint32_t stack,
		       const struct heap_counts *counts)
{
	heap_sums_add(context, stack, counts);
}

/* What is live is told from the sums: a free may be told a checkpoint before its allocation. */
static void end_heap(struct timeline_load *timeline, uint32_t bucket)
{
	for (size_t i = 0; i < timeline->changes.rows.count; i++) {
		const struct delta_heap_row *row = &timeline->changes.rows.items[i];
		static const struct heap_counts none;
		uint64_t before =
			heap_live_bytes(heap_sums_add(&timeline->sums, row->stack.v, &none));
		uint64_t after =
			heap_live_bytes(heap_sums_add(&timeline->sums, row->stack.v, &row->counts));

		*vec_add(&timeline->heap_rows) = (struct timeline_heap_row){
			.bucket = bucket,
			.stack = row->stack.v,
			.live_bytes = (int64_t)(after - before),
			.alloc_bytes = row->counts.alloc_bytes,
		};
	}
	heap_sums_clear(&timeline->changes);
}

static int begin_heap(struct timeline_load *timeline, size_t first)
{
	struct heap_sums before = {0};
	int ret = 0;

	if (first > timeline->begin)
		ret = heap_read_before(timeline->load, timeline->begin, first, &before);
	for (size_t i = 0; i < before.rows.count && ret == 0; i++) {
		const struct delta_heap_row *row = &before.rows.items[i];
		uint64_t live = heap_live_bytes(&row->counts);

		heap_sums_add(&timeline->sums, row->stack.v, &row->counts);
		if (live)
			*vec_add(&timeline->held) = (struct timeline_held){row->stack.v, live};
	}
	heap_sums_done(&before);
	return ret;
}

static int add_heap(struct timeline_load *timeline)
{
	size_t first = timeline->begin > timeline->first ? timeline->begin : timeline->first;
	uint32_t bucket = 0;
	int ret = begin_heap(timeline, first);

	timeline->heap.load = timeline->load;
	for (size_t i = 0; i < timeline->parts.count && ret == 0; i++) {
		struct load_part part = timeline->parts.items[i];

		if (part.last >= first) {
			if (part.first < first)
				part = (struct load_part){first, part.last, NULL};
			ret = heap_read_part(&timeline->heap, &part, add_change,
					     &timeline->changes);
		}
		if (part.last == timeline->ends.items[bucket])
			end_heap(timeline, bucket++);
	}
	return ret;
}

/* CPU time of the target up to that checkpoint since the one before. */
static uint64_t cpu_ms(const struct load *load, size_t index)
{
	const struct read_checkpoint *at = &load->checkpoints.items[index];
	uint64_t before = 0;

	if (index && at[-1].recording == at->recording)
		before = at[-1].cpu_ms;
	return at->cpu_ms > before ? at->cpu_ms - before : 0;
}

static size_t recording_begin(const struct load *load, size_t index)
{
	while (index && load->checkpoints.items[index - 1].recording ==
				load->checkpoints.items[index].recording)
		index--;
	return index;
}

static int add_buckets(struct timeline_load *timeline, struct timeline_bucket *buckets)
{
	const struct load *load = timeline->load;
	size_t at = timeline->first, begin = recording_begin(load, at);
	struct load_rows rows;

	load_begin(timeline->load, &rows, "heap_checkpoints",
		   "SELECT live_bytes FROM heap_checkpoints WHERE checkpoint_id BETWEEN ? AND ? "
		   "ORDER BY checkpoint_id DESC LIMIT 1");
	for (size_t i = 0; i < timeline->ends.count && rows.ret == 0; i++) {
		struct timeline_bucket *bucket = &buckets[i];
		const struct read_checkpoint *last =
			&load->checkpoints.items[timeline->ends.items[i]];
		uint64_t cpu = 0;

		for (; at <= timeline->ends.items[i]; at++) {
			uint64_t ms = cpu_ms(load, at);

			if (load->checkpoints.items[at].recording !=
			    load->checkpoints.items[begin].recording)
				begin = at;
			if (__builtin_add_overflow(cpu, ms, &cpu))
				cpu = UINT64_MAX;
		}
		*bucket = (struct timeline_bucket){
			.end_ns = (uint64_t)last->timestamp_ms * NS_PER_MS,
			.cpu_ns = cpu < UINT64_MAX / NS_PER_MS ? cpu * NS_PER_MS : UINT64_MAX,
			.rss_bytes = last->rss_bytes,
		};
		sqlite3_reset(rows.statement);
		sqlite3_bind_int64(rows.statement, 1, load->checkpoints.items[begin].id);
		sqlite3_bind_int64(rows.statement, 2, last->id);
		if (load_next(&rows)) {
			bucket->is_heap_counted = true;
			bucket->heap_live_bytes = load_number(&rows, 0, INT64_MAX);
		}
	}
	return load_end(&rows);
}

/* Where the first bucket begins. Ends of checkpoints are rounded down, the beginning is not. */
static uint64_t begin_ns(const struct load *load, size_t first)
{
	const struct read_checkpoint *at = &load->checkpoints.items[first];
	uint64_t begin = load->tables.recordings.items[at->recording].offset_ns;
	uint64_t end = (uint64_t)at->timestamp_ms * NS_PER_MS;

	if (first && at[-1].recording == at->recording)
		begin = (uint64_t)at[-1].timestamp_ms * NS_PER_MS;
	return begin < end ? begin : end;
}

#define KEEP(made, loaded, member, count_member)                                                   \
	do {                                                                                       \
		(made)->member =                                                                   \
			arena_copy(&(made)->arena, (loaded)->member.items,                         \
				   (loaded)->member.count * sizeof(*(loaded)->member.items));      \
		(made)->count_member = (loaded)->member.count;                                     \
		vec_done(&(loaded)->member);                                                       \
	} while (0)

static int make_timeline(struct timeline_load *loaded, size_t bucket_max, struct timeline *made)
{
	struct timeline_bucket *buckets;
	int ret;

	make_parts(loaded, bucket_max);
	buckets = arena_alloc(&made->arena, loaded->ends.count * sizeof(*buckets));
	ret = add_buckets(loaded, buckets);
	if (ret == 0)
		ret = add_samples(loaded);
	if (ret == 0)
		ret = add_heap(loaded);
	if (ret < 0)
		return ret;
	made->from_ns = begin_ns(loaded->load, loaded->first);
	made->buckets = buckets;
	made->bucket_count = loaded->ends.count;
	/* Too many to be there twice. */
	if (loaded->rows.count) {
		made->row_count = loaded->rows.count;
		made->rows = made->block =
			mem_grow(loaded->rows.items, made->row_count, sizeof(*loaded->rows.items));
		loaded->rows.items = NULL;
	}
	KEEP(made, loaded, heap_rows, heap_row_count);
	KEEP(made, loaded, held, held_count);
	return 0;
}

static void timeline_load_done(struct timeline_load *timeline)
{
	aggregate_free(timeline->aggregate);
	vec_done(&timeline->parts);
	vec_done(&timeline->ends);
	vec_done(&timeline->rows);
	vec_done(&timeline->heap_rows);
	vec_done(&timeline->held);
	heap_sums_done(&timeline->sums);
	heap_sums_done(&timeline->changes);
}

int store_follow_timeline(struct store_follow *follow, struct store_window window,
			  size_t bucket_max, struct timeline **ret_timeline, struct err *err)
{
	struct timeline_load loaded = {.load = &follow->load};
	struct timeline *timeline;
	size_t first = 0, count = load_find_window(&follow->load, window, &first);
	size_t recordings = follow->load.tables.recordings.count;
	struct err failure = {0};
	int ret = follow->failure;

	if (ret < 0) {
		if (err)
			*err = follow->failure_err;
		return ret;
	}
	ret = follow_begin(follow, &failure);
	if (ret < 0)
		return follow_end(follow, ret, &failure, err);
	timeline = mem_zalloc(sizeof(*timeline));
	if (recordings)
		timeline->interval_ns = follow->load.tables.intervals.items[recordings - 1];
	if (count && bucket_max) {
		loaded.first = first;
		loaded.last = first + count - 1;
		loaded.begin = recording_begin(&follow->load, loaded.last);
		follow_watch(follow);
		ret = make_timeline(&loaded, bucket_max, timeline);
		follow_unwatch(follow);
	}
	timeline_load_done(&loaded);
	if (ret < 0) {
		timeline_free(timeline);
		return follow_end(follow, ret, &failure, err);
	}
	*ret_timeline = timeline;
	return follow_end(follow, 0, NULL, NULL);
}
