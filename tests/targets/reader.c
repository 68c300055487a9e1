/* reader SECONDS: on the signal, SECONDS of reads from /dev/zero, nearly all of it system time. */
#include "tests/targets/target.h"

#include <fcntl.h>
#include <sys/syscall.h>

enum { READS = 256, BLOCK = 65536 };

static char block[BLOCK];

/* libc's read() has no frame of its own and would hide its caller from a walk along frame pointers. */
__attribute__((always_inline)) static inline long read_block(int fd)
{
#ifdef __x86_64__
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(SYS_read), "D"(fd), "S"(block), "d"(sizeof(block))
			 : "rcx", "r11", "memory");
	return result;
#else
	return read(fd, block, sizeof(block));
#endif
}

APART static void read_zeroes(int fd)
{
	KEEP_FRAME();
	for (int i = 0; i < READS; i++) {
		if (read_block(fd) != BLOCK)
			exit(1);
	}
}

int main(int argc, char **argv)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct rusage before, after;
	uint64_t end, begin;

	block_signals();
	wait_for_go();
	getrusage(RUSAGE_SELF, &before);
	begin = process_ns();
	end = wall_ns() + (uint64_t)(number_argument(argc, argv, 1, 2) * 1e9);
	while (wall_ns() < end) {
		read_zeroes(fd);
		note_stall();
	}
	begin = process_ns() - begin;
	getrusage(RUSAGE_SELF, &after);
	printf("cpu_ns %" PRIu64 "\nuser_ns %" PRIu64 "\nsystem_ns %" PRIu64 "\n", begin,
	       timeval_ns(after.ru_utime) - timeval_ns(before.ru_utime),
	       timeval_ns(after.ru_stime) - timeval_ns(before.ru_stime));
	linger();
	return 0;
}
