#include "reader/target/inject_trace.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "reader/util/clock.h"

enum {
	NAP_NS = 20000,
	/* How long a thread may take to get a CPU, or to come out of the kernel. */
	STOP_NS = 100000000,
	SIGNAL_SET_BYTES = 8, /* the kernel's */
	/* Newer than the C library's headers. */
	GET_SEQUENCE = 0x420f,
	SHADOW_STACK = 0x204,
};

/* Ours only: rsprof has other children. */
static const int WAIT = __WALL | __WNOTHREAD | WNOHANG;

/* As waitpid; but who has ended is left for its parent to find, which may be rsprof. */
static pid_t wait_stop(pid_t tid, int *ret_status)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)tid, &info, WSTOPPED | WEXITED | WNOWAIT | WAIT) < 0)
		return errno == EINTR ? 0 : -1;
	if (info.si_pid == 0)
		return 0;
	if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED)
		return -1;
	return waitpid(tid, ret_status, WAIT);
}

void inject_trace_nap(void)
{
	struct timespec nap = {0, NAP_NS};

	nanosleep(&nap, NULL);
}

static bool is_event(int status)
{
	return status >> 16 == PTRACE_EVENT_STOP;
}

void inject_trace_release(pid_t tid)
{
	ptrace(PTRACE_DETACH, tid, NULL, NULL);
}

bool inject_trace_continue(pid_t tid)
{
	return ptrace(PTRACE_CONT, tid, NULL, NULL) == 0;
}

/* Of all that are traced but that one. */
static void let_late_go(pid_t but)
{
	for (;;) {
		siginfo_t info = {0};
		int status, signal;

		if (waitid(P_ALL, 0, &info, WSTOPPED | WNOWAIT | WAIT) < 0 || info.si_pid == 0 ||
		    info.si_pid == but || wait_stop(info.si_pid, &status) != info.si_pid)
			return;
		signal = is_event(status) ? 0 : WSTOPSIG(status);
		ptrace(PTRACE_DETACH, info.si_pid, NULL, (void *)(intptr_t)signal);
	}
}

/* A signal of the program's own comes first. Its stop takes an interrupt with it that came while
 * the kernel had set about it; one that comes during the stop stays. */
static void pass_signal(pid_t tid, int signal)
{
	ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	ptrace(PTRACE_CONT, tid, NULL, (void *)(intptr_t)signal);
}

void inject_trace_late(void)
{
	let_late_go(0);
}

enum inject_stop inject_trace_interrupt(pid_t tid, uint64_t patience_ns)
{
	uint64_t deadline = clock_now_ns() + patience_ns;

	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 && errno == ESRCH)
		return INJECT_GONE;
	for (;;) {
		int status;
		pid_t got = wait_stop(tid, &status);

		if (got < 0)
			return INJECT_GONE;
		if (got == tid && is_event(status)) {
			if (WSTOPSIG(status) == SIGTRAP)
				return INJECT_STOPPED;
			ptrace(PTRACE_DETACH, tid, NULL, NULL);
			return INJECT_HELD;
		}
		if (got == tid)
			pass_signal(tid, WSTOPSIG(status));
		else if (clock_now_ns() > deadline)
			return INJECT_BUSY;
		else
			inject_trace_nap();
	}
}

enum inject_stop inject_trace_seize(pid_t tid)
{
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0) {
		int error = errno;

		/* Unless it is ours already, from a time when it did not stop. */
		if (error == EPERM && ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0)
			return inject_trace_interrupt(tid, STOP_NS);
		errno = error;
		return error == ESRCH ? INJECT_GONE : INJECT_REFUSED;
	}
	return inject_trace_interrupt(tid, STOP_NS);
}

enum inject_stop inject_trace_serve(pid_t tid)
{
	int status;
	pid_t got;

	let_late_go(tid);
	got = wait_stop(tid, &status);
	if (got <= 0)
		return got == 0 ? INJECT_BUSY : INJECT_GONE;
	if (!is_event(status))
		ptrace(PTRACE_CONT, tid, NULL, (void *)(intptr_t)WSTOPSIG(status));
	else if (WSTOPSIG(status) == SIGTRAP)
		ptrace(PTRACE_CONT, tid, NULL, NULL);
	else
		ptrace(PTRACE_LISTEN, tid, NULL, NULL);
	return INJECT_BUSY;
}

bool inject_trace_get(pid_t tid, struct user_regs_struct *ret_registers)
{
	struct iovec into = {ret_registers, sizeof(*ret_registers)};

	return ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &into) == 0 &&
	       into.iov_len == sizeof(*ret_registers);
}

bool inject_trace_set(pid_t tid, const struct user_regs_struct *registers)
{
	struct iovec from = {(void *)registers, sizeof(*registers)};

	return ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &from) == 0;
}

bool inject_trace_get_mask(pid_t tid, uint64_t *ret_mask)
{
	return ptrace(PTRACE_GETSIGMASK, tid, (void *)SIGNAL_SET_BYTES, ret_mask) == 0;
}

bool inject_trace_set_mask(pid_t tid, uint64_t mask)
{
	return ptrace(PTRACE_SETSIGMASK, tid, (void *)SIGNAL_SET_BYTES, &mask) == 0;
}

bool inject_trace_peek(pid_t tid, uint64_t address, void *into, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += sizeof(long)) {
		long word;

		errno = 0;
		word = ptrace(PTRACE_PEEKTEXT, tid, (void *)(address + at), NULL);
		if (errno)
			return false;
		memcpy((char *)into + at, &word, sizeof(word));
	}
	return true;
}

bool inject_trace_poke(pid_t tid, uint64_t address, const void *from, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += sizeof(long)) {
		long word;

		memcpy(&word, (const char *)from + at, sizeof(word));
		if (ptrace(PTRACE_POKETEXT, tid, (void *)(address + at), (void *)word) < 0)
			return false;
	}
	return true;
}

bool inject_trace_has_shadow_stack(pid_t tid)
{
	uint64_t pointer = 0;
	struct iovec into = {&pointer, sizeof(pointer)};

	return ptrace(PTRACE_GETREGSET, tid, (void *)SHADOW_STACK, &into) == 0 && pointer != 0;
}

bool inject_trace_is_in_sequence(pid_t tid, uint64_t rip)
{
	struct {
		uint64_t address;
		uint32_t bytes, signature, flags, reserved;
	} area;
	struct {
		uint32_t version, flags;
		uint64_t start, bytes, abort;
	} sequence;
	uint64_t pointer;

	/* Kernels before 5.13 do not tell; programs of that time hardly have any. */
	if (ptrace((enum __ptrace_request)GET_SEQUENCE, tid, (void *)sizeof(area), &area) < 0 ||
	    area.address == 0)
		return false;
	/* Its second word names the sequence that the thread is in, or was in last. */
	if (!inject_memory_read(tid, area.address + 8, &pointer, sizeof(pointer)))
		return true;
	if (pointer == 0)
		return false;
	return !inject_memory_read(tid, pointer, &sequence, sizeof(sequence)) ||
	       rip - sequence.start <= sequence.bytes;
}

bool inject_memory_read(pid_t pid, uint64_t address, void *into, size_t bytes)
{
	struct iovec local = {into, bytes}, remote = {(void *)address, bytes};

	return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)bytes;
}

bool inject_memory_write(pid_t pid, uint64_t address, const void *from, size_t bytes)
{
	struct iovec local = {(void *)from, bytes}, remote = {(void *)address, bytes};

	return process_vm_writev(pid, &local, 1, &remote, 1, 0) == (ssize_t)bytes;
}
