#include "reader/source/heap_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reader/source/heap_probes.h"
#include "reader/util/own.h"

enum {
	PROBES_MAX = 1024, /* of one request */
	FDS_KEPT = 4,
};

enum action {
	ACTION_ADD,
	ACTION_DROP_FREES,
	ACTION_DROP,
};

struct request {
	enum action action;
	uint32_t group;
	pid_t pid;
	uint32_t count; /* of the probes that follow */
};

/* ---- the child */

struct group {
	uint32_t number;
	struct heap_probes probes;
};

struct holder {
	int fd;
	struct heap_programs programs;
	VEC(struct group) groups;
	struct heap_probe list[PROBES_MAX];
};

static struct heap_probes *probes_of(struct holder *holder, uint32_t number)
{
	for (size_t i = 0; i < holder->groups.count; i++) {
		if (holder->groups.items[i].number == number)
			return &holder->groups.items[i].probes;
	}
	*vec_add(&holder->groups) = (struct group){.number = number};
	return &holder->groups.items[holder->groups.count - 1].probes;
}

static int serve(struct holder *holder, const struct request *request, int file_fd)
{
	struct heap_probes *probes = probes_of(holder, request->group);

	switch (request->action) {
	case ACTION_ADD:
		return heap_probes_add(probes, &holder->programs, request->pid, file_fd,
				       holder->list, request->count);
	case ACTION_DROP_FREES:
		heap_probes_drop_frees(probes);
		return 0;
	case ACTION_DROP:
		heap_probes_done(probes);
		return 0;
	}
	return -EINVAL;
}

static int take_fd(struct msghdr *message)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	int fd = -1;

	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/* false: nobody asks any more. */
static bool answer(struct holder *holder)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct request request = {0};
	struct iovec parts[] = {{&request, sizeof(request)}, {holder->list, sizeof(holder->list)}};
	struct msghdr message = {.msg_iov = parts,
				 .msg_iovlen = 2,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	ssize_t length = recvmsg(holder->fd, &message, MSG_CMSG_CLOEXEC);
	OWN(own_close) int file_fd = -1;
	int result;

	if (length < (ssize_t)sizeof(request))
		return false;
	file_fd = take_fd(&message);
	if ((size_t)length != sizeof(request) + request.count * sizeof(holder->list[0]))
		return false;
	result = serve(holder, &request, file_fd);
	return send(holder->fd, &result, sizeof(result), MSG_NOSIGNAL) == (ssize_t)sizeof(result);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Nothing else of rsprof's files stays open here: a pipe that it writes to ends with it. */
static void close_others(const struct holder *holder)
{
	int kept[FDS_KEPT] = {holder->fd, holder->programs.call_fd, holder->programs.return_fd,
			      holder->programs.session_fd};
	int next = 0;

	qsort(kept, FDS_KEPT, sizeof(kept[0]), by_number);
	for (int i = 0; i < FDS_KEPT; i++) {
		if (kept[i] > next)
			syscall(SYS_close_range, next, kept[i] - 1, 0);
		if (kept[i] >= next)
			next = kept[i] + 1;
	}
	syscall(SYS_close_range, next, ~0u, 0);
	/* What is meant for stderr must not reach a probe. */
	do
		next = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (next >= 0 && next < STDERR_FILENO);
}

static void __attribute__((noreturn)) hold(int fd, const struct heap_programs *programs)
{
	static struct holder holder;

	holder.fd = fd;
	holder.programs = *programs;
	holder.programs.keeper = NULL;
	setsid();
	if (chdir("/")) {
		/* Then the folder cannot be unmounted for as long. */
	}
	close_others(&holder);
	while (answer(&holder))
		;
	for (size_t i = 0; i < holder.groups.count; i++)
		heap_probes_done(&holder.groups.items[i].probes);
	_exit(0);
}

/* ---- rsprof */

int heap_keeper_start(struct heap_keeper *keeper, const struct heap_programs *programs)
{
	int ends[2], failed;
	sigset_t all, before;
	pid_t pid;

	*keeper = (struct heap_keeper){.fd = -1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		hold(ends[1], programs);
	failed = pid < 0 ? -errno : 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(ends[1]);
	if (failed) {
		close(ends[0]);
		return failed;
	}
	keeper->pid = pid;
	keeper->fd = ends[0];
	return 0;
}

void heap_keeper_end(struct heap_keeper *keeper)
{
	if (!keeper->pid)
		return;
	close(keeper->fd);
	while (waitpid(keeper->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*keeper = (struct heap_keeper){.fd = -1};
}

bool heap_keeper_is_gone(const struct heap_keeper *keeper)
{
	struct pollfd end = {.fd = keeper->fd};

	return keeper->pid && poll(&end, 1, 0) > 0;
}

static int ask(struct heap_keeper *keeper, struct request request, int fd,
	       const struct heap_probe *list)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS}};
	struct iovec parts[] = {{&request, sizeof(request)},
				{(void *)(uintptr_t)list, request.count * sizeof(*list)}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = list ? 2 : 1};
	ssize_t got;
	int result;

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
	}
	if (sendmsg(keeper->fd, &message, MSG_NOSIGNAL) < 0)
		return -errno;
	do
		got = recv(keeper->fd, &result, sizeof(result), 0);
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)sizeof(result) ? result : -EPIPE;
}

int heap_keeper_add(struct heap_keeper *keeper, uint32_t *group, pid_t pid, int fd,
		    const struct heap_probe *list, size_t count)
{
	struct request request = {.action = ACTION_ADD, .pid = pid, .count = (uint32_t)count};

	if (count > PROBES_MAX)
		return -E2BIG;
	if (!*group)
		*group = ++keeper->groups;
	request.group = *group;
	return ask(keeper, request, fd, list);
}

void heap_keeper_drop_frees(struct heap_keeper *keeper, uint32_t group)
{
	ask(keeper, (struct request){.action = ACTION_DROP_FREES, .group = group}, -1, NULL);
}

void heap_keeper_drop(struct heap_keeper *keeper, uint32_t group)
{
	ask(keeper, (struct request){.action = ACTION_DROP, .group = group}, -1, NULL);
}
