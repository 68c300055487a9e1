#include "reader/source/heap_probes.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf/shared.h"
#include "reader/source/bpf_features.h"
#include "reader/util/own.h"

#define PERF_TYPE_PATH "/sys/bus/event_source/devices/uprobe/type"
#define PERF_RETURN_PATH "/sys/bus/event_source/devices/uprobe/format/retprobe"

enum {
	PATH_BYTES = 32,
	LINE_BYTES = 64,
	/* UPROBE_PERF's limit of the kernel for one link. */
	LINK_PROBES_MAX = 1 << 20,
};

/* Which of the probes a link is for. */
enum part {
	PART_FREES,
	PART_RETURNS,
	PART_SESSIONS,
	PART_CALLS,
};

struct attaching {
	struct heap_probes *probes;
	const struct heap_programs *programs;
	pid_t pid;
	char path[PATH_BYTES]; /* leads to the file whatever it is called, and where it has no name
				*/
	VEC(uint64_t) offsets, cookies; /* of the part at work */
	uint32_t perf_type, perf_return_bit;
};

static bool is_in_part(const struct heap_probe *probe, enum part part)
{
	switch (part) {
	case PART_FREES:
		return probe->is_free;
	case PART_RETURNS:
	case PART_SESSIONS:
		return probe->wants_return && !probe->is_free;
	default:
		return !probe->wants_return && !probe->is_free;
	}
}

static void choose(struct attaching *at, enum part part, const struct heap_probe *list,
		   size_t count, bool is_plain_part)
{
	vec_clear(&at->offsets);
	vec_clear(&at->cookies);
	for (size_t i = 0; i < count; i++) {
		bool is_chosen = is_in_part(&list[i], part) ||
				 (is_plain_part && is_in_part(&list[i], PART_RETURNS));
		bool has_return = list[i].wants_return && !list[i].is_free;

		if (!is_chosen)
			continue;
		*vec_add(&at->offsets) = list[i].file_offset;
		*vec_add(&at->cookies) = list[i].cookie | (has_return ? HEAP_COOKIE_RETURNS : 0);
	}
}

static void keep(struct attaching *at, enum part part, int fd)
{
	if (part == PART_FREES)
		*vec_add(&at->probes->free_fds) = fd;
	else
		*vec_add(&at->probes->other_fds) = fd;
}

/* ---- by links of many */

static int attach_multi(struct attaching *at, enum part part, int program_fd)
{
	const struct bpf_multi_probes probes = {
		.path = at->path,
		.offsets = at->offsets.items,
		.cookies = at->cookies.items,
		.count = (uint32_t)at->offsets.count,
		.pid = at->pid,
		.is_session = part == PART_SESSIONS,
		.is_return = part == PART_RETURNS,
	};
	int fd = bpf_link_multi(program_fd, &probes);

	if (fd < 0)
		return fd;
	keep(at, part, fd);
	return 0;
}

/* ---- by an event each */

static int read_number(const char *path, const char *format, uint32_t *ret_number)
{
	OWN(own_fclose) FILE *file = fopen(path, "re");

	if (!file)
		return -errno;
	return fscanf(file, format, ret_number) == 1 ? 0 : -EBADMSG;
}

static int find_perf(struct attaching *at)
{
	int failed = read_number(PERF_TYPE_PATH, "%u", &at->perf_type);

	if (!failed)
		failed = read_number(PERF_RETURN_PATH, "config:%u", &at->perf_return_bit);
	return failed || at->perf_return_bit < 32 ? failed : -EBADMSG;
}

/* The link holds the event. */
static int attach_event(struct attaching *at, enum part part, int program_fd, size_t i)
{
	struct perf_event_attr attr = {
		.type = at->perf_type,
		.size = sizeof(attr),
		.config = part == PART_RETURNS ? UINT64_C(1) << at->perf_return_bit : 0,
		.uprobe_path = (uintptr_t)at->path,
		.probe_offset = at->offsets.items[i],
	};
	OWN(own_close)
	int event = (int)syscall(SYS_perf_event_open, &attr, at->pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	int link;

	LIBBPF_OPTS(bpf_link_create_opts, options);
	if (event < 0)
		return -errno;
	options.perf_event.bpf_cookie = at->cookies.items[i];
	link = bpf_link_create(program_fd, event, BPF_PERF_EVENT, &options);
	if (link < 0)
		return link;
	keep(at, part, link);
	return ioctl(event, PERF_EVENT_IOC_ENABLE, 0) ? -errno : 0;
}

static int attach_events(struct attaching *at, enum part part, int program_fd)
{
	int failed = at->perf_type ? 0 : find_perf(at);

	for (size_t i = 0; i < at->offsets.count && !failed; i++)
		failed = attach_event(at, part, program_fd, i);
	return failed;
}

/* ---- all of them */

static int attach_part(struct attaching *at, enum part part, const struct heap_probe *list,
		       size_t count)
{
	const struct heap_programs *programs = at->programs;
	bool has_sessions = programs->attach == HEAP_ATTACH_SESSION;
	int program_fd = programs->call_fd;

	if (part == PART_SESSIONS)
		program_fd = programs->session_fd;
	if (part == PART_RETURNS)
		program_fd = programs->return_fd;
	/* Without sessions, calls that return are calls like others, too. */
	choose(at, part, list, count, part == PART_CALLS && !has_sessions);
	if (!at->offsets.count)
		return 0;
	if (programs->attach == HEAP_ATTACH_PERF)
		return attach_events(at, part, program_fd);
	return attach_multi(at, part, program_fd);
}

static int attach(struct attaching *at, const struct heap_probe *list, size_t count)
{
	bool has_sessions = at->programs->attach == HEAP_ATTACH_SESSION;
	/* No block is to be allocated before frees are seen, no call before its return is. */
	int failed = attach_part(at, PART_FREES, list, count);

	if (!failed)
		failed = attach_part(at, has_sessions ? PART_SESSIONS : PART_RETURNS, list, count);
	if (!failed)
		failed = attach_part(at, PART_CALLS, list, count);
	return failed;
}

static void close_beyond(int *fds, size_t *count, size_t left)
{
	while (*count > left)
		close(fds[--*count]);
}

static int add_here(struct heap_probes *probes, const struct heap_programs *programs, pid_t pid,
		    int fd, const struct heap_probe *list, size_t count)
{
	struct attaching at = {.probes = probes, .programs = programs, .pid = pid};
	size_t frees = probes->free_fds.count, others = probes->other_fds.count;
	int failed;

	if (count > LINK_PROBES_MAX)
		return -E2BIG;
	snprintf(at.path, sizeof(at.path), "/proc/self/fd/%d", fd);
	failed = attach(&at, list, count);
	vec_done(&at.offsets);
	vec_done(&at.cookies);
	if (failed) {
		close_beyond(probes->other_fds.items, &probes->other_fds.count, others);
		close_beyond(probes->free_fds.items, &probes->free_fds.count, frees);
	}
	return failed;
}

int heap_probes_add(struct heap_probes *probes, const struct heap_programs *programs, pid_t pid,
		    int fd, const struct heap_probe *list, size_t count)
{
	int failed;

	probes->keeper = programs->keeper;
	failed = probes->keeper ? heap_keeper_add(probes->keeper, &probes->keeper_group, pid, fd,
						  list, count)
				: add_here(probes, programs, pid, fd, list, count);
	if (failed)
		return failed;
	probes->count += count;
	for (size_t i = 0; i < count; i++)
		probes->free_count += list[i].is_free;
	return 0;
}

void heap_probes_drop_frees(struct heap_probes *probes)
{
	if (probes->keeper && probes->free_count)
		heap_keeper_drop_frees(probes->keeper, probes->keeper_group);
	close_beyond(probes->free_fds.items, &probes->free_fds.count, 0);
	probes->count -= probes->free_count;
	probes->free_count = 0;
}

void heap_probes_done(struct heap_probes *probes)
{
	if (probes->keeper && probes->count)
		heap_keeper_drop(probes->keeper, probes->keeper_group);
	close_beyond(probes->other_fds.items, &probes->other_fds.count, 0);
	close_beyond(probes->free_fds.items, &probes->free_fds.count, 0);
	vec_done(&probes->other_fds);
	vec_done(&probes->free_fds);
	probes->count = probes->free_count = 0;
}
