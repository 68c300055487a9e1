/* threadexec TIMES: each time a thread that is not the first one becomes this program again, which
 * gives it the first one's number; the last prints what CPU time all of them took. */
#include "tests/targets/target.h"

static char times_left[24];

APART static void burn_between_execs(void)
{
	CHURN(4 * ROUNDS);
}

static void *exec_here(void *self)
{
	const struct timespec while_switched_away = {.tv_nsec = 2000000};

	burn_between_execs();
	nanosleep(&while_switched_away, NULL);
	execl(self, self, times_left, (char *)NULL);
	_exit(1);
}

int main(int argc, char **argv)
{
	int times = (int)number_argument(argc, argv, 1, 0);
	struct timespec cpu;
	pthread_t thread;

	if (times > 0) {
		snprintf(times_left, sizeof(times_left), "%d", times - 1);
		if (pthread_create(&thread, NULL, exec_here, argv[0]))
			return 1;
		pthread_join(thread, NULL);
		return 1;
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	printf("cpu_ns %lld\n", (long long)cpu.tv_sec * 1000000000 + cpu.tv_nsec);
	return 0;
}
