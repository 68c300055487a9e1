/* The agent's map from blocks to sizes and sites. */
#include "tests/lib/kit.h"

#include <pthread.h>
#include <sys/resource.h>

#include "agent/shadow.c"
#include "agent/sys.c"

struct agent_process agent_process = {.granule_bits = 4};

TEST(unknown_blocks_are_unknown)
{
	CHECK(shadow_begin());
	CHECK_EQ_U64(shadow_take(0x10), 0);
	CHECK_EQ_U64(shadow_take(0x7ffffffffff0), 0);
	CHECK_EQ_U64(shadow_take(UINT64_MAX - 15), 0);
	CHECK(!shadow_find(UINT64_C(1) << 47));
}

static void check_granules(uint32_t bits)
{
	uintptr_t start = (UINT64_C(5) << 26) - 4096, step = (uintptr_t)1 << bits;

	agent_process.granule_bits = bits;
	CHECK(shadow_begin());
	/* Over the border of two leaves. */
	for (uintptr_t block = start; block < start + 8192; block += step)
		CHECK(shadow_put(block, shadow_slot(block, 77)));
	for (uintptr_t block = start; block < start + 8192; block += step) {
		uint64_t slot = shadow_take(block);

		CHECK_EQ_U64(shadow_size(slot), block);
		CHECK_EQ_U64(shadow_site(slot), 77);
		CHECK_EQ_U64(shadow_take(block), 0);
	}
}

TEST(each_granule_of_16_has_a_slot)
{
	check_granules(4);
}

TEST(each_granule_of_8_has_a_slot)
{
	check_granules(3);
}

TEST(slots_hold_the_largest_numbers)
{
	uint64_t slot = shadow_slot(UINT64_MAX, (1 << 24) - 1);

	CHECK_EQ_U64(shadow_size(slot), SHADOW_SIZE_MAX);
	CHECK_EQ_U64(shadow_site(slot), (1 << 24) - 1);
	CHECK_EQ_U64(shadow_size(shadow_slot(0, 16)), 0);
	CHECK(shadow_slot(0, 16) != 0);
}

TEST(clearing_forgets_all_leaves)
{
	CHECK(shadow_begin());
	for (uintptr_t i = 1; i < 20; i++)
		CHECK(shadow_put(i << 27, shadow_slot(8, 16)));
	shadow_clear();
	for (uintptr_t i = 1; i < 20; i++)
		CHECK_EQ_U64(shadow_take(i << 27), 0);
	CHECK(shadow_put(1 << 27, shadow_slot(8, 16)));
	CHECK_EQ_U64(shadow_site(shadow_take(1 << 27)), 16);
}

TEST(addresses_beyond_the_map_cannot_be_put)
{
	CHECK(shadow_begin());
	CHECK(!shadow_put(UINT64_C(1) << 47, shadow_slot(8, 16)));
}

TEST(no_memory_is_no_crash)
{
	struct rlimit limit, before;

	CHECK(shadow_begin());
	CHECK(!getrlimit(RLIMIT_AS, &before));
	limit = before;
	limit.rlim_cur = 1;
	CHECK(!setrlimit(RLIMIT_AS, &limit));
	CHECK(!shadow_put(1 << 27, shadow_slot(8, 16)));
	CHECK_EQ_U64(shadow_take(1 << 27), 0);
	CHECK(!setrlimit(RLIMIT_AS, &before));
}

static pthread_barrier_t barrier;

static void *put_at_once(void *number)
{
	uintptr_t own = (uintptr_t)number * 16;

	for (uintptr_t leaf = 1; leaf < 200; leaf++) {
		pthread_barrier_wait(&barrier);
		if (!shadow_put((leaf << 26) + own, shadow_slot(leaf, 16)))
			return &barrier;
	}
	return NULL;
}

TEST(threads_that_meet_at_a_new_leaf_share_it)
{
	enum { THREADS = 4 };
	pthread_t threads[THREADS];
	void *why;

	CHECK(shadow_begin());
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&threads[i], NULL, put_at_once, (void *)i));
	for (int i = 0; i < THREADS; i++) {
		CHECK(!pthread_join(threads[i], &why));
		CHECK(!why);
	}
	for (uintptr_t leaf = 1; leaf < 200; leaf++)
		for (uintptr_t i = 0; i < THREADS; i++)
			CHECK_EQ_U64(shadow_size(shadow_take((leaf << 26) + i * 16)), leaf);
}

KIT_MAIN
