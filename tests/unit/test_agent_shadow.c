/* The agent's map from blocks to sizes and sites. */
#include "tests/lib/kit.h"

#include <pthread.h>
#include <sys/resource.h>

#include "agent/shadow.c"
#include "agent/sys.c"

struct agent_process agent_process = {.granule_bits = AGENT_GRANULE_GLIBC};

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
		CHECK(shadow_put(block, shadow_slot(block % SHADOW_LARGE, 77)));
	for (uintptr_t block = start; block < start + 8192; block += step) {
		uint64_t slot = shadow_take(block);

		CHECK_EQ_U64(shadow_size(slot), block % SHADOW_LARGE);
		CHECK_EQ_U64(shadow_site(slot), 77);
		CHECK_EQ_U64(shadow_take(block), 0);
	}
}

TEST(each_granule_of_32_has_a_slot)
{
	check_granules(AGENT_GRANULE_GLIBC);
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

static void check_kept(uintptr_t block, uint64_t size, uint32_t site)
{
	CHECK(shadow_put(block, shadow_slot(size, site)));
	CHECK_EQ_U64(shadow_take(block), shadow_slot(size, site));
	CHECK_EQ_U64(shadow_take(block), 0);
}

TEST(every_size_is_kept)
{
	CHECK(shadow_begin());
	for (uint64_t size = 0; size < 3 * SHADOW_LARGE; size++)
		check_kept(0x12340, size, AGENT_SITES_MAX - 1);
	for (unsigned bits = 14; bits < 64; bits++) {
		check_kept(0x7ffffffffff0, UINT64_C(1) << bits, 16);
		check_kept(0x12340, (UINT64_C(1) << bits) - 1, 16);
	}
}

TEST(large_blocks_lie_as_close_as_they_can)
{
	const uintptr_t start = (UINT64_C(3) << 26) - 64 * SHADOW_LARGE;

	CHECK(shadow_begin());
	for (uintptr_t i = 0; i < 128; i++)
		CHECK(shadow_put((start + i * (SHADOW_LARGE + 1)) & ~UINT64_C(15),
				 shadow_slot(SHADOW_LARGE + i, 16)));
	/* A small one is behind each. */
	for (uintptr_t i = 0; i < 128; i++)
		CHECK(shadow_put(((start + i * (SHADOW_LARGE + 1)) & ~UINT64_C(15)) + 64,
				 shadow_slot(i, 17)));
	for (uintptr_t i = 0; i < 128; i++)
		CHECK_EQ_U64(shadow_take((start + i * (SHADOW_LARGE + 1)) & ~UINT64_C(15)),
			     shadow_slot(SHADOW_LARGE + i, 16));
	for (uintptr_t i = 0; i < 128; i++)
		CHECK_EQ_U64(shadow_take(((start + i * (SHADOW_LARGE + 1)) & ~UINT64_C(15)) + 64),
			     shadow_slot(i, 17));
}

/* Its free was not seen, and the address range is another one's now. */
TEST(a_large_block_has_no_size_of_another_one)
{
	CHECK(shadow_begin());
	CHECK(shadow_put(0x40000, shadow_slot(100000, 16)));
	CHECK(shadow_put(0x40040, shadow_slot(200000, 17)));
	CHECK_EQ_U64(shadow_take(0x40000), 0);
	CHECK_EQ_U64(shadow_take(0x40040), shadow_slot(200000, 17));
}

/* Bytes of a page that nobody has written to. */
TEST(a_cell_that_is_empty_is_told)
{
	uint32_t *place;

	CHECK(shadow_begin());
	CHECK(shadow_put(0x50000, shadow_slot(1, 16)));
	place = shadow_find(0x50000);
	CHECK(!shadow_is_empty(place));
	CHECK_EQ_U64(shadow_take(0x50000), shadow_slot(1, 16));
	CHECK(shadow_is_empty(place));
	CHECK(shadow_is_empty(shadow_find(0x50000 + (1 << 24))));
}

TEST(reported_blocks_have_a_map_of_their_own)
{
	const uintptr_t start = (UINT64_C(9) << 26) - 512;

	CHECK(shadow_begin());
	CHECK_EQ_U64(shadow_reported(start), 0);
	CHECK_EQ_U64(shadow_take_reported(start), 0);
	CHECK(shadow_put(start, shadow_slot(5, 18)));
	/* Of any size, within one another. */
	for (uintptr_t i = 0; i < 128; i++)
		CHECK(shadow_put_reported(start + 8 * i, shadow_slot(1000000 + i, 17)));
	CHECK_EQ_U64(shadow_take(start), shadow_slot(5, 18));
	for (uintptr_t i = 0; i < 128; i++) {
		CHECK_EQ_U64(shadow_reported(start + 8 * i), shadow_slot(1000000 + i, 17));
		CHECK_EQ_U64(shadow_take_reported(start + 8 * i), shadow_slot(1000000 + i, 17));
		CHECK_EQ_U64(shadow_take_reported(start + 8 * i), 0);
	}
	CHECK(!shadow_put_reported(UINT64_C(1) << 47, 1));
	CHECK(shadow_put_reported(start, 1));
	shadow_clear();
	CHECK_EQ_U64(shadow_reported(start), 0);
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
	CHECK(!shadow_put_reported(1 << 27, shadow_slot(8, 16)));
	CHECK_EQ_U64(shadow_take_reported(1 << 27), 0);
	CHECK(!setrlimit(RLIMIT_AS, &before));
}

static pthread_barrier_t barrier;

static void *put_at_once(void *number)
{
	uintptr_t own = (uintptr_t)number * 32;

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
			CHECK_EQ_U64(shadow_size(shadow_take((leaf << 26) + i * 32)), leaf);
}

KIT_MAIN
