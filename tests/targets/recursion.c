/* recursion DEPTH SECONDS [now]: burns at the bottom of DEPTH calls of one function. */
#include "tests/targets/target.h"

APART static void bottom_burn(void)
{
	CHURN(ROUNDS);
}

APART static unsigned descend(unsigned depth)
{
	if (depth == 0) {
		bottom_burn();
		return 0;
	}
	return descend(depth - 1) + 1;
}

int main(int argc, char **argv)
{
	unsigned depth = (unsigned)number_argument(argc, argv, 1, 300);
	uint64_t need_ns = (uint64_t)(number_argument(argc, argv, 2, 1) * 1e9), begin;

	block_signals();
	if (!is_told_now(argc, argv))
		wait_for_go();
	begin = thread_ns();
	while (thread_ns() - begin < need_ns) {
		descend(depth);
		note_stall();
	}
	printf("cpu_ns %" PRIu64 "\n", thread_ns() - begin);
	if (!is_told_now(argc, argv))
		linger();
	return 0;
}
