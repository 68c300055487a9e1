/* churn S [now]: on the signal, starts a thread that does next to nothing and waits for its end, over and
 * over for S seconds: CPU time that no thread's timer sees. */
#include "tests/targets/target.h"

#include <pthread.h>

static void *nothing(void *unused)
{
	(void)unused;
	return NULL;
}

int main(int argc, char **argv)
{
	double seconds = number_argument(argc, argv, 1, 2);
	uint64_t start, threads = 0;

	block_signals();
	if (!is_told_now(argc, argv))
		wait_for_go();
	start = wall_ns();
	while (wall_ns() - start < (uint64_t)(seconds * 1e9)) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, nothing, NULL) == 0)
			pthread_join(thread, NULL);
		threads++;
	}
	printf("threads %" PRIu64 "\ncpu_ns %" PRIu64 "\n", threads, process_ns());
	if (!is_told_now(argc, argv))
		linger();
	return 0;
}
