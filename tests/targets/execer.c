/* execer SECONDS PROGRAM: on the signal burns for SECONDS, then becomes PROGRAM with the same argument. */
#include "tests/targets/target.h"

APART static void before_exec_burn(void)
{
	CHURN(ROUNDS);
}

int main(int argc, char **argv)
{
	uint64_t begin, end;

	if (argc < 3)
		return 1;
	block_signals();
	wait_for_go();
	begin = thread_ns();
	end = wall_ns() + (uint64_t)(number_argument(argc, argv, 1, 1) * 1e9);
	while (wall_ns() < end) {
		before_exec_burn();
		note_stall();
	}
	print_stalled();
	printf("before_ns %" PRIu64 "\n", thread_ns() - begin);
	fflush(stdout);
	execl(argv[2], argv[2], argv[1], (char *)NULL);
	return 1;
}
