#include "reader/target/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reader/target/proc.h"
#include "reader/util/clock.h"
#include "reader/util/own.h"

enum {
	STATM_MAX = 256,
	/* Some 50 lines, of which the longest list CPUs and groups. */
	STATUS_MAX = 256 * 1024,
};

int target_list_threads(const struct target *target, target_threads *threads)
{
	OWN(own_close) int fd = openat(target->proc_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWN(own_closedir) DIR *folder = NULL;
	const struct dirent *entry;
	size_t before = threads->count;

	if (fd >= 0)
		folder = fdopendir(fd);
	if (!folder)
		return errno == ENOENT ? -ESRCH : -errno;
	own_take_fd(fd);
	while ((entry = readdir(folder))) {
		struct process_stat stat;
		struct target_thread thread = {0};
		char name[64], *end;
		long tid = strtol(entry->d_name, &end, 10);

		if (*end || tid <= 0 || tid > INT32_MAX)
			continue;
		snprintf(name, sizeof(name), "%ld/stat", tid);
		/* One that ended meanwhile is no thread any more. */
		if (process_stat_read(dirfd(folder), name, &stat) < 0 || stat.state == 'Z' ||
		    stat.state == 'X')
			continue;
		thread.tid = (pid_t)tid;
		memcpy(thread.comm, stat.comm, sizeof(thread.comm));
		*vec_add(threads) = thread;
	}
	if (threads->count == before && !target_is_alive(target))
		return -ESRCH;
	return 0;
}

int target_cpu_ms(const struct target *target, uint64_t *ret_user_ms, uint64_t *ret_system_ms)
{
	struct process_stat stat;
	int ret = process_stat_read(target->proc_fd, "stat", &stat);
	long ticks_per_second = sysconf(_SC_CLK_TCK);

	if (ret < 0)
		return ret;
	if (ticks_per_second <= 0)
		return -EINVAL;
	*ret_user_ms = stat.user_ticks * 1000 / (uint64_t)ticks_per_second;
	*ret_system_ms = stat.system_ticks * 1000 / (uint64_t)ticks_per_second;
	return 0;
}

int target_cpu_ns(const struct target *target, uint64_t *ret_ns)
{
	struct process_stat stat;
	struct timespec time;
	clockid_t clock;
	int ret;

	if (clock_getcpuclockid(target->pid, &clock) || clock_gettime(clock, &time))
		return -ESRCH;
	/* Its number may be another's by now. */
	ret = process_stat_read(target->proc_fd, "stat", &stat);
	if (ret < 0)
		return ret;
	*ret_ns = (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
	return 0;
}

/* A file of the process that tells of its memory. */
static int read_of_memory(const struct target *target, const char *name, size_t most,
			  struct str *text)
{
	OWN(own_close) int fd = process_open(target, ".", O_PATH | O_DIRECTORY);
	int ret;

	if (fd < 0)
		return fd == -ENOENT ? -ESRCH : fd;
	ret = proc_read(fd, name, most, text);
	return ret == -ENOENT ? -ESRCH : ret;
}

int target_rss_bytes(const struct target *target, uint64_t *ret_bytes)
{
	OWN(str_done) struct str text = {0};
	unsigned long long pages;
	int ret = read_of_memory(target, "statm", STATM_MAX, &text);

	if (ret < 0)
		return ret;
	if (sscanf(str_text(&text), "%*s %llu", &pages) != 1)
		return -EBADMSG;
	*ret_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

int target_rss_anonymous_bytes(const struct target *target, uint64_t *ret_bytes)
{
	OWN(str_done) struct str text = {0};
	const char *line;
	unsigned long long kib;
	int ret = read_of_memory(target, "status", STATUS_MAX, &text);

	if (ret < 0)
		return ret;
	/* A process that has just ended has no such line. The name, in the first one, is escaped.
	 */
	line = strstr(str_text(&text), "\nRssAnon:");
	if (!line || sscanf(line, "\nRssAnon: %llu kB", &kib) != 1)
		return -ESRCH;
	*ret_bytes = kib * 1024;
	return 0;
}
