#include "reader/source/heap_calibrate_child.h"

#include <errno.h>
#include <link.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reader/util/clock.h"

enum {
	ANSWER_MS = 3000, /* a machine that stands still for so long is not measured */
	STACK_BYTES = 16384,
};

__asm__(".pushsection .text\n"
	".balign 64\n"
	".globl calibrate_push, calibrate_jcc, calibrate_stepped\n"
	".globl calibrate_return\n"
	".hidden calibrate_push, calibrate_jcc, calibrate_stepped\n"
	".hidden calibrate_return\n"
	".type calibrate_push, @function\n"
	"calibrate_push:\n"
	"	.cfi_startproc\n"
	"	push %rbp\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	pop %rbp\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size calibrate_push, . - calibrate_push\n"
	".type calibrate_jcc, @function\n"
	"calibrate_jcc:\n"
	"	.cfi_startproc\n"
	"	je 1f\n"
	"1:	ret\n"
	"	.cfi_endproc\n"
	".size calibrate_jcc, . - calibrate_jcc\n"
	".type calibrate_stepped, @function\n"
	"calibrate_stepped:\n"
	"	.cfi_startproc\n"
	"	test %edi, %edi\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size calibrate_stepped, . - calibrate_stepped\n"
	".type calibrate_return, @function\n"
	"calibrate_return:\n"
	"	.cfi_startproc\n"
	"	push %rbp\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	pop %rbp\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size calibrate_return, . - calibrate_return\n"
	".popsection\n");

void calibrate_push(void) __attribute__((visibility("hidden")));
void calibrate_jcc(void) __attribute__((visibility("hidden")));
void calibrate_stepped(void) __attribute__((visibility("hidden")));
void calibrate_return(void) __attribute__((visibility("hidden")));

static void (*const functions[CALIBRATE_PLACES])(void) = {calibrate_push, calibrate_jcc,
							  calibrate_stepped, calibrate_return};

/* ---- the child. It is a copy of a process that may have had threads, whose locks nobody will
 * open: system calls alone, without the C library and without a sanitizer's. */

#define BARE __attribute__((no_sanitize("address", "undefined", "thread"), no_stack_protector))

/* Of the child alone: it is written after the fork. */
static struct {
	struct calibrate_request request;
	uint32_t turn; /* of the second thread: odd while it has something to do */
	uint64_t ns;
} second;
static char second_stack[STACK_BYTES] __attribute__((aligned(64)));

/* CPU time of the thread: others that run meanwhile are not part of the price. */
BARE static uint64_t thread_ns(void)
{
	struct timespec now = {0};

	syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

BARE static uint64_t time_calls(const struct calibrate_request *request)
{
	void (*function)(void) = functions[request->place];
	uint64_t begin = thread_ns();

	for (uint32_t i = 0; i < request->calls; i++)
		function();
	return thread_ns() - begin;
}

BARE static int second_thread(void *unused)
{
	for (uint32_t turn = 0;;) {
		syscall(SYS_futex, &second.turn, FUTEX_WAIT_PRIVATE, turn, NULL, NULL, 0);
		if (__atomic_load_n(&second.turn, __ATOMIC_ACQUIRE) == turn)
			continue;
		second.ns = time_calls(&second.request);
		turn += 2;
		__atomic_store_n(&second.turn, turn, __ATOMIC_RELEASE); /* pairs with ask_second */
		syscall(SYS_futex, &second.turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
	return 0;
}

BARE static uint64_t ask_second(const struct calibrate_request *request)
{
	uint32_t turn = second.turn + 1;

	second.request = *request;
	__atomic_store_n(&second.turn, turn, __ATOMIC_RELEASE); /* pairs with second_thread */
	syscall(SYS_futex, &second.turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	while (__atomic_load_n(&second.turn, __ATOMIC_ACQUIRE) == turn)
		syscall(SYS_futex, &second.turn, FUTEX_WAIT_PRIVATE, turn, NULL, NULL, 0);
	return second.ns;
}

/* Answers until nobody asks any more. */
BARE static void __attribute__((noreturn)) be_child(int fd, pid_t parent)
{
	static const int flags =
		CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	struct calibrate_request request;
	uint64_t ns;

	/* Nothing of rsprof's files is kept open here, whatever becomes of either of them. */
	syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (fd > 0)
		syscall(SYS_close_range, 0, fd - 1, 0);
	syscall(SYS_close_range, fd + 1, ~0u, 0);
	if (syscall(SYS_getppid) != parent)
		syscall(SYS_exit_group, 1);
	if (clone(second_thread, second_stack + STACK_BYTES, flags, NULL) < 0)
		syscall(SYS_exit_group, 1);
	while (syscall(SYS_read, fd, &request, sizeof(request)) == (long)sizeof(request)) {
		ns = request.in_second_thread ? ask_second(&request) : time_calls(&request);
		if (syscall(SYS_write, fd, &ns, sizeof(ns)) != (long)sizeof(ns))
			break;
	}
	for (;;)
		syscall(SYS_exit_group, 0);
}

/* ---- the parent */

/* No signal of rsprof's handlers reaches the child; and its end tells nobody by a signal (that is
 * what clone's lowest byte would name), so that it is not mistaken for a child that was asked for.
 */
int calibrate_child_start(struct calibrate_child *ret_child)
{
	sigset_t all, before;
	int ends[2], pidfd = -1, failed;
	pid_t parent = getpid();
	long pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = syscall(SYS_clone, CLONE_PIDFD, NULL, &pidfd, NULL, NULL);
	if (pid == 0)
		be_child(ends[1], parent);
	failed = pid < 0 ? -errno : 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(ends[1]);
	if (failed) {
		close(ends[0]);
		return failed;
	}
	*ret_child = (struct calibrate_child){(pid_t)pid, pidfd, ends[0]};
	return 0;
}

void calibrate_child_end(struct calibrate_child *child)
{
	siginfo_t info;

	close(child->fd);
	syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
	while (waitid(P_PID, (id_t)child->pid, &info, WEXITED | __WALL) < 0 && errno == EINTR)
		;
	close(child->pidfd);
}

int calibrate_child_ask(const struct calibrate_child *child, struct calibrate_request request,
			uint64_t *ret_ns)
{
	uint64_t deadline = clock_now_ns() + ANSWER_MS * NS_PER_MS, now, ns;
	struct pollfd readable = {.fd = child->fd, .events = POLLIN};

	if (send(child->fd, &request, sizeof(request), MSG_NOSIGNAL) != (ssize_t)sizeof(request))
		return -errno;
	do {
		now = clock_now_ns();
		if (now >= deadline)
			return -ETIMEDOUT;
	} while (poll(&readable, 1, (int)((deadline - now) / NS_PER_MS) + 1) < 1);
	if (recv(child->fd, &ns, sizeof(ns), 0) != (ssize_t)sizeof(ns))
		return -ECHILD;
	*ret_ns = ns;
	return 0;
}

/* ---- where the functions are */

static int find_offsets(struct dl_phdr_info *info, size_t size, void *context)
{
	uint64_t *offsets = context;
	int found = 0;

	for (int i = 0; i < CALIBRATE_PLACES; i++)
		for (ElfW(Half) j = 0; j < info->dlpi_phnum; j++) {
			const ElfW(Phdr) *header = &info->dlpi_phdr[j];
			uint64_t at = (uintptr_t)functions[i] - (info->dlpi_addr + header->p_vaddr);

			if (header->p_type != PT_LOAD || at >= header->p_filesz)
				continue;
			offsets[i] = header->p_offset + at;
			found++;
		}
	/* The first object is the program itself, and it has them all. */
	return found == CALIBRATE_PLACES ? 1 : -1;
}

int calibrate_file_offsets(uint64_t ret_offsets[CALIBRATE_PLACES])
{
	return dl_iterate_phdr(find_offsets, ret_offsets) == 1 ? 0 : -ENOEXEC;
}
