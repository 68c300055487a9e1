/* The two maps, against what a plain array says. */
#include "tests/lib/kit.h"

#include <stdlib.h>

#include "reader/util/hash.h"

enum { KEYS = 20000 };

TEST(an_empty_map_holds_nothing)
{
	struct u64_map numbers = {0};
	struct str_map names = {0};

	CHECK_EQ_U64(u64_map_get(&numbers, 0), UINT32_MAX);
	CHECK_EQ_U64(str_map_get(&names, ""), UINT32_MAX);
	u64_map_clear(&numbers);
	u64_map_done(&numbers);
	str_map_done(&names);
}

/* Keys that collide in their low bits: page-aligned addresses, 0 and the greatest. */
static uint64_t key_of(uint32_t index)
{
	return index == 1 ? UINT64_MAX : (uint64_t)index << 12;
}

TEST(numbers_are_found_again)
{
	struct u64_map map = {0};

	for (uint32_t i = 0; i < KEYS; i++)
		u64_map_put(&map, key_of(i), i);
	CHECK_EQ_U64(map.count, KEYS);
	for (uint32_t i = 0; i < KEYS; i++)
		CHECK_EQ_U64(u64_map_get(&map, key_of(i)), i);
	CHECK_EQ_U64(u64_map_get(&map, 0x1234), UINT32_MAX);
	/* The same key again replaces. */
	u64_map_put(&map, key_of(5), 99);
	CHECK_EQ_U64(u64_map_get(&map, key_of(5)), 99);
	CHECK_EQ_U64(map.count, KEYS);
	u64_map_clear(&map);
	CHECK_EQ_U64(map.count, 0);
	CHECK_EQ_U64(u64_map_get(&map, key_of(5)), UINT32_MAX);
	u64_map_put(&map, 7, 8);
	CHECK_EQ_U64(u64_map_get(&map, 7), 8);
	u64_map_done(&map);
	CHECK_EQ_U64(u64_map_get(&map, 7), UINT32_MAX);
}

TEST(names_are_found_again)
{
	struct str_map map = {0};
	char key[32];

	for (uint32_t i = 0; i < KEYS; i++) {
		snprintf(key, sizeof(key), "name%u", i);
		str_map_put(&map, key, i);
	}
	CHECK_EQ_U64(map.count, KEYS);
	/* The keys are copies: this buffer has long been overwritten. */
	for (uint32_t i = 0; i < KEYS; i++) {
		snprintf(key, sizeof(key), "name%u", i);
		CHECK_EQ_U64(str_map_get(&map, key), i);
	}
	CHECK_EQ_U64(str_map_get(&map, "name"), UINT32_MAX);
	str_map_put(&map, "", 3);
	CHECK_EQ_U64(str_map_get(&map, ""), 3);
	str_map_put(&map, "name7", 1);
	CHECK_EQ_U64(str_map_get(&map, "name7"), 1);
	CHECK_EQ_U64(map.count, KEYS + 1);
	str_map_done(&map);
}

/* A hash that leaves many keys in few slots makes the maps slow before it makes them wrong. */
TEST(hashes_spread)
{
	static uint32_t slots[1024];
	uint32_t worst = 0;

	for (uint64_t i = 0; i < 64 * 1024; i++) {
		uint32_t *slot = &slots[hash_u64(i << 12) & 1023];

		if (++*slot > worst)
			worst = *slot;
	}
	/* 64 expected a slot, standard deviation 8; ten of them away is no accident. */
	CHECK_BETWEEN(worst, 64, 144);
}

TEST(bytes_hash_by_content_and_length)
{
	static const char zeros[16];
	char copy[16] = {0};

	CHECK(hash_bytes("abcdefgh", 8) == hash_bytes("abcdefgh-", 8));
	CHECK(hash_bytes("abcdefgh", 8) != hash_bytes("abcdefgi", 8));
	CHECK(hash_bytes(zeros, 7) != hash_bytes(zeros, 8));
	CHECK(hash_bytes(zeros, 8) != hash_bytes(zeros, 16));
	CHECK(hash_bytes(zeros, 16) == hash_bytes(copy, 16));
	CHECK(hash_two(1, 2) != hash_two(2, 1));
}

KIT_MAIN
