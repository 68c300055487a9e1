#include "reader/target/permit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "reader/target/proc.h"
#include "reader/util/own.h"

enum { STATUS_MAX = 16384 };

/* 0 or -errno of really opening an event, which is closed at once. tid 0 is rsprof itself. */
static int try_event(pid_t tid, bool with_kernel)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.disabled = 1,
		.exclude_kernel = !with_kernel,
		.exclude_hv = 1,
	};
	OWN(own_close)
	int fd = (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : 0;
}

static bool has_seccomp_filter(void)
{
	OWN(str_done) struct str status = {0};

	return proc_read(AT_FDCWD, "/proc/self/status", STATUS_MAX, &status) == 0 &&
	       strstr(str_text(&status), "\nSeccomp:\t2");
}

/* A root that is refused has not all of root's power: it is in a container, or lost capabilities.
 */
static bool is_confined_root(const struct permit *permit)
{
	return permit->uid == 0;
}

static void remedy_confined(struct err *err)
{
	err_remedy(err, "Run rsprof as root outside the container, or start the container with: "
			"--cap-add PERFMON --cap-add SYS_PTRACE");
}

static const char *pid_text(const struct target *target, struct str *text)
{
	if (!target)
		return "PID";
	str_addf(text, "%d", target->pid);
	return text->text;
}

static enum permit_answer refuse_machine(const struct permit *permit, const struct target *target,
					 int error, struct err *err)
{
	OWN(str_done) struct str pid = {0};

	if (permit->perf_event_paranoid == -2) {
		err_set(err, ERR_PERMISSION, 0, "This kernel has no perf events.");
		err_remedy(err, "Boot a kernel that is built with CONFIG_PERF_EVENTS=y.");
	} else if (error == -EACCES && permit->perf_event_paranoid > 2 &&
		   !permit_has(permit, CAP_PERFMON) && !permit_has(permit, CAP_SYS_ADMIN)) {
		err_set(err, ERR_PERMISSION, 0,
			"Only root may use perf events here: kernel.perf_event_paranoid is %d.",
			permit->perf_event_paranoid);
		if (is_confined_root(permit))
			remedy_confined(err);
		else
			err_remedy(err,
				   "Run: sudo sysctl kernel.perf_event_paranoid=2  or: "
				   "sudo rsprof -p %s",
				   pid_text(target, &pid));
	} else if (has_seccomp_filter()) {
		err_set(err, ERR_PERMISSION, 0,
			"A seccomp filter%s forbids perf_event_open to rsprof.",
			permit->in_container ? " of this container" : "");
		err_remedy(err, "Run rsprof outside it, or start the container with: "
				"--cap-add PERFMON --security-opt seccomp=unconfined");
	} else {
		err_set(err, ERR_PERMISSION, 0, "perf_event_open is refused on this machine: %s.",
			strerror(-error));
		if (is_confined_root(permit))
			remedy_confined(err);
		else
			err_remedy(err, "Run: sudo rsprof -p %s", pid_text(target, &pid));
	}
	return PERMIT_NO;
}

static enum permit_answer refuse_target(const struct permit *permit, const struct target *target,
					int error, struct err *err)
{
	OWN(str_done) struct str comm = {0};

	str_add_scrubbed(&comm, target->comm);
	if (target->uid != permit->uid)
		err_set(err, ERR_PERMISSION, 0, "Process %d (%s) belongs to another user (uid %u).",
			target->pid, str_text(&comm), target->uid);
	else
		err_set(err, ERR_PERMISSION, 0,
			"Process %d (%s) lets no other process look into it: it changed its user, "
			"has more capabilities, or asked for that (%s).",
			target->pid, str_text(&comm), strerror(-error));
	if (is_confined_root(permit))
		remedy_confined(err);
	else
		err_remedy(err,
			   "Run: sudo rsprof -p %d  or, once: sudo setcap "
			   "cap_perfmon,cap_sys_ptrace,cap_checkpoint_restore+ep "
			   "$(command -v rsprof)",
			   target->pid);
	return PERMIT_NO;
}

static enum permit_answer refuse_ended(const struct target *target, struct err *err)
{
	err_set(err, ERR_NOT_FOUND, 0, "Process %d has already ended.", target->pid);
	err_remedy(err, "List the processes: ps -e");
	return PERMIT_NO;
}

static enum permit_answer allow_user_only(const struct permit *permit, const struct target *target,
					  struct err *err)
{
	OWN(str_done) struct str pid = {0};

	if (permit->perf_event_paranoid > 1)
		err_set(err, ERR_NONE, 0,
			"Kernel time may not be sampled: kernel.perf_event_paranoid is %d.",
			permit->perf_event_paranoid);
	else
		err_set(err, ERR_NONE, 0, "Kernel time may not be sampled here.");
	if (is_confined_root(permit))
		remedy_confined(err);
	else
		err_remedy(err,
			   "Run: sudo sysctl kernel.perf_event_paranoid=1  or: sudo rsprof -p %s",
			   pid_text(target, &pid));
	return PERMIT_USER_ONLY;
}

/* A thread of the target that an event can be opened on: its first one may have ended. 0: none. */
static pid_t running_thread(const struct target *target)
{
	target_threads threads = {0};
	pid_t tid = 0;

	if (target_list_threads(target, &threads) == 0 && threads.count > 0)
		tid = threads.items[0].tid;
	vec_done(&threads);
	return tid;
}

enum permit_answer permit_perf(const struct permit *permit, const struct target *target,
			       struct err *err)
{
	pid_t tid = target ? running_thread(target) : 0;
	int ret;

	if (target && tid == 0)
		return refuse_ended(target, err);
	ret = try_event(tid, true);
	if (ret == 0)
		return PERMIT_YES;
	if (ret == -EACCES || ret == -EPERM) {
		ret = try_event(tid, false);
		if (ret == 0)
			return allow_user_only(permit, target, err);
	}
	if (ret == -ESRCH && target)
		return refuse_ended(target, err);
	if (ret == -EMFILE || ret == -ENFILE || ret == -ENOMEM) {
		err_set(err, ERR_GENERAL, 0, "No perf event could be opened: %s.", strerror(-ret));
		err_remedy(err, "Raise the limit of open files: ulimit -n $(ulimit -Hn)");
		return PERMIT_NO;
	}
	/* What is allowed on ourselves is refused because of the target. */
	if (target && try_event(0, false) == 0)
		return refuse_target(permit, target, ret, err);
	return refuse_machine(permit, target, ret, err);
}
