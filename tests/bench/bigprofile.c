/* Writes a profile of a day: 100,000 locations, a checkpoint a second, about 99 samples in each,
 * spread over 50 threads and as unevenly as real ones, and a heap. bigprofile FILE [SEED
 * [CHECKPOINTS [LOCATIONS]]]
 *
 * The store begins and ends the file, so that it is one; its rows are put in by plain SQL, in the
 * order of their keys, which takes seconds where a recording took a day. */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/core/aggregate.h"
#include "reader/core/attribute.h"
#include "reader/store/address.h"
#include "reader/store/heap_sums.h"
#include "reader/store/store.h"
#include "reader/util/mem.h"

enum {
	THREADS = 50,
	DEPTH = 12,
	SAMPLES = 99,
	HEAP_STACKS = 300,
	HEAP_ROWS = 20, /* a checkpoint */
	SPAN = 60,
	FUNCTION_LINES = 10,
};

struct big {
	sqlite3 *db;
	uint64_t random;
	uint32_t checkpoints, locations, stacks;
	struct aggregate *totals, *span;
	struct heap_sums heap, heap_span;
	int64_t span_id, first;
};

static uint64_t next(struct big *big)
{
	big->random ^= big->random << 13;
	big->random ^= big->random >> 7;
	big->random ^= big->random << 17;
	return big->random;
}

static uint64_t below(struct big *big, uint64_t count)
{
	return next(big) % count;
}

/* Few are hot, most are rare: half of them are one of the first twenty, and each of the last comes
 * up once in a while. */
static uint32_t skewed(struct big *big, uint32_t count)
{
	double unit = (double)(next(big) >> 11) / (double)(UINT64_C(1) << 53);
	double value = 1;

	unit *= unit;
	/* e^(u ln n) by repeated squaring of what the bits of u stand for. */
	for (double log2 = 0, n = count; n > 1; n /= 2) {
		log2 += unit;
		if (log2 >= 1) {
			value *= 2;
			log2 -= 1;
		}
		if (n / 2 <= 1)
			value *= 1 + log2;
	}
	value -= 1;
	return value < count ? (uint32_t)value : (uint32_t)below(big, count);
}

static void fail(const struct big *big, const char *what)
{
	fprintf(stderr, "bigprofile: %s: %s\n", what, sqlite3_errmsg(big->db));
	exit(1);
}

static void run(struct big *big, const char *sql)
{
	if (sqlite3_exec(big->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail(big, sql);
}

static sqlite3_stmt *prepare(struct big *big, const char *sql)
{
	sqlite3_stmt *statement;

	if (sqlite3_prepare_v2(big->db, sql, -1, &statement, NULL) != SQLITE_OK)
		fail(big, sql);
	return statement;
}

static void put(struct big *big, sqlite3_stmt *insert, const int64_t *values, int count)
{
	for (int i = 0; i < count; i++)
		sqlite3_bind_int64(insert, i + 1, values[i]);
	if (sqlite3_step(insert) != SQLITE_DONE)
		fail(big, "a row");
	sqlite3_reset(insert);
}

#define PUT(big, insert, ...)                                                                      \
	put(big, insert, (const int64_t[]){__VA_ARGS__},                                           \
	    sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void put_text(struct big *big, sqlite3_stmt *insert, int64_t id, const char *text)
{
	sqlite3_bind_int64(insert, 1, id);
	sqlite3_bind_text(insert, 2, text, -1, SQLITE_TRANSIENT);
	if (sqlite3_step(insert) != SQLITE_DONE)
		fail(big, "a text");
	sqlite3_reset(insert);
}

/* A frame a location, ten of which are lines of one function. Texts: function, file, path. */
static void add_places(struct big *big)
{
	sqlite3_stmt *text = prepare(big, "INSERT INTO texts VALUES(?, ?)");
	sqlite3_stmt *location = prepare(big, "INSERT INTO locations VALUES(?, ?, 1, ?, ?, ?, ?)");
	sqlite3_stmt *frame = prepare(big, "INSERT INTO frames VALUES(?, 1, ?, 1, 2, 1)");
	sqlite3_stmt *line = prepare(big, "INSERT INTO frame_lines VALUES(?, 0, ?)");
	uint32_t functions = (big->locations + FUNCTION_LINES - 1) / FUNCTION_LINES;
	char name[256];

	run(big, "INSERT INTO modules VALUES(1, 1, '/usr/bin/big', 'big', 'abcd', 1, 1, 1, NULL)");
	for (uint32_t i = 0; i < functions; i++) {
		snprintf(name, sizeof(name), "big::module%u::Type%u::method_%u", i / 200, i / 20,
			 i);
		put_text(big, text, 3 * i + 1, name);
		snprintf(name, sizeof(name), "src/module%u/type%u.rs", i / 200, i / 20);
		put_text(big, text, 3 * i + 2, name);
		snprintf(name, sizeof(name), "/home/me/big/src/module%u/type%u.rs", i / 200,
			 i / 20);
		put_text(big, text, 3 * i + 3, name);
	}
	for (uint32_t i = 0; i < big->locations; i++) {
		uint32_t function = i / FUNCTION_LINES;
		int64_t vaddr = 0x1000 + 16 * (int64_t)i;
		int64_t address = (int64_t)address_of_frame(i + 1, 1, (uint64_t)vaddr);

		PUT(big, frame, i + 1, vaddr);
		PUT(big, location, i + 1, address, 3 * function + 1, 3 * function + 2,
		    3 * function + 3, 10 + i % 900);
		PUT(big, line, i + 1, i + 1);
	}
	sqlite3_finalize(text);
	sqlite3_finalize(location);
	sqlite3_finalize(frame);
	sqlite3_finalize(line);
}

/* Each location is the leaf of a stack; nodes are a tree whose parents are an earlier one, of a
 * depth of about DEPTH. */
static void add_stacks(struct big *big)
{
	sqlite3_stmt *node = prepare(big, "INSERT INTO nodes VALUES(?, NULLIF(?, 0), ?)");
	sqlite3_stmt *stack = prepare(big, "INSERT INTO stacks VALUES(?, ?, 0, 0, ?, ?, ?)");
	uint8_t *depths = mem_array(big->stacks + 1, sizeof(*depths));

	for (uint32_t i = 1; i <= big->stacks; i++) {
		uint32_t parent = i > 1 ? 1 + (uint32_t)below(big, i < 50 ? i - 1 : i / 4) : 0;
		uint32_t frame = 1 + (i - 1) % big->locations;
		int64_t vaddr = 0x1000 + 16 * (int64_t)(frame - 1);

		if (depths[parent] > 3 * DEPTH)
			parent = 1;
		depths[i] = (uint8_t)(depths[parent] + 1);
		PUT(big, node, i, parent, frame);
		PUT(big, stack, i, i, frame, frame,
		    (int64_t)address_of_frame(frame, 1, (uint64_t)vaddr));
	}
	free(depths);
	sqlite3_finalize(node);
	sqlite3_finalize(stack);
}

static void add_threads(struct big *big)
{
	sqlite3_stmt *insert = prepare(big, "INSERT INTO threads VALUES(?, 1, 4711, ?, 'w' || ?)");

	for (int i = 1; i <= THREADS; i++)
		PUT(big, insert, i, 4710 + i, i);
	sqlite3_finalize(insert);
}

static int compare(const void *left, const void *right)
{
	const struct delta_row *a = left, *b = right;

	if (a->thread.v != b->thread.v)
		return a->thread.v < b->thread.v ? -1 : 1;
	return (a->stack.v > b->stack.v) - (a->stack.v < b->stack.v);
}

/* Rows in the order of their key, behind the first column where that is there. */
static void put_rows(struct big *big, sqlite3_stmt *insert, int64_t first,
		     const struct aggregate *from)
{
	size_t count;
	const struct delta_row *found = aggregate_rows(from, &count);
	struct delta_row *rows;

	if (!count)
		return;
	rows = mem_copy(found, count * sizeof(*rows));
	qsort(rows, count, sizeof(*rows), compare);
	for (size_t i = 0; i < count; i++) {
		int64_t values[] = {first,
				    1,
				    rows[i].thread.v,
				    rows[i].stack.v,
				    0,
				    (int64_t)rows[i].count,
				    (int64_t)rows[i].kernel_count,
				    (int64_t)rows[i].value,
				    0};

		put(big, insert, values + !first, 9 - !first);
	}
	free(rows);
}

static void put_heap(struct big *big, sqlite3_stmt *insert, int64_t first,
		     const struct heap_sums *sums)
{
	for (size_t i = 0; i < sums->rows.count; i++) {
		int64_t values[2 + HEAP_COLUMNS] = {first, sums->rows.items[i].stack.v};

		heap_columns(&sums->rows.items[i].counts, values + 2);
		put(big, insert, values, 2 + HEAP_COLUMNS);
	}
}

static uint64_t live_of(const struct heap_sums *sums, uint64_t *ret_blocks)
{
	uint64_t bytes = 0;

	*ret_blocks = 0;
	for (size_t i = 0; i < sums->rows.count; i++) {
		bytes += heap_live_bytes(&sums->rows.items[i].counts);
		*ret_blocks += heap_live_blocks(&sums->rows.items[i].counts);
	}
	return bytes;
}

static void add_heap(struct big *big, sqlite3_stmt *change, sqlite3_stmt *state, int64_t checkpoint)
{
	static const struct heap_counts none;
	struct heap_sums now = {0};
	uint64_t bytes, blocks;

	for (int i = 0; i < HEAP_ROWS; i++) {
		uint32_t stack = 1 + skewed(big, HEAP_STACKS);
		uint64_t size = 16 + 8 * (stack % 50), allocs = 1 + below(big, 100), live;
		struct heap_counts counts = {.allocs = allocs, .alloc_bytes = allocs * size};

		live = heap_live_blocks(heap_sums_add(&big->heap, stack, &none));
		counts.frees = below(big, live + allocs + 1);
		counts.free_bytes = counts.frees * size;
		heap_sums_add(&now, stack, &counts);
		heap_sums_add(&big->heap, stack, &counts);
		heap_sums_add(&big->heap_span, stack, &counts);
	}
	heap_sums_sort(&now);
	put_heap(big, change, checkpoint, &now);
	heap_sums_done(&now);
	bytes = live_of(&big->heap, &blocks);
	PUT(big, state, checkpoint, (int64_t)bytes, (int64_t)blocks);
}

static void end_span(struct big *big, sqlite3_stmt *span, sqlite3_stmt *rollup,
		     sqlite3_stmt *heap_rollup, int64_t last)
{
	PUT(big, span, ++big->span_id, big->first, last);
	put_rows(big, rollup, big->span_id, big->span);
	heap_sums_sort(&big->heap_span);
	put_heap(big, heap_rollup, big->span_id, &big->heap_span);
	aggregate_clear(big->span);
	heap_sums_clear(&big->heap_span);
	big->first = last + 1;
}

/* What is hot changes with the time of day: the ranks are turned a little every ten minutes. */
static void add_checkpoints(struct big *big)
{
	sqlite3_stmt *checkpoint =
		prepare(big, "INSERT INTO checkpoints VALUES(?, ?, 1, ?, ?, ?, ?)");
	sqlite3_stmt *sample =
		prepare(big, "INSERT INTO samples VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)");
	sqlite3_stmt *span = prepare(big, "INSERT INTO rollup_spans VALUES(?, ?, ?)");
	sqlite3_stmt *rollup =
		prepare(big, "INSERT INTO rollups VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)");
	sqlite3_stmt *change =
		prepare(big, "INSERT INTO heap_changes VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	sqlite3_stmt *heap_rollup =
		prepare(big, "INSERT INTO heap_rollups VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	sqlite3_stmt *state = prepare(
		big, "INSERT INTO heap_checkpoints VALUES(?, ?, ?, 0, 0, 0, 0, 0, 0, 0, 0, 0)");
	struct aggregate *now = aggregate_new();

	big->first = 1;
	for (int64_t at = 1; at <= big->checkpoints; at++) {
		for (int i = 0; i < SAMPLES; i++) {
			uint32_t rank = skewed(big, big->stacks);
			/* Mixed, so that neighbours in rank are not neighbours in the tree. */
			uint64_t mixed =
				rank * UINT64_C(2654435761) + (uint64_t)(at / 600) * (rank > 50);
			struct delta_row row = {.count = 1, .value = 1};

			row.stack.v = 1 + (uint32_t)(mixed % big->stacks);
			/* A stack is of few threads. */
			row.thread.v = 1 + (row.stack.v * 7 + skewed(big, 4)) % THREADS;
			row.kernel_count = below(big, 10) == 0;
			aggregate_add(now, &row);
			aggregate_add(big->span, &row);
			aggregate_add(big->totals, &row);
		}
		PUT(big, checkpoint, at, at * 1000, at * 900, at * 90,
		    100000000 + (int64_t)below(big, 10000000), 90000000);
		put_rows(big, sample, at, now);
		aggregate_clear(now);
		add_heap(big, change, state, at);
		if (at % SPAN == 0)
			end_span(big, span, rollup, heap_rollup, at);
	}
	aggregate_free(now);
	sqlite3_finalize(checkpoint);
	sqlite3_finalize(sample);
	sqlite3_finalize(span);
	sqlite3_finalize(rollup);
	sqlite3_finalize(change);
	sqlite3_finalize(heap_rollup);
	sqlite3_finalize(state);
}

static void add_totals(struct big *big)
{
	sqlite3_stmt *insert = prepare(big, "INSERT INTO totals VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
	sqlite3_stmt *heap = prepare(big, "INSERT INTO heap_stacks VALUES(?1, ?2, ?3, ?2, ?4, ?5, "
					  "?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)");

	put_rows(big, insert, 0, big->totals);
	heap_sums_sort(&big->heap);
	for (size_t i = 0; i < big->heap.rows.count; i++) {
		const struct delta_heap_row *row = &big->heap.rows.items[i];
		int64_t values[3 + HEAP_COLUMNS] = {row->stack.v,
						    (int64_t)heap_live_bytes(&row->counts),
						    (int64_t)heap_live_blocks(&row->counts)};

		heap_columns(&row->counts, values + 3);
		put(big, heap, values, 3 + HEAP_COLUMNS);
	}
	sqlite3_finalize(insert);
	sqlite3_finalize(heap);
}

static void begin_file(const char *path)
{
	const struct event_kind *events[] = {event_kind_by_name("cpu-clock", 9)};
	char version[16];
	const struct store_fact facts[] = {
		{"attribute_version", version}, {"cpu_freq_hz", "99"},	{"cpu_source", "perf"},
		{"cpu_source_reason", ""},	{"heap_source", "bpf"}, {"heap_mode", "exact"},
		{"heap_source_reason", ""},	{"wait_source", "off"},
	};
	struct store_recording recording = {
		.pid = 4711,
		.process_name = "big",
		.exe_path = "/usr/bin/big",
		.command_line = "big --day",
		.exe_build_id = "abcd",
		.start_unix_ns = UINT64_C(1767700000000000000),
		.start_monotonic_ns = 1,
		.checkpoint_interval_ns = UINT64_C(1000000000),
		.events = events,
		.event_count = 1,
		.facts = facts,
		.fact_count = sizeof(facts) / sizeof(*facts),
	};
	struct store_end end = {0};
	struct store *store;
	struct err err = {0};

	snprintf(version, sizeof(version), "%d", ATTRIBUTE_VERSION);
	if (store_create(path, &recording, &store, &err) < 0 ||
	    store_finish(store, &end, &err) < 0) {
		fprintf(stderr, "bigprofile: %s\n", err.sentence);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	struct big big = {.random = 88172645463325252u};
	char sql[256];

	if (argc < 2) {
		fprintf(stderr, "bigprofile FILE [SEED [CHECKPOINTS [LOCATIONS]]]\n");
		return 2;
	}
	big.random ^= argc > 2 ? strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15u : 0;
	big.checkpoints = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 86400;
	big.locations = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 100000;
	big.stacks = big.locations + big.locations / 2;
	if (!big.random || !big.checkpoints || big.locations < 1000) {
		fprintf(stderr, "bigprofile: that is no profile\n");
		return 2;
	}
	big.totals = aggregate_new();
	big.span = aggregate_new();
	begin_file(argv[1]);
	if (sqlite3_open_v2(argv[1], &big.db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		fail(&big, argv[1]);
	run(&big,
	    "PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF; PRAGMA cache_size=-100000; BEGIN");
	add_places(&big);
	add_stacks(&big);
	add_threads(&big);
	add_checkpoints(&big);
	add_totals(&big);
	snprintf(sql, sizeof(sql), "UPDATE recordings SET duration_ns = %" PRIu64,
		 big.checkpoints * UINT64_C(1000000000));
	run(&big, sql);
	run(&big, "COMMIT");
	sqlite3_close(big.db);
	aggregate_free(big.totals);
	aggregate_free(big.span);
	heap_sums_done(&big.heap);
	heap_sums_done(&big.heap_span);
	return 0;
}
