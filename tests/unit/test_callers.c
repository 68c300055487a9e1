/* Callers and callees: what counts once, and what is merged. */
#include "tests/unit/calls_rig.h"

static void check_callers(struct snapshot_builder *profile, const char *function, const char *file,
			  uint32_t line, const char *up, const char *down)
{
	struct rig rig = rig_of(profile, NULL);
	struct row_key key = {0};
	struct callers callers;

	row_key_set(&key, function, file, NULL, line);
	callers_init(&callers, rig.model, MODEL_CPU, false, &key);
	check_told(&callers.calls, callers.up, false, up);
	check_told(&callers.calls, callers.down, true, down);
	callers_done(&callers);
	row_key_done(&key);
	rig_done(&rig);
}

TEST(callers_are_merged_by_line)
{
	check_callers(functions_of_one_name(), "main", "m.c", 1, "main 12",
		      "main 0/12 {f 5/5, f 4/4, f 3/3}");
	check_callers(functions_of_one_name(), "f", "f.c", 20, "f 4 {main 4}", "f 4/4");
	/* Without a line all of the function, whatever its module. */
	check_callers(functions_of_one_name(), "f", "f.c", 0, "f 12 {main 12}", "f 12/12");
}

/* f is inlined into g, which is inlined into f. */
TEST(inlined_recursion_counts_from_its_outermost_call)
{
	struct snapshot_builder *b = builder_new();
	uint32_t cpu = builder_event(b, "cpu-clock", true), thread = builder_thread(b, 1, "a");
	uint32_t app = builder_module(b, "/bin/app");
	uint32_t f = builder_location(b, app, "f", "f.c", 1);
	uint32_t g = builder_location(b, app, "g", "g.c", 2);
	uint32_t frames[] = {
		builder_frame(b, (uint32_t[]){f, g, f}, 3),
		builder_frame_at(b, builder_location(b, app, "main", "m.c", 3)),
	};

	builder_row(b, cpu, thread, builder_stack(b, frames, 2, STACK_COMPLETE, f), 9, 0, 9);
	check_callers(b, "f", "f.c", 1, "f 9 {main 9}", "f 0/9 {g 0/9 {f 9/9}}");
}

/* The same path, once to the root and once not. */
TEST(callers_tell_what_is_incomplete)
{
	struct snapshot_builder *b = builder_new();
	uint32_t cpu = builder_event(b, "cpu-clock", true), thread = builder_thread(b, 1, "a");
	uint32_t app = builder_module(b, "/bin/app");
	uint32_t f = builder_location(b, app, "f", "f.c", 1);
	uint32_t frames[] = {
		builder_frame_at(b, f),
		builder_frame_at(b, builder_location(b, app, "main", "m.c", 3)),
	};

	builder_row(b, cpu, thread, builder_stack(b, frames, 2, STACK_COMPLETE, f), 3, 0, 3);
	builder_row(b, cpu, thread, builder_stack(b, frames, 2, STACK_TRUNCATED, f), 4, 0, 4);
	check_callers(b, "f", "f.c", 1, "f 7 {main 7 {[incomplete stack] 4}}", "f 7/7");
}

TEST(callers_and_callees_of_the_sample)
{
	check_callers(sample_profile(), "parse_header", "src/parser.rs", 142,
		      "parse_header 70 {main 70}",
		      "parse_header 40/70 {tokenize 20/20, read 0/10 {[kernel] 10/10}}");
	check_callers(sample_profile(), "clamp", "src/util.rs", 7,
		      "clamp 15 {Buffer::fill 15 {main 15}}", "clamp 15/15");
	check_callers(sample_profile(), "Buffer::fill", "src/buffer.rs", 34,
		      "Buffer::fill 15 {main 15}", "Buffer::fill 0/15 {clamp 15/15}");
	/* A recursion counts once, from its outermost call on. */
	check_callers(sample_profile(), "walk", "src/tree.rs", 5,
		      "walk 10 {main 10 {[incomplete stack] 10}}",
		      "walk 0/10 {walk 0/10 {walk 10/10}}");
	check_callers(sample_profile(), "main", "src/main.rs", 10,
		      "main 95 {[incomplete stack] 10}",
		      "main 0/95 {parse_header 40/70 {tokenize 20/20, read 0/10 {[kernel] "
		      "10/10}}, Buffer::fill 0/15 {clamp 15/15}, walk 0/10 {walk 0/10 {walk "
		      "10/10}}}");
	check_callers(sample_profile(), "main", "elsewhere.rs", 10, "[unknown] 0", "[unknown] 0/0");
}

KIT_MAIN
