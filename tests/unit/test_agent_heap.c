/* What the hooks count, of blocks that they tell of: calls within calls, and within the agent's
 * own. */
#include <stdlib.h>

#include "agent/heap.c"
#include "agent/heap_slow.c"
#include "agent/sample.c"
#include "agent/shadow.c"
#include "agent/sys.c"
#include "tests/lib/kit.h"

enum { SITES = 64, SITE = 20, INNER_SITE = 21, BLOCK = 0x10000, OTHER = 0x20000 };

__thread struct agent_thread agent_thread;
union agent_page agent_page;
struct agent_process agent_process = {.granule_bits = AGENT_GRANULE_GLIBC};
struct agent_config agent_config = {.sample_bytes = 4096};
struct real_functions real;

static struct rsprof_shm_lane shared_parts[2];
static struct rsprof_shm_counts counts[2][SITES];
static struct agent_lane own = {.shared = &shared_parts[0], .counts = counts[0]},
			 common = {.shared = &shared_parts[1],
				   .counts = counts[1],
				   .is_shared = true};
static uint64_t reentries, events;
static uint32_t next_site;
static bool is_inner; /* the known site's stack leads through a hook */

__attribute__((section("rsprof_hooks"), used)) static void a_hook(void)
{
}

void agent_lost(enum rsprof_shm_lost cause, uint64_t count)
{
	CHECK_EQ_U64(cause, RSPROF_SHM_LOST_REENTRIES);
	reentries += count;
}

bool agent_begin(void)
{
	return false;
}

struct agent_lane *agent_lane_of(struct agent_thread *thread, bool is_nested)
{
	return is_nested || !thread->lane ? &common : thread->lane;
}

void agent_look_at_lease(void)
{
}

uint64_t agent_clock(void)
{
	return 1;
}

void agent_ring_put(struct agent_lane *lane, enum rsprof_shm_event_kind kind, uint32_t site,
		    uint64_t address, uint64_t value, bool may_wait)
{
	events++;
}

void agent_ring_put_at(struct agent_lane *lane, uint64_t time, enum rsprof_shm_event_kind kind,
		       uint32_t site, uint64_t address, uint64_t value, bool may_wait)
{
	events++;
}

uint32_t unwind_memo_find(struct unwind_memos *memos, const struct agent_thread *thread,
			  uintptr_t leaf, uintptr_t pc, uintptr_t sp, uintptr_t bp)
{
	return 0;
}

uint32_t unwind_site(struct agent_thread *thread, struct agent_lane *lane, uintptr_t leaf,
		     const struct agent_frame *frame)
{
	return next_site;
}

uint32_t unwind_new_site(struct agent_thread *thread, struct agent_lane *lane, uintptr_t leaf,
			 const struct agent_frame *frame)
{
	return next_site;
}

bool site_has_call(uint32_t site, uintptr_t start, uintptr_t end, uintptr_t caller)
{
	CHECK((uintptr_t)a_hook - start < end - start);
	return is_inner && site == INNER_SITE;
}

void lane_forget(struct agent_thread *thread)
{
}

static void open_all(enum rsprof_shm_heap heap)
{
	CHECK(shadow_begin());
	agent_state.heap = heap;
	agent_state.generation = 1;
	agent_state.phase = AGENT_READY;
	agent_state.is_on = 1;
	agent_thread.generation = 1;
	agent_thread.lane = &own;
	agent_thread.left = 1000;
	next_site = SITE;
}

__attribute__((noinline)) static void tell(uint32_t site, uintptr_t block, uint64_t size)
{
	next_site = site;
	heap_allocated((void *)block, size, 0x1234, (uintptr_t)__builtin_frame_address(0));
	next_site = SITE;
}

static uint64_t sum(uint32_t site, size_t at)
{
	return ((uint64_t *)&counts[0][site])[at] + ((uint64_t *)&counts[1][site])[at];
}

enum { ALLOCS, ALLOC_BYTES, FREES, FREE_BYTES, TEMPORARY, REALLOCS, GROWTH };

TEST(a_call_within_a_call_is_one)
{
	open_all(RSPROF_SHM_HEAP_EXACT);
	is_inner = true;
	tell(INNER_SITE, BLOCK, 100);
	tell(SITE, BLOCK, 100);
	CHECK_EQ_U64(sum(SITE, ALLOCS) + sum(INNER_SITE, ALLOCS), 1);
	CHECK_EQ_U64(sum(INNER_SITE, ALLOC_BYTES), 100);
	heap_count_free(BLOCK);
	CHECK_EQ_U64(sum(INNER_SITE, FREES), 1);
	CHECK_EQ_U64(sum(INNER_SITE, FREE_BYTES), 100);
	CHECK_EQ_U64(sum(INNER_SITE, TEMPORARY), 1);
	CHECK_EQ_U64(shared_parts[0].unknown_frees + shared_parts[1].unknown_frees, 0);
}

/* A free that nobody saw. */
TEST(a_block_that_is_known_still_is_counted_anew)
{
	open_all(RSPROF_SHM_HEAP_EXACT);
	tell(SITE, BLOCK, 100);
	tell(INNER_SITE, BLOCK, 50);
	CHECK_EQ_U64(sum(SITE, ALLOCS), 1);
	CHECK_EQ_U64(sum(INNER_SITE, ALLOCS), 1);
	heap_count_free(BLOCK);
	CHECK_EQ_U64(sum(INNER_SITE, FREE_BYTES), 50);
	CHECK_EQ_U64(sum(SITE, FREES), 0);
}

TEST(a_realloc_by_way_of_malloc_is_one)
{
	struct heap_old old;

	open_all(RSPROF_SHM_HEAP_EXACT);
	is_inner = true;
	tell(SITE, BLOCK, 100);
	heap_reallocating(BLOCK, &old);
	tell(INNER_SITE, OTHER, 150);
	heap_reallocated(&old, BLOCK, OTHER, 150, 0x1234, (uintptr_t)__builtin_frame_address(0));
	CHECK_EQ_U64(sum(SITE, ALLOCS), 1);
	CHECK_EQ_U64(sum(SITE, FREES), 1);
	CHECK_EQ_U64(sum(SITE, FREE_BYTES), 100);
	CHECK_EQ_U64(sum(INNER_SITE, ALLOCS), 1);
	CHECK_EQ_U64(sum(INNER_SITE, REALLOCS), 1);
	CHECK_EQ_U64(sum(INNER_SITE, GROWTH), 50);
}

static void move(uintptr_t from, uintptr_t to, uint64_t size)
{
	struct heap_old old;

	heap_reallocating(from, &old);
	heap_reallocated(&old, from, to, size, 0x1234, (uintptr_t)__builtin_frame_address(0));
}

static void check_moves(void)
{
	struct heap_old old;

	tell(SITE, BLOCK, 100);
	move(BLOCK, OTHER, 20000); /* to a larger one elsewhere, */
	move(OTHER, OTHER, 20);	   /* to a smaller one in place, */
	heap_reallocating(OTHER, &old);
	heap_not_reallocated(&old, OTHER); /* to none, */
	CHECK_EQ_U64(sum(SITE, ALLOCS), 3);
	CHECK_EQ_U64(sum(SITE, ALLOC_BYTES), 100 + 20000 + 20);
	CHECK_EQ_U64(sum(SITE, FREES), 2);
	CHECK_EQ_U64(sum(SITE, FREE_BYTES), 100 + 20000);
	CHECK_EQ_U64(sum(SITE, REALLOCS), 2);
	CHECK_EQ_U64(sum(SITE, GROWTH), 19900);
	move(OTHER, 0, 0); /* and to the end. */
	CHECK_EQ_U64(sum(SITE, FREES), 3);
	CHECK_EQ_U64(sum(SITE, FREE_BYTES), 100 + 20000 + 20);
	CHECK_EQ_U64(sum(SITE, TEMPORARY), 1);
	/* One that is not known. */
	move(OTHER, BLOCK, 50);
	CHECK_EQ_U64(sum(SITE, ALLOCS), 4);
	CHECK_EQ_U64(sum(SITE, REALLOCS), 3);
	CHECK_EQ_U64(sum(SITE, GROWTH), 19900);
	CHECK_EQ_U64(sum(SITE, FREES), 3);
	CHECK_EQ_U64(shared_parts[0].unknown_frees + shared_parts[1].unknown_frees, 1);
}

TEST(reallocs_are_frees_and_allocations)
{
	open_all(RSPROF_SHM_HEAP_EXACT);
	check_moves();
	CHECK_EQ_U64(counts[1][SITE].allocs, 0);
}

TEST(reallocs_are_the_same_without_a_lane)
{
	open_all(RSPROF_SHM_HEAP_EXACT);
	agent_thread.generation = 0;
	agent_thread.lane = NULL;
	check_moves();
	CHECK_EQ_U64(counts[0][SITE].allocs, 0);
}

static void check_reported(enum rsprof_shm_heap heap)
{
	const uint64_t size = 1 << 20;

	open_all(heap);
	agent_thread.flags = AGENT_THREAD_DRAWN;
	agent_thread.left = 0;
	tell(SITE, BLOCK, size);
	/* Over and within it. */
	next_site = INNER_SITE;
	for (uintptr_t i = 0; i < 4; i++) {
		agent_thread.left = 0;
		heap_report_alloc(BLOCK + 16 * i, size + i, 0x1234,
				  (uintptr_t)__builtin_frame_address(0));
	}
	CHECK(sum(INNER_SITE, ALLOCS) >= 4);
	CHECK_EQ_U64(sum(INNER_SITE, FREES), 0);
	heap_count_free(BLOCK);
	CHECK_EQ_U64(sum(SITE, FREES), sum(SITE, ALLOCS));
	CHECK_EQ_U64(sum(SITE, FREE_BYTES), sum(SITE, ALLOC_BYTES));
	CHECK_EQ_U64(sum(INNER_SITE, FREES), 0);
	/* One is reported anew. */
	agent_thread.left = 0;
	heap_report_alloc(BLOCK, size, 0x1234, (uintptr_t)__builtin_frame_address(0));
	CHECK(sum(INNER_SITE, FREES) >= 1);
	for (uintptr_t i = 0; i < 8; i++)
		heap_report_free(BLOCK + 16 * i);
	CHECK_EQ_U64(sum(INNER_SITE, FREES), sum(INNER_SITE, ALLOCS));
	CHECK_EQ_U64(sum(INNER_SITE, FREE_BYTES), sum(INNER_SITE, ALLOC_BYTES));
	CHECK_EQ_U64(shared_parts[0].unknown_frees + shared_parts[1].unknown_frees, 0);
}

TEST(reported_blocks_are_apart)
{
	check_reported(RSPROF_SHM_HEAP_EXACT);
}

TEST(sampled_reported_blocks_are_apart)
{
	check_reported(RSPROF_SHM_HEAP_SAMPLED);
}

TEST(what_a_sample_stands_for_is_freed)
{
	agent_config.sample_bytes = UINT64_C(1) << 40;
	open_all(RSPROF_SHM_HEAP_SAMPLED);
	agent_thread.flags = AGENT_THREAD_DRAWN;
	for (uint64_t size = 0; size < 1000; size++) {
		agent_thread.left = 0;
		tell(SITE, BLOCK, size + 1);
		/* The next chunk. */
		agent_thread.left = 0;
		tell(SITE, BLOCK + ((size + 1 + 8 + 15) & ~UINT64_C(15)) + 16, 150);
		heap_count_free(BLOCK);
		heap_count_free(BLOCK + ((size + 1 + 8 + 15) & ~UINT64_C(15)) + 16);
		CHECK_EQ_U64(sum(SITE, FREES), sum(SITE, ALLOCS));
		CHECK_EQ_U64(sum(SITE, FREE_BYTES), sum(SITE, ALLOC_BYTES));
	}
	CHECK(sum(SITE, ALLOCS) > UINT64_C(1) << 33);
}

TEST(a_sampled_call_within_a_call_is_one)
{
	open_all(RSPROF_SHM_HEAP_SAMPLED);
	is_inner = true;
	agent_thread.flags = AGENT_THREAD_DRAWN;
	agent_thread.left = 0;
	tell(INNER_SITE, BLOCK, 1 << 20);
	agent_thread.left = 0;
	tell(SITE, BLOCK, 1 << 20);
	CHECK_EQ_U64(sum(SITE, ALLOCS), 0);
	CHECK_EQ_U64(sum(INNER_SITE, ALLOCS), 1);
	heap_count_free(BLOCK);
	CHECK_EQ_U64(sum(INNER_SITE, FREES), 1);
	CHECK(!sample_may_have(BLOCK));
}

TEST(allocations_within_the_agents_own_calls_are_told_as_lost)
{
	open_all(RSPROF_SHM_HEAP_EXACT);
	tell(SITE, OTHER, 30);
	agent_thread.internal_depth++;
	tell(SITE, BLOCK, 100);
	CHECK_EQ_U64(reentries, 1);
	/* This one is not known, but the other one is. */
	heap_count_free(BLOCK);
	heap_count_free(OTHER);
	agent_thread.internal_depth--;
	CHECK_EQ_U64(sum(SITE, ALLOCS), 1);
	CHECK_EQ_U64(sum(SITE, FREES), 1);
	CHECK_EQ_U64(shared_parts[0].unknown_frees + shared_parts[1].unknown_frees, 0);
	heap_count_free(BLOCK);
	CHECK_EQ_U64(shared_parts[0].unknown_frees + shared_parts[1].unknown_frees, 1);
	/* Nothing is lost where nothing is counted. */
	agent_state.is_on = 0;
	agent_thread.internal_depth++;
	tell(SITE, BLOCK, 100);
	CHECK_EQ_U64(reentries, 1);
}

KIT_MAIN
