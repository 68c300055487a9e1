/* manythreads THREADS MILLISECONDS: that many threads, all there before the signal; on it each burns for
 * MILLISECONDS of CPU time. Prints how many there were and their CPU time since the signal. */
#include "tests/targets/target.h"

enum { STACK_BYTES = 65536 };

static pthread_barrier_t go;
static uint64_t need_ns;

APART static void thread_burn(void)
{
	CHURN(ROUNDS);
}

static void *work(void *unused)
{
	uint64_t begin;

	(void)unused;
	pthread_barrier_wait(&go);
	begin = thread_ns();
	while (thread_ns() - begin < need_ns) {
		thread_burn();
		note_stall();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned count = (unsigned)number_argument(argc, argv, 1, 1000);
	pthread_t *threads = calloc(count, sizeof(*threads));
	pthread_attr_t attributes;
	uint64_t begin;

	need_ns = (uint64_t)(number_argument(argc, argv, 2, 2) * 1e6);
	block_signals();
	pthread_barrier_init(&go, NULL, count + 1);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	for (unsigned i = 0; i < count; i++) {
		if (pthread_create(&threads[i], &attributes, work, NULL))
			return 1;
	}
	wait_for_go();
	begin = process_ns();
	pthread_barrier_wait(&go);
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	printf("threads %u\ncpu_ns %" PRIu64 "\n", count, process_ns() - begin);
	free(threads);
	linger();
	return 0;
}
