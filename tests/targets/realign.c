/* realign SECONDS [now]: burns in functions that align their stack anew, 20 calls deep, and in the
 * first instructions of one that is called over and over: there its frame is known by another
 * register only. */
#include "tests/targets/target.h"

#include <alloca.h>

enum { DEPTH = 20, CALLS = 20000, CALL_ROUNDS = 2 };

/* What lies in memory, so that the alignment is needed. Written to, since a page of the stack that
 * was never touched cannot be copied by the kernel, nor what lies above it. */
#define TOUCH(block)                                                                               \
	do {                                                                                       \
		(block)[0] = 1;                                                                    \
		__asm__ volatile("" : : "r"(block) : "memory");                                    \
	} while (0)

APART static void aligned_leaf(unsigned size)
{
	char block[64] __attribute__((aligned(64)));
	char *more = alloca(size);

	TOUCH(block);
	TOUCH(more);
	CHURN(CALL_ROUNDS);
}

APART static unsigned aligned_descend(unsigned depth)
{
	char block[64] __attribute__((aligned(64)));
	char *more = alloca(depth * 8 + 8);

	TOUCH(block);
	TOUCH(more);
	if (depth == 0) {
		for (unsigned i = 0; i < CALLS; i++)
			aligned_leaf(i % 64 + 1);
		return 0;
	}
	return aligned_descend(depth - 1) + 1;
}

int main(int argc, char **argv)
{
	uint64_t need_ns = (uint64_t)(number_argument(argc, argv, 1, 1) * 1e9), begin;

	block_signals();
	if (!is_told_now(argc, argv))
		wait_for_go();
	begin = thread_ns();
	while (thread_ns() - begin < need_ns) {
		aligned_descend(DEPTH);
		note_stall();
	}
	printf("cpu_ns %" PRIu64 "\n", thread_ns() - begin);
	if (!is_told_now(argc, argv))
		linger();
	return 0;
}
