/* The heap of a window, poll by poll: what was before it in one sum, then a poll a checkpoint; in a
 * long window one a roll-up, and a checkpoint at its edges. */
#include "reader/store/heap_sums.h"
#include "reader/store/read.h"
#include "reader/util/clock.h"

enum {
	/* An hour at the default interval; beyond it roll-ups are read. */
	HEAP_POLLS_MAX = 3600,
};

/* Checkpoints by index, and the span that holds the same (NULL: they are read one by one). */
struct part {
	size_t first, last;
	const struct read_span *span;
};

struct heap_load {
	struct load *load;
	size_t begin, first, last; /* the recording's first checkpoint; the window's in it */
	struct heap_sums before;   /* by the stack's index */
	VEC(size_t) ends;	   /* by poll from 1 on: its last checkpoint */
	VEC(struct snapshot_heap_row) rows;
	VEC(struct snapshot_heap_peak) peaks;
	uint64_t sums[HEAP_COLUMNS]; /* of all rows: where these do not overflow, no sum does */
};

static const struct read_checkpoint *checkpoint_at(const struct heap_load *heap, size_t index)
{
	return &heap->load->checkpoints.items[index];
}

/* The last recording that has a checkpoint in the window, which is not empty. */
static void find_recording(struct heap_load *heap, size_t first, size_t count)
{
	uint32_t recording;

	heap->last = first + count - 1;
	recording = checkpoint_at(heap, heap->last)->recording;
	heap->begin = heap->last;
	while (heap->begin && checkpoint_at(heap, heap->begin - 1)->recording == recording)
		heap->begin--;
	heap->first = heap->begin > first ? heap->begin : first;
}

static bool is_counted(struct heap_load *heap, int *ret_failure)
{
	struct load_rows rows;
	bool found = false;

	if (load_begin(heap->load, &rows, "heap_checkpoints",
		       "SELECT 1 FROM heap_checkpoints WHERE checkpoint_id BETWEEN ? AND ? "
		       "LIMIT 1") == 0) {
		sqlite3_bind_int64(rows.statement, 1, checkpoint_at(heap, heap->begin)->id);
		sqlite3_bind_int64(rows.statement, 2, checkpoint_at(heap, heap->last)->id);
		found = load_next(&rows);
	}
	*ret_failure = load_end(&rows);
	return found;
}

/* The first checkpoint from `first` to `last` that is not before that id; last + 1 where all are.
 */
static size_t find_checkpoint(const struct heap_load *heap, size_t first, size_t last, int64_t id)
{
	size_t low = first, high = last + 1;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (checkpoint_at(heap, middle)->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The next checkpoints from `first` on that are one part: those of a span that ends by `last`, or
 * the ones before the next such span. */
static struct part next_part(const struct heap_load *heap, size_t first, size_t last, size_t *span)
{
	const struct load *load = heap->load;
	struct part part = {first, last, NULL};

	for (; *span < load->spans.count; ++*span) {
		const struct read_span *found = &load->spans.items[*span];
		size_t begin = find_checkpoint(heap, first, last, found->first);
		size_t end = find_checkpoint(heap, first, last, found->last);

		/* One that reaches beyond, or names checkpoints that are not there. */
		if (end > last || checkpoint_at(heap, begin)->id != found->first ||
		    checkpoint_at(heap, end)->id != found->last)
			continue;
		if (begin > first)
			part.last = begin - 1;
		else
			part = (struct part){begin, end, found};
		return part;
	}
	return part;
}

/* Beyond what a number can be it stays there: a target may well allocate that much, and what is
 * held is told apart from it. */
static void bound(struct heap_load *heap, uint64_t columns[HEAP_COLUMNS])
{
	for (int i = 0; i < HEAP_COLUMNS; i++) {
		uint64_t room = INT64_MAX - heap->sums[i];

		if (columns[i] > room)
			columns[i] = room;
		heap->sums[i] += columns[i];
	}
}

static bool read_row(struct heap_load *heap, struct load_rows *rows, uint32_t *last_stack,
		     struct snapshot_heap_row *ret_row)
{
	uint64_t columns[HEAP_COLUMNS];

	ret_row->stack = load_reference(rows, 1, &heap->load->stacks);
	for (int i = 0; i < HEAP_COLUMNS; i++)
		columns[i] = load_number(rows, 2 + i, INT64_MAX);
	/* Only in a file whose key lies. */
	if (rows->ret == 0 && *last_stack != SNAPSHOT_NONE && ret_row->stack <= *last_stack)
		load_damaged(rows, "the stacks are out of order");
	if (rows->ret < 0)
		return false;
	*last_stack = ret_row->stack;
	bound(heap, columns);
	heap_from_columns(columns, &ret_row->counts);
	return true;
}

static void add_row(struct heap_load *heap, const struct snapshot_heap_row *row)
{
	if (row->poll)
		*vec_add(&heap->rows) = *row;
	else
		heap_sums_add(&heap->before, row->stack, &row->counts);
}

static int add_span(struct heap_load *heap, const struct part *part, uint32_t poll)
{
	struct snapshot_heap_row row = {.poll = poll};
	uint32_t last_stack = SNAPSHOT_NONE;
	struct load_rows rows;

	if (load_begin(heap->load, &rows, "heap_rollups",
		       "SELECT span_id, stack_id, " HEAP_COLUMN_NAMES " FROM heap_rollups "
		       "WHERE span_id = ? ORDER BY stack_id") == 0)
		sqlite3_bind_int64(rows.statement, 1, part->span->id);
	while (load_next(&rows) && read_row(heap, &rows, &last_stack, &row))
		add_row(heap, &row);
	return load_end(&rows);
}

/* poll: of the first checkpoint, those that follow have the next ones; 0: all of them are before
 * the window. */
static int add_changes(struct heap_load *heap, const struct part *part, uint32_t poll)
{
	struct snapshot_heap_row row = {.poll = poll};
	uint32_t last_stack = SNAPSHOT_NONE;
	size_t at = part->first;
	struct load_rows rows;

	if (load_begin(heap->load, &rows, "heap_changes",
		       "SELECT checkpoint_id, stack_id, " HEAP_COLUMN_NAMES " FROM heap_changes "
		       "WHERE checkpoint_id BETWEEN ? AND ? ORDER BY checkpoint_id, stack_id") ==
	    0) {
		sqlite3_bind_int64(rows.statement, 1, checkpoint_at(heap, part->first)->id);
		sqlite3_bind_int64(rows.statement, 2, checkpoint_at(heap, part->last)->id);
	}
	while (load_next(&rows)) {
		int64_t id = (int64_t)load_number(&rows, 0, INT32_MAX);

		for (; at < part->last && checkpoint_at(heap, at)->id < id; at++) {
			last_stack = SNAPSHOT_NONE;
			row.poll += poll > 0;
		}
		if (checkpoint_at(heap, at)->id != id)
			load_damaged(&rows, "a row refers to one that is not there");
		if (!read_row(heap, &rows, &last_stack, &row))
			break;
		add_row(heap, &row);
	}
	return load_end(&rows);
}

static int add_before(struct heap_load *heap)
{
	size_t span = 0;
	int ret = 0;

	for (size_t at = heap->begin; at < heap->first && ret == 0;) {
		struct part part = next_part(heap, at, heap->first - 1, &span);

		ret = part.span ? add_span(heap, &part, 0) : add_changes(heap, &part, 0);
		at = part.last + 1;
	}
	heap_sums_sort(&heap->before);
	for (size_t i = 0; i < heap->before.rows.count; i++) {
		const struct delta_heap_row *row = &heap->before.rows.items[i];

		*vec_add(&heap->rows) = (struct snapshot_heap_row){0, row->stack.v, row->counts};
	}
	return ret;
}

static int add_window(struct heap_load *heap)
{
	bool is_long = heap->last - heap->first + 1 > HEAP_POLLS_MAX;
	size_t span = 0;
	int ret = 0;

	for (size_t at = heap->first; at <= heap->last && ret == 0;) {
		struct part part = {at, heap->last, NULL};
		uint32_t poll = (uint32_t)heap->ends.count + 1;

		if (is_long)
			part = next_part(heap, at, heap->last, &span);
		ret = part.span ? add_span(heap, &part, poll) : add_changes(heap, &part, poll);
		for (at = part.span ? part.last : part.first; at <= part.last; at++)
			*vec_add(&heap->ends) = at;
	}
	return ret;
}

static int add_peaks(struct heap_load *heap)
{
	uint32_t poll = 0;
	struct load_rows rows;

	if (load_begin(heap->load, &rows, "heap_peaks",
		       "SELECT checkpoint_id, stack_id, peak_bytes FROM heap_peaks "
		       "WHERE checkpoint_id BETWEEN ? AND ? ORDER BY checkpoint_id, stack_id") ==
	    0) {
		sqlite3_bind_int64(rows.statement, 1, checkpoint_at(heap, heap->first)->id);
		sqlite3_bind_int64(rows.statement, 2, checkpoint_at(heap, heap->last)->id);
	}
	while (load_next(&rows)) {
		int64_t id = (int64_t)load_number(&rows, 0, INT32_MAX);
		uint32_t stack = load_reference(&rows, 1, &heap->load->stacks);
		uint64_t bytes = load_number(&rows, 2, INT64_MAX);

		while (poll + 1 < heap->ends.count &&
		       checkpoint_at(heap, heap->ends.items[poll])->id < id)
			poll++;
		if (rows.ret == 0)
			*vec_add(&heap->peaks) =
				(struct snapshot_heap_peak){poll + 1, stack, bytes};
	}
	return load_end(&rows);
}

static void read_state(struct load_rows *rows, struct heap_state *state)
{
	state->is_counted = true;
	state->live_bytes = load_number(rows, 0, INT64_MAX);
	state->live_blocks = load_number(rows, 1, INT64_MAX);
	state->unknown_frees = load_number(rows, 2, INT64_MAX);
	state->mmap_count = load_number(rows, 3, INT64_MAX);
	state->mmap_bytes = load_number(rows, 4, INT64_MAX);
	state->munmap_count = load_number(rows, 5, INT64_MAX);
	state->munmap_bytes = load_number(rows, 6, INT64_MAX);
	state->brk_count = load_number(rows, 7, INT64_MAX);
	state->brk_bytes = (int64_t)load_bits(rows, 8);
	state->hits = load_number(rows, 9, INT64_MAX);
	state->cost_ns = load_number(rows, 10, INT64_MAX);
}

/* Of the checkpoint that the poll is at, by the last look up to then. Was that after the checkpoint
 * `before`? */
static bool fill_poll(const struct heap_load *heap, struct load_rows *rows, int64_t before,
		      size_t at, struct snapshot_heap_poll *poll)
{
	const struct read_checkpoint *checkpoint = checkpoint_at(heap, at);

	poll->time_ns = (uint64_t)checkpoint->timestamp_ms * NS_PER_MS;
	poll->rss_bytes = checkpoint->rss_bytes;
	poll->rss_anonymous_bytes = checkpoint->rss_anonymous_bytes;
	if (rows->ret < 0)
		return false;
	sqlite3_reset(rows->statement);
	sqlite3_bind_int64(rows->statement, 1, checkpoint_at(heap, heap->begin)->id);
	sqlite3_bind_int64(rows->statement, 2, checkpoint->id);
	if (!load_next(rows))
		return false;
	read_state(rows, &poll->state);
	return (int64_t)load_number(rows, 11, INT64_MAX) > before;
}

/* A poll without a look tells what the one before it did. */
static void note_poll(struct snapshot *snapshot, const struct snapshot_heap_poll *poll,
		      bool is_looked_at, uint64_t *last_look_ns)
{
	uint64_t since = poll->time_ns - *last_look_ns;

	if (since > snapshot->heap_resolution_ns)
		snapshot->heap_resolution_ns = since;
	if (is_looked_at)
		*last_look_ns = poll->time_ns;
}

static int add_polls(struct heap_load *heap)
{
	struct snapshot *snapshot = heap->load->snapshot;
	uint32_t recording = checkpoint_at(heap, heap->last)->recording;
	size_t count = heap->ends.count + 1;
	struct snapshot_heap_poll *polls = arena_zalloc(&snapshot->arena, count * sizeof(*polls));
	uint64_t last_look_ns;
	int64_t before = 0;
	struct load_rows rows;

	load_begin(heap->load, &rows, "heap_checkpoints",
		   "SELECT live_bytes, live_blocks, unknown_frees, mmap_count, mmap_bytes, "
		   "munmap_count, munmap_bytes, brk_count, brk_bytes, hits, cost_ns, "
		   "checkpoint_id "
		   "FROM heap_checkpoints WHERE checkpoint_id BETWEEN ? AND ? "
		   "ORDER BY checkpoint_id DESC LIMIT 1");
	if (heap->first > heap->begin) {
		before = checkpoint_at(heap, heap->first - 1)->id;
		fill_poll(heap, &rows, before, heap->first - 1, &polls[0]);
	} else {
		polls[0].time_ns = snapshot->recordings[recording].offset_ns;
	}
	polls[0].recording = recording;
	last_look_ns = polls[0].time_ns;
	for (size_t i = 1; i < count; i++) {
		size_t at = heap->ends.items[i - 1];
		bool is_looked_at = fill_poll(heap, &rows, before, at, &polls[i]);

		before = checkpoint_at(heap, at)->id;
		polls[i].recording = recording;
		/* Ends of checkpoints are rounded down, the beginning is not. */
		if (last_look_ns > polls[i].time_ns)
			polls[0].time_ns = last_look_ns = polls[i].time_ns;
		note_poll(snapshot, &polls[i], is_looked_at, &last_look_ns);
	}
	snapshot->heap_polls = polls;
	snapshot->heap_poll_count = count;
	return load_end(&rows);
}

static int load_recording(struct heap_load *heap)
{
	struct snapshot *snapshot = heap->load->snapshot;
	int ret;
	bool is_there = is_counted(heap, &ret);

	/* Without it, polls still tell how much memory the process had. */
	if (ret == 0 && is_there)
		ret = add_before(heap);
	if (ret == 0)
		ret = add_window(heap);
	if (ret == 0)
		ret = add_peaks(heap);
	if (ret < 0)
		return ret;
	snapshot->heap_rows = arena_copy(&snapshot->arena, heap->rows.items,
					 heap->rows.count * sizeof(*heap->rows.items));
	snapshot->heap_row_count = heap->rows.count;
	snapshot->heap_peaks = arena_copy(&snapshot->arena, heap->peaks.items,
					  heap->peaks.count * sizeof(*heap->peaks.items));
	snapshot->heap_peak_count = heap->peaks.count;
	return add_polls(heap);
}

int load_heap(struct load *load, struct store_window window)
{
	struct heap_load heap = {.load = load};
	size_t first, count = load_find_window(load, window, &first);
	int ret;

	if (!count)
		return 0;
	find_recording(&heap, first, count);
	ret = load_recording(&heap);
	heap_sums_done(&heap.before);
	vec_done(&heap.ends);
	vec_done(&heap.rows);
	vec_done(&heap.peaks);
	return ret;
}
