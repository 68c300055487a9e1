/* seccomp. A program that confines itself is killed for system calls that it does not make, and the
 * agent makes some when it meets a new stack, thread or child. So it ends before: at the wish for
 * no new privileges, which whoever is no superuser has to say first, or at that for a filter. Both
 * may be said by prctl or by syscall, which is looked at and left by a jump: what it is called for
 * may return twice, or on another stack. */
#include <dlfcn.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "agent/agent.h"
#include "agent/symbols.h"
#include "agent/wishes.h"

static void leave(void)
{
	/* Of children, too. */
	agent_config.is_off = true;
	agent_stop(RSPROF_SHM_CONFINED);
}

/* Children of vfork have a memory that is not theirs: their wish for no new privileges is nothing
 * to it, and a filter only what they may do before they become another program. */
static void look_at_prctl(int option, long first, long second)
{
	if (option == PR_SET_NO_NEW_PRIVS && !agent_is_borrowed())
		leave();
	/* Without a filter it only asks whether there are any. */
	if (option == PR_SET_SECCOMP && (first != SECCOMP_MODE_FILTER || second))
		leave();
}

static void look_at_seccomp(long operation, long filter)
{
	if (operation == SECCOMP_SET_MODE_STRICT ||
	    (operation == SECCOMP_SET_MODE_FILTER && filter))
		leave();
}

static long result_of(long result)
{
	if (result >= 0 || result < -4095)
		return result;
	errno = (int)-result;
	return -1;
}

AGENT_EXPORT int prctl(int option, ...)
{
	long a, b, c, d;
	va_list list;

	va_start(list, option);
	a = va_arg(list, long);
	b = va_arg(list, long);
	c = va_arg(list, long);
	d = va_arg(list, long);
	va_end(list);
	look_at_prctl(option, a, b);
	return (int)result_of(sys_call(SYS_prctl, option, a, b, c, d, 0));
}

WISH_IS(prctl);

/* ---- syscall */

_Static_assert(SYS_prctl == 157 && SYS_seccomp == 317, "as they are written below");

void confine_own_syscall(void) __attribute__((visibility("hidden")));
void (*confine_real_syscall)(void) __attribute__((visibility("hidden"))) = confine_own_syscall;
void confine_look(long number, long first, long second, long third)
	__attribute__((visibility("hidden"), used));
long confine_failed(long error) __attribute__((visibility("hidden"), used));

void confine_look(long number, long first, long second, long third)
{
	int error = errno;

	if (number == SYS_seccomp)
		look_at_seccomp(first, third);
	else
		look_at_prctl((int)first, second, third);
	errno = error;
}

long confine_failed(long error)
{
	return result_of(error);
}

/* As libc's does, until that is found. */
__asm__(".pushsection .text\n"
	".balign 16\n"
	".globl syscall\n"
	".type syscall, @function\n"
	"syscall:\n"
	"	.cfi_startproc\n"
	"	cmp $157, %rdi\n"
	"	je 1f\n"
	"	cmp $317, %rdi\n"
	"	je 1f\n"
	"	jmp *confine_real_syscall(%rip)\n"
	"1:	push %rdi\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	push %rsi\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	push %rdx\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	push %rcx\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	push %r8\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	push %r9\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	push %rax\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	call confine_look\n"
	"	pop %rax\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	pop %r9\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	pop %r8\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	pop %rcx\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	pop %rdx\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	pop %rsi\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	pop %rdi\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	jmp *confine_real_syscall(%rip)\n"
	"	.cfi_endproc\n"
	".size syscall, .-syscall\n"
	".balign 16\n"
	".hidden confine_own_syscall\n"
	".globl confine_own_syscall\n"
	".type confine_own_syscall, @function\n"
	"confine_own_syscall:\n"
	"	.cfi_startproc\n"
	"	mov %rdi, %rax\n"
	"	mov %rsi, %rdi\n"
	"	mov %rdx, %rsi\n"
	"	mov %rcx, %rdx\n"
	"	mov %r8, %r10\n"
	"	mov %r9, %r8\n"
	"	mov 8(%rsp), %r9\n"
	"	syscall\n"
	"	cmp $-4095, %rax\n"
	"	jae 1f\n"
	"	ret\n"
	"1:	mov %rax, %rdi\n"
	"	jmp confine_failed\n"
	"	.cfi_endproc\n"
	".size confine_own_syscall, .-confine_own_syscall\n"
	".popsection\n");

WISH_IS(syscall);

__attribute__((constructor)) static void find_real(void)
{
	void *found = NULL;
	int error = errno;

	agent_thread.internal_depth++;
	if (symbols_have(0, "syscall"))
		found = dlsym(RTLD_NEXT, "syscall");
	agent_thread.internal_depth--;
	if (found)
		confine_real_syscall = (void (*)(void))found;
	errno = error;
}
