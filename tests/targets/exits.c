/* exits MILLISECONDS STATUS [SIGNAL]: burns CPU time from its first instruction on, writes the arguments it
 * was given to stdout and ends as it is told. For `rsprof run`. */
#include "tests/targets/target.h"

APART static void run_burn(void)
{
	CHURN(ROUNDS);
}

int main(int argc, char **argv)
{
	uint64_t need_ns = (uint64_t)(number_argument(argc, argv, 1, 0) * 1e6);
	int number = (int)number_argument(argc, argv, 3, 0);

	while (process_ns() < need_ns) {
		run_burn();
		note_stall();
	}
	print_stalled();
	printf("cpu_ns %" PRIu64 "\n", process_ns());
	for (int i = 1; i < argc; i++)
		printf("argument %s\n", argv[i]);
	fflush(stdout);
	if (number)
		kill(getpid(), number);
	return (int)number_argument(argc, argv, 2, 0);
}
