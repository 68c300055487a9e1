/* A recorder for tests of the store: interns with the real tables, tells deltas as the pump does,
 * and keeps every row, so that sums can be checked against it. */
#ifndef RSPROF_TESTS_UNIT_STORE_MAKER_H
#define RSPROF_TESTS_UNIT_STORE_MAKER_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reader/core/attribute.h"
#include "reader/store/store.h"
#include "reader/util/vec.h"
#include "tests/lib/kit.h"

#define MS UINT64_C(1000000)

struct made_row {
	uint32_t checkpoint;
	struct delta_row row;
};

struct made_heap_row {
	uint32_t checkpoint;
	struct delta_heap_row row;
};

struct maker {
	struct store *store;
	struct module_table *modules;
	struct stack_table *stacks;
	struct arena arena;
	VEC(struct delta_thread) threads;
	VEC(struct delta_row) rows;	      /* of the next checkpoint */
	VEC(struct made_row) all;	      /* of all checkpoints */
	VEC(struct delta_heap_row) heap_rows; /* of the next checkpoint */
	VEC(struct made_heap_row) all_heap;   /* of all checkpoints */
	VEC(struct heap_counts) heap_totals;  /* by stack_id */
	struct heap_state heap; /* where is_counted is set, live_* are as the rows tell */
	VEC(struct resolved_frame) frames;
	VEC(struct stack_charge) charges;
	size_t told_modules, told_threads, told_frames, told_nodes, told_stacks;
	uint32_t checkpoint;
	struct losses losses;
	uint64_t random;
};

static const struct event_kind *maker_events[2];
static const struct store_fact maker_facts[] = {
	{"attribute_version", "1"}, {"cpu_freq_hz", "99"},  {"cpu_source", "perf"},
	{"cpu_source_reason", ""},  {"heap_source", "off"}, {"wait_source", "off"},
};

static inline struct store_recording maker_recording(void)
{
	maker_events[0] = event_kind_by_name("cpu-clock", 9);
	maker_events[1] = event_kind_by_name("page-faults", 11);
	return (struct store_recording){
		.pid = 4711,
		.process_name = "burn",
		.exe_path = "/usr/bin/burn",
		.command_line = "burn --fast",
		.exe_build_id = "abcdef",
		.start_unix_ns = UINT64_C(1767700000000000000),
		.start_monotonic_ns = 5,
		.checkpoint_interval_ns = 1000 * MS,
		.events = maker_events,
		.event_count = 2,
		.facts = maker_facts,
		.fact_count = sizeof(maker_facts) / sizeof(*maker_facts),
	};
}

static inline void maker_init(struct maker *maker)
{
	memset(maker, 0, sizeof(*maker));
	maker->modules = module_table_new();
	maker->stacks = stack_table_new();
	maker->told_modules = 1;
	maker->random = 88172645463325252u;
}

static inline void maker_done(struct maker *maker)
{
	module_table_free(maker->modules);
	stack_table_free(maker->stacks);
	arena_done(&maker->arena);
	vec_done(&maker->threads);
	vec_done(&maker->rows);
	vec_done(&maker->all);
	vec_done(&maker->heap_rows);
	vec_done(&maker->all_heap);
	vec_done(&maker->heap_totals);
	vec_done(&maker->frames);
	vec_done(&maker->charges);
}

static inline uint64_t maker_random(struct maker *maker, uint64_t below)
{
	maker->random ^= maker->random << 13;
	maker->random ^= maker->random >> 7;
	maker->random ^= maker->random << 17;
	return maker->random % below;
}

static inline void maker_create(struct maker *maker, const char *path)
{
	struct store_recording recording = maker_recording();
	struct err err = {0};

	maker_init(maker);
	if (store_create(path, &recording, &maker->store, &err) < 0)
		FAIL("store_create: %s", err.sentence);
}

static inline module_id maker_module(struct maker *maker, const char *path, uint8_t build)
{
	struct module_facts facts = {.kind = MODULE_FILE,
				     .path = path,
				     .inode = build,
				     .build_id = {build},
				     .build_id_size = 1,
				     .fd = -1};
	bool is_new;

	return module_table_intern(maker->modules, &facts, &is_new)->id;
}

static inline thread_id maker_thread(struct maker *maker, uint32_t tid, const char *comm)
{
	thread_id id = {(uint32_t)maker->threads.count + 1};

	*vec_add(&maker->threads) = (struct delta_thread){id, 4711, tid, comm};
	return id;
}

/* vaddrs of one module, leaf first. */
static inline stack_id maker_stack(struct maker *maker, module_id module, enum stack_status status,
				   size_t count, const uint64_t *vaddrs)
{
	struct place *places = arena_alloc(&maker->arena, (count + 1) * sizeof(*places));
	stack_id id;

	for (size_t i = 0; i < count; i++)
		places[i] = (struct place){module, vaddrs[i]};
	if (stack_table_intern(maker->stacks, places, count, status, &id) < 0)
		FAIL("the stack table is full");
	return id;
}

static inline void maker_row(struct maker *maker, uint32_t event, thread_id thread, stack_id stack,
			     uint64_t count, uint64_t kernel, uint64_t value)
{
	struct delta_row row = {.thread = thread,
				.stack = stack,
				.event_index = event,
				.count = count,
				.kernel_count = kernel,
				.value = value};

	*vec_add(&maker->rows) = row;
	*vec_add(&maker->all) = (struct made_row){maker->checkpoint + 1, row};
}

/* Each stack once a checkpoint. */
static inline void maker_heap(struct maker *maker, stack_id stack, struct heap_counts counts)
{
	struct delta_heap_row row = {.stack = stack, .counts = counts};
	struct heap_counts *total;

	*vec_add(&maker->heap_rows) = row;
	*vec_add(&maker->all_heap) = (struct made_heap_row){maker->checkpoint + 1, row};
	while (maker->heap_totals.count <= stack.v)
		*vec_add(&maker->heap_totals) = (struct heap_counts){0};
	total = &maker->heap_totals.items[stack.v];
	maker->heap.is_counted = true;
	maker->heap.live_bytes -= heap_live_bytes(total);
	maker->heap.live_blocks -= heap_live_blocks(total);
	heap_counts_add(total, &counts);
	maker->heap.live_bytes += heap_live_bytes(total);
	maker->heap.live_blocks += heap_live_blocks(total);
}

/* The frame at that vaddr has one line, or with `caller` two: inlined into it. */
static inline void maker_resolve(struct maker *maker, uint64_t vaddr, struct source_line line,
				 const struct source_line *caller)
{
	struct source_line *lines = arena_alloc(&maker->arena, 2 * sizeof(*lines));

	lines[0] = line;
	if (caller)
		lines[1] = *caller;
	for (uint32_t id = 1; id <= stack_table_frame_count(maker->stacks); id++) {
		if (stack_table_frame(maker->stacks, (frame_id){id})->place.vaddr == vaddr)
			*vec_add(&maker->frames) = (struct resolved_frame){
				{id}, SYMBOL_LINE, FRAME_BASE_POINTER, lines, caller ? 2 : 1};
	}
}

static inline void maker_charge(struct maker *maker, stack_id stack, uint64_t vaddr, uint32_t depth,
				enum stack_status status)
{
	struct stack_charge charge = {stack, {0}, depth, status};

	for (uint32_t id = 1; id <= stack_table_frame_count(maker->stacks); id++) {
		if (vaddr && stack_table_frame(maker->stacks, (frame_id){id})->place.vaddr == vaddr)
			charge.frame.v = id;
	}
	*vec_add(&maker->charges) = charge;
}

static inline struct delta *maker_delta(struct maker *maker, uint64_t end_ms)
{
	struct delta *delta = delta_new();
	struct arena *arena = &delta->arena;
	const struct module **modules;

	delta->checkpoint = ++maker->checkpoint;
	delta->end_ns = end_ms * MS;
	delta->rows = arena_copy(arena, maker->rows.items,
				 maker->rows.count * sizeof(*maker->rows.items));
	delta->row_count = maker->rows.count;
	vec_clear(&maker->rows);
	delta->heap_rows = arena_copy(arena, maker->heap_rows.items,
				      maker->heap_rows.count * sizeof(*maker->heap_rows.items));
	delta->heap_row_count = maker->heap_rows.count;
	vec_clear(&maker->heap_rows);
	delta->heap = maker->heap;
	delta->thread_count = maker->threads.count - maker->told_threads;
	delta->threads = arena_copy(arena, maker->threads.items + maker->told_threads,
				    delta->thread_count * sizeof(*delta->threads));
	maker->told_threads = maker->threads.count;
	delta->module_count = module_table_count(maker->modules) - maker->told_modules;
	modules = arena_alloc(arena, delta->module_count * sizeof(*modules));
	for (size_t i = 0; i < delta->module_count; i++)
		modules[i] = module_table_get(maker->modules,
					      (module_id){(uint32_t)(maker->told_modules + i)});
	delta->modules = modules;
	maker->told_modules += delta->module_count;

	delta->first_frame = (uint32_t)maker->told_frames + 1;
	delta->first_node = (uint32_t)maker->told_nodes + 1;
	delta->first_stack = (uint32_t)maker->told_stacks + 1;
	delta->frame_count = stack_table_frame_count(maker->stacks) - maker->told_frames;
	delta->node_count = stack_table_node_count(maker->stacks) - maker->told_nodes;
	delta->stack_count = stack_table_stack_count(maker->stacks) - maker->told_stacks;
	if (delta->frame_count)
		delta->frames = arena_copy(
			arena, stack_table_frame(maker->stacks, (frame_id){delta->first_frame}),
			delta->frame_count * sizeof(*delta->frames));
	if (delta->node_count)
		delta->nodes = arena_copy(
			arena, stack_table_node(maker->stacks, (node_id){delta->first_node}),
			delta->node_count * sizeof(*delta->nodes));
	if (delta->stack_count)
		delta->stacks = arena_copy(
			arena, stack_table_stack(maker->stacks, (stack_id){delta->first_stack}),
			delta->stack_count * sizeof(*delta->stacks));
	maker->told_frames += delta->frame_count;
	maker->told_nodes += delta->node_count;
	maker->told_stacks += delta->stack_count;
	delta->losses = maker->losses;
	delta->process = (struct delta_process){.user_ms = end_ms / 2,
						.system_ms = end_ms / 4,
						.rss_bytes = 1000000 + end_ms,
						.rss_anonymous_bytes = 500000 + end_ms};
	return delta;
}

static inline int maker_try_commit(struct maker *maker, uint64_t end_ms, struct err *err)
{
	struct delta *delta = maker_delta(maker, end_ms);
	struct resolved_batch batch = {
		.frames = maker->frames.items,
		.frame_count = maker->frames.count,
		.charges = maker->charges.items,
		.charge_count = maker->charges.count,
	};
	int ret = store_commit(maker->store, &delta, 1, &batch, err);

	delta_release(delta);
	vec_clear(&maker->frames);
	vec_clear(&maker->charges);
	return ret;
}

static inline void maker_commit(struct maker *maker, uint64_t end_ms)
{
	struct err err = {0};

	if (maker_try_commit(maker, end_ms, &err) < 0)
		FAIL("store_commit: %s", err.sentence);
}

static inline void maker_finish(struct maker *maker, uint64_t duration_ms)
{
	static const struct store_fact facts[] = {{"complete_stacks_pct", "99.90"}};
	struct store_end end = {duration_ms * MS, facts, 1};
	struct err err = {0};

	if (store_finish(maker->store, &end, &err) < 0)
		FAIL("store_finish: %s", err.sentence);
	maker->store = NULL;
}

/* The same profile in every file:
 *   main (0x1000, user) calls parse (0x2000, with an inlined std helper) calls libc (0x100,
 * internal) thread 1 "burn", thread 2 "io"; 3 checkpoints of a second. Samples of cpu-clock:
 * parse's line 89 gets 5 + 7 + 0, main's line 142 gets 2 + 0 + 1, no user stack 0 + 0 + 4. */
static inline void maker_small(struct maker *maker, const char *path)
{
	const struct source_line main_line = {"main", "src/main.rs", "/home/me/src/main.rs", 142};
	const struct source_line parse_line = {"parse", "src/parser.rs", NULL, 89};
	const struct source_line helper = {"core::iter::next", "core/src/iter.rs", NULL, 7};
	const struct source_line malloc_line = {"malloc", "[libc.so.6]", NULL, 0};
	module_id app, libc;
	thread_id burn, io;
	stack_id in_main, in_parse, in_libc, empty;
	struct place chain[3];

	maker_create(maker, path);
	app = maker_module(maker, "/usr/bin/burn", 0xab);
	libc = maker_module(maker, "/usr/lib/libc.so.6", 0xcd);
	burn = maker_thread(maker, 4711, "burn");
	in_main = maker_stack(maker, app, STACK_FRAME_POINTERS, 1, (const uint64_t[]){0x1000});
	in_parse = maker_stack(maker, app, STACK_COMPLETE, 2, (const uint64_t[]){0x2000, 0x1000});
	chain[0] = (struct place){libc, 0x100};
	chain[1] = (struct place){app, 0x2000};
	chain[2] = (struct place){app, 0x1000};
	stack_table_intern(maker->stacks, chain, 3, STACK_COMPLETE, &in_libc);
	maker_row(maker, 0, burn, in_main, 2, 0, 20);
	maker_row(maker, 0, burn, in_parse, 3, 0, 30);
	maker_row(maker, 0, burn, in_libc, 2, 1, 20);
	maker_row(maker, 1, burn, in_libc, 9, 9, 9);
	maker_resolve(maker, 0x1000, main_line, NULL);
	maker_resolve(maker, 0x2000, helper, &parse_line);
	maker_resolve(maker, 0x100, malloc_line, NULL);
	maker_charge(maker, in_main, 0x1000, 0, STACK_COMPLETE);
	maker_charge(maker, in_parse, 0x2000, 1, STACK_COMPLETE);
	maker_charge(maker, in_libc, 0x2000, 1, STACK_COMPLETE);
	maker_commit(maker, 1000);
	io = maker_thread(maker, 4712, "io");
	maker_row(maker, 0, io, in_libc, 7, 7, 70);
	maker->losses.count[LOSS_RING_FULL] = 3;
	maker_commit(maker, 2000);
	empty = maker_stack(maker, app, STACK_EMPTY, 0, NULL);
	maker_row(maker, 0, burn, in_main, 1, 0, 10);
	maker_row(maker, 0, io, empty, 4, 4, 40);
	maker_charge(maker, empty, 0, 0, STACK_EMPTY);
	maker_commit(maker, 3000);
}

/* What plain sqlite3 prints for the SQL, rows ended by newlines. */
static inline const char *plain_sqlite(const char *path, const char *sql)
{
	static char output[65536];
	char command[8192];
	FILE *pipe;
	size_t length;

	if (access("/usr/bin/sqlite3", X_OK))
		SKIP("sqlite3 is not installed");
	snprintf(command, sizeof(command), "/usr/bin/sqlite3 -batch -bail '%s' \"%s\" 2>&1", path,
		 sql);
	pipe = popen(command, "r");
	if (!pipe)
		FAIL("popen failed");
	length = fread(output, 1, sizeof(output) - 1, pipe);
	output[length] = '\0';
	pclose(pipe);
	return output;
}

/* A file in the test's folder. */
static inline const char *test_path(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", kit_folder(), name);
	return path;
}

static inline struct snapshot *read_snapshot(const char *path, struct store_window window)
{
	struct store_reader *reader;
	struct snapshot *snapshot;
	struct err err = {0};

	if (store_reader_open(path, &reader, &err) < 0)
		FAIL("store_reader_open: %s", err.sentence);
	if (store_reader_snapshot(reader, window, &snapshot, &err) < 0)
		FAIL("store_reader_snapshot: %s", err.sentence);
	store_reader_close(reader);
	return snapshot;
}

/* Opening and loading as a verb does: 0, or the kind of the error. */
static inline enum err_kind read_outcome(const char *path, struct err *err)
{
	struct store_reader *reader;
	struct snapshot *snapshot;

	memset(err, 0, sizeof(*err));
	if (store_reader_open(path, &reader, err) < 0)
		return err->kind;
	if (store_reader_snapshot(reader, (struct store_window){0, UINT64_MAX}, &snapshot, err) <
	    0) {
		store_reader_close(reader);
		return err->kind;
	}
	snapshot_free(snapshot);
	store_reader_close(reader);
	return ERR_NONE;
}

#endif
