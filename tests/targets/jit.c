/* jit frames|bare SECONDS [now]: burns in code that it writes itself at run time, two calls deep:
 * with frame pointers, or with rbp used as a counter, which no walk can get past. */
#include "tests/targets/target.h"

#include <sys/mman.h>

#ifdef __x86_64__

enum { CODE_BYTES = 4096, INNER = 0, OUTER = 64 };

/* push rbp; mov %rsp,%rbp; 1: dec rdi; jnz 1b; pop rbp; ret */
static const unsigned char inner_with_frame[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0xff,
						 0xcf, 0x75, 0xfb, 0x5d, 0xc3};
/* push rbp; mov %rsp,%rbp; call INNER; pop rbp; ret */
static const unsigned char outer_with_frame[] = {0x55, 0x48, 0x89, 0xe5, 0xe8, 0xb7,
						 0xff, 0xff, 0xff, 0x5d, 0xc3};
/* push rbx; push rbp; mov %rdi,%rbp; 1: dec rbp; jnz 1b; pop rbp; pop rbx; ret */
static const unsigned char inner_bare[] = {0x53, 0x55, 0x48, 0x89, 0xfd, 0x48, 0xff,
					   0xcd, 0x75, 0xfb, 0x5d, 0x5b, 0xc3};
/* sub $8,%rsp; call INNER; add $8,%rsp; ret */
static const unsigned char outer_bare[] = {0x48, 0x83, 0xec, 0x08, 0xe8, 0xb7, 0xff,
					   0xff, 0xff, 0x48, 0x83, 0xc4, 0x08, 0xc3};

_Static_assert(OUTER + 4 + 5 - 0x49 == INNER, "both calls are 4 bytes in, to -0x49 from their end");

APART static void call_jit(void (*code)(uint64_t rounds))
{
	code(ROUNDS);
	/* No tail call. */
	__asm__ volatile("");
}

int main(int argc, char **argv)
{
	bool has_frames = argc > 1 && strcmp(argv[1], "frames") == 0;
	uint64_t need_ns = (uint64_t)(number_argument(argc, argv, 2, 1) * 1e9), begin;
	void (*entry)(uint64_t rounds);
	unsigned char *code;

	code = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (code == MAP_FAILED)
		return 1;
	if (has_frames) {
		memcpy(code + INNER, inner_with_frame, sizeof(inner_with_frame));
		memcpy(code + OUTER, outer_with_frame, sizeof(outer_with_frame));
	} else {
		memcpy(code + INNER, inner_bare, sizeof(inner_bare));
		memcpy(code + OUTER, outer_bare, sizeof(outer_bare));
	}
	mprotect(code, CODE_BYTES, PROT_READ | PROT_EXEC);
	*(void **)&entry = code + OUTER;
	block_signals();
	if (!is_told_now(argc, argv))
		wait_for_go();
	begin = thread_ns();
	while (thread_ns() - begin < need_ns) {
		call_jit(entry);
		note_stall();
	}
	printf("cpu_ns %" PRIu64 "\n", thread_ns() - begin);
	if (!is_told_now(argc, argv))
		linger();
	return 0;
}

#else

int main(void)
{
	return 77;
}

#endif
