/* heaprate SECONDS: pairs of malloc and free, SLOW_PAIRS each millisecond. From a second SIGUSR1 on
 * a hundred times as many, for SECONDS. */
#include "tests/targets/heap_truth.h"

enum { SLOW_PAIRS = 2, FAST_PAIRS = 200, PERIOD_NS = 1000000 };

static struct site pairs = {"PAIRS"};

APART static void pair(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t size = 16 + i % 64;
		void *block = malloc(size); // PAIRS

		ESCAPE(block);
		note_alloc(&pairs, block, size);
		note_free(&pairs, block, size);
		free(block);
	}
}

/* For a period, which ends at end_ns: what is left of it. */
static bool is_signalled(uint64_t end_ns)
{
	uint64_t now = wall_ns();
	struct timespec pause = {.tv_nsec = end_ns > now ? (long)(end_ns - now) : 0};
	sigset_t set;
	int number;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	number = sigtimedwait(&set, NULL, &pause);
	if (number == SIGTERM)
		exit(0);
	return number == SIGUSR1;
}

int main(int argc, char **argv)
{
	uint64_t length_ns = (uint64_t)(number_argument(argc, argv, 1, 4) * 1e9), begin, slow, now;
	bool is_slow = true;

	block_signals();
	wait_for_go();
	begin = now = wall_ns();
	while (is_slow && now - begin < GO_SECONDS * 1000000000ull) {
		pair(SLOW_PAIRS);
		is_slow = !is_signalled(now + PERIOD_NS);
		now = wall_ns();
	}
	slow = pairs.allocs;
	printf("slow_pairs %" PRIu64 "\nslow_ns %" PRIu64 "\n", slow, now - begin);
	for (begin = now; now - begin < length_ns; now = wall_ns()) {
		pair(FAST_PAIRS);
		is_signalled(now + PERIOD_NS);
	}
	printf("fast_pairs %" PRIu64 "\nfast_ns %" PRIu64 "\n", pairs.allocs - slow, now - begin);
	print_site(&pairs);
	linger();
	return 0;
}
