/* Kernels without uprobe sessions: what is watched there without being asked for by name. */
#include "reader/source/bpf_heap.h"
#include "tests/lib/kit.h"
#include "tests/unit/heap_live.h"

static void sleeps(int in, int out)
{
	live_say(out, "r", 1);
	live_wait_for_byte(in);
	for (;;)
		pause();
}

struct opened {
	struct live live;
	struct bpf_loaded loaded;
	struct arena arena;
	struct bpf_heap *heap;
	const char *reason;
};

static void open_without_sessions(struct opened *opened, bool is_asked)
{
	struct source_config config;
	struct heap_prices prices;
	const char *missing;
	struct err err = {0};

	opened->live = live_start(sleeps);
	config = heap_config(&opened->live);
	config.heap_is_asked = config.heap_is_forced = is_asked;
	if (bpf_check(config.target, &err))
		SKIP("%s", err.sentence);
	opened->loaded.heap_attach = HEAP_ATTACH_MULTI;
	CHECK_EQ_I64(
		bpf_heap_load(&opened->loaded, &config, &prices, &opened->arena, &missing, &err),
		0);
	CHECK(!missing);
	CHECK(opened->loaded.heap_programs.attach >= HEAP_ATTACH_MULTI);
	opened->heap =
		bpf_heap_open(&config, &opened->loaded, &prices, &opened->arena, &opened->reason);
}

static void close_opened(struct opened *opened)
{
	bpf_heap_close(opened->heap);
	bpf_unload(&opened->loaded);
	arena_done(&opened->arena);
	live_end(&opened->live);
}

TEST(without_sessions_no_return_is_probed_unasked)
{
	struct opened opened = {0};

	open_without_sessions(&opened, false);
	CHECK_EQ_I64(bpf_heap_mode(opened.heap), HEAP_MODE_ALLOCS);
	CHECK(strstr(opened.reason, "Before Linux 6.13"));
	close_opened(&opened);
}

TEST(without_sessions_who_asks_gets_all)
{
	struct opened opened = {0};

	open_without_sessions(&opened, true);
	CHECK_EQ_I64(bpf_heap_mode(opened.heap), HEAP_MODE_EXACT);
	CHECK(!strstr(opened.reason, "6.13"));
	close_opened(&opened);
}

KIT_MAIN
