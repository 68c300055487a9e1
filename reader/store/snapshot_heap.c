/* The heap of a window, poll by poll: what was before it in one sum, then a poll a checkpoint; in a
 * long window one a roll-up, and a checkpoint at its edges. That of the whole file is kept where
 * the file is followed, and goes on with what is new. */
#include <stdlib.h>

#include "reader/store/heap_read.h"
#include "reader/util/clock.h"

enum {
	/* An hour at the default interval; beyond it roll-ups are read. */
	HEAP_POLLS_MAX = 3600,
};

/* How far it holds for good: what comes after may become part of a roll-up. */
struct heap_mark {
	size_t at, span; /* the next checkpoint; where to look for spans */
	size_t rows, peaks, ends;
	struct heap_read read;
	uint64_t resolution_ns, last_look_ns;
	int64_t before;
};

struct heap_load {
	struct load *load;
	size_t begin, first, last; /* the recording's first checkpoint; the window's in it */
	bool is_long;
	struct heap_read read;
	VEC(size_t) ends; /* by poll from 1 on: its last checkpoint */
	VEC(struct snapshot_heap_row) rows;
	VEC(struct snapshot_heap_peak) peaks;
	VEC(struct snapshot_heap_poll) polls; /* [0] was before */
	uint64_t resolution_ns, last_look_ns;
	int64_t before; /* id of the checkpoint that the last poll is at */
	struct heap_mark mark;
	struct load_part part; /* being read, and its first poll */
	uint32_t poll;
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
	heap->is_long = heap->last - heap->first + 1 > HEAP_POLLS_MAX;
	heap->mark.at = heap->first;
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

static int add_before(struct heap_load *heap)
{
	struct heap_sums before = {0};
	int ret = heap_read_before(heap->load, heap->begin, heap->first, &before);

	for (size_t i = 0; i < before.rows.count && ret == 0; i++) {
		const struct delta_heap_row *row = &before.rows.items[i];

		*vec_add(&heap->rows) = (struct snapshot_heap_row){0, row->stack.v, row->counts};
	}
	heap_sums_done(&before);
	return ret;
}

static void add_row(void *context, size_t checkpoint, uint32_t stack,
		    const struct heap_counts *counts)
{
	struct heap_load *heap = context;
	uint32_t poll = heap->poll;

	if (!heap->part.span)
		poll += (uint32_t)(checkpoint - heap->part.first);
	*vec_add(&heap->rows) = (struct snapshot_heap_row){poll, stack, *counts};
}

/* From the mark on; moves it behind what holds for good, but for what polls tell. */
static int add_window(struct heap_load *heap, struct heap_mark *mark)
{
	size_t span = mark->span;
	int ret = 0;

	for (size_t at = mark->at; at <= heap->last && ret == 0;) {
		struct load_part part = {at, heap->last, NULL};

		if (heap->is_long)
			part = load_next_part(heap->load, at, heap->last, &span);
		heap->part = part;
		heap->poll = (uint32_t)heap->ends.count + 1;
		ret = heap_read_part(&heap->read, &part, add_row, heap);
		for (at = part.span ? part.last : part.first; at <= part.last; at++)
			*vec_add(&heap->ends) = at;
		if (ret == 0 && (part.span || !heap->is_long))
			*mark = (struct heap_mark){.at = at,
						   .span = span,
						   .rows = heap->rows.count,
						   .ends = heap->ends.count,
						   .read = heap->read};
	}
	return ret;
}

/* From that poll on, which begins at that checkpoint. */
static int add_peaks(struct heap_load *heap, uint32_t poll, size_t first)
{
	struct load_rows rows;

	if (load_begin(heap->load, &rows, "heap_peaks",
		       "SELECT checkpoint_id, stack_id, peak_bytes FROM heap_peaks "
		       "WHERE checkpoint_id BETWEEN ? AND ? ORDER BY checkpoint_id, stack_id") ==
	    0) {
		sqlite3_bind_int64(rows.statement, 1, checkpoint_at(heap, first)->id);
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
static void note_poll(struct heap_load *heap, const struct snapshot_heap_poll *poll,
		      bool is_looked_at)
{
	uint64_t since = poll->time_ns - heap->last_look_ns;

	if (since > heap->resolution_ns)
		heap->resolution_ns = since;
	if (is_looked_at)
		heap->last_look_ns = poll->time_ns;
}

static void add_first_poll(struct heap_load *heap, struct load_rows *rows)
{
	const struct load *load = heap->load;
	uint32_t recording = checkpoint_at(heap, heap->last)->recording;
	struct snapshot_heap_poll *poll = vec_add(&heap->polls);

	*poll = (struct snapshot_heap_poll){.recording = recording};
	if (heap->first > heap->begin) {
		heap->before = checkpoint_at(heap, heap->first - 1)->id;
		fill_poll(heap, rows, heap->before, heap->first - 1, poll);
	} else {
		poll->time_ns = load->tables.recordings.items[recording].offset_ns;
	}
	heap->last_look_ns = poll->time_ns;
}

static void add_poll(struct heap_load *heap, struct load_rows *rows, size_t at)
{
	struct snapshot_heap_poll *poll = vec_add(&heap->polls);
	bool is_looked_at;

	*poll = (struct snapshot_heap_poll){.recording = heap->polls.items[0].recording};
	is_looked_at = fill_poll(heap, rows, heap->before, at, poll);
	heap->before = checkpoint_at(heap, at)->id;
	/* Ends of checkpoints are rounded down, the beginning is not. */
	if (heap->last_look_ns > poll->time_ns)
		heap->polls.items[0].time_ns = heap->last_look_ns = poll->time_ns;
	note_poll(heap, poll, is_looked_at);
}

static void mark_polls(struct heap_load *heap, struct heap_mark *mark)
{
	mark->resolution_ns = heap->resolution_ns;
	mark->last_look_ns = heap->last_look_ns;
	mark->before = heap->before;
}

/* The first one, and those of ends from that one on. */
static int add_polls(struct heap_load *heap, size_t end, struct heap_mark *mark)
{
	struct load_rows rows;

	load_begin(heap->load, &rows, "heap_checkpoints",
		   "SELECT live_bytes, live_blocks, unknown_frees, mmap_count, mmap_bytes, "
		   "munmap_count, munmap_bytes, brk_count, brk_bytes, hits, cost_ns, "
		   "checkpoint_id "
		   "FROM heap_checkpoints WHERE checkpoint_id BETWEEN ? AND ? "
		   "ORDER BY checkpoint_id DESC LIMIT 1");
	if (!heap->polls.count)
		add_first_poll(heap, &rows);
	for (;; end++) {
		if (end == mark->ends)
			mark_polls(heap, mark);
		if (end >= heap->ends.count)
			break;
		add_poll(heap, &rows, heap->ends.items[end]);
	}
	return load_end(&rows);
}

/* Back to where it holds for good. */
static void rewind_to_mark(struct heap_load *heap)
{
	const struct heap_mark *mark = &heap->mark;

	if (!heap->polls.count)
		return;
	heap->rows.count = mark->rows;
	heap->peaks.count = mark->peaks;
	heap->ends.count = mark->ends;
	heap->polls.count = mark->ends + 1;
	heap->read = mark->read;
	heap->resolution_ns = mark->resolution_ns;
	heap->last_look_ns = mark->last_look_ns;
	heap->before = mark->before;
}

static size_t count_peaks(const struct heap_load *heap, size_t ends)
{
	size_t count = heap->peaks.count;

	while (count && heap->peaks.items[count - 1].poll > ends)
		count--;
	return count;
}

static int load_recording(struct heap_load *heap)
{
	struct heap_mark mark = heap->mark;
	size_t first = mark.at, end = mark.ends;
	bool is_begun = heap->polls.count > 0, is_there = false;
	int ret = 0;

	rewind_to_mark(heap);
	heap->read.load = heap->load;
	if (!is_begun)
		is_there = is_counted(heap, &ret);
	/* Without it, polls still tell how much memory the process had. */
	if (ret == 0 && is_there && heap->first > heap->begin)
		ret = add_before(heap);
	if (ret == 0)
		ret = add_window(heap, &mark);
	if (ret == 0 && first <= heap->last)
		ret = add_peaks(heap, (uint32_t)end, first);
	if (ret == 0)
		ret = add_polls(heap, end, &mark);
	mark.peaks = count_peaks(heap, mark.ends);
	heap->mark = mark;
	return ret;
}

static void make_heap(const struct heap_load *heap, struct snapshot *snapshot)
{
	struct arena *arena = &snapshot->arena;

	snapshot->heap_rows =
		arena_copy(arena, heap->rows.items, heap->rows.count * sizeof(*heap->rows.items));
	snapshot->heap_row_count = heap->rows.count;
	snapshot->heap_peaks = arena_copy(arena, heap->peaks.items,
					  heap->peaks.count * sizeof(*heap->peaks.items));
	snapshot->heap_peak_count = heap->peaks.count;
	snapshot->heap_polls = arena_copy(arena, heap->polls.items,
					  heap->polls.count * sizeof(*heap->polls.items));
	snapshot->heap_poll_count = heap->polls.count;
	snapshot->heap_resolution_ns = heap->resolution_ns;
}

void heap_load_free(struct heap_load *heap)
{
	if (!heap)
		return;
	vec_done(&heap->ends);
	vec_done(&heap->rows);
	vec_done(&heap->peaks);
	vec_done(&heap->polls);
	free(heap);
}

/* Can what is kept go on? */
static bool goes_on(const struct heap_load *kept, const struct heap_load *now)
{
	return kept && kept->begin == now->begin && kept->first == now->first &&
	       kept->is_long == now->is_long;
}

static struct heap_load *keep(struct load *load, const struct heap_load *now)
{
	if (goes_on(load->heap, now)) {
		load->heap->last = now->last;
		return load->heap;
	}
	heap_load_free(load->heap);
	load->heap = mem_copy(now, sizeof(*now));
	return load->heap;
}

int load_heap(struct load *load, struct store_window window)
{
	struct heap_load now = {.load = load}, *heap;
	size_t first, count = load_find_window(load, window, &first);
	bool is_kept = load->whole.aggregate && count == load->checkpoints.count;
	int ret;

	if (!count)
		return 0;
	find_recording(&now, first, count);
	heap = is_kept ? keep(load, &now) : mem_copy(&now, sizeof(now));
	ret = load_recording(heap);
	if (ret == 0)
		make_heap(heap, load->snapshot);
	if (is_kept && ret < 0)
		load->heap = NULL;
	if (!is_kept || ret < 0)
		heap_load_free(heap);
	return ret;
}
