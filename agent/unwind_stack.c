/* Where stacks are. A stack that the thread was given may be read from the stack pointer up to its
 * end: that is mapped as long as the thread runs on it. The main thread's grows downwards, and the
 * kernel keeps the room below it free; what others have is told by threads.c, or, for threads that
 * were there before, by the mapping that their thread control block tops. */
#include "agent/unwind.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

extern void *__libc_stack_end __attribute__((weak));

#define GAP_BYTES ((uintptr_t)128 << 20)

static uintptr_t main_low, main_high;

bool unwind_stack_begin(void)
{
	struct rlimit limit = {GAP_BYTES, GAP_BYTES};

	if (main_high)
		return true;
	main_high = agent_process.main_stack_high;
	if (!main_high && &__libc_stack_end)
		main_high = (uintptr_t)__libc_stack_end;
	sys_call(SYS_prlimit64, 0, RLIMIT_STACK, 0, (long)&limit, 0, 0);
	main_low = main_high - (limit.rlim_cur < GAP_BYTES ? limit.rlim_cur : GAP_BYTES);
	return true;
}

void unwind_set_stack(struct agent_thread *thread, uintptr_t low, uintptr_t high)
{
	thread->stack_low = low;
	thread->stack_high = high;
}

/* Reads one line's range after another out of /proc/self/maps. */
struct maps {
	uintptr_t number[2];
	unsigned at; /* 0, 1: within a number; 2: behind them */
};

/* Whether the range is complete with this character. */
static bool take_character(struct maps *maps, char c)
{
	unsigned digit;

	if (c == '\n') {
		*maps = (struct maps){0};
		return false;
	}
	if (maps->at == 2)
		return false;
	if (c == '-' || c == ' ')
		return ++maps->at == 2;
	digit = c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
	maps->number[maps->at] = maps->number[maps->at] << 4 | (digit & 15);
	return false;
}

static bool find_mapping(uintptr_t address, uintptr_t *ret_low, uintptr_t *ret_high)
{
	int fd = sys_open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	struct maps maps = {0};
	char text[512];
	bool is_found = false;
	long got;

	if (fd < 0)
		return false;
	while (!is_found && (got = sys_read(fd, text, sizeof(text))) > 0) {
		for (long i = 0; i < got && !is_found; i++) {
			if (!take_character(&maps, text[i]))
				continue;
			is_found = address >= maps.number[0] && address < maps.number[1];
		}
	}
	sys_close(fd);
	if (is_found) {
		*ret_low = maps.number[0];
		*ret_high = maps.number[1];
	}
	return is_found;
}

void unwind_stack_find(struct agent_thread *thread, uintptr_t sp)
{
	uintptr_t control, low, high;

	__asm__("mov %%fs:0x10, %0" : "=r"(control));
	if (sp >= main_low && sp < main_high) {
		unwind_set_stack(thread, main_low, main_high);
		return;
	}
	/* Found once: a thread that begins on a stack of its own making has none. */
	unwind_set_stack(thread, 1, 1);
	if (control > sp && find_mapping(sp, &low, &high) && control < high)
		unwind_set_stack(thread, low, control);
}
