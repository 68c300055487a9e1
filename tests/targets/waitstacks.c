/* waitstacks STACKS [ROUNDS [now]]: waits once a round in each of STACKS distinct stacks: a path of
 * LEVELS calls, each of one function or another. Prints how many, and how often it gave up its CPU.
 */
#include "tests/targets/target.h"

#include <sys/prctl.h>

/* 32,768 paths. */
enum { LEVELS = 15, WAIT_NS = 20000 };

static void turn_left(unsigned path, unsigned level);
static void turn_right(unsigned path, unsigned level);

static long switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

APART static void wait_shortly(void)
{
	struct timespec shortly = {.tv_nsec = WAIT_NS};
	long before = switches();

	/* On a machine that stands still, the time may be over before the thread could sleep. */
	do {
		nanosleep(&shortly, NULL); // WAIT
	} while (switches() == before);
}

#define TURN()                                                                                     \
	do {                                                                                       \
		if (level == LEVELS)                                                               \
			wait_shortly();                                                            \
		else if (path >> level & 1)                                                        \
			turn_right(path, level + 1);                                               \
		else                                                                               \
			turn_left(path, level + 1);                                                \
	} while (0)

APART static void turn_left(unsigned path, unsigned level)
{
	TURN();
}

APART static void turn_right(unsigned path, unsigned level)
{
	TURN();
}

int main(int argc, char **argv)
{
	unsigned stacks = (unsigned)number_argument(argc, argv, 1, 20000);
	unsigned rounds = (unsigned)number_argument(argc, argv, 2, 1);
	struct rusage before, after;
	uint64_t begin;

	if (stacks > 1u << LEVELS)
		return 1;
	block_signals();
	/* Without it, each wait is 50 us longer. */
	prctl(PR_SET_TIMERSLACK, 1ul);
	if (!is_told_now(argc, argv))
		wait_for_go();
	getrusage(RUSAGE_THREAD, &before);
	begin = wall_ns();
	for (unsigned round = 0; round < rounds; round++) {
		for (unsigned path = 0; path < stacks; path++)
			turn_left(path, 0);
	}
	begin = wall_ns() - begin;
	getrusage(RUSAGE_THREAD, &after);
	printf("stacks %u\nwaits %u\nvoluntary %ld\ninvoluntary %ld\nwall_ns %" PRIu64 "\n", stacks,
	       stacks * rounds, after.ru_nvcsw - before.ru_nvcsw,
	       after.ru_nivcsw - before.ru_nivcsw, begin);
	if (!is_told_now(argc, argv))
		linger();
	return 0;
}
