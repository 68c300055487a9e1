/* sleeper N: on the signal, sleeps N times for half a millisecond. */
#include "tests/targets/target.h"

APART static void sleep_once(void)
{
	struct timespec half = {.tv_nsec = 500000};

	nanosleep(&half, NULL);
}

int main(int argc, char **argv)
{
	long times = (long)number_argument(argc, argv, 1, 2000);
	struct rusage before, after;

	block_signals();
	wait_for_go();
	getrusage(RUSAGE_SELF, &before);
	for (long i = 0; i < times; i++)
		sleep_once();
	getrusage(RUSAGE_SELF, &after);
	printf("slept %ld\nvoluntary %ld\ninvoluntary %ld\n", times, after.ru_nvcsw - before.ru_nvcsw,
	       after.ru_nivcsw - before.ru_nivcsw);
	linger();
	return 0;
}
