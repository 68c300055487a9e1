#include "tests/lib/sample_profile.h"

struct snapshot_builder *sample_profile(void)
{
	struct snapshot_builder *b = builder_new();
	uint32_t cpu = builder_event(b, "cpu-clock", true);
	uint32_t faults = builder_event(b, "page-faults", false);
	uint32_t first = builder_thread(b, 12345, "my-app");
	uint32_t second = builder_thread(b, 12346, "worker");
	uint32_t third = builder_thread(b, 12347, "worker");
	uint32_t app = builder_module(b, "/usr/bin/my-app");
	uint32_t libc = builder_module(b, "/usr/lib/libc.so.6");
	uint32_t main_line = builder_location(b, app, "main", "src/main.rs", 10);
	uint32_t parse_line = builder_location(b, app, "parse_header", "src/parser.rs", 142);
	uint32_t token_line = builder_location(b, app, "tokenize", "src/parser.rs", 89);
	uint32_t clamp_line = builder_location(b, app, "clamp", "src/util.rs", 7);
	uint32_t fill_line = builder_location(b, app, "Buffer::fill", "src/buffer.rs", 34);
	uint32_t walk_line = builder_location(b, app, "walk", "src/tree.rs", 5);
	uint32_t read_line = builder_location(b, libc, "read", "[libc.so.6]", 0);
	uint32_t main_frame = builder_frame_at(b, main_line);
	uint32_t parse_frame = builder_frame_at(b, parse_line);
	uint32_t token_frame = builder_frame_at(b, token_line);
	uint32_t fill_frame = builder_frame(b, (uint32_t[]){clamp_line, fill_line}, 2);
	uint32_t walk_frame = builder_frame_at(b, walk_line);
	uint32_t read_frame = builder_frame_at(b, read_line);
	uint32_t parsing = builder_stack(b, (uint32_t[]){parse_frame, main_frame}, 2,
					 STACK_COMPLETE, parse_line);
	uint32_t tokenizing = builder_stack(b, (uint32_t[]){token_frame, parse_frame, main_frame},
					    3, STACK_COMPLETE, token_line);
	uint32_t reading = builder_stack(b, (uint32_t[]){read_frame, parse_frame, main_frame}, 3,
					 STACK_COMPLETE, parse_line);
	uint32_t filling = builder_stack(b, (uint32_t[]){fill_frame, main_frame}, 2, STACK_COMPLETE,
					 clamp_line);
	uint32_t walking =
		builder_stack(b, (uint32_t[]){walk_frame, walk_frame, walk_frame, main_frame}, 4,
			      STACK_BROKEN, walk_line);
	uint32_t nothing = builder_stack(b, NULL, 0, STACK_EMPTY, SNAPSHOT_NONE);

	builder_meta(b, "cpu_source", "perf");
	builder_meta(b, "cpu_freq_hz", "99");
	builder_row(b, cpu, first, parsing, 40, 0, 40);
	builder_row(b, cpu, second, tokenizing, 20, 0, 20);
	builder_row(b, cpu, first, reading, 10, 10, 10);
	builder_row(b, cpu, second, filling, 15, 0, 15);
	builder_row(b, cpu, third, walking, 10, 0, 10);
	builder_row(b, cpu, first, nothing, 5, 5, 5);
	builder_row(b, faults, second, tokenizing, 8, 8, 8);
	return b;
}
