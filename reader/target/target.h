/* The process that is profiled: who it is, its threads, its mappings, the files behind them. A PID
 * that was reused is told apart by its start time; nothing here ever stops or changes the target.
 */
#ifndef RSPROF_TARGET_TARGET_H
#define RSPROF_TARGET_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "reader/core/module.h"
#include "reader/util/err.h"
#include "reader/util/vec.h"

struct target {
	pid_t pid;
	int proc_fd; /* /proc/PID: refers to this very process, never to a reuse of its PID */
	int pidfd;   /* readable when the process ends; -1 where the kernel has none */
	uint64_t start_ticks; /* field 22 of /proc/PID/stat */
	uid_t uid;
	char comm[16];
	char *exe_path;	    /* as the target sees it; "" where it may not be read */
	char *command_line; /* arguments joined by spaces, scrubbed */
	bool other_mount_namespace, other_pid_namespace;
};

/* Kernel threads, zombies, thread ids that are no process, and rsprof itself are refused with a
 * sentence. */
int target_open_pid(pid_t pid, struct target **ret_target, struct err *err);
/* NAME matches comm or the base name of argv[0], case-sensitive: exact wins, else substring.
 * Several: ERR_USAGE with the list. None: ERR_NOT_FOUND. rsprof itself never matches. */
int target_open_name(const char *name, struct target **ret_target, struct err *err);
void target_free(struct target *target);

/* The process has not ended (a zombie has). */
bool target_is_alive(const struct target *target);
/* After exec: reads comm, exe and command line again. */
void target_refresh(struct target *target);

struct target_thread {
	pid_t tid;
	char comm[16];
};

typedef VEC(struct target_thread) target_threads;

/* Appends the threads there are now. 0, or -ESRCH when the process has ended. */
int target_list_threads(const struct target *target, target_threads *threads);

struct target_mapping {
	uint64_t start, end, file_offset;
	uint64_t inode;
	uint32_t device_major, device_minor;
	bool is_executable;
	char *path; /* without " (deleted)"; "" for anonymous memory; "[vdso]" and the like */
	bool is_deleted;
};

typedef VEC(struct target_mapping) target_mappings;

/* Appends /proc/PID/maps. 0 or -errno. */
int target_list_mappings(const struct target *target, target_mappings *mappings);
void target_mappings_done(target_mappings *mappings);

/* Opens the file behind a mapping for reading, in this order: /proc/PID/root + path where device,
 * inode and size fit; /proc/PID/exe where they fit; /proc/PID/map_files; else the ELF image is
 * copied out of /proc/PID/mem into a memfd. Returns an fd, or -errno with *ret_missing set to a
 * static sentence that says why ("the file is not readable", …). */
int target_open_mapping(const struct target *target, const struct target_mapping *mapping,
			const char **ret_missing);

/* Everything about the module behind a mapping: kind, path, build-id, segments, fd. Fills facts
 * whose strings and segments live in *storage until the next call or module_storage_done. Never
 * fails: what cannot be opened has fd -1 and a reason. */
struct module_storage {
	struct segment segments[SEGMENTS_MAX];
	char path[4096];
};
void target_module_facts(const struct target *target, const struct target_mapping *mapping,
			 struct module_storage *storage, struct module_facts *ret_facts);

/* User and system CPU time of all threads, ended ones too, in ms since the process began; in whole
 * clock ticks (10 ms). */
int target_cpu_ms(const struct target *target, uint64_t *ret_user_ms, uint64_t *ret_system_ms);
/* Both together, by the kernel's own clock. */
int target_cpu_ns(const struct target *target, uint64_t *ret_ns);
int target_rss_bytes(const struct target *target, uint64_t *ret_bytes);
/* Of these, memory that is no file's: the heap is in it. */
int target_rss_anonymous_bytes(const struct target *target, uint64_t *ret_bytes);

#endif
