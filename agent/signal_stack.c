#include "agent/signal_stack.h"

#include <errno.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include "agent/cpu.h"

enum { STACK_BYTES = 64 << 10, AUX_MINIMUM = 51, LEAST_BYTES = 4096, OWN_BYTES = 512 };

bool signal_stack_is_too_small(const stack_t *stack)
{
	unsigned long least = getauxval(AUX_MINIMUM);

	if (least < 2 * LEAST_BYTES)
		least += OWN_BYTES;
	if (least < LEAST_BYTES)
		least = LEAST_BYTES;
	return !(stack->ss_flags & SS_DISABLE) && stack->ss_size < least;
}

/* All signals are held back: the kernel would take the alternate stack for free. */
static void call_on(char *top, void (*function)(void *), void *argument)
{
	uint64_t all = ~UINT64_C(0), before = 0;

	sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, sizeof(all), 0, 0);
	__asm__ volatile("mov %%rsp, %%rbx\n\t"
			 "mov %[top], %%rsp\n\t"
			 "call *%[function]\n\t"
			 "mov %%rbx, %%rsp"
			 : "+D"(argument)
			 : [top] "r"(top), [function] "r"(function)
			 : "rbx", "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "cc",
			   "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
			   "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof(before), 0, 0);
}

bool signal_stack_is_in_use(const ucontext_t *context)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	return context->uc_stack.ss_size &&
	       here - (uintptr_t)context->uc_stack.ss_sp < context->uc_stack.ss_size;
}

bool signal_stack_call(struct agent_lane *lane, void (*function)(void *), void *argument)
{
	if (!lane->is_shared && !lane->signal_stack)
		lane->signal_stack = sys_map(STACK_BYTES);
	if (lane->is_shared || !lane->signal_stack)
		return false;
	call_on(lane->signal_stack + STACK_BYTES, function, argument);
	return true;
}

AGENT_EXPORT int sigaltstack(const stack_t *stack, stack_t *ret_old)
{
	bool is_small = stack && signal_stack_is_too_small(stack);
	long result;

	/* Before, since the first signal may come at once. */
	if (is_small)
		cpu_signal_stack(true);
	result = sys_call(SYS_sigaltstack, (long)stack, (long)ret_old, 0, 0, 0, 0);
	if (!result && stack)
		cpu_signal_stack(is_small);
	if (!result)
		return 0;
	errno = (int)-result;
	return -1;
}
