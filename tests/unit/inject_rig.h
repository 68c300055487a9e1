/* Programs that the agent is put into, and what its memory says. */
#ifndef RSPROF_TESTS_UNIT_INJECT_RIG_H
#define RSPROF_TESTS_UNIT_INJECT_RIG_H

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "include/rsprof/shm_abi.h"
#include "reader/target/inject.h"
#include "tests/lib/kit.h"

enum { RIG_DEADLINE_MS = 20000 };

struct injectee {
	pid_t pid;
	int to, from;
	struct target *target;
	char said[4096]; /* after "ready" */
	size_t said_bytes;
};

static inline void rig_nap_us(unsigned microseconds)
{
	struct timespec nap = {microseconds / 1000000, (long)(microseconds % 1000000) * 1000};

	nanosleep(&nap, NULL);
}

static inline char *rig_target(const char *name)
{
	static char paths[8][4096];
	static unsigned next;
	const char *folder = getenv("TARGETS");
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder ? folder : "build/targets", name);
	return path;
}

/* ---- talking */

static inline bool rig_hear_more(struct injectee *injectee)
{
	struct pollfd fd = {.fd = injectee->from, .events = POLLIN};
	ssize_t got;

	if (poll(&fd, 1, RIG_DEADLINE_MS) != 1)
		FAIL("process %d says nothing", injectee->pid);
	got = read(injectee->from, injectee->said + injectee->said_bytes,
		   sizeof(injectee->said) - 1 - injectee->said_bytes);
	if (got <= 0)
		return false;
	injectee->said_bytes += (size_t)got;
	injectee->said[injectee->said_bytes] = '\0';
	return true;
}

/* The next line; forgets it. */
static inline void injectee_hear(struct injectee *injectee, const char *line)
{
	while (!strchr(injectee->said, '\n'))
		if (!rig_hear_more(injectee))
			FAIL("process %d ended without a word", injectee->pid);
	if (strcmp(injectee->said, line) != 0)
		FAIL("\"%s\" is not \"%s\"", injectee->said, line);
	injectee->said_bytes = 0;
	injectee->said[0] = '\0';
}

static inline void injectee_tell(struct injectee *injectee, const char *text)
{
	CHECK(write(injectee->to, text, strlen(text)) == (ssize_t)strlen(text));
}

static inline void injectee_close(struct injectee *injectee)
{
	if (injectee->to >= 0)
		close(injectee->to);
	injectee->to = -1;
}

static inline void injectee_start(struct injectee *injectee, const char *const *arguments)
{
	struct err err = {0};
	int to[2], from[2];

	CHECK(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
	*injectee = (struct injectee){.to = to[1], .from = from[0]};
	injectee->pid = fork();
	if (injectee->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		execv(arguments[0], (char *const *)arguments);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	injectee_hear(injectee, "ready\n");
	if (target_open_pid(injectee->pid, &injectee->target, &err) < 0)
		FAIL("%s", err.sentence);
}

/* Its exit code, or the negative number of the signal that ended it. */
static inline int injectee_end(struct injectee *injectee)
{
	int status = 0;

	while (rig_hear_more(injectee))
		;
	CHECK(waitpid(injectee->pid, &status, 0) == injectee->pid);
	injectee_close(injectee);
	close(injectee->from);
	target_free(injectee->target);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline int injectee_inject(struct injectee *injectee, struct inject_result *ret_result,
				  struct err *err)
{
	const char *folder = getenv("BUILD");
	char path[4096];

	snprintf(path, sizeof(path), "%s/librsprof_agent.so", folder ? folder : "build");
	return inject_agent(injectee->target, path, ret_result, err);
}

/* ---- what the agent's memory says */

struct region {
	uint32_t state, reason;
	uint64_t allocs, frees;
};

static inline int region_open(pid_t pid)
{
	char folder[64], path[400], link[64];
	struct dirent *entry;
	int fd = -1;
	DIR *list;

	snprintf(folder, sizeof(folder), "/proc/%d/fd", pid);
	list = opendir(folder);
	while (list && fd < 0 && (entry = readdir(list))) {
		ssize_t got;

		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		got = readlink(path, link, sizeof(link) - 1);
		if (got > 0 && strncmp(link, "/memfd:" RSPROF_SHM_NAME,
				       strlen("/memfd:" RSPROF_SHM_NAME)) == 0)
			fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (list)
		closedir(list);
	return fd;
}

static inline bool region_read(pid_t pid, struct region *ret_region)
{
	struct rsprof_shm_header header;
	const struct rsprof_shm_section *counts = &header.sections[RSPROF_SHM_COUNTS];
	struct region region = {0};
	int fd = region_open(pid);
	bool is_read = fd >= 0 &&
		       pread(fd, &header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
		       header.magic == RSPROF_SHM_MAGIC && header.next_site <= header.site_count;

	for (uint64_t lane = 0; is_read && lane < header.lane_count; lane++) {
		for (uint64_t site = 0; site < header.next_site; site++) {
			struct rsprof_shm_counts at;
			uint64_t index = lane * header.site_count + site;

			is_read = pread(fd, &at, sizeof(at),
					(off_t)(counts->offset + index * counts->stride)) ==
				  (ssize_t)sizeof(at);
			region.allocs += is_read ? at.allocs : 0;
			region.frees += is_read ? at.frees : 0;
		}
	}
	if (fd >= 0)
		close(fd);
	region.state = is_read ? header.state : 0;
	region.reason = is_read ? header.reason : 0;
	*ret_region = region;
	return is_read;
}

static inline bool rig_wait_for_allocations(struct injectee *injectee, uint64_t count,
					    struct region *ret_region)
{
	for (unsigned i = 0; i < RIG_DEADLINE_MS; i++) {
		if (region_read(injectee->pid, ret_region) && ret_region->allocs >= count)
			return true;
		rig_nap_us(1000);
	}
	return false;
}

/* ---- what /proc says */

static inline bool rig_wait_for_state(pid_t pid, char state)
{
	char path[64], text[512], *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (unsigned i = 0; i < RIG_DEADLINE_MS; i++) {
		FILE *file = fopen(path, "r");
		size_t got = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

		if (file)
			fclose(file);
		text[got] = '\0';
		end = strrchr(text, ')');
		if (end && end[1] == ' ' && end[2] == state)
			return true;
		rig_nap_us(1000);
	}
	return false;
}

static inline uint64_t rig_cpu_ns(const char *path)
{
	FILE *file = fopen(path, "r");
	uint64_t time = 0;

	if (file && fscanf(file, "%" SCNu64, &time) != 1)
		time = 0;
	if (file)
		fclose(file);
	return time;
}

/* Each thread gets on with its work. */
static inline bool rig_all_work(pid_t pid)
{
	char folder[64], path[400];
	struct dirent *entry;
	bool all = true;
	DIR *list;

	snprintf(folder, sizeof(folder), "/proc/%d/task", pid);
	list = opendir(folder);
	while (list && all && (entry = readdir(list))) {
		uint64_t before;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s/schedstat", folder, entry->d_name);
		before = rig_cpu_ns(path);
		all = false;
		/* Waiting takes little: some milliseconds of it are work. */
		for (unsigned i = 0; i < RIG_DEADLINE_MS && !all; i++) {
			rig_nap_us(1000);
			all = rig_cpu_ns(path) > before + 100000000;
		}
	}
	if (list)
		closedir(list);
	return all;
}

/* Bytes of the executable's and libraries' mappings that may be written, but for the agent's, and
 * of memory that may be written and run. */
static inline unsigned rig_writable_bytes(pid_t pid)
{
	char path[64], line[4352], flags[8];
	unsigned long start, end;
	unsigned bytes = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx %7s", &start, &end, flags) != 3 || flags[1] != 'w')
			continue;
		if (flags[2] == 'x' || (strchr(line, '/') && !strstr(line, "rsprof")) ||
		    end - start == 262144)
			bytes += (unsigned)(end - start);
	}
	if (file)
		fclose(file);
	return bytes;
}

/* Bytes of mapped code that differ from their files. */
static inline unsigned rig_changed_code_bytes(pid_t pid)
{
	char path[64], line[4352], flags[8], name[4096];
	unsigned long start, end, offset;
	unsigned changed = 0;
	int memory;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	memory = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		int code;

		if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %4095s", &start, &end, flags, &offset,
			   name) != 5 ||
		    flags[2] != 'x' || name[0] != '/')
			continue;
		code = open(name, O_RDONLY | O_CLOEXEC);
		CHECK(code >= 0);
		for (unsigned long at = start; at < end; at += 4096) {
			char one[4096] = {0}, other[4096] = {0};

			CHECK(pread(memory, one, sizeof(one), (off_t)at) == (ssize_t)sizeof(one));
			CHECK(pread(code, other, sizeof(other), (off_t)(at - start + offset)) >= 0);
			for (unsigned i = 0; i < sizeof(one); i++)
				changed += one[i] != other[i];
		}
		close(code);
	}
	if (file)
		fclose(file);
	close(memory);
	return changed;
}

static inline int rig_compare(const void *a, const void *b)
{
	const uint64_t *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

static inline uint64_t rig_median(uint64_t *values, unsigned count)
{
	qsort(values, count, sizeof(*values), rig_compare);
	return values[count / 2];
}

#endif
