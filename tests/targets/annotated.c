/* annotated SECONDS: computes on two lines that call an inlined helper and on one of its own, keeps
 * some memory, frees some, and sleeps; prints what each line did. Tests build copies of it, which
 * they move and change afterwards. */
#include "annotated.h"

enum { KEPT_BLOCKS = 100, KEPT_BYTES = 1000, FREED_BLOCKS = 50, FREED_BYTES = 500, SLEEPS = 4 };

static void *volatile kept[KEPT_BLOCKS];
static uint64_t hot_ns, warm_ns, own_ns, slept_ns;

APART static void turn_helper(void)
{
	uint64_t start = thread_ns(), middle;

	spin(ROUNDS * 3); // HOT
	middle = thread_ns();
	spin(ROUNDS); // WARM
	hot_ns += middle - start;
	warm_ns += thread_ns() - middle;
}

APART static void turn_own(void)
{
	uint64_t start = thread_ns();

	CHURN(ROUNDS * 2); // OWN
	own_ns += thread_ns() - start;
}

APART static void keep(void)
{
	for (int i = 0; i < KEPT_BLOCKS; i++)
		kept[i] = malloc(KEPT_BYTES); // KEPT
	for (int i = 0; i < FREED_BLOCKS; i++) {
		void *volatile block = malloc(FREED_BYTES); // FREED

		free(block);
	}
}

APART static void pause_some(void)
{
	const struct timespec length = {.tv_nsec = 50000000};
	uint64_t start = wall_ns();

	for (int i = 0; i < SLEEPS; i++)
		nanosleep(&length, NULL); // SLEPT
	slept_ns += wall_ns() - start;
}

int main(int argc, char **argv)
{
	uint64_t end = (uint64_t)(number_argument(argc, argv, 1, 2) * 1e9);

	while (process_ns() < end) {
		turn_helper();
		turn_own();
	}
	keep();
	pause_some();
	printf("hot_ns %" PRIu64 "\nwarm_ns %" PRIu64 "\nown_ns %" PRIu64 "\nslept_ns %" PRIu64
	       "\nkept_bytes %d\nfreed_bytes %d\n",
	       hot_ns, warm_ns, own_ns, slept_ns, KEPT_BLOCKS * KEPT_BYTES,
	       FREED_BLOCKS * FREED_BYTES);
	return 0;
}
