#include "reader/target/inject_call.h"

#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "reader/util/clock.h"

/* ---- the code. Where it ends up it can write nothing of its own, so that all it knows by itself
 * is in constants that are filled in before. What it changes of the flags after they are the
 * thread's own again is nothing: jrcxz and lea do not touch them. */

#define BLOCK_BYTES 262144
#define CONTROL_AT 253952 /* the stack ends here */
#define EXTENDED_AT 258048
/* x87, SSE, AVX, AVX-512, PKRU: 2,696 bytes in the standard form. */
#define EXTENDED_MASK 0x2e7
#define COMMAND_LEAVE 1
#define COMMAND_CALL 2
#define COMMAND_SYSTEM 3
/* Some tenths of a millisecond, before a wait becomes a sleep: a busy machine is slow to wake who
 * sleeps. */
#define SPINS 8000
#define TO_TEXT(number) #number
#define NUMBER(number) TO_TEXT(number)
#define AT(field) NUMBER(CONTROL_AT) "+" NUMBER(field) "(%rbx)"
#define FIELD_COMMAND 0
#define FIELD_COUNT 8
#define FIELD_RESULT 16
#define FIELD_FUNCTION 24
#define FIELD_ARGUMENTS 32
#define FIELD_TEXT 128

__asm__(".pushsection .rodata\n"
	".balign 16\n"
	".globl inject_code\n"
	".hidden inject_code\n"
	"inject_code:\n"
	/* mmap, with its arguments in the registers. */
	"	syscall\n"
	"	mov 8f(%rip), %rcx\n"
	"	lea (%rax,%rcx), %rcx\n"
	"	jrcxz 1f\n"
	/* No memory, or elsewhere; munmap refuses what is an error. */
	"	mov %rax, %rdi\n"
	"	mov $" NUMBER(
		BLOCK_BYTES) ", %esi\n"
			     "	mov $11, %eax\n"
			     "	syscall\n"
			     "	jmp 5f\n"
			     "1:	mov %rax, %rbx\n"
			     "	lea " NUMBER(
				     CONTROL_AT) "(%rbx), %rsp\n"
						 "	mov $" NUMBER(
							 EXTENDED_MASK) ", %eax\n"
									"	xor %edx, "
									"%edx\n"
									"	xsave64"
									" " NUMBER(
										EXTENDED_AT) "(%"
											     "rbx)"
											     "\n"
											     "	cld"
											     "\n"
											     /* Waits
												for
												a
												command.
											      */
											     "2:"
											     "	mov"
											     " 9f(%"
											     "rip),"
											     " %"
											     "r12\n"
											     "	mov"
											     " "
											     "$" NUMBER(SPINS) ", %r13d\n"
													       "3:	mov " AT(FIELD_COMMAND) ", %rax\n"
																		"	test %eax, %eax\n"
																		"	jne 4f\n"
																		"	pause\n"
																		"	dec %r13d\n"
																		"	jns 3b\n"
																		"	xor %r13d, %r13d\n"
																		"	dec %r12\n"
																		"	js 6f\n"
																		"	xor %edi, %edi\n"
																		"	xor %esi, %esi\n"
																		"	lea 7f(%rip), %rdx\n"
																		"	xor %r10d, %r10d\n"
																		"	mov $8, %r8d\n"
																		"	mov $271, %eax\n"
																		"	syscall\n"
																		"	jmp 3b\n"
																		"4:	cmp $" NUMBER(COMMAND_LEAVE) ", %eax\n"
																						     "	je 6f\n"
																						     "	mov " AT(
																							     FIELD_ARGUMENTS) ", %rdi\n"
																									      "	mov 8+" AT(
																										      FIELD_ARGUMENTS) ", %rsi\n"
																												       "	mov 16+" AT(
																													       FIELD_ARGUMENTS) ", %rdx\n"
																																"	cmp $" NUMBER(COMMAND_SYSTEM) ", %eax\n"
																																				      "	je 1f\n"
																																				      "	xor %eax, %eax\n"
																																				      "	call *" AT(
																																					      FIELD_FUNCTION) "\n"
																																							      "	jmp 4f\n"
																																							      "1:	mov " AT(
																																								      FIELD_FUNCTION) ", %rax\n"
																																										      "	syscall\n"
																																										      "4:	mov %rax, " AT(FIELD_RESULT) "\n"
																																															     "	movq $0, " AT(FIELD_COMMAND) "\n"
																																																			     "	incq " AT(
																																																				     FIELD_COUNT) "\n"
																																																						  "	jmp 2b\n"
																																																						  /* Back: the memory goes, then there is a while for rsprof to set the registers. */
																																																						  "6:	mov $" NUMBER(EXTENDED_MASK) ", %eax\n"
																																																										     "	xor %edx, %edx\n"
																																																										     "	xrstor64 " NUMBER(
																																																											     EXTENDED_AT) "(%rbx)\n"
																																																													  "	pushq inject_flags(%rip)\n"
																																																													  "	popfq\n"
																																																													  "	mov inject_rsp(%rip), %rsp\n"
																																																													  "	mov %rbx, %rdi\n"
																																																													  "	mov $" NUMBER(
																																																														  BLOCK_BYTES) ", %esi\n"
																																																															       "	mov $11, %eax\n"
																																																															       "	syscall\n"
																																																															       "5:	mov 9f(%rip), %r12\n"
																																																															       "1:	mov %r12, %rcx\n"
																																																															       "	jrcxz 2f\n"
																																																															       "	lea -1(%r12), %r12\n"
																																																															       "	mov $0, %edi\n"
																																																															       "	mov $0, %esi\n"
																																																															       "	lea 7f(%rip), %rdx\n"
																																																															       "	mov $0, %r10d\n"
																																																															       "	mov $8, %r8d\n"
																																																															       "	mov $271, %eax\n"
																																																															       "	syscall\n"
																																																															       "	jmp 1b\n"
																																																															       "2:	mov $2, %edi\n"
																																																															       "	lea inject_mask(%rip), %rsi\n"
																																																															       "	mov $0, %edx\n"
																																																															       "	mov $8, %r10d\n"
																																																															       "	mov $14, %eax\n"
																																																															       "	syscall\n"
																																																															       "	mov inject_registers(%rip), %rax\n"
																																																															       "	mov inject_registers+8(%rip), %rbx\n"
																																																															       "	mov inject_registers+16(%rip), %rcx\n"
																																																															       "	mov inject_registers+24(%rip), %rdx\n"
																																																															       "	mov inject_registers+32(%rip), %rsi\n"
																																																															       "	mov inject_registers+40(%rip), %rdi\n"
																																																															       "	mov inject_registers+48(%rip), %rbp\n"
																																																															       "	mov inject_registers+56(%rip), %r8\n"
																																																															       "	mov inject_registers+64(%rip), %r9\n"
																																																															       "	mov inject_registers+72(%rip), %r10\n"
																																																															       "	mov inject_registers+80(%rip), %r11\n"
																																																															       "	mov inject_registers+88(%rip), %r12\n"
																																																															       "	mov inject_registers+96(%rip), %r13\n"
																																																															       "	mov inject_registers+104(%rip), %r14\n"
																																																															       "	mov inject_registers+112(%rip), %r15\n"
																																																															       "	jmp *inject_rip(%rip)\n"
																																																															       ".balign 8\n"
																																																															       ".globl inject_constants\n"
																																																															       ".hidden inject_constants\n"
																																																															       "inject_constants:\n"
																																																															       "7:	.quad 0, 0\n"
																																																															       "8:	.quad 0\n"
																																																															       "9:	.quad 0\n"
																																																															       "inject_flags: .quad 0\n"
																																																															       "inject_rsp: .quad 0\n"
																																																															       "inject_rip: .quad 0\n"
																																																															       "inject_mask: .quad 0\n"
																																																															       "inject_registers: .skip 120\n"
																																																															       ".globl inject_code_end\n"
																																																															       ".hidden inject_code_end\n"
																																																															       "inject_code_end:\n"
																																																															       ".popsection\n");

extern const uint8_t inject_code[], inject_constants[], inject_code_end[];

/* What the assembly has at inject_constants. */
struct constants {
	uint64_t nap_s, nap_ns;
	uint64_t minus_block;
	uint64_t naps; /* without a word from rsprof, until the thread goes its own way */
	uint64_t flags, rsp, rip, mask;
	uint64_t registers[15];
};

enum {
	CODE_BYTES_MAX = 1024,
	HOLES_MAX = 64,
	NAP_NS = 50000,
	NAPS = 10000, /* half a second at least */
	/* From there the system call is tried anew, by its own number or by the one that goes on
	 * where a timed one was left. */
	RESTART_BYTES = 2,
	ERESTARTSYS = 512,
	ERESTARTNOINTR = 513,
	ERESTARTNOHAND = 514,
	ERESTART_RESTARTBLOCK = 516,
	/* What the thread's own instructions cause is never held back. */
	FAULT_SIGNALS = 1 << (SIGSEGV - 1) | 1 << (SIGBUS - 1) | 1 << (SIGILL - 1) |
			1 << (SIGFPE - 1) | 1 << (SIGTRAP - 1) | 1 << (SIGSYS - 1),
};

#define STOP_PATIENCE_NS (UINT64_C(500) * NS_PER_MS)

static size_t code_bytes(void)
{
	return (size_t)(inject_code_end - inject_code + 7) & ~(size_t)7;
}

static bool has_xsave(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE);
}

/* As the kernel does when it lets a thread go on that it has interrupted in a system call. */
static void restart_by_hand(const struct user_regs_struct *from, uint64_t *rip, uint64_t *rax)
{
	*rip = from->rip;
	*rax = from->rax;
	if ((long)from->orig_rax < 0)
		return;
	switch (-(long)from->rax) {
	case ERESTARTSYS:
	case ERESTARTNOINTR:
	case ERESTARTNOHAND:
		*rip -= RESTART_BYTES;
		*rax = from->orig_rax;
		break;
	case ERESTART_RESTARTBLOCK:
		*rip -= RESTART_BYTES;
		*rax = SYS_restart_syscall;
		break;
	default:
		break;
	}
}

static void fill_code(const struct inject_call *call, uint8_t code[CODE_BYTES_MAX])
{
	const struct user_regs_struct *from = &call->thread->registers;
	struct constants constants = {
		.nap_ns = NAP_NS,
		.minus_block = 0 - call->block,
		.naps = NAPS,
		.flags = from->eflags,
		.rsp = from->rsp,
		.mask = call->thread->mask,
		.registers = {0, from->rbx, from->rcx, from->rdx, from->rsi, from->rdi, from->rbp,
			      from->r8, from->r9, from->r10, from->r11, from->r12, from->r13,
			      from->r14, from->r15},
	};

	restart_by_hand(from, &constants.rip, &constants.registers[0]);
	memset(code, 0, CODE_BYTES_MAX);
	memcpy(code, inject_code, (size_t)(inject_code_end - inject_code));
	memcpy(code + (inject_constants - inject_code), &constants, sizeof(constants));
}

/* A place that holds what the file says: another rsprof's thread may be in it otherwise. */
static bool find_hole(struct inject_call *call, uint8_t original[CODE_BYTES_MAX])
{
	uint8_t now[CODE_BYTES_MAX];

	for (unsigned i = 0; i < HOLES_MAX; i++) {
		if (!inject_image_hole(call->image, i, code_bytes(), &call->hole, original))
			return false;
		if (inject_trace_peek(call->thread->tid, call->hole, now, code_bytes()) &&
		    memcmp(now, original, code_bytes()) == 0)
			return true;
	}
	return false;
}

static bool is_in_code(const struct inject_call *call, uint64_t rip)
{
	return rip >= call->hole && rip < call->hole + code_bytes();
}

static bool has_block(const struct inject_call *call)
{
	uint64_t word;

	return inject_memory_read(call->target->pid, call->block + CONTROL_AT, &word, sizeof(word));
}

/* ---- back */

static void put_back(struct inject_call *call)
{
	uint8_t original[CODE_BYTES_MAX], now[CODE_BYTES_MAX];

	/* The candidate is found again by its address: what it held is what the file has. */
	for (unsigned i = 0; i < HOLES_MAX; i++) {
		uint64_t address;

		if (!inject_image_hole(call->image, i, code_bytes(), &address, original))
			return;
		if (address != call->hole)
			continue;
		if (inject_trace_peek(call->thread->tid, address, now, code_bytes()))
			inject_trace_poke(call->thread->tid, address, original, code_bytes());
		return;
	}
}

/* The thread is stopped. Where it is still in our code, its registers become its own; the code is
 * taken back only then: a handler may return into it otherwise. */
static void release(struct inject_call *call)
{
	pid_t tid = call->thread->tid;
	struct user_regs_struct now;

	if (inject_trace_get(tid, &now) && is_in_code(call, now.rip) && !has_block(call) &&
	    inject_trace_set_mask(tid, call->thread->mask) &&
	    inject_trace_set(tid, &call->thread->registers))
		put_back(call);
	inject_trace_release(tid);
}

/* Waits until the thread has given its memory back, or has gone its own way. */
static void wait_for_end(struct inject_call *call)
{
	uint64_t deadline = clock_now_ns() + STOP_PATIENCE_NS;

	while (has_block(call) && clock_now_ns() < deadline) {
		if (inject_trace_serve(call->thread->tid) == INJECT_GONE)
			return;
		inject_trace_nap();
	}
	if (inject_trace_interrupt(call->thread->tid, STOP_PATIENCE_NS) == INJECT_STOPPED)
		release(call);
}

void inject_call_end(struct inject_call *call)
{
	uint64_t leave = COMMAND_LEAVE;

	inject_memory_write(call->target->pid, call->block + CONTROL_AT + FIELD_COMMAND, &leave,
			    sizeof(leave));
	wait_for_end(call);
}

/* ---- forth */

static bool send_thread(struct inject_call *call)
{
	const struct inject_thread *thread = call->thread;
	struct user_regs_struct to = thread->registers;

	to.rip = call->hole;
	to.rax = SYS_mmap;
	to.orig_rax = (unsigned long)-1;
	to.rdi = call->block;
	to.rsi = BLOCK_BYTES;
	to.rdx = PROT_READ | PROT_WRITE;
	to.r10 = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
	to.r8 = (unsigned long)-1;
	to.r9 = 0;
	/* Signals wait until the thread is back: so a handler's return cannot be lost, and what it
	 * interrupts is the system call that it would have interrupted. */
	return inject_trace_set(thread->tid, &to) &&
	       inject_trace_set_mask(thread->tid,
				     thread->mask | ~(uint64_t)(uint32_t)FAULT_SIGNALS);
}

int inject_call_begin(struct inject_call *call)
{
	uint8_t code[CODE_BYTES_MAX], original[CODE_BYTES_MAX];
	pid_t tid = call->thread->tid;
	int ret = -EBUSY;

	call->block = inject_image_gap(call->image, BLOCK_BYTES);
	if (code_bytes() > CODE_BYTES_MAX || !has_xsave() || call->block == 0 ||
	    !find_hole(call, original))
		goto out;
	fill_code(call, code);
	if (!inject_trace_poke(tid, call->hole, code, code_bytes()) || !send_thread(call)) {
		inject_trace_set(tid, &call->thread->registers);
		inject_trace_poke(tid, call->hole, original, code_bytes());
		ret = -ESRCH;
		goto out;
	}
	if (!inject_trace_continue(tid))
		return -ESRCH;
	/* It is a system call away. */
	for (uint64_t deadline = clock_now_ns() + STOP_PATIENCE_NS; clock_now_ns() < deadline;) {
		if (has_block(call))
			return 0;
		if (inject_trace_serve(tid) == INJECT_GONE)
			return -ESRCH;
		inject_trace_nap();
	}
	wait_for_end(call);
	return -ENOMEM;
out:
	inject_trace_release(tid);
	return ret;
}

int inject_call_do(struct inject_call *call, uint64_t function, long number,
		   const uint64_t *arguments, uint64_t *ret_result)
{
	pid_t pid = call->target->pid;
	uint64_t control = call->block + CONTROL_AT, count;
	uint64_t command = function ? COMMAND_CALL : COMMAND_SYSTEM;
	uint64_t what = function ? function : (uint64_t)number;

	if (!inject_memory_write(pid, control + FIELD_FUNCTION, &what, sizeof(what)) ||
	    !inject_memory_write(pid, control + FIELD_ARGUMENTS, arguments,
				 3 * sizeof(*arguments)) ||
	    !inject_memory_write(pid, control + FIELD_COMMAND, &command, sizeof(command)))
		return -ESRCH;
	for (;;) {
		if (!inject_memory_read(pid, control + FIELD_COUNT, &count, sizeof(count)))
			return -ESRCH;
		if (count != call->count)
			break;
		if (inject_trace_serve(call->thread->tid) == INJECT_GONE)
			return -ESRCH;
		if (clock_now_ns() > call->deadline_ns)
			return -ETIMEDOUT;
		inject_trace_nap();
	}
	call->count = count;
	if (!inject_memory_read(pid, control + FIELD_RESULT, ret_result, sizeof(*ret_result)))
		return -ESRCH;
	return 0;
}

uint64_t inject_call_text(struct inject_call *call, const char *text)
{
	uint64_t address = call->block + CONTROL_AT + FIELD_TEXT;
	size_t bytes = strlen(text) + 1;

	if (bytes > INJECT_TEXT_MAX ||
	    !inject_memory_write(call->target->pid, address, text, bytes))
		return 0;
	return address;
}
