/* Reading /proc: whole small files, and the stat line of a process or thread. Private to this room.
 */
#ifndef RSPROF_TARGET_PROC_H
#define RSPROF_TARGET_PROC_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "reader/target/target.h"
#include "reader/util/str.h"

static inline void own_closedir(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

/* Appends the file's bytes (NUL bytes too) to *text, at most `most` of them. 0 or -errno. */
int proc_read(int folder_fd, const char *name, size_t most, struct str *text);

/* A decimal number in a one-line file of /proc or /sys. 0, -errno, or -EINVAL. */
int proc_read_number(const char *path, int64_t *ret_number);

struct process_stat {
	char comm[16];
	char state; /* 'R', 'S', 'Z' … */
	bool is_kernel_thread;
	uint64_t user_ticks, system_ticks;
	uint64_t thread_count;
	uint64_t start_ticks;
};

/* comm may hold spaces, parentheses and newlines. 0 or -EBADMSG. */
int process_stat_parse(const char *text, size_t length, struct process_stat *ret_stat);
/* name: "stat" below folder_fd, or "123/stat". 0, -ESRCH where the process is gone, or -errno. */
int process_stat_read(int folder_fd, const char *name, struct process_stat *ret_stat);
/* Nothing of it runs any more. A first thread that ended before the others is a zombie too, but its
 * process lives on. */
bool process_has_ended(const struct process_stat *stat);

/* Opens an entry of the target's /proc folder ("maps", "root/lib/x.so"). Where its first thread has
 * ended before the others, that thread's entries are empty: another thread's are taken. */
int process_open(const struct target *target, const char *name, int flags);

#endif
