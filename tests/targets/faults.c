/* faults N [PAUSE_EVERY]: on the signal, touches N fresh pages of anonymous memory, two of three on one
 * line and the third on another; after each PAUSE_EVERY pages it rests for 5 ms (0: never), which keeps it
 * below the rate at which the kernel throttles an event. */
#include "tests/targets/target.h"

#include <sys/mman.h>

APART static void touch_two(volatile char *page, size_t size)
{
	KEEP_FRAME();
	for (int i = 0; i < 2; i++)
		page[(size_t)i * size] = 1; // TWO
}

APART static void touch_one(volatile char *page)
{
	KEEP_FRAME();
	page[0] = 1; // ONE
}

static long faults_now(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

int main(int argc, char **argv)
{
	size_t groups = (size_t)number_argument(argc, argv, 1, 30000) / 3;
	size_t every = (size_t)number_argument(argc, argv, 2, 0) / 3;
	size_t size = (size_t)sysconf(_SC_PAGESIZE), length = groups * 3 * size;
	struct timespec rest = {.tv_nsec = 5000000};
	char *memory;
	long before;

	block_signals();
	wait_for_go();
	memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 1;
	madvise(memory, length, MADV_NOHUGEPAGE);
	before = faults_now();
	for (size_t i = 0; i < groups; i++) {
		touch_two(memory + 3 * i * size, size);
		touch_one(memory + (3 * i + 2) * size);
		if (every && i % every == every - 1)
			nanosleep(&rest, NULL);
	}
	printf("touched %zu\nfaults %ld\n", 3 * groups, faults_now() - before);
	linger();
	return 0;
}
