/* agentlinked [now]: calls all of rsprof.h; built with the agent in it, with it preloaded, without
 * it, and as C++. Prints what it has done as "KEY VALUE", then lingers. */
#include "include/rsprof/rsprof.h"

#include "tests/targets/target.h"

enum { PAIRS = 1000, KEPT = 100, KEPT_BYTES = 64, POOL_BLOCKS = 50, POOL_BLOCK_BYTES = 48 };

RSPROF_PROFILER();

static char pool[POOL_BLOCKS * POOL_BLOCK_BYTES] __attribute__((aligned(16)));
static void *kept[KEPT];

/* Half of them are given back. */
APART void use_pool(void)
{
	for (int i = 0; i < POOL_BLOCKS; i++)
		rsprof_report_alloc(pool + i * POOL_BLOCK_BYTES, POOL_BLOCK_BYTES);
	for (int i = 0; i < POOL_BLOCKS; i += 2)
		rsprof_report_free(pool + i * POOL_BLOCK_BYTES);
	/* Neither of these is one. */
	rsprof_report_free(pool + 8 * POOL_BLOCK_BYTES);
	rsprof_report_free(NULL);
	rsprof_report_alloc(NULL, 1);
	/* Replaces itself. */
	rsprof_report_alloc(pool + POOL_BLOCK_BYTES, POOL_BLOCK_BYTES);
}

APART void use_heap(int pairs)
{
	for (int i = 0; i < pairs; i++) {
		void *volatile block = malloc(100);

		free(block);
	}
}

APART void keep_blocks(void)
{
	for (int i = 0; i < KEPT; i++)
		kept[i] = malloc(KEPT_BYTES);
}

APART void work(double seconds)
{
	uint64_t end = thread_ns() + (uint64_t)(seconds * 1e9);

	while (thread_ns() < end)
		CHURN(ROUNDS);
}

int main(int argc, char **argv)
{
	uint64_t begin;

	block_signals();
	rsprof_start();
	rsprof_mark("here it begins");
	use_heap(PAIRS);
	keep_blocks();
	rsprof_pause();
	use_heap(PAIRS);
	for (int i = 0; i < KEPT / 2; i++)
		free(kept[i]);
	rsprof_resume();
	use_pool();
	rsprof_cpu(999);
	begin = thread_ns();
	work(0.5);
	printf("cpu_ns %" PRIu64 "\n", thread_ns() - begin);
	rsprof_cpu(0);
	work(0.2);
	rsprof_mark("here it ends");
	if (is_told_now(argc, argv))
		return 0;
	printf("pairs %d\nkept %d\nkept_bytes %d\npool %d\npool_bytes %d\ndone\n", PAIRS, KEPT,
	       KEPT_BYTES, POOL_BLOCKS, POOL_BLOCK_BYTES);
	fflush(stdout);
	wait_for_signals(SIGUSR1, SIGTERM, LINGER_SECONDS);
	rsprof_stop();
	use_heap(PAIRS);
	printf("stopped\n");
	fflush(stdout);
	wait_for_signals(SIGTERM, SIGTERM, LINGER_SECONDS);
	return 0;
}
