/* Flame graphs: what is merged, what is left out, how wide it is. */
#include "tests/unit/calls_rig.h"

static struct model_request request_of(const char *thread, bool no_inline)
{
	struct model_request request = {
		.to_ns = UINT64_MAX, .chart_to_ns = UINT64_MAX, .no_inline = no_inline};

	snprintf(request.thread, sizeof(request.thread), "%s", thread);
	return request;
}

static void check_flame(struct snapshot_builder *profile, const struct model_request *request,
			enum model_table table, bool is_allocated, const char *want)
{
	struct rig rig = rig_of(profile, request);
	struct flame flame;

	flame_init(&flame, rig.model, table, is_allocated);
	check_told(&flame.calls, FLAME_ROOT, true, want);
	flame_done(&flame);
	rig_done(&rig);
}

static void check_bare_flame(struct snapshot_builder *profile, const char *want)
{
	struct rig rig = bare_rig(profile);
	struct flame flame;

	flame_init(&flame, rig.model, MODEL_CPU, false);
	check_told(&flame.calls, FLAME_ROOT, true, want);
	flame_done(&flame);
	bare_rig_done(&rig);
}

TEST(sample_profile_from_the_root)
{
	check_flame(sample_profile(), NULL, MODEL_CPU, false,
		    "all 0/100 {main 0/85 {parse_header 40/70 {tokenize 20/20, read 0/10 "
		    "{[kernel] 10/10}}, Buffer::fill 0/15 {clamp 15/15}}, [incomplete stack] 0/10 "
		    "{main 0/10 {walk 0/10 {walk 0/10 {walk 10/10}}}}, [no user stack] 0/5 "
		    "{[kernel] 5/5}}");
}

TEST(inlined_calls_belong_to_their_function_without_inlining)
{
	struct model_request request = request_of("", true);

	check_flame(sample_profile(), &request, MODEL_CPU, false,
		    "all 0/100 {main 0/85 {parse_header 40/70 {tokenize 20/20, read 0/10 "
		    "{[kernel] 10/10}}, Buffer::fill 15/15}, [incomplete stack] 0/10 "
		    "{main 0/10 {walk 0/10 {walk 0/10 {walk 10/10}}}}, [no user stack] 0/5 "
		    "{[kernel] 5/5}}");
}

TEST(one_thread_alone)
{
	struct model_request request = request_of("12346", false);

	check_flame(sample_profile(), &request, MODEL_CPU, false,
		    "all 0/35 {main 0/35 {parse_header 0/20 {tokenize 20/20}, Buffer::fill 0/15 "
		    "{clamp 15/15}}}");
}

TEST(shares_are_of_all_threads)
{
	struct model_request request = request_of("12346", false);
	struct rig rig = rig_of(sample_profile(), &request);
	struct flame flame;

	flame_init(&flame, rig.model, MODEL_CPU, false);
	CHECK_EQ_U64(flame.calls.weighing.total, 35);
	CHECK_EQ_U64(flame.calls.weighing.whole, 100);
	flame_done(&flame);
	rig_done(&rig);
}

TEST(functions_are_merged_within_their_module)
{
	struct rig rig = rig_of(functions_of_one_name(), NULL);
	const struct snapshot_location *location;
	struct flame flame;
	uint32_t main_node;

	flame_init(&flame, rig.model, MODEL_CPU, false);
	check_told(&flame.calls, FLAME_ROOT, true, "all 0/12 {main 0/12 {f 7/7, f 5/5}}");
	main_node = calls_node(&flame.calls, FLAME_ROOT)->first_child;
	location = calls_location(&flame.calls, calls_node(&flame.calls, main_node)->first_child);
	CHECK(location);
	CHECK_EQ_U64(location->line, 20);
	flame_done(&flame);
	rig_done(&rig);
}

/* A box is where its function runs, not where it calls from. */
TEST(a_box_stands_at_its_own_hottest_line)
{
	struct snapshot_builder *b = builder_new();
	uint32_t cpu = builder_event(b, "cpu-clock", true), thread = builder_thread(b, 1, "a");
	uint32_t app = builder_module(b, "/bin/app");
	uint32_t runs = builder_frame_at(b, builder_location(b, app, "f", "f.c", 20));
	uint32_t calls = builder_frame_at(b, builder_location(b, app, "f", "f.c", 10));
	uint32_t g = builder_frame_at(b, builder_location(b, app, "g", "g.c", 1));
	const struct snapshot_location *at;
	struct flame flame;
	struct rig rig;

	builder_row(b, cpu, thread, builder_stack(b, &runs, 1, STACK_COMPLETE, 0), 3, 0, 3);
	builder_row(b, cpu, thread, builder_stack(b, (uint32_t[]){g, calls}, 2, STACK_COMPLETE, 0),
		    40, 0, 40);
	rig = rig_of(b, NULL);
	flame_init(&flame, rig.model, MODEL_CPU, false);
	check_told(&flame.calls, FLAME_ROOT, true, "all 0/43 {f 3/43 {g 40/40}}");
	at = calls_location(&flame.calls, calls_node(&flame.calls, FLAME_ROOT)->first_child);
	CHECK(at);
	CHECK_EQ_U64(at->line, 20);
	flame_done(&flame);
	rig_done(&rig);
}

/* Sums stay at the largest value, and no box leaves the width. */
TEST(numbers_too_large_for_their_sum)
{
	struct snapshot_builder *b = builder_new();
	uint32_t cpu = builder_event(b, "cpu-clock", true), thread = builder_thread(b, 1, "a");
	uint32_t app = builder_module(b, "/bin/app");
	struct flame_boxes boxes = {0};
	struct flame flame;
	struct rig rig;

	for (uint32_t i = 0; i < 3; i++) {
		char name[] = {(char)('a' + i), '\0'};
		uint32_t frame = builder_frame_at(b, builder_location(b, app, name, "f.c", 1));

		builder_row(b, cpu, thread, builder_stack(b, &frame, 1, STACK_COMPLETE, 0),
			    UINT64_MAX - 2, 0, 0);
	}
	rig = bare_rig(b);
	flame_init(&flame, rig.model, MODEL_CPU, false);
	CHECK_EQ_U64(flame.calls.weighing.total, UINT64_MAX);
	flame_boxes_lay(&boxes, &flame, FLAME_ROOT, 80, 9);
	for (size_t i = 0; i < boxes.boxes.count; i++)
		CHECK(boxes.boxes.items[i].left < boxes.boxes.items[i].right &&
		      boxes.boxes.items[i].right <= 80);
	flame_boxes_done(&boxes);
	flame_done(&flame);
	bare_rig_done(&rig);
}

TEST(waits_by_time)
{
	struct snapshot_builder *b = builder_new();
	uint32_t wait = builder_event(b, "wait-time", false), thread = builder_thread(b, 1, "a");
	uint32_t app = builder_module(b, "/bin/app");
	uint32_t lock = builder_location(b, app, "lock", "l.c", 1);
	uint32_t frame = builder_frame_at(b, lock);
	uint32_t stack = builder_stack(b, &frame, 1, STACK_COMPLETE, lock);
	uint32_t none = builder_stack(b, NULL, 0, STACK_NOT_WALKED, SNAPSHOT_NONE);

	builder_wait(b, wait, thread, stack, WAIT_LOCK, 2, 5000, 100);
	builder_wait(b, wait, thread, stack, WAIT_IO, 1, 1000, 100);
	builder_wait(b, wait, thread, none, WAIT_IO, 1, 500, 0);
	check_flame(b, NULL, MODEL_WAIT, false,
		    "all 0/6500 {lock 6000/6000, [no user stack] 500/500}");
}

/* One event by its value, a quarter of it in the kernel. */
TEST(values_are_divided_as_samples_are)
{
	struct snapshot_builder *b = builder_new();
	uint32_t cycles = builder_event(b, "cpu-cycles", true), thread = builder_thread(b, 1, "a");
	uint32_t app = builder_module(b, "/bin/app");
	uint32_t f = builder_location(b, app, "f", "f.c", 1), frame = builder_frame_at(b, f);
	uint32_t stack = builder_stack(b, &frame, 1, STACK_COMPLETE, f);

	builder_row(b, cycles, thread, stack, 4, 1, 4000000);
	check_flame(b, NULL, MODEL_CPU, false,
		    "all 0/4000000 {f 3000000/4000000 {[kernel] 1000000/1000000}}");
}

static struct snapshot_builder *heap_profile(void)
{
	struct snapshot_builder *b = builder_new();
	uint32_t app = builder_module(b, "/bin/app");
	uint32_t main_frame = builder_frame_at(b, builder_location(b, app, "main", "m.c", 1));
	uint32_t keep = builder_location(b, app, "keep", "k.c", 2);
	uint32_t burn = builder_location(b, app, "burn", "b.c", 3);
	uint32_t kept = builder_stack(b, (uint32_t[]){builder_frame_at(b, keep), main_frame}, 2,
				      STACK_COMPLETE, keep);
	uint32_t burnt = builder_stack(b, (uint32_t[]){builder_frame_at(b, burn), main_frame}, 2,
				       STACK_COMPLETE, burn);

	builder_heap_poll(b, (struct snapshot_heap_poll){0});
	builder_heap_poll(b, (struct snapshot_heap_poll){.time_ns = 1000000000});
	/* 100 bytes are from before the window. */
	builder_heap_row(b, 0, kept, (struct heap_counts){.allocs = 1, .alloc_bytes = 100});
	builder_heap_row(b, 1, kept, (struct heap_counts){.allocs = 2, .alloc_bytes = 300});
	builder_heap_row(b, 1, burnt,
			 (struct heap_counts){
				 .allocs = 9, .alloc_bytes = 900, .frees = 8, .free_bytes = 850});
	builder_heap_sum(b);
	return b;
}

TEST(heap_live_and_allocated)
{
	check_flame(heap_profile(), NULL, MODEL_HEAP, false,
		    "all 0/450 {main 0/450 {keep 400/400, burn 50/50}}");
	check_flame(heap_profile(), NULL, MODEL_HEAP, true,
		    "all 0/1200 {main 0/1200 {burn 900/900, keep 300/300}}");
	check_flame(heap_profile(), NULL, MODEL_CPU, false, "all 0/0");
	check_flame(sample_profile(), NULL, MODEL_HEAP, false, "all 0/0");
}

TEST(matches_are_summed_once)
{
	struct rig rig = rig_of(sample_profile(), NULL);
	struct flame flame;

	flame_init(&flame, rig.model, MODEL_CPU, false);
	check_search(&flame, "WALK", 10);
	check_search(&flame, "main", 95);
	check_search(&flame, "parser.rs", 70);
	check_search(&flame, "token", 20);
	check_search(&flame, "kernel", 15);
	check_search(&flame, "stack]", 15);
	/* libc's read is the kernel's caller; [no user stack] is so too. */
	check_search(&flame, "[", 25);
	check_search(&flame, "nothing of it", 0);
	check_search(&flame, NULL, 0);
	CHECK(!flame_is_matched(&flame, FLAME_ROOT));
	flame_done(&flame);
	rig_done(&rig);
}

TEST(damage_leaves_no_frames)
{
	struct snapshot_builder *b = builder_new();
	uint32_t cpu = builder_event(b, "cpu-clock", true), thread = builder_thread(b, 1, "a");
	uint32_t app = builder_module(b, "/bin/app");
	uint32_t f = builder_location(b, app, "f", "f.c", 1), frame = builder_frame_at(b, f);
	/* Nodes 0 and 1 are each other's parents; 2 comes before its parent 3; 4 has no frame. */
	uint32_t ring = builder_node(b, 1, frame), late;

	builder_node(b, 0, frame);
	late = builder_node(b, 3, frame);
	builder_node(b, SNAPSHOT_NONE, frame);
	builder_row(b, cpu, thread, builder_stack_at(b, ring, STACK_COMPLETE, f, f), 1, 0, 1);
	builder_row(b, cpu, thread, builder_stack_at(b, late, STACK_COMPLETE, f, f), 2, 0, 2);
	builder_row(b, cpu, thread,
		    builder_stack_at(b, builder_node(b, 77, 99), STACK_COMPLETE, f, f), 4, 0, 4);
	builder_row(b, cpu, thread, builder_stack_at(b, 88, 250, 66, 55), 8, 9, 8);
	builder_row(b, cpu, thread, 44, 16, 0, 16);
	builder_row(b, cpu, 33, builder_stack_at(b, late, 77, f, f), 32, 0, 32);
	check_bare_flame(
		b, "all 0/63 {[incomplete stack] 0/32 {f 0/32 {f 32/32}}, [no user stack] 17/25 "
		   "{[kernel] 8/8}, [unknown] 4/4, f 0/2 {f 2/2}}");
}

/* "0:all 0..40 | 1:main 0..34, …". */
static void check_boxes(struct flame *flame, uint32_t zoom, int width, int levels, const char *want)
{
	struct flame_boxes boxes = {0};
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	flame_boxes_lay(&boxes, flame, zoom, width, levels);
	for (int level = 0; level < flame_boxes_levels(&boxes); level++) {
		fputs(level ? " | " : "", to);
		for (size_t i = boxes.levels.items[level]; i < boxes.levels.items[level + 1]; i++) {
			const struct flame_box *box = &boxes.boxes.items[i];

			fprintf(to, "%s%s %d..%d", i > boxes.levels.items[level] ? ", " : "",
				calls_name(&flame->calls, box->node), box->left, box->right);
			CHECK(flame_boxes_find(&boxes, level, box->node) == box);
		}
	}
	fclose(to);
	CHECK_EQ_STR(text, want);
	free(text);
	flame_boxes_done(&boxes);
}

TEST(boxes_are_as_wide_as_their_share)
{
	struct rig rig = rig_of(sample_profile(), NULL);
	struct flame flame;
	uint32_t main_node, parse;

	flame_init(&flame, rig.model, MODEL_CPU, false);
	check_boxes(&flame, FLAME_ROOT, 100, 4,
		    "all 0..100 | main 0..85, [incomplete stack] 85..95, [no user stack] 95..100 | "
		    "parse_header 0..70, Buffer::fill 70..85, main 85..95, [kernel] 95..100 | "
		    "tokenize 0..20, read 20..30, clamp 70..85, walk 85..95");
	/* [no user stack] would have half a column. */
	check_boxes(&flame, FLAME_ROOT, 10, 3,
		    "all 0..10 | main 0..8, [incomplete stack] 8..9 | parse_header 0..7, "
		    "Buffer::fill 7..8, main 8..9");
	main_node = calls_node(&flame.calls, FLAME_ROOT)->first_child;
	parse = calls_node(&flame.calls, main_node)->first_child;
	check_boxes(&flame, parse, 70, 99,
		    "all 0..70 | main 0..70 | parse_header 0..70 | tokenize 0..20, read 20..30 | "
		    "[kernel] 20..30");
	check_boxes(&flame, FLAME_ROOT, 0, 9, "");
	check_boxes(&flame, FLAME_ROOT, 9, 0, "");
	flame_done(&flame);
	rig_done(&rig);
}

KIT_MAIN
