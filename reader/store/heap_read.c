#include "reader/store/heap_read.h"

#include <string.h>

/* Beyond what a number can be it stays there: a target may well allocate that much, and what is
 * held is told apart from it. */
static void bound(struct heap_read *read, uint64_t columns[HEAP_COLUMNS])
{
	for (int i = 0; i < HEAP_COLUMNS; i++) {
		uint64_t room = INT64_MAX - read->sums[i];

		if (columns[i] > room)
			columns[i] = room;
		read->sums[i] += columns[i];
	}
}

static bool read_row(struct heap_read *read, struct load_rows *rows, uint32_t *last_stack,
		     struct heap_counts *ret_counts)
{
	uint32_t stack = load_reference(rows, 1, &read->load->stacks);
	uint64_t columns[HEAP_COLUMNS];

	for (int i = 0; i < HEAP_COLUMNS; i++)
		columns[i] = load_number(rows, 2 + i, INT64_MAX);
	/* Only in a file whose key lies. */
	if (rows->ret == 0 && *last_stack != SNAPSHOT_NONE && stack <= *last_stack)
		load_damaged(rows, "the stacks are out of order");
	if (rows->ret < 0)
		return false;
	*last_stack = stack;
	bound(read, columns);
	heap_from_columns(columns, ret_counts);
	return true;
}

static int read_span(struct heap_read *read, const struct load_part *part, heap_row_fn row,
		     void *context)
{
	uint32_t stack = SNAPSHOT_NONE;
	struct heap_counts counts;
	struct load_rows rows;

	if (load_begin(read->load, &rows, "heap_rollups",
		       "SELECT span_id, stack_id, " HEAP_COLUMN_NAMES " FROM heap_rollups "
		       "WHERE span_id = ? ORDER BY stack_id") == 0)
		sqlite3_bind_int64(rows.statement, 1, part->span->id);
	while (load_next(&rows) && read_row(read, &rows, &stack, &counts))
		row(context, part->last, stack, &counts);
	return load_end(&rows);
}

static int read_changes(struct heap_read *read, const struct load_part *part, heap_row_fn row,
			void *context)
{
	const struct read_checkpoint *checkpoints = read->load->checkpoints.items;
	uint32_t stack = SNAPSHOT_NONE;
	struct heap_counts counts;
	size_t at = part->first;
	struct load_rows rows;

	if (load_begin(read->load, &rows, "heap_changes",
		       "SELECT checkpoint_id, stack_id, " HEAP_COLUMN_NAMES " FROM heap_changes "
		       "WHERE checkpoint_id BETWEEN ? AND ? ORDER BY checkpoint_id, stack_id") ==
	    0) {
		sqlite3_bind_int64(rows.statement, 1, checkpoints[part->first].id);
		sqlite3_bind_int64(rows.statement, 2, checkpoints[part->last].id);
	}
	while (load_next(&rows)) {
		int64_t id = (int64_t)load_number(&rows, 0, INT32_MAX);

		for (; at < part->last && checkpoints[at].id < id; at++)
			stack = SNAPSHOT_NONE;
		if (checkpoints[at].id != id)
			load_damaged(&rows, "a row refers to one that is not there");
		if (!read_row(read, &rows, &stack, &counts))
			break;
		row(context, at, stack, &counts);
	}
	return load_end(&rows);
}

int heap_read_part(struct heap_read *read, const struct load_part *part, heap_row_fn row,
		   void *context)
{
	return part->span ? read_span(read, part, row, context)
			  : read_changes(read, part, row, context);
}

static void add_to_sums(void *context, size_t checkpoint, uint32_t stack,
			const struct heap_counts *counts)
{
	heap_sums_add(context, stack, counts);
}

static int add_range(struct heap_read *read, size_t first, size_t end, struct heap_sums *sums)
{
	size_t span = 0;
	int ret = 0;

	while (first < end && ret == 0) {
		struct load_part part = load_next_part(read->load, first, end - 1, &span);

		ret = heap_read_part(read, &part, add_to_sums, sums);
		first = part.last + 1;
	}
	return ret;
}

/* Totals of the file are those of its only recording. */
static int begin_with_totals(struct load *load)
{
	struct heap_held *held = &load->held;
	struct load_rows rows;

	load_begin(load, &rows, "heap_stacks",
		   "SELECT stack_id, total_allocs, total_alloc_bytes, total_frees, "
		   "total_free_bytes, untracked, untracked_bytes, temporary, reallocs, "
		   "growth_bytes, estimated FROM heap_stacks");
	while (load_next(&rows)) {
		uint32_t stack = load_reference(&rows, 0, &load->stacks);
		uint64_t columns[HEAP_COLUMNS];
		struct heap_counts counts;

		for (int i = 0; i < HEAP_COLUMNS; i++) {
			columns[i] = load_number(&rows, 1 + i, INT64_MAX);
			/* It stays there, whatever else was. */
			held->is_usable &= columns[i] < INT64_MAX / 4;
		}
		heap_from_columns(columns, &counts);
		if (rows.ret == 0)
			heap_sums_add(&held->sums, stack, &counts);
	}
	return load_end(&rows);
}

int heap_held_begin(struct load *load)
{
	struct heap_held *held = &load->held;

	held->is_begun = true;
	held->is_usable = load->tables.recordings.count == 1;
	held->end = load->checkpoints.count;
	return held->is_usable ? begin_with_totals(load) : 0;
}

void heap_held_done(struct heap_held *held)
{
	heap_sums_done(&held->sums);
}

/* On to the last checkpoint, from the beginning where another recording began since. */
static int bring_up(struct load *load, size_t begin)
{
	struct heap_held *held = &load->held;
	struct heap_read read = {.load = load};
	int ret;

	if (held->begin != begin || !held->is_usable) {
		heap_sums_clear(&held->sums);
		held->begin = held->end = begin;
	}
	ret = add_range(&read, held->end, load->checkpoints.count, &held->sums);
	held->end = load->checkpoints.count;
	held->is_usable = ret == 0;
	for (size_t i = 0; i < held->sums.rows.count; i++) {
		uint64_t columns[HEAP_COLUMNS];

		memcpy(columns, &held->sums.rows.items[i].counts, sizeof(columns));
		for (int column = 0; column < HEAP_COLUMNS; column++)
			held->is_usable &= columns[column] < INT64_MAX / 4;
	}
	return ret;
}

/* What is left when it is taken away again; fails where the file does not add up. */
struct taking {
	struct heap_sums *sums;
	bool is_wrong;
};

static void take_from_sums(void *context, size_t checkpoint, uint32_t stack,
			   const struct heap_counts *counts)
{
	struct taking *taking = context;
	uint32_t at = u64_map_get(&taking->sums->index, stack);
	uint64_t columns[HEAP_COLUMNS], less[HEAP_COLUMNS];

	if (at == UINT32_MAX) {
		taking->is_wrong = true;
		return;
	}
	memcpy(columns, &taking->sums->rows.items[at].counts, sizeof(columns));
	memcpy(less, counts, sizeof(less));
	for (int i = 0; i < HEAP_COLUMNS; i++) {
		taking->is_wrong |= less[i] > columns[i];
		columns[i] -= less[i];
	}
	heap_from_columns(columns, &taking->sums->rows.items[at].counts);
}

static void drop_empty(struct heap_sums *sums)
{
	static const struct heap_counts nothing;
	size_t kept = 0;

	for (size_t i = 0; i < sums->rows.count; i++) {
		if (memcmp(&sums->rows.items[i].counts, &nothing, sizeof(nothing)) != 0)
			sums->rows.items[kept++] = sums->rows.items[i];
	}
	sums->rows.count = kept;
}

static int go_back(struct load *load, size_t end, struct heap_sums *sums, bool *ret_is_right)
{
	struct heap_read read = {.load = load};
	struct taking taking = {.sums = sums};
	size_t span = 0;
	int ret = 0;

	for (size_t i = 0; i < load->held.sums.rows.count; i++) {
		const struct delta_heap_row *row = &load->held.sums.rows.items[i];

		heap_sums_add(sums, row->stack.v, &row->counts);
	}
	for (size_t at = end; at < load->checkpoints.count && ret == 0;) {
		struct load_part part =
			load_next_part(load, at, load->checkpoints.count - 1, &span);

		ret = heap_read_part(&read, &part, take_from_sums, &taking);
		at = part.last + 1;
	}
	drop_empty(sums);
	*ret_is_right = !taking.is_wrong;
	return ret;
}

/* What reading so many checkpoints costs, about. */
static size_t cost_of(size_t checkpoints)
{
	return checkpoints < 120 ? checkpoints : 120 + checkpoints / 60;
}

int heap_read_before(struct load *load, size_t begin, size_t end, struct heap_sums *ret_sums)
{
	struct heap_read read = {.load = load};
	size_t last = load->checkpoints.count - 1;
	bool is_last =
		load->checkpoints.items[begin].recording == load->checkpoints.items[last].recording;
	int ret = 0;

	if (load->held.is_begun && is_last && cost_of(last + 1 - end) < cost_of(end - begin)) {
		bool is_right = false;

		ret = bring_up(load, begin);
		if (ret == 0 && load->held.is_usable)
			ret = go_back(load, end, ret_sums, &is_right);
		if (ret < 0 || is_right) {
			heap_sums_sort(ret_sums);
			return ret;
		}
		heap_sums_clear(ret_sums);
	}
	ret = add_range(&read, begin, end, ret_sums);
	heap_sums_sort(ret_sums);
	return ret;
}
