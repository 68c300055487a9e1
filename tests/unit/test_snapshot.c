/* Charging by hand-made snapshots. */
#include "reader/core/snapshot.h"

#include "reader/util/mem.h"
#include "tests/lib/kit.h"

enum { MAIN, PARSE, NEXT, MALLOC, LOCATIONS };

static struct snapshot_module modules[] = {
	{"/usr/bin/app", "app", "", MODULE_FILE},
	{"/usr/lib/libc.so.6", "libc.so.6", "", MODULE_FILE},
};

static struct snapshot *make(void)
{
	static const struct snapshot_location locations[LOCATIONS] = {
		[MAIN] = {"main", "src/main.rs", NULL, 1, 0, 1, true},
		[PARSE] = {"parse", "src/parse.rs", NULL, 2, 0, 2, true},
		[NEXT] = {"core::iter::next", "core/src/iter.rs", NULL, 3, 0, 3, false},
		[MALLOC] = {"malloc", "[libc.so.6]", NULL, 0, 1, 4, false},
	};
	/* main; next inlined into parse; malloc; next alone. */
	static const uint32_t lines[] = {MAIN, NEXT, PARSE, MALLOC, NEXT};
	static const struct snapshot_frame frames[] = {
		{0, 0x10, SYMBOL_LINE, true, 0, 1},
		{0, 0x20, SYMBOL_LINE, true, 1, 2},
		{1, 0x30, SYMBOL_FUNCTION, true, 3, 1},
		{0, 0x40, SYMBOL_LINE, true, 4, 1},
	};
	static const struct snapshot_node nodes[] = {
		{SNAPSHOT_NONE, 0}, /* main */
		{0, 1},		    /* parse below main */
		{1, 2},		    /* malloc below that */
		{SNAPSHOT_NONE, 2}, /* malloc alone */
		{3, 3},		    /* next, called by malloc alone */
		{0, 3},		    /* next below main */
	};
	static const struct snapshot_stack stacks[] = {
		{0, STACK_COMPLETE, 99, 99}, {1, STACK_COMPLETE, 99, 99},
		{2, STACK_COMPLETE, 99, 99}, {3, STACK_BROKEN, 99, 99},
		{4, STACK_BROKEN, 99, 99},   {SNAPSHOT_NONE, STACK_EMPTY, 99, 99},
		{5, STACK_COMPLETE, 99, 99},
	};
	static const struct snapshot_meta meta[] = {{"pid", "7"}, {"empty", ""}};
	struct snapshot *snapshot = mem_zalloc(sizeof(*snapshot));
	struct arena *arena = &snapshot->arena;

	snapshot->modules = modules;
	snapshot->module_count = 2;
	snapshot->locations = arena_copy(arena, locations, sizeof(locations));
	snapshot->location_count = LOCATIONS;
	snapshot->lines = arena_copy(arena, lines, sizeof(lines));
	snapshot->line_count = 5;
	snapshot->frames = arena_copy(arena, frames, sizeof(frames));
	snapshot->frame_count = 4;
	snapshot->nodes = nodes;
	snapshot->node_count = 6;
	snapshot->stacks = arena_copy(arena, stacks, sizeof(stacks));
	snapshot->stack_count = 7;
	snapshot->meta = meta;
	snapshot->meta_count = 2;
	return snapshot;
}

TEST(first_frame_of_the_user_is_charged)
{
	struct snapshot *snapshot = make();

	snapshot_recharge(snapshot);
	CHECK(!snapshot->locations[MAIN].is_internal);
	CHECK(!snapshot->locations[PARSE].is_internal);
	CHECK(snapshot->locations[NEXT].is_internal);
	CHECK(snapshot->locations[MALLOC].is_internal);
	CHECK_EQ_U64(snapshot->stacks[0].charged_location, MAIN);
	CHECK_EQ_U64(snapshot->stacks[0].raw_location, MAIN);
	/* The inlined std helper belongs to who wrote the call. */
	CHECK_EQ_U64(snapshot->stacks[1].charged_location, PARSE);
	CHECK_EQ_U64(snapshot->stacks[1].raw_location, NEXT);
	CHECK_EQ_U64(snapshot->stacks[2].charged_location, PARSE);
	CHECK_EQ_U64(snapshot->stacks[2].raw_location, MALLOC);
	CHECK_EQ_U64(snapshot->stacks[6].charged_location, MAIN);
	snapshot_free(snapshot);
}

TEST(all_internal_charges_the_leaf)
{
	struct snapshot *snapshot = make();

	snapshot_recharge(snapshot);
	CHECK_EQ_U64(snapshot->stacks[3].charged_location, MALLOC);
	CHECK_EQ_U64(snapshot->stacks[4].charged_location, NEXT);
	CHECK_EQ_U64(snapshot->stacks[4].raw_location, NEXT);
	snapshot_free(snapshot);
}

TEST(no_frame_charges_nobody)
{
	struct snapshot *snapshot = make();

	snapshot_recharge(snapshot);
	CHECK_EQ_U64(snapshot->stacks[5].charged_location, SNAPSHOT_NONE);
	CHECK_EQ_U64(snapshot->stacks[5].raw_location, SNAPSHOT_NONE);
	snapshot_free(snapshot);
}

TEST(empty_snapshot)
{
	struct snapshot *snapshot = mem_zalloc(sizeof(*snapshot));

	snapshot_recharge(snapshot);
	CHECK(!snapshot_meta_get(snapshot, "pid"));
	snapshot_free(snapshot);
	snapshot_free(NULL);
}

TEST(meta_by_key)
{
	struct snapshot *snapshot = make();

	CHECK_EQ_STR(snapshot_meta_get(snapshot, "pid"), "7");
	CHECK_EQ_STR(snapshot_meta_get(snapshot, "empty"), "");
	CHECK(!snapshot_meta_get(snapshot, "pi"));
	snapshot_free(snapshot);
}

KIT_MAIN
