/* agentjump JUMPS [now]: the handler of a timer leaves what it interrupted by siglongjmp, an allocation often.
 * Those that were interrupted may have been counted or not; those after it are, all of them. Linked with an
 * allocator that allows this, ownalloc.so. */
#include "tests/targets/heap_truth.h"

#include <setjmp.h>
#include <sys/time.h>

static struct site after = {"AFTER"};
static sigjmp_buf landing;
static volatile uint64_t begun, done;

static void on_timer(int number)
{
	(void)number;
	siglongjmp(landing, 1);
}

APART static void allocate(void)
{
	void *block;

	begun++;
	block = malloc(24); // TORN
	ESCAPE(block);
	done++;
}

int main(int argc, char **argv)
{
	volatile uint64_t jumps = 0, count = (uint64_t)number_argument(argc, argv, 1, 100);
	struct itimerval period = {{0, 0}, {0, 400}}, off = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = on_timer};

	block_signals();
	if (!is_told_now(argc, argv))
		wait_for_go();
	sigaction(SIGALRM, &action, NULL);
	if (sigsetjmp(landing, 1))
		jumps++;
	if (jumps < count) {
		setitimer(ITIMER_REAL, &period, NULL);
		for (;;)
			allocate();
	}
	setitimer(ITIMER_REAL, &off, NULL);
	for (size_t i = 0; i < 5000; i++) {
		void *block = malloc(40); // AFTER

		ESCAPE(block);
		note_alloc(&after, block, 40);
		if (i % 2) {
			note_free(&after, block, 40);
			free(block);
		}
	}
	printf("jumps %" PRIu64 "\nTORN.begun %" PRIu64 "\nTORN.done %" PRIu64 "\n", jumps, begun, done);
	print_site(&after);
	if (!is_told_now(argc, argv))
		linger();
	return 0;
}
