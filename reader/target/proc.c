#include "reader/target/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "reader/util/own.h"

enum {
	READ_CHUNK = 16384,
	/* A stat line has some 50 numbers; the name in it is at most 64 bytes (kernel threads). */
	STAT_LINE_MAX = 4096,
	NUMBER_FILE_MAX = 64,
	/* PF_KTHREAD of linux/sched.h, as field 9 of the stat line shows it. */
	FLAG_KERNEL_THREAD = 0x00200000,
	/* Of the fields after the name: "state" is 0. */
	FIELD_FLAGS = 6,
	FIELD_USER_TICKS = 11,
	FIELD_SYSTEM_TICKS = 12,
	FIELD_THREADS = 17,
	FIELD_START_TICKS = 19,
	FIELDS_NEEDED = 20,
};

int proc_read(int folder_fd, const char *name, size_t most, struct str *text)
{
	OWN(own_close) int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char chunk[READ_CHUNK];

	if (fd < 0)
		return -errno;
	while (most > 0) {
		ssize_t got = read(fd, chunk, most < sizeof(chunk) ? most : sizeof(chunk));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		str_add_bytes(text, chunk, (size_t)got);
		most -= (size_t)got;
	}
	return 0;
}

int proc_read_number(const char *path, int64_t *ret_number)
{
	OWN(str_done) struct str text = {0};
	int ret = proc_read(AT_FDCWD, path, NUMBER_FILE_MAX, &text);
	long long number;
	char *end;

	if (ret < 0)
		return ret;
	errno = 0;
	number = strtoll(str_text(&text), &end, 10);
	if (end == str_text(&text) || errno || (*end != '\0' && *end != '\n'))
		return -EINVAL;
	*ret_number = number;
	return 0;
}

int process_stat_parse(const char *text, size_t length, struct process_stat *ret_stat)
{
	const char *open = memchr(text, '(', length);
	const char *close = memrchr(text, ')', length);
	struct process_stat stat = {0};
	uint64_t fields[FIELDS_NEEDED] = {0};
	char numbers[STAT_LINE_MAX];
	size_t name_length;
	char *at = numbers;

	/* The last ')' ends the name: after it come numbers only. */
	if (!open || !close || close < open)
		return -EBADMSG;
	length -= (size_t)(close + 1 - text);
	if (length < 3 || length >= sizeof(numbers) || close[1] != ' ')
		return -EBADMSG;
	memcpy(numbers, close + 1, length);
	numbers[length] = '\0';
	name_length = (size_t)(close - open) - 1;
	if (name_length > sizeof(stat.comm) - 1)
		name_length = sizeof(stat.comm) - 1;
	memcpy(stat.comm, open + 1, name_length);
	stat.state = numbers[1];
	at = numbers + 2;
	for (int i = 1; i < FIELDS_NEEDED; i++) {
		char *end;

		if (*at != ' ')
			return -EBADMSG;
		/* Some fields are negative; none of those is looked at. */
		fields[i] = strtoull(at, &end, 10);
		if (end == at)
			return -EBADMSG;
		at = end;
	}
	stat.is_kernel_thread = fields[FIELD_FLAGS] & FLAG_KERNEL_THREAD;
	stat.user_ticks = fields[FIELD_USER_TICKS];
	stat.system_ticks = fields[FIELD_SYSTEM_TICKS];
	stat.thread_count = fields[FIELD_THREADS];
	stat.start_ticks = fields[FIELD_START_TICKS];
	*ret_stat = stat;
	return 0;
}

int process_stat_read(int folder_fd, const char *name, struct process_stat *ret_stat)
{
	OWN(str_done) struct str text = {0};
	int ret = proc_read(folder_fd, name, STAT_LINE_MAX, &text);

	if (ret == -ENOENT)
		return -ESRCH;
	if (ret < 0)
		return ret;
	return process_stat_parse(str_text(&text), text.length, ret_stat);
}

bool process_has_ended(const struct process_stat *stat)
{
	if (stat->state == 'X' || stat->state == 'x')
		return true;
	return stat->state == 'Z' && stat->thread_count <= 1;
}

/* A thread of the target that has not ended, where its first one has; else 0. */
static pid_t other_thread(const struct target *target)
{
	struct process_stat stat;
	target_threads threads = {0};
	pid_t tid = 0;

	if (process_stat_read(target->proc_fd, "stat", &stat) < 0 || stat.state != 'Z' ||
	    process_has_ended(&stat))
		return 0;
	if (target_list_threads(target, &threads) == 0 && threads.count > 0)
		tid = threads.items[0].tid;
	vec_done(&threads);
	return tid;
}

int process_open(const struct target *target, const char *name, int flags)
{
	pid_t tid = other_thread(target);
	OWN(str_done) struct str path = {0};
	int fd;

	if (tid)
		str_addf(&path, "task/%d/", tid);
	str_add(&path, name);
	fd = openat(target->proc_fd, str_text(&path), flags | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}
