/* Trees of calls against the same sums by brute force, and against the tables. */
#include "tests/unit/calls_rig.h"

enum { RANDOM_FUNCTIONS = 12, RANDOM_LINES = 24, RANDOM_FRAMES = 30, RANDOM_STACKS = 300 };

static struct snapshot_builder *random_profile(uint64_t seed)
{
	struct snapshot_builder *b = builder_new();
	uint32_t cpu = builder_event(b, "cpu-clock", true), thread = builder_thread(b, 1, "a");
	uint32_t app = builder_module(b, "/bin/app"), lines[RANDOM_LINES], frames[RANDOM_FRAMES];
	char name[16];

	for (uint32_t i = 0; i < RANDOM_LINES; i++) {
		snprintf(name, sizeof(name), "f%u", i % RANDOM_FUNCTIONS);
		lines[i] = builder_location(b, app, name, "f.c", i + 1);
	}
	for (int i = 0; i < RANDOM_FRAMES; i++) {
		uint32_t inlined[3];
		size_t count = 1 + next_random(&seed, 3);

		for (size_t j = 0; j < count; j++)
			inlined[j] = lines[next_random(&seed, RANDOM_LINES)];
		frames[i] = builder_frame(b, inlined, count);
	}
	for (int i = 0; i < RANDOM_STACKS; i++) {
		uint32_t stack[9];
		size_t count = next_random(&seed, 9);
		uint64_t samples = next_random(&seed, 50), kernel = samples / 3;

		for (size_t j = 0; j < count; j++)
			stack[j] = frames[next_random(&seed, 2 + (uint32_t)j * 3)];
		builder_row(b, cpu, thread,
			    builder_stack(b, stack, count, next_random(&seed, 3), SNAPSHOT_NONE),
			    samples, kernel, samples);
	}
	return b;
}

/* Sums by path, "all;f1;f2;". */
struct path_sums {
	struct str_map index;
	uint64_t sums[100000];
	uint32_t count;
};

static uint64_t *path_sum(struct path_sums *paths, const char *path)
{
	uint32_t index = str_map_get(&paths->index, path);

	if (index == UINT32_MAX) {
		index = paths->count++;
		CHECK(index < sizeof(paths->sums) / sizeof(*paths->sums));
		str_map_put(&paths->index, path, index);
	}
	return &paths->sums[index];
}

static void add_step(struct path_sums *paths, char *path, const char *name, uint64_t samples)
{
	strcat(path, name);
	strcat(path, ";");
	*path_sum(paths, path) += samples;
}

static void sum_row(const struct snapshot *snapshot, const struct snapshot_row *row,
		    struct path_sums *paths)
{
	const struct snapshot_stack *stack = &snapshot->stacks[row->stack];
	uint32_t nodes[16], count = 0;
	char path[1024] = "";

	if (!row->count)
		return;
	add_step(paths, path, "all", row->count);
	for (uint32_t node = stack->node; node != SNAPSHOT_NONE;
	     node = snapshot->nodes[node].parent)
		nodes[count++] = node;
	if (!count)
		add_step(paths, path, "[no user stack]", row->count);
	else if (stack->status != STACK_COMPLETE)
		add_step(paths, path, "[incomplete stack]", row->count);
	while (count) {
		const struct snapshot_frame *frame =
			&snapshot->frames[snapshot->nodes[nodes[--count]].frame];

		for (uint32_t i = frame->line_count; i-- > 0;)
			add_step(paths, path,
				 snapshot->locations[snapshot->lines[frame->first_line + i]]
					 .function,
				 row->count);
	}
	if (row->kernel_count)
		add_step(paths, path, "[kernel]", row->kernel_count);
}

/* Nodes that it met. */
static uint32_t compare_sums(struct calls *calls, uint32_t node, const char *above,
			     struct path_sums *paths)
{
	uint32_t first, count, met = 1;
	char path[1024];

	snprintf(path, sizeof(path), "%s%s;", above, calls_name(calls, node));
	if (*path_sum(paths, path) != calls_node(calls, node)->total)
		FAIL("%s is %" PRIu64 ", not %" PRIu64, path, calls_node(calls, node)->total,
		     *path_sum(paths, path));
	calls_expand(calls, node);
	first = calls_node(calls, node)->first_child;
	count = calls_node(calls, node)->child_count;
	for (uint32_t i = 0; i < count; i++) {
		met += compare_sums(calls, first + i, path, paths);
		CHECK(!i || calls_node(calls, first + i - 1)->total >=
				    calls_node(calls, first + i)->total);
	}
	return met;
}

TEST(every_path_has_the_sum_of_its_stacks)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct rig rig = rig_of(random_profile(seed * 1000), NULL);
		const struct snapshot *snapshot = rig.model->snapshot;
		struct path_sums *paths = mem_zalloc(sizeof(*paths));
		struct flame flame;

		for (size_t i = 0; i < snapshot->row_count; i++)
			sum_row(snapshot, &snapshot->rows[i], paths);
		flame_init(&flame, rig.model, MODEL_CPU, false);
		CHECK_EQ_U64(compare_sums(&flame.calls, FLAME_ROOT, "", paths), paths->count);
		flame_done(&flame);
		str_map_done(&paths->index);
		free(paths);
		rig_done(&rig);
	}
}

/* Rows of the table are counted in another way. */
TEST(rows_have_their_inclusive_sum)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct rig rig = rig_of(random_profile(seed * 77), NULL);
		const struct view *view = rig.model->cpu;
		size_t compared = 0;

		for (size_t i = 0; i < view->row_count; i++) {
			const struct view_row *row = &view->rows[i];
			struct row_key key = {0};
			struct callers callers;

			if (!strcmp(row->function, "[no user stack]"))
				continue;
			row_key_set(&key, row->function, row->file, row->path, row->line);
			callers_init(&callers, rig.model, MODEL_CPU, false, &key);
			CHECK_EQ_U64(calls_node(&callers.calls, callers.up)->total, row->incl);
			CHECK_EQ_U64(calls_node(&callers.calls, callers.down)->total, row->incl);
			callers_done(&callers);
			row_key_done(&key);
			compared++;
		}
		CHECK(compared > RANDOM_LINES / 2);
		rig_done(&rig);
	}
}

TEST(search_agrees_with_rows_of_functions)
{
	struct rig rig = rig_of(random_profile(4711), NULL);
	struct view_request request = {.group = VIEW_BY_FUNCTION};
	struct view *view = NULL;
	struct err err = {0};
	struct flame flame;

	CHECK(view_build(rig.model->snapshot, &request, &view, &err) == 0);
	flame_init(&flame, rig.model, MODEL_CPU, false);
	for (size_t i = 0; i < view->row_count; i++) {
		/* "f1" is in "f10" too. */
		if (strcmp(view->rows[i].function, "f1"))
			check_search(&flame, view->rows[i].function, view->rows[i].incl);
	}
	flame_done(&flame);
	view_free(view);
	rig_done(&rig);
}

KIT_MAIN
