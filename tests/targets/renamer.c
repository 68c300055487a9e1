/* renamer SECONDS: on the signal a thread named "early" burns for SECONDS of CPU time, then as "late" for
 * twice as much. */
#include "tests/targets/target.h"

#include <sys/prctl.h>

static double seconds;

APART static uint64_t burn_as(const char *name, double amount)
{
	uint64_t begin = thread_ns(), now = begin;

	prctl(PR_SET_NAME, name);
	while (now - begin < (uint64_t)(amount * 1e9)) {
		CHURN(ROUNDS);
		note_stall();
		now = thread_ns();
	}
	return now - begin;
}

static void *work(void *unused)
{
	uint64_t early = burn_as("early", seconds), late = burn_as("late", 2 * seconds);

	(void)unused;
	printf("early_ns %" PRIu64 "\nlate_ns %" PRIu64 "\n", early, late);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	seconds = number_argument(argc, argv, 1, 1);
	block_signals();
	wait_for_go();
	if (pthread_create(&thread, NULL, work, NULL))
		return 1;
	pthread_join(thread, NULL);
	linger();
	return 0;
}
