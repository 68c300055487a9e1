#include "reader/target/inject.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "reader/target/inject_call.h"
#include "reader/target/inject_image.h"
#include "reader/target/inject_point.h"
#include "reader/target/proc.h"
#include "reader/target/traits.h"
#include "reader/util/clock.h"
#include "reader/util/own.h"

enum {
	STATUS_BYTES_MAX = 16384,
	REASON_BYTES = 512,
	COPY_BYTES = 65536,
	SECCOMP_STRICT = 1,
	SECCOMP_FILTER = 2,
	/* Of newer headers. */
	MEMFD_CLOEXEC = 1,
	MEMFD_EXEC = 0x10,
};

#define SEARCH_NS (5 * NS_PER_S)
#define LOAD_NS (10 * NS_PER_S)
#define SHM_LINK "/memfd:rsprof-agent"

struct work {
	const struct target *target;
	const char *path; /* as the target sees it; NULL: it does not */
	int agent_fd;
	struct inject_image image;
	struct inject_result result;
	struct err *err;
	int ret;
};

/* ---- what is refused before anything is touched */

static bool has_shared_memory(const struct target *target)
{
	OWN(own_close) int folder = process_open(target, "fd", O_RDONLY | O_DIRECTORY);
	OWN(own_closedir) DIR *list = folder < 0 ? NULL : fdopendir(folder);
	struct dirent *entry;

	if (!list)
		return false;
	folder = -1; /* the list's */
	while ((entry = readdir(list))) {
		char link[sizeof(SHM_LINK) + 1];
		struct stat stat;
		ssize_t got = readlinkat(dirfd(list), entry->d_name, link, sizeof(link) - 1);

		if (got < 0)
			continue;
		link[got] = '\0';
		if (strncmp(link, SHM_LINK, sizeof(SHM_LINK) - 1) == 0 &&
		    fstatat(dirfd(list), entry->d_name, &stat, 0) == 0 && stat.st_size > 0)
			return true;
	}
	return false;
}

static long status_of(const char *status, const char *key, long absent)
{
	const char *at = strstr(status, key);

	return at ? strtol(at + strlen(key), NULL, 10) : absent;
}

static int read_seccomp(int folder, long *ret_mode, long *ret_filters)
{
	OWN(str_done) struct str status = {0};
	int ret = proc_read(folder, "status", STATUS_BYTES_MAX, &status);

	if (ret < 0)
		return ret;
	*ret_mode = status_of(str_text(&status), "\nSeccomp:\t", 0);
	*ret_filters = status_of(str_text(&status), "\nSeccomp_filters:\t", 1);
	return 0;
}

/* A filter may end the process for a system call that loading a library needs. Those of containers
 * do not: a filter that we have, too, or the one of another PID namespace. */
static int check_seccomp(const struct target *target, struct err *err)
{
	OWN(own_close) int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long mode = 0, filters = 0, own_mode = 0, own_filters = 0, usual;

	if (read_seccomp(target->proc_fd, &mode, &filters) < 0)
		return 0;
	if (self >= 0)
		read_seccomp(self, &own_mode, &own_filters);
	usual = own_mode == SECCOMP_FILTER ? own_filters : 0;
	if (target->other_pid_namespace)
		usual++;
	if (mode == SECCOMP_STRICT || (mode == SECCOMP_FILTER && filters > usual)) {
		err_set(err, ERR_GENERAL, -EPERM,
			"%s (%d) runs in a sandbox (seccomp) that may end it if it loads a "
			"library.",
			target->comm, target->pid);
		err_remedy(err, "Record it without --inject, or start it under `rsprof run`.");
		return -EPERM;
	}
	return 0;
}

static int open_agent(const char *path, int *ret_fd, struct err *err)
{
	OWN(own_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat stat;

	if (fd < 0 || fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode)) {
		int error = fd < 0 ? errno : EINVAL;

		err_set(err, ERR_NOT_FOUND, -error, "The agent %s cannot be opened: %s.", path,
			strerror(error));
		err_remedy(err, "Build or install it: make && make install");
		return -error;
	}
	*ret_fd = own_take_fd(fd);
	return 0;
}

/* The path, if it is the same file for the target. */
static char *path_in_target(const struct target *target, const char *path, int agent_fd)
{
	OWN(own_free) char *full = realpath(path, NULL);
	OWN(str_done) struct str name = {0};
	struct stat ours, theirs;

	if (!full || strlen(full) + 1 > INJECT_TEXT_MAX)
		return NULL;
	str_addf(&name, "root%s", full);
	if (fstat(agent_fd, &ours) < 0 ||
	    fstatat(target->proc_fd, str_text(&name), &theirs, 0) < 0 ||
	    ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)
		return NULL;
	return own_take(full);
}

/* ---- the copy, where the file is in another mount namespace */

static int copy_into(const struct target *target, int number, int agent_fd)
{
	OWN(own_free) char *piece = mem_alloc(COPY_BYTES);
	OWN(own_close) int to = -1;
	char name[64];
	off_t at = 0;

	snprintf(name, sizeof(name), "fd/%d", number);
	to = process_open(target, name, O_WRONLY);
	if (to < 0)
		return to;
	for (;;) {
		ssize_t got = pread(agent_fd, piece, COPY_BYTES, at);

		if (got <= 0)
			return got < 0 ? -errno : 0;
		if (pwrite(to, piece, (size_t)got, at) != got)
			return -EIO;
		at += got;
	}
}

static int make_copy(struct work *work, struct inject_call *call, uint64_t *ret_fd, char *path,
		     size_t path_bytes)
{
	uint64_t text = inject_call_text(call, "librsprof_agent.so"), fd;
	uint64_t arguments[3] = {text, MEMFD_CLOEXEC | MEMFD_EXEC, 0};
	int ret = inject_call_do(call, 0, SYS_memfd_create, arguments, &fd);

	arguments[1] = MEMFD_CLOEXEC; /* kernels before 6.3 */
	if (ret == 0 && (int64_t)fd == -EINVAL)
		ret = inject_call_do(call, 0, SYS_memfd_create, arguments, &fd);
	if (ret == 0 && (int64_t)fd < 0)
		ret = (int)fd;
	if (ret < 0)
		return ret;
	*ret_fd = fd;
	snprintf(path, path_bytes, "/proc/self/fd/%d", (int)fd);
	return copy_into(work->target, (int)fd, work->agent_fd);
}

/* ---- loading */

static void read_reason(struct work *work, struct inject_call *call, char reason[REASON_BYTES])
{
	OWN(str_done) struct str scrubbed = {0};
	uint64_t arguments[3] = {0}, text = 0;
	char bytes[REASON_BYTES] = "the dynamic loader did not take it";

	if (work->image.error_function &&
	    inject_call_do(call, work->image.error_function, 0, arguments, &text) == 0 && text) {
		size_t got = 0;

		while (got + 1 < sizeof(bytes) &&
		       inject_memory_read(work->target->pid, text + got, bytes + got, 1) &&
		       bytes[got])
			got++;
		bytes[got] = '\0';
	}
	str_add_scrubbed(&scrubbed, bytes);
	snprintf(reason, REASON_BYTES, "%s", str_text(&scrubbed));
}

static int load(struct work *work, struct inject_call *call)
{
	char copy[64], reason[REASON_BYTES];
	const char *path = work->path;
	uint64_t fd = UINT64_MAX, handle = 0, ignored;
	uint64_t arguments[3] = {0};
	int ret = 0;

	if (!path) {
		ret = make_copy(work, call, &fd, copy, sizeof(copy));
		path = copy;
		work->result.is_copy = true;
	}
	if (ret == 0) {
		arguments[0] = inject_call_text(call, path);
		arguments[1] = (uint64_t)(uint32_t)work->image.open_flags;
		ret = inject_call_do(call, work->image.open_function, 0, arguments, &handle);
	}
	if (ret == 0 && handle == 0)
		read_reason(work, call, reason);
	if (fd != UINT64_MAX)
		inject_call_do(call, 0, SYS_close, (uint64_t[3]){fd}, &ignored);
	if (ret == -ESRCH)
		return err_set(work->err, ERR_NOT_FOUND, ret,
			       "%s (%d) ended or began another program while the agent was "
			       "loaded.",
			       work->target->comm, work->target->pid);
	if (ret == -ETIMEDOUT)
		return err_set(work->err, ERR_GENERAL, ret,
			       "%s (%d) did not finish loading the agent in time.",
			       work->target->comm, work->target->pid);
	if (ret < 0)
		return err_set(work->err, ERR_GENERAL, ret,
			       "The agent could not be copied into %s (%d): %s.",
			       work->target->comm, work->target->pid, strerror(-ret));
	if (handle == 0)
		return err_set(work->err, ERR_GENERAL, -ENOEXEC,
			       "%s (%d) could not load the agent: %s.", work->target->comm,
			       work->target->pid, reason);
	return 0;
}

static int refuse_begin(const struct target *target, int ret, struct err *err)
{
	if (ret == -ENOMEM)
		return err_set(err, ERR_GENERAL, ret,
			       "%s (%d) gets no memory from the kernel for the agent.",
			       target->comm, target->pid);
	if (ret == -ESRCH)
		return err_set(err, ERR_NOT_FOUND, ret, "%s (%d) has ended.", target->comm,
			       target->pid);
	return err_set(err, ERR_GENERAL, ret,
		       "%s (%d) has no place for the code that loads the agent; another rsprof "
		       "may be at it.",
		       target->comm, target->pid);
}

static void inject(struct work *work)
{
	struct inject_search search = {.target = work->target,
				       .image = &work->image,
				       .deadline_ns = clock_now_ns() + SEARCH_NS};
	struct inject_thread thread = {0};
	struct inject_call call = {
		.target = work->target, .image = &work->image, .thread = &thread};

	work->ret = inject_point_find(&search, &thread, work->err);
	work->result.tries = search.tries;
	work->result.looking_ns = search.looking_ns;
	if (work->ret < 0)
		return;
	call.deadline_ns = clock_now_ns() + LOAD_NS;
	work->result.tid = thread.tid;
	work->ret = inject_call_begin(&call);
	if (work->ret < 0) {
		refuse_begin(work->target, work->ret, work->err);
		return;
	}
	work->ret = load(work, &call);
	inject_call_end(&call);
	work->result.pause_ns = clock_now_ns() - thread.stopped_ns;
}

/* A thread of its own: when it ends, nothing is traced any more, whatever state it was in. */
static void *run(void *context)
{
	prctl(PR_SET_TIMERSLACK, 1);
	inject(context);
	return NULL;
}

static int run_thread(struct work *work)
{
	sigset_t all, before;
	pthread_t thread;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&thread, NULL, run, work);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret)
		return err_set(work->err, ERR_GENERAL, -ret, "No thread can be started: %s.",
			       strerror(ret));
	pthread_join(thread, NULL);
	return work->ret;
}

/* So that the target finds it in memory. */
static void warm(int fd)
{
	OWN(own_free) char *piece = mem_alloc(COPY_BYTES);
	off_t at = 0;
	ssize_t got;

	while ((got = pread(fd, piece, COPY_BYTES, at)) > 0)
		at += got;
}

int inject_agent(const struct target *target, const char *agent_path,
		 struct inject_result *ret_result, struct err *err)
{
	struct work work = {.target = target, .err = err};
	OWN(own_close) int agent_fd = -1;
	OWN(own_free) char *path = NULL;
	int ret;

	if (target->pid == getpid())
		return err_set(err, ERR_USAGE, -EINVAL, "PID %d is rsprof itself.", target->pid);
	ret = open_agent(agent_path, &agent_fd, err);
	if (ret == 0)
		ret = inject_image_read(target, &work.image, err);
	if (ret < 0)
		return ret;
	if (traits_has_agent(&work.image.mappings) || has_shared_memory(target)) {
		work.result.was_there = true;
	} else {
		ret = check_seccomp(target, err);
		path = path_in_target(target, agent_path, agent_fd);
		work.path = path;
		work.agent_fd = agent_fd;
		warm(agent_fd);
		if (ret == 0)
			ret = run_thread(&work);
	}
	inject_image_done(&work.image);
	if (ret == 0)
		*ret_result = work.result;
	return ret;
}
