/* A profile for tests of annotated source: 100 samples of cpu-clock, waits and memory in it.
 *
 *     samples  stack, leaf first (charged: *)
 *          40  *parse_header src/parser.rs:142, main      waits 300 ms
 *          20  *tokenize :89, parse_header :150, main     holds 4096 bytes of 6096
 *          30  *clamp src/util.rs:7 inlined into fill src/parser.rs:200, main
 *           5  *parse_header :142, parse_header :142, main
 *           3  *apply::<u8> src/gen.rs:5, main
 *           2  *apply::<u16> src/gen.rs:9, main
 *
 * and another src/util.rs, of another crate, whose line 7 is on a stack that has nothing. */
#ifndef RSPROF_TESTS_UNIT_ANNOTATE_PROFILE_H
#define RSPROF_TESTS_UNIT_ANNOTATE_PROFILE_H

#include "tests/lib/snapshot_builder.h"

#define ANNOTATE_ROOT "/nowhere/app/"

static inline uint32_t annotate_at(struct snapshot_builder *b, uint32_t module,
				   const char *function, const char *file, uint32_t line,
				   const char *path)
{
	uint32_t location = builder_location(b, module, function, file, line);

	builder_location_path(b, location, path);
	return location;
}

static inline uint32_t annotate_stack(struct snapshot_builder *b, uint32_t leaf, uint32_t caller,
				      uint32_t main_line)
{
	uint32_t frames[3] = {builder_frame_at(b, leaf)};
	size_t count = 1;

	if (caller != SNAPSHOT_NONE)
		frames[count++] = builder_frame_at(b, caller);
	frames[count++] = builder_frame_at(b, main_line);
	return builder_stack(b, frames, count, STACK_COMPLETE, leaf);
}

static inline void annotate_add_heap(struct snapshot_builder *b, uint32_t stack)
{
	builder_meta(b, "heap_source", "agent");
	builder_meta(b, "heap_mode", "exact");
	builder_heap_poll(b, (struct snapshot_heap_poll){0});
	builder_heap_poll(b, (struct snapshot_heap_poll){.time_ns = 1000000000});
	builder_heap_row(b, 1, stack,
			 (struct heap_counts){
				 .allocs = 3, .alloc_bytes = 6096, .frees = 1, .free_bytes = 2000});
	builder_heap_sum(b);
}

/* path: that of src/parser.rs. */
static inline struct snapshot_builder *annotate_profile_of(const char *path)
{
	static const char parser[] = "src/parser.rs", util[] = "src/util.rs", gen[] = "src/gen.rs";
	struct snapshot_builder *b = builder_new();
	uint32_t cpu = builder_event(b, "cpu-clock", true);
	uint32_t wait = builder_event(b, "wait-time", false);
	uint32_t faults = builder_event(b, "page-faults", false);
	uint32_t thread = builder_thread(b, 12345, "my-app");
	uint32_t worker = builder_thread(b, 12346, "worker");
	uint32_t app = builder_module(b, "/usr/bin/my-app");
	uint32_t libc = builder_module(b, "/usr/lib/libc.so.6");
	uint32_t main_line =
		annotate_at(b, app, "main", "src/main.rs", 10, ANNOTATE_ROOT "src/main.rs");
	uint32_t parse_142 = annotate_at(b, app, "app::parse_header", parser, 142, path);
	uint32_t parse_150 = annotate_at(b, app, "app::parse_header", parser, 150, path);
	uint32_t token = annotate_at(b, app, "app::tokenize", parser, 89, path);
	uint32_t fill = annotate_at(b, app, "Buffer::fill", parser, 200, path);
	uint32_t clamp = annotate_at(b, app, "clamp", util, 7, ANNOTATE_ROOT "src/util.rs");
	uint32_t other = annotate_at(b, app, "other", util, 7, "/nowhere/crate/src/util.rs");
	uint32_t apply_8 = annotate_at(b, app, "apply::<u8>", gen, 5, ANNOTATE_ROOT "src/gen.rs");
	uint32_t apply_16 = annotate_at(b, app, "apply::<u16>", gen, 9, ANNOTATE_ROOT "src/gen.rs");
	uint32_t read_line = builder_location(b, libc, "read", "[libc.so.6]", 0);
	uint32_t inlined = builder_frame(b, (uint32_t[]){clamp, fill}, 2);
	uint32_t filling = builder_stack(b, (uint32_t[]){inlined, builder_frame_at(b, main_line)},
					 2, STACK_COMPLETE, clamp);
	uint32_t parsing = annotate_stack(b, parse_142, SNAPSHOT_NONE, main_line);
	uint32_t tokenizing = annotate_stack(b, token, parse_150, main_line);

	builder_row(b, cpu, thread, parsing, 40, 0, 40);
	builder_row(b, cpu, worker, tokenizing, 20, 0, 20);
	builder_row(b, cpu, thread, filling, 30, 0, 30);
	builder_row(b, cpu, thread, annotate_stack(b, parse_142, parse_142, main_line), 5, 0, 5);
	builder_row(b, cpu, thread, annotate_stack(b, apply_8, SNAPSHOT_NONE, main_line), 3, 0, 3);
	builder_row(b, cpu, thread, annotate_stack(b, apply_16, SNAPSHOT_NONE, main_line), 2, 0, 2);
	builder_row(b, faults, thread, tokenizing, 4, 4, 4);
	builder_wait(b, wait, thread, parsing, WAIT_LOCK, 3, 300000000, 0);
	annotate_stack(b, other, SNAPSHOT_NONE, main_line);
	annotate_stack(b, read_line, SNAPSHOT_NONE, main_line);
	annotate_add_heap(b, tokenizing);
	return b;
}

static inline struct snapshot_builder *annotate_profile(void)
{
	return annotate_profile_of(ANNOTATE_ROOT "src/parser.rs");
}

#endif
