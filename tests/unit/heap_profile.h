/* A profile of the heap for tests of its view. */
#ifndef RSPROF_TESTS_UNIT_HEAP_PROFILE_H
#define RSPROF_TESTS_UNIT_HEAP_PROFILE_H

#include <stdlib.h>

#include "reader/view/heap.h"
#include "tests/lib/kit.h"
#include "tests/lib/snapshot_builder.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

/* Stacks of heap_profile(), leaf first (charged: *). */
enum {
	HEAP_STACK_EXTEND, /* malloc in libc.so.6, *extend, main */
	HEAP_STACK_INSERT, /* malloc, *insert, main */
	HEAP_STACK_BOTH,   /* malloc, *extend, insert, main */
	HEAP_STACK_GROW,   /* malloc, *grow, main */
	HEAP_STACK_NONE,   /* no frame */
};

static inline uint32_t heap_poll_at(struct snapshot_builder *b, uint64_t ms, uint64_t rss,
				    uint64_t anonymous)
{
	return builder_heap_poll(b, (struct snapshot_heap_poll){.time_ns = ms * MS,
								.rss_bytes = rss,
								.rss_anonymous_bytes = anonymous});
}

/* The program without any poll or row. */
static inline struct snapshot_builder *heap_program(void)
{
	struct snapshot_builder *b = builder_new();
	uint32_t app = builder_module(b, "/usr/bin/my-app");
	uint32_t libc = builder_module(b, "/usr/lib/libc.so.6");
	uint32_t main_line = builder_location(b, app, "main", "src/main.rs", 10);
	uint32_t extend_line = builder_location(b, app, "Buffer::extend", "src/buffer.rs", 34);
	uint32_t grow_line = builder_location(b, app, "Buffer::grow", "src/buffer.rs", 50);
	uint32_t insert_line = builder_location(b, app, "Cache::insert", "src/cache.rs", 201);
	uint32_t malloc_line = builder_location(b, libc, "malloc", "[libc.so.6]", 0);
	uint32_t in_main = builder_frame_at(b, main_line);
	uint32_t extend = builder_frame_at(b, extend_line);
	uint32_t grow = builder_frame_at(b, grow_line);
	uint32_t insert = builder_frame_at(b, insert_line);
	uint32_t in_malloc = builder_frame_at(b, malloc_line);

	builder_stack(b, (uint32_t[]){in_malloc, extend, in_main}, 3, STACK_COMPLETE, extend_line);
	builder_stack(b, (uint32_t[]){in_malloc, insert, in_main}, 3, STACK_COMPLETE, insert_line);
	builder_stack(b, (uint32_t[]){in_malloc, extend, insert, in_main}, 4, STACK_COMPLETE,
		      extend_line);
	builder_stack(b, (uint32_t[]){in_malloc, grow, in_main}, 3, STACK_BROKEN, grow_line);
	builder_stack(b, NULL, 0, STACK_NOT_WALKED, SNAPSHOT_NONE);
	builder_meta(b, "cpu_source", "bpf");
	builder_meta(b, "heap_source", "bpf");
	builder_meta(b, "heap_mode", "exact");
	return b;
}

/* What is live at each poll, in bytes:
 *
 *     at       0s  extend  insert   both   grow  none    all   extend and both
 *     1s             10000    4000                       14000           10000
 *     2s              3000    4000  30000      0         37000           33000
 *     3s              3000    5000  10000      0    64   18064           13000  */
static inline struct snapshot_builder *heap_profile(void)
{
	struct snapshot_builder *b = heap_program();
	uint32_t first, second, third;

	heap_poll_at(b, 0, 0, 0);
	first = heap_poll_at(b, 1000, 90000000, 80000000);
	builder_heap_row(b, first, HEAP_STACK_EXTEND,
			 (struct heap_counts){.allocs = 10, .alloc_bytes = 10000});
	builder_heap_row(b, first, HEAP_STACK_INSERT,
			 (struct heap_counts){.allocs = 2, .alloc_bytes = 4000});
	second = heap_poll_at(b, 2000, 140000000, 120000000);
	builder_heap_row(
		b, second, HEAP_STACK_EXTEND,
		(struct heap_counts){
			.allocs = 5, .alloc_bytes = 5000, .frees = 12, .free_bytes = 12000});
	builder_heap_row(b, second, HEAP_STACK_BOTH,
			 (struct heap_counts){.allocs = 3, .alloc_bytes = 30000});
	builder_heap_row(b, second, HEAP_STACK_GROW,
			 (struct heap_counts){.allocs = 100,
					      .alloc_bytes = 6400,
					      .frees = 100,
					      .free_bytes = 6400,
					      .temporary = 90});
	third = heap_poll_at(b, 3000, 131000000, 119000000);
	builder_heap_row(
		b, third, HEAP_STACK_INSERT,
		(struct heap_counts){
			.allocs = 1, .alloc_bytes = 1000, .reallocs = 1, .growth_bytes = 500});
	builder_heap_row(b, third, HEAP_STACK_BOTH,
			 (struct heap_counts){.frees = 2, .free_bytes = 20000});
	builder_heap_row(b, third, HEAP_STACK_NONE,
			 (struct heap_counts){.allocs = 1, .alloc_bytes = 64});
	builder_heap_sum(b);
	return b;
}

/* A step with a reason, which is not copied. */
static inline void heap_step(struct snapshot_builder *b, uint64_t time_ns, const char *mode,
			     const char *reason)
{
	const struct snapshot *snapshot;

	builder_step(b, 0, time_ns, "heap", mode);
	snapshot = builder_snapshot(b);
	((struct snapshot_step *)snapshot->steps)[snapshot->step_count - 1].reason = reason;
}

static inline struct heap_view *heap_build(struct snapshot_builder *b,
					   const struct view_request *request)
{
	struct heap_view *view = NULL;
	struct err err = {0};

	if (heap_view_build(builder_snapshot(b), request, &view, &err) < 0)
		FAIL("heap_view_build: %s", err.sentence);
	return view;
}

#endif
