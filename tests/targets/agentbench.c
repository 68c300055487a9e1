/* agentbench WHAT …: pairs of malloc and free that a benchmark compares with and without an agent.
 *   threads N PAIRS DEPTH   each of N threads does PAIRS of them below DEPTH calls
 *   random PAIRS            below ten calls, each one of two at random: hardly two stacks in a row are the same
 *   rate PAIRS PER_SECOND DEPTH   in bursts of half a millisecond, at that rate
 * Prints "pair_ns": CPU time of the threads that did them, a pair. */
#include "tests/targets/target.h"

enum { BATCH = 500, SIZES = 64, LEVELS = 10, BURSTS = 2000 };

static size_t sizes[SIZES];
static uint64_t pair_count;
static unsigned call_depth;

APART static void pairs(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		char *block = malloc(sizes[i % SIZES]);

		if (!block)
			abort();
		*(volatile char *)block = 1;
		free(block);
	}
}

APART static void descend(unsigned depth, uint64_t count)
{
	if (depth)
		descend(depth - 1, count);
	else
		pairs(count);
	__asm__ volatile(""); /* no tail call */
}

static void all_pairs(uint64_t count)
{
	for (uint64_t left = count; left;) {
		uint64_t now = left < BATCH ? left : BATCH;

		descend(call_depth, now);
		left -= now;
	}
}

static void *work(void *unused)
{
	uint64_t begin;

	(void)unused;
	all_pairs(BATCH);
	begin = thread_ns();
	all_pairs(pair_count);
	return (void *)(uintptr_t)(thread_ns() - begin);
}

static double by_threads(unsigned count)
{
	pthread_t threads[256];
	uint64_t sum = 0;

	if (!count || count > 256)
		exit(2);
	for (unsigned i = 0; i < count; i++) {
		if (pthread_create(&threads[i], NULL, work, NULL))
			exit(1);
	}
	for (unsigned i = 0; i < count; i++) {
		void *ns;

		pthread_join(threads[i], &ns);
		sum += (uintptr_t)ns;
	}
	return (double)sum / (double)pair_count / count;
}

APART static void left(unsigned level, uint32_t way);

APART static void right(unsigned level, uint32_t way)
{
	if (!level)
		pairs(1);
	else if (way & 1)
		left(level - 1, way >> 1);
	else
		right(level - 1, way >> 1);
	__asm__ volatile("");
}

APART static void left(unsigned level, uint32_t way)
{
	if (!level)
		pairs(1);
	else if (way & 1)
		right(level - 1, way >> 1);
	else
		left(level - 1, way >> 1);
	__asm__ volatile("");
}

static double by_random(void)
{
	uint32_t random = 1;
	uint64_t begin = thread_ns();

	for (uint64_t i = 0; i < pair_count; i++) {
		random = random * 1664525u + 1013904223u;
		left(LEVELS, random >> 16);
	}
	return (double)(thread_ns() - begin) / (double)pair_count;
}

static double by_rate(double per_second)
{
	uint64_t burst = (uint64_t)(per_second / BURSTS), begin = wall_ns(), late = 0, cpu = 0, done = 0;

	for (uint64_t i = 0; done < pair_count; i++) {
		uint64_t due = begin + i * (1000000000u / BURSTS), start;

		/* Spinning: a sleep would cool the caches. */
		while (wall_ns() < due)
			;
		start = thread_ns();
		all_pairs(burst);
		cpu += thread_ns() - start;
		done += burst;
		late = wall_ns() - due;
	}
	printf("late_ns %" PRIu64 "\nper_second %.0f\n", late,
	       (double)done * 1e9 / (double)(wall_ns() - begin));
	return (double)cpu / (double)done;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	uint32_t random = 1;
	double ns;

	for (int i = 0; i < SIZES; i++) {
		random = random * 1664525u + 1013904223u;
		sizes[i] = 8 + (random >> 8) % (64u << (i % 2 ? 0 : i % 7));
	}
	pair_count = (uint64_t)number_argument(argc, argv, strcmp(what, "threads") == 0 ? 3 : 2, 1000000);
	call_depth = (unsigned)number_argument(argc, argv, 4, 8);
	all_pairs(BATCH);
	if (strcmp(what, "threads") == 0)
		ns = by_threads((unsigned)number_argument(argc, argv, 2, 1));
	else if (strcmp(what, "random") == 0)
		ns = by_random();
	else if (strcmp(what, "rate") == 0)
		ns = by_rate(number_argument(argc, argv, 3, 2e6));
	else
		return 2;
	printf("pair_ns %.2f\n", ns);
	return 0;
}
