/* heapload BLOCKS BYTES [PAIRS] [now]: allocates BLOCKS blocks that live, of BYTES each, on one
 * line, then PAIRS pairs of malloc and free on another. Prints what both did. */
#include "tests/targets/heap_truth.h"

static struct site held = {"HELD"}, paired = {"PAIRED"};

APART static void hold(uint64_t count, size_t size)
{
	for (uint64_t i = 0; i < count; i++) {
		void *block = malloc(size); // HELD

		ESCAPE(block);
		note_alloc(&held, block, size);
	}
}

APART static void pair(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		size_t size = 1 + i % 500;
		void *block = malloc(size); // PAIRED

		ESCAPE(block);
		note_alloc(&paired, block, size);
		note_free(&paired, block, size);
		free(block);
	}
}

int main(int argc, char **argv)
{
	uint64_t count = (uint64_t)number_argument(argc, argv, 1, 1000);
	size_t size = (size_t)number_argument(argc, argv, 2, 16);
	bool is_now = is_told_now(argc, argv);

	block_signals();
	if (!is_now)
		wait_for_go();
	hold(count, size);
	pair((uint64_t)number_argument(argc, argv, 3, 1000));
	print_site(&held);
	print_site(&paired);
	if (!is_now)
		linger();
	return 0;
}
