#include "reader/source/bpf_sleepers.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "reader/util/own.h"

enum {
	/* "0 0x… 0x…": nine numbers; and a stat line up to its state. */
	LINE_MAX_BYTES = 512,
	PAGE_BYTES = 4096,
	PARTS_MAX = BPF_COPY_BYTES / PAGE_BYTES + 1,
};

uint32_t bpf_sleeper_kind(long system_call)
{
	switch (system_call) {
	case SYS_futex:
	case 449: /* futex_waitv */
	case 455: /* futex_wait */
		return BPF_WAIT_LOCK;
	case SYS_nanosleep:
	case SYS_clock_nanosleep:
		return BPF_WAIT_SLEEP;
	case SYS_poll:
	case SYS_ppoll:
	case SYS_select:
	case SYS_pselect6:
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case 441: /* epoll_pwait2 */
		return BPF_WAIT_POLL;
	case SYS_wait4:
	case SYS_waitid:
	case SYS_vfork:
		return BPF_WAIT_CHILD;
	case SYS_read:
	case SYS_pread64:
	case SYS_readv:
	case SYS_preadv:
	case SYS_preadv2:
	case SYS_write:
	case SYS_pwrite64:
	case SYS_writev:
	case SYS_pwritev:
	case SYS_pwritev2:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_sendmmsg:
	case SYS_accept:
	case SYS_accept4:
	case SYS_connect:
	case SYS_sendfile:
	case SYS_splice:
	case SYS_fsync:
	case SYS_fdatasync:
	case SYS_flock:
	case SYS_fcntl:
	case SYS_ioctl:
	case SYS_io_getevents:
	case SYS_io_pgetevents:
	case SYS_io_uring_enter:
		return BPF_WAIT_IO;
	default:
		return BPF_WAIT_OTHER;
	}
}

static bool read_line(const struct target *target, pid_t tid, const char *name,
		      char line[LINE_MAX_BYTES])
{
	char path[64];
	ssize_t got;

	snprintf(path, sizeof(path), "task/%d/%s", (int)tid, name);
	{
		OWN(own_close) int fd = openat(target->proc_fd, path, O_RDONLY | O_CLOEXEC);

		got = fd < 0 ? -1 : read(fd, line, LINE_MAX_BYTES - 1);
	}
	if (got <= 0)
		return false;
	line[got] = '\0';
	return true;
}

/* By the state of its stat line, where the system call may not be read. */
static bool is_asleep(const struct target *target, pid_t tid)
{
	char line[LINE_MAX_BYTES];
	const char *behind_name;

	if (!read_line(target, tid, "stat", line))
		return false;
	behind_name = strrchr(line, ')');
	return behind_name &&
	       (strncmp(behind_name, ") S", 3) == 0 || strncmp(behind_name, ") D", 3) == 0);
}

/* Page by page, so that the end of the stack's memory ends the copy and does not refuse it. */
static uint32_t copy_stack(const struct target *target, uint64_t from, uint8_t *bytes)
{
	struct iovec local = {.iov_base = bytes, .iov_len = BPF_COPY_BYTES}, remote[PARTS_MAX];
	size_t count = 0, left = BPF_COPY_BYTES;
	ssize_t got;

	while (left) {
		size_t part = PAGE_BYTES - from % PAGE_BYTES;

		part = part < left ? part : left;
		remote[count++] = (struct iovec){(void *)(uintptr_t)from, part};
		from += part;
		left -= part;
	}
	got = process_vm_readv(target->pid, &local, 1, remote, count, 0);
	return got > 0 ? (uint32_t)got : 0;
}

bool bpf_sleeper_read(const struct target *target, pid_t tid, struct bpf_sleeper *ret_sleeper)
{
	char line[LINE_MAX_BYTES];
	uint64_t sp, pc;
	long number;
	int fields;

	ret_sleeper->kind = BPF_WAIT_OTHER;
	ret_sleeper->has_stack = false;
	if (!read_line(target, tid, "syscall", line))
		return is_asleep(target, tid);
	if (strncmp(line, "running", strlen("running")) == 0)
		return false;
	/* Within a system call its arguments stand before the two. */
	fields =
		sscanf(line, "%ld %*x %*x %*x %*x %*x %*x %" SCNx64 " %" SCNx64, &number, &sp, &pc);
	if (fields != 3) {
		number = -1;
		if (sscanf(line, "-1 %" SCNx64 " %" SCNx64, &sp, &pc) != 2)
			return is_asleep(target, tid);
	}
	ret_sleeper->kind = bpf_sleeper_kind(number);
	ret_sleeper->registers =
		(struct event_registers){.rip = pc, .known = 1u << EVENT_REGISTER_RSP};
	ret_sleeper->registers.general[EVENT_REGISTER_RSP] = sp;
	ret_sleeper->size = copy_stack(target, sp, ret_sleeper->bytes);
	ret_sleeper->has_stack = ret_sleeper->size != 0;
	return true;
}
