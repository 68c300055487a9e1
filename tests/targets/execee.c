/* execee SECONDS: what execer becomes. */
#include "tests/targets/target.h"

APART static void after_exec_burn(void)
{
	CHURN(ROUNDS);
}

int main(int argc, char **argv)
{
	uint64_t begin = thread_ns();
	uint64_t end = wall_ns() + (uint64_t)(number_argument(argc, argv, 1, 1) * 1e9);

	while (wall_ns() < end) {
		after_exec_burn();
		note_stall();
	}
	printf("after_ns %" PRIu64 "\n", thread_ns() - begin);
	linger();
	return 0;
}
