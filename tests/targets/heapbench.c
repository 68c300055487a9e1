/* heapbench PAIRS [DEPTH] [ROUNDS]: pairs of malloc and free of mixed sizes below DEPTH calls, and
 * between two pairs so many rounds of arithmetic. Prints what they took: the benchmark compares
 * that with and without a profiler of the heap.
 *
 * Says in its first lines where malloc and free begin, so that a script can see in its memory when
 * a profiler has placed its probes. */
#include "tests/targets/target.h"

enum {
	BATCH = 500, /* pairs at the bottom of the calls: going down costs next to nothing then */
	SIZES = 64,
};

static size_t sizes[SIZES];
static uint64_t bytes;

APART static void pairs(uint64_t count, uint64_t rounds)
{
	for (uint64_t i = 0; i < count; i++) {
		size_t size = sizes[i % SIZES];
		char *block = malloc(size);

		if (!block)
			abort();
		*(volatile char *)block = 1;
		bytes += size;
		CHURN(rounds);
		free(block);
	}
}

APART static void descend(unsigned depth, uint64_t count, uint64_t rounds)
{
	if (depth)
		descend(depth - 1, count, rounds);
	else
		pairs(count, rounds);
	__asm__ volatile(""); /* no tail call */
}

/* Most blocks of programs are small: half of these are up to 64 bytes, a few are kilobytes. */
static void choose_sizes(void)
{
	uint32_t random = 1;

	for (int i = 0; i < SIZES; i++) {
		random = random * 1664525u + 1013904223u;
		sizes[i] = 8 + (random >> 8) % (64u << (i % 2 ? 0 : i % 7));
	}
}

int main(int argc, char **argv)
{
	uint64_t count = (uint64_t)number_argument(argc, argv, 1, 1e6);
	unsigned depth = (unsigned)number_argument(argc, argv, 2, 19);
	uint64_t rounds = (uint64_t)number_argument(argc, argv, 3, 0);
	uint64_t begin_cpu, begin_wall, cpu, wall;

	block_signals();
	choose_sizes();
	descend(depth, BATCH, 0); /* the allocator's own beginning */
	bytes = 0;
	printf("malloc %" PRIuPTR "\nfree %" PRIuPTR "\n", (uintptr_t)malloc, (uintptr_t)free);
	if (!is_told_now(argc, argv))
		wait_for_go();
	begin_cpu = process_ns();
	begin_wall = wall_ns();
	for (uint64_t left = count; left;) {
		uint64_t now = left < BATCH ? left : BATCH;

		descend(depth, now, rounds);
		left -= now;
	}
	cpu = process_ns() - begin_cpu;
	wall = wall_ns() - begin_wall;
	printf("pairs %" PRIu64 "\nbytes %" PRIu64 "\ncpu_ns %" PRIu64 "\nwall_ns %" PRIu64
	       "\npair_ns %.2f\n",
	       count, bytes, cpu, wall, (double)cpu / (double)(count ? count : 1));
	if (!is_told_now(argc, argv))
		linger();
	return 0;
}
