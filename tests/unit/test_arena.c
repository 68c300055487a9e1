/* Arenas: blocks are aligned, apart from each other, and stay where they are. */
#include "tests/lib/kit.h"

#include <stdint.h>
#include <stdlib.h>

#include "reader/util/arena.h"

TEST(blocks_are_aligned_and_apart)
{
	struct arena arena = {0};
	unsigned char *blocks[500];

	for (size_t i = 0; i < 500; i++) {
		blocks[i] = arena_alloc(&arena, i);
		CHECK_EQ_U64((uintptr_t)blocks[i] % 16, 0);
		memset(blocks[i], (int)(i & 0xff), i);
	}
	/* Written all, and none over another. */
	for (size_t i = 0; i < 500; i++) {
		for (size_t j = 0; j < i; j++)
			CHECK_EQ_U64(blocks[i][j], i & 0xff);
	}
	arena_done(&arena);
}

TEST(a_block_may_be_larger_than_a_chunk)
{
	struct arena arena = {0};
	char *small = arena_strdup(&arena, "small");
	char *large = arena_zalloc(&arena, 1 << 20);
	char *after = arena_strdup(&arena, "after");

	for (size_t i = 0; i < 1 << 20; i++)
		CHECK_EQ_U64(large[i], 0);
	memset(large, 'x', 1 << 20);
	CHECK_EQ_STR(small, "small");
	CHECK_EQ_STR(after, "after");
	arena_done(&arena);
}

TEST(copies_and_formats)
{
	struct arena arena = {0};
	char from[] = "abc";
	char *copy = arena_copy(&arena, from, 4);

	from[0] = 'x';
	CHECK_EQ_STR(copy, "abc");
	CHECK(!arena_strdup(&arena, NULL));
	CHECK(arena_copy(&arena, NULL, 0));
	CHECK_EQ_STR(arena_printf(&arena, "%s-%d", "a", 7), "a-7");
	CHECK_EQ_U64(strlen(arena_printf(&arena, "%0100000d", 0)), 100000);
	arena_done(&arena);
}

TEST(reset_keeps_one_chunk)
{
	struct arena arena = {0};
	void *first;

	arena_reset(&arena);
	for (int i = 0; i < 100; i++)
		arena_alloc(&arena, 10000);
	arena_reset(&arena);
	CHECK_EQ_U64(arena.used, 0);
	first = arena_alloc(&arena, 16);
	arena_reset(&arena);
	CHECK(arena_alloc(&arena, 16) == first);
	/* LeakSanitizer sees whether the others are gone. */
	arena_done(&arena);
	arena_done(&arena);
	CHECK(arena_alloc(&arena, 1));
	arena_done(&arena);
}

KIT_MAIN
