/* work ROUNDS [DEPTH]: a fixed amount of work in pieces, each below DEPTH calls. Prints what it took: the
 * benchmark compares that with and without a profiler. */
#include "tests/targets/target.h"

APART static void work_piece(unsigned depth)
{
	if (depth)
		work_piece(depth - 1);
	else
		CHURN(ROUNDS);
}

int main(int argc, char **argv)
{
	uint64_t pieces = (uint64_t)(number_argument(argc, argv, 1, 1e9) / ROUNDS);
	unsigned depth = (unsigned)number_argument(argc, argv, 2, 20);
	uint64_t begin_cpu, begin_wall;

	block_signals();
	wait_for_go();
	begin_cpu = process_ns();
	begin_wall = wall_ns();
	for (uint64_t i = 0; i < pieces; i++)
		work_piece(depth);
	printf("cpu_ns %" PRIu64 "\nwall_ns %" PRIu64 "\n", process_ns() - begin_cpu,
	       wall_ns() - begin_wall);
	linger();
	return 0;
}
