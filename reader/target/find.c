#include "reader/target/target.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "reader/target/proc.h"
#include "reader/util/own.h"

enum {
	/* What a person can still read in a header or a list. */
	COMMAND_LINE_MAX = 4096,
	STATUS_MAX = 16384,
};

/* The number after a key of /proc/PID/status, the column-th on its line. The name in the first line
 * cannot forge a key: the kernel escapes newlines there. */
static bool status_number(const char *status, const char *key, int column,
			  unsigned long *ret_number)
{
	const char *at = strstr(status, key);
	char *end;

	if (!at)
		return false;
	at += strlen(key);
	for (int i = 0; i < column; i++) {
		unsigned long number = strtoul(at, &end, 10);

		if (end == at)
			return false;
		at = end;
		*ret_number = number;
	}
	return true;
}

static char *read_link(int folder_fd, const char *name)
{
	static const char deleted[] = " (deleted)";
	char path[4096 + sizeof(deleted)];
	ssize_t length = readlinkat(folder_fd, name, path, sizeof(path) - 1);

	if (length < 0)
		return NULL;
	path[length] = '\0';
	if (str_ends(path, deleted))
		path[(size_t)length - strlen(deleted)] = '\0';
	return mem_strdup(path);
}

static char *read_command_line(int folder_fd)
{
	OWN(str_done) struct str text = {0};
	struct str scrubbed = {0};

	if (proc_read(folder_fd, "cmdline", COMMAND_LINE_MAX, &text) < 0)
		return NULL;
	while (text.length > 0 && text.text[text.length - 1] == '\0')
		text.length--;
	for (size_t i = 0; i < text.length; i++)
		if (text.text[i] == '\0')
			text.text[i] = ' ';
	str_add_scrubbed(&scrubbed, str_text(&text));
	return scrubbed.text ? scrubbed.text : mem_strdup("");
}

/* Whether a namespace of the target is another one than ours; false where that may not be known. */
static bool is_other_namespace(const struct target *target, const char *name)
{
	OWN(str_done) struct str ours_path = {0};
	OWN(own_free) char *ours = NULL, *theirs = NULL;
	OWN(own_close) int folder = process_open(target, "ns", O_RDONLY | O_DIRECTORY);

	str_addf(&ours_path, "/proc/self/ns/%s", name);
	ours = read_link(AT_FDCWD, ours_path.text);
	if (folder >= 0)
		theirs = read_link(folder, name);
	return ours && theirs && strcmp(ours, theirs) != 0;
}

void target_refresh(struct target *target)
{
	OWN(own_close) int folder = process_open(target, ".", O_PATH | O_DIRECTORY);
	OWN(str_done) struct str status = {0};
	struct process_stat stat;
	unsigned long uid;
	char *text;

	if (process_stat_read(target->proc_fd, "stat", &stat) == 0)
		memcpy(target->comm, stat.comm, sizeof(target->comm));
	if (proc_read(target->proc_fd, "status", STATUS_MAX, &status) == 0 &&
	    status_number(str_text(&status), "\nUid:", 2, &uid))
		target->uid = (uid_t)uid;
	text = folder >= 0 ? read_link(folder, "exe") : NULL;
	if (text) {
		free(target->exe_path);
		target->exe_path = text;
	}
	text = folder >= 0 ? read_command_line(folder) : NULL;
	if (text) {
		free(target->command_line);
		target->command_line = text;
	}
}

bool target_is_alive(const struct target *target)
{
	struct process_stat stat;

	/* proc_fd reads nothing of a later process with the same PID. */
	return process_stat_read(target->proc_fd, "stat", &stat) == 0 && !process_has_ended(&stat);
}

void target_free(struct target *target)
{
	if (!target)
		return;
	if (target->proc_fd >= 0)
		close(target->proc_fd);
	if (target->pidfd >= 0)
		close(target->pidfd);
	free(target->exe_path);
	free(target->command_line);
	free(target);
}

static void own_target(struct target **target)
{
	target_free(*target);
}

/* Why /proc/PID does not open: no such process, or one that is hidden. */
static int refuse_unseen(pid_t pid, int error, struct err *err)
{
	if (access("/proc/self/stat", F_OK) < 0) {
		err_set(err, ERR_GENERAL, -error, "/proc is not there, and rsprof needs it.");
		err_remedy(err, "Mount it: sudo mount -t proc proc /proc");
		return -error;
	}
	if (error == EACCES || error == EPERM ||
	    (error == ENOENT && (kill(pid, 0) == 0 || errno == EPERM))) {
		err_set(err, ERR_PERMISSION, -EPERM,
			"Process %d is hidden from you (/proc is mounted with hidepid).", pid);
		err_remedy(err, "Run: sudo rsprof -p %d", pid);
		return -EPERM;
	}
	if (error != ENOENT && error != ESRCH)
		return err_set(err, ERR_GENERAL, -error, "/proc/%d cannot be opened: %s.", pid,
			       strerror(error));
	err_set(err, ERR_NOT_FOUND, -ESRCH, "No process has PID %d.", pid);
	err_remedy(err, "List the processes: ps -e");
	return -ESRCH;
}

static int refuse_ended(pid_t pid, const char *comm, struct err *err)
{
	OWN(str_done) struct str name = {0};

	str_add_scrubbed(&name, comm);
	err_set(err, ERR_NOT_FOUND, -ESRCH, "Process %d%s%s%s has already ended.", pid,
		*comm ? " (" : "", str_text(&name), *comm ? ")" : "");
	err_remedy(err, "List the processes: ps -e");
	return -ESRCH;
}

/* Refuses what is not a running process with code of its own. */
static int check_process(const struct target *target, struct process_stat *ret_stat,
			 struct err *err)
{
	OWN(str_done) struct str status = {0}, name = {0};
	struct process_stat stat;
	unsigned long group;
	int ret = proc_read(target->proc_fd, "status", STATUS_MAX, &status);

	if (ret == 0)
		ret = process_stat_read(target->proc_fd, "stat", &stat);
	if (ret == -ESRCH || ret == -ENOENT)
		return refuse_ended(target->pid, "", err);
	if (ret < 0)
		return err_set(err, ERR_GENERAL, ret, "/proc/%d cannot be read: %s.", target->pid,
			       strerror(-ret));
	str_add_scrubbed(&name, stat.comm);
	if (status_number(str_text(&status), "\nTgid:", 1, &group) &&
	    group != (unsigned long)target->pid) {
		err_set(err, ERR_USAGE, -EINVAL, "%d is a thread (%s) of process %lu.", target->pid,
			str_text(&name), group);
		err_remedy(err, "Run: rsprof -p %lu", group);
		return -EINVAL;
	}
	if (stat.is_kernel_thread) {
		err_set(err, ERR_USAGE, -EINVAL,
			"PID %d is a kernel thread (%s): it has no code of its own to profile.",
			target->pid, str_text(&name));
		err_remedy(err, "List the processes: ps -e");
		return -EINVAL;
	}
	if (process_has_ended(&stat))
		return refuse_ended(target->pid, stat.comm, err);
	*ret_stat = stat;
	return 0;
}

int target_open_pid(pid_t pid, struct target **ret_target, struct err *err)
{
	OWN(own_target) struct target *target = NULL;
	struct process_stat stat = {0};
	char path[32];
	int ret;

	if (pid <= 0) {
		err_set(err, ERR_USAGE, -EINVAL, "%d is not the PID of a process.", pid);
		err_remedy(err, "List the processes: ps -e");
		return -EINVAL;
	}
	if (pid == getpid()) {
		err_set(err, ERR_USAGE, -EINVAL, "PID %d is rsprof itself.", pid);
		err_remedy(err, "Give the PID of another process; list them: ps -e");
		return -EINVAL;
	}
	target = mem_zalloc(sizeof(*target));
	target->pid = pid;
	target->pidfd = -1;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	target->proc_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (target->proc_fd < 0)
		return refuse_unseen(pid, errno, err);
	/* The number belongs to one process until that is reaped: where proc_fd still reads after
	 * pidfd_open, both are the same process. */
	target->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	ret = check_process(target, &stat, err);
	if (ret < 0)
		return ret;
	target->start_ticks = stat.start_ticks;
	target_refresh(target);
	if (!target->exe_path)
		target->exe_path = mem_strdup("");
	if (!target->command_line)
		target->command_line = mem_strdup("");
	target->other_mount_namespace = is_other_namespace(target, "mnt");
	target->other_pid_namespace = is_other_namespace(target, "pid");
	*ret_target = own_take(target);
	return 0;
}
