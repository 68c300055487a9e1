/* A hundred thousand stacks. */
#include "tests/unit/calls_rig.h"

#include <time.h>

static double seconds_since(const struct timespec *from)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)(now.tv_sec - from->tv_sec) + (double)(now.tv_nsec - from->tv_nsec) / 1e9;
}

enum { LARGE_FRAMES = 20000, LARGE_STACKS = 100000, LARGE_DEPTH = 40 };

/* The outer half of the frames is shared, as in servers; the inner half is each stack's own. With
 * one function a level all of them are one path: as much is merged as can be. */
static struct snapshot_builder *large_profile(bool is_path)
{
	struct snapshot_builder *b = builder_new();
	uint32_t cpu = builder_event(b, "cpu-clock", true), thread = builder_thread(b, 1, "a");
	uint32_t app = builder_module(b, "/bin/app");
	uint32_t *frames = mem_array(LARGE_FRAMES, sizeof(*frames)), stack[LARGE_DEPTH];
	uint64_t seed = 1;
	char name[32];

	for (uint32_t i = 0; i < LARGE_FRAMES; i++) {
		snprintf(name, sizeof(name), "module::function_%u",
			 is_path ? i % LARGE_DEPTH : i / 4);
		frames[i] = builder_frame_at(b, builder_location(b, app, name, "src/a.rs", i + 1));
	}
	for (uint32_t i = 0; i < LARGE_STACKS; i++) {
		for (uint32_t j = 0; j < LARGE_DEPTH; j++) {
			uint32_t any = next_random(&seed, LARGE_FRAMES / LARGE_DEPTH);

			stack[j] = frames[any * LARGE_DEPTH + LARGE_DEPTH - 1 - j];
			if (j >= LARGE_DEPTH / 2)
				stack[j] = frames[LARGE_DEPTH - 1 - j];
		}
		builder_row(b, cpu, thread,
			    builder_stack(b, stack, LARGE_DEPTH, STACK_COMPLETE, SNAPSHOT_NONE),
			    1 + next_random(&seed, 9), 0, 0);
	}
	free(frames);
	return b;
}

/* CPU time is printed, not judged. */
static void time_flame(const struct model *model)
{
	struct flame_boxes boxes = {0};
	struct timespec from;
	struct flame flame;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	flame_init(&flame, model, MODEL_CPU, false);
	printf("# %zu nodes weighed in %.0f ms\n", model->snapshot->node_count,
	       seconds_since(&from) * 1e3);
	flame_boxes_lay(&boxes, &flame, FLAME_ROOT, 200, 60);
	printf("# %zu boxes laid after %.0f ms, %zu nodes made\n", boxes.boxes.count,
	       seconds_since(&from) * 1e3, flame.calls.nodes.count);
	CHECK(boxes.boxes.count > LARGE_DEPTH / 2);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	flame_boxes_lay(&boxes, &flame, FLAME_ROOT, 200, 60);
	printf("# laid again in %.2f ms\n", seconds_since(&from) * 1e3);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	flame_search(&flame, "function_12");
	printf("# searched in %.0f ms\n", seconds_since(&from) * 1e3);
	CHECK(flame.matched > 0);
	flame_boxes_done(&boxes);
	flame_done(&flame);
}

static void time_callers(const struct model *model, const char *function, uint32_t line)
{
	struct callers callers;
	struct row_key key = {0};
	struct timespec from;

	row_key_set(&key, function, "src/a.rs", NULL, line);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	callers_init(&callers, model, MODEL_CPU, false, &key);
	calls_expand(&callers.calls, callers.up);
	calls_expand(&callers.calls, callers.down);
	printf("# callers and callees of %zu places in %.0f ms\n", callers.calls.places.count,
	       seconds_since(&from) * 1e3);
	CHECK(calls_node(&callers.calls, callers.up)->total > 0);
	callers_done(&callers);
	row_key_done(&key);
}

TEST(a_hundred_thousand_stacks)
{
	struct rig rig = bare_rig(large_profile(false));

	time_flame(rig.model);
	time_callers(rig.model, "module::function_0", 0);
	bare_rig_done(&rig);
}

TEST(a_hundred_thousand_stacks_of_one_path)
{
	struct rig rig = bare_rig(large_profile(true));

	time_flame(rig.model);
	time_callers(rig.model, "module::function_39", 0);
	bare_rig_done(&rig);
}

KIT_MAIN
