/* forker SECONDS: burns in parent_burn, while children that it forks, one after the other, burn in
 * child_burn. Prints the CPU time of both. */
#include "tests/targets/target.h"

#include <sys/wait.h>

enum { CHILD_NS = 50000000 };

APART static void parent_burn(void)
{
	CHURN(ROUNDS);
}

APART static void child_burn(void)
{
	CHURN(ROUNDS);
}

static pid_t start_child(void)
{
	pid_t child = fork();

	if (child == 0) {
		while (process_ns() < CHILD_NS)
			child_burn();
		_exit(0);
	}
	return child;
}

int main(int argc, char **argv)
{
	uint64_t begin, end, children = 0;
	struct rusage usage;
	pid_t child;

	block_signals();
	wait_for_go();
	begin = process_ns();
	end = wall_ns() + (uint64_t)(number_argument(argc, argv, 1, 2) * 1e9);
	child = start_child();
	while (wall_ns() < end) {
		parent_burn();
		note_stall();
		if (waitpid(child, NULL, WNOHANG) != 0) {
			children++;
			child = start_child();
		}
	}
	waitpid(child, NULL, 0);
	getrusage(RUSAGE_CHILDREN, &usage);
	printf("parent_ns %" PRIu64 "\nchildren_ns %" PRIu64 "\nchildren %" PRIu64 "\n",
	       process_ns() - begin, timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime),
	       children + 1);
	linger();
	return 0;
}
