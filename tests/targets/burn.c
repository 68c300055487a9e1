/* burn SECONDS: 60, 30 and 10 % of its CPU time in three functions, each below 40 nested calls of two
 * functions that call each other. A cycle of the three is about 100 ms of CPU time long, by up to a third
 * shorter or longer, so that no sampling rate keeps step with it. */
#include "tests/targets/target.h"

enum { DEPTH = 40, CYCLE_NS = 100000000 };

APART static void burn_sixty(void)
{
	CHURN(ROUNDS);
}

APART static void burn_thirty(void)
{
	CHURN(ROUNDS);
}

APART static void burn_ten(void)
{
	CHURN(ROUNDS);
}

static void descend_odd(int depth, void (*burn)(void));

APART static void descend_even(int depth, void (*burn)(void))
{
	if (depth == 0)
		burn();
	else
		descend_odd(depth - 1, burn);
}

APART static void descend_odd(int depth, void (*burn)(void))
{
	descend_even(depth - 1, burn);
}

struct share {
	const char *name;
	void (*burn)(void);
	unsigned percent;
	uint64_t spent_ns;
};

static struct share shares[] = {
	{"sixty_ns", burn_sixty, 60, 0},
	{"thirty_ns", burn_thirty, 30, 0},
	{"ten_ns", burn_ten, 10, 0},
};

APART static void run_share(struct share *share, uint64_t budget_ns)
{
	uint64_t begin = thread_ns(), now = begin;

	while (now - begin < budget_ns) {
		descend_even(DEPTH, share->burn);
		now = thread_ns();
	}
	share->spent_ns += now - begin;
}

int main(int argc, char **argv)
{
	uint64_t end = wall_ns() + (uint64_t)(number_argument(argc, argv, 1, 10) * 1e9);
	uint64_t random = 88172645463325252u, cycles = 0;

	while (wall_ns() < end) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++) {
			uint64_t cycle = CYCLE_NS / 3 * 2 + random % (CYCLE_NS / 3 * 2);

			run_share(&shares[i], cycle / 100 * shares[i].percent);
		}
		cycles++;
	}
	for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++)
		printf("%s %" PRIu64 "\n", shares[i].name, shares[i].spent_ns);
	printf("cycles %" PRIu64 "\ncpu_ns %" PRIu64 "\n", cycles, process_ns());
	return 0;
}
