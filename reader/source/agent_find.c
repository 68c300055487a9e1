/* Finding an agent's memory: among the descriptors of a process, or in the one that `rsprof run`
 * has given it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "reader/source/agent_memory.h"
#include "reader/target/proc.h"
#include "reader/util/clock.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"

enum {
	/* A process has 1,024 descriptors, some a million; the agent's is among the highest ones.
	 */
	DESCRIPTORS_MAX = 1 << 20,
	LINK_MAX_BYTES = 64,
	STATUS_MAX_BYTES = 65536,
};

static const char LINK[] = "/memfd:" RSPROF_SHM_NAME " (deleted)";

/* What an opened file is held against. */
struct claim {
	const struct target *target;
	int pid;	    /* for people */
	uint32_t inner_pid; /* as the process sees itself; 0: it has ended, nobody can say */
	bool is_adopted;
};

static bool is_named(int folder_fd, const char *name)
{
	char link[LINK_MAX_BYTES];
	ssize_t length = readlinkat(folder_fd, name, link, sizeof(link));

	return length == (ssize_t)strlen(LINK) && memcmp(link, LINK, strlen(LINK)) == 0;
}

/* The last of the numbers that a process has in the namespaces it is in; 0 where it has ended. */
static uint32_t inner_pid(const struct target *target)
{
	OWN(str_done) struct str text = {0};
	const char *line;
	unsigned long pid = 0;
	char *end;

	if (proc_read(target->proc_fd, "status", STATUS_MAX_BYTES, &text) < 0)
		return 0;
	line = strstr(str_text(&text), "\nNSpid:");
	if (!line)
		return (uint32_t)target->pid;
	for (line += strlen("\nNSpid:"); *line == ' ' || *line == '\t'; line = end) {
		unsigned long number = strtoul(line, &end, 10);

		if (end == line)
			break;
		pid = number;
	}
	return (uint32_t)pid;
}

static int refuse_version(const struct claim *claim, const struct rsprof_shm_header *header,
			  struct err *err)
{
	err_set(err, ERR_GENERAL, -EPROTO,
		"The agent in process %d shares its memory in version %u.%u; rsprof " RSPROF_VERSION
		" reads version %d.%d.",
		claim->pid, header->major, header->minor, RSPROF_SHM_MAJOR, RSPROF_SHM_MINOR);
	err_remedy(err, "Use rsprof and librsprof_agent.so of the same release.");
	return -EPROTO;
}

static int refuse_damaged(const struct claim *claim, const char *wrong, struct err *err)
{
	return err_set(err, ERR_GENERAL, -EBADMSG,
		       "The agent's memory in process %d is damaged: %s.", claim->pid, wrong);
}

/* The name could be any file's of that name; seals are of memory alone, where no read can hang. */
static int check_file(const struct claim *claim, int fd, struct stat *ret_stat, struct err *err)
{
	if (fstat(fd, ret_stat) < 0 || !S_ISREG(ret_stat->st_mode) || fcntl(fd, F_GET_SEALS) < 0)
		return refuse_damaged(claim, "it is no memory file", err);
	if (ret_stat->st_uid != claim->target->uid && ret_stat->st_uid != 0 &&
	    !(claim->is_adopted && ret_stat->st_uid == geteuid()))
		return err_set(err, ERR_PERMISSION, -EACCES,
			       "The agent's memory in process %d belongs to another user (UID "
			       "%u, the process has %u).",
			       claim->pid, (unsigned)ret_stat->st_uid,
			       (unsigned)claim->target->uid);
	return 0;
}

/* A descriptor that was inherited is of another process. */
static int check_process(const struct claim *claim, const struct rsprof_shm_header *header,
			 struct err *err)
{
	if (claim->inner_pid &&
	    (header->pid != claim->inner_pid || header->start_time != claim->target->start_ticks))
		return err_set(err, ERR_NOT_FOUND, -ENOENT,
			       "The agent's memory found in process %d is another process's (PID "
			       "%u).",
			       claim->pid, header->pid);
	return 0;
}

static void copy_scrubbed(char *to, size_t room, const char *from)
{
	OWN(str_done) struct str text = {0};
	char raw[256];

	memcpy(raw, from, room);
	raw[room - 1] = '\0';
	str_add_scrubbed(&text, raw);
	snprintf(to, room, "%s", str_text(&text));
}

static void take_facts(struct agent_region *region)
{
	static const enum heap_mode modes[] = {
		[RSPROF_SHM_HEAP_OFF] = HEAP_MODE_OFF,
		[RSPROF_SHM_HEAP_EXACT] = HEAP_MODE_EXACT,
		[RSPROF_SHM_HEAP_SAMPLED] = HEAP_MODE_SAMPLED,
		[RSPROF_SHM_HEAP_TRACE] = HEAP_MODE_TRACE,
	};
	const struct rsprof_shm_header *header = &region->header;
	struct agent_region_facts *facts = &region->facts;

	*facts = (struct agent_region_facts){
		.heap = modes[header->heap],
		.cpu_frequency = header->cpu_frequency,
		.sample_bytes = header->sample_bytes,
		.is_forked = header->is_forked,
		.is_linked = header->is_linked,
		.is_writable = region->is_writable,
		.lanes = region->layout.lanes,
		.sites = region->layout.sites,
		/* A clock of its own namespace may be ahead. */
		.created_ns = header->created_ns < clock_now_ns() ? header->created_ns : 0,
	};
	copy_scrubbed(facts->version, sizeof(facts->version), header->version);
	copy_scrubbed(facts->allocator, sizeof(facts->allocator), header->allocator);
}

/* An empty file, or one without its first word, has not begun. */
static int read_header(const struct claim *claim, struct agent_region *region, struct err *err)
{
	struct rsprof_shm_header *header = &region->header;
	const char *wrong;
	ssize_t got;
	int ret;

	memset(header, 0, sizeof(*header));
	got = pread(region->fd, header, sizeof(*header), 0);
	if (got < 0)
		return refuse_damaged(claim, "it cannot be read", err);
	if ((size_t)got < sizeof(*header) && got >= 12 && header->magic == RSPROF_SHM_MAGIC)
		return header->major == RSPROF_SHM_MAJOR
			       ? refuse_damaged(claim, "it is truncated", err)
			       : refuse_version(claim, header, err);
	ret = agent_layout_read(header, region->file_bytes, &region->layout, &wrong);
	if (ret == -EPROTO)
		return refuse_version(claim, header, err);
	if (ret == -EBADMSG)
		return refuse_damaged(claim, wrong, err);
	return ret;
}

/* fd is taken over. */
static int open_region(const struct claim *claim, int fd, bool is_writable,
		       struct agent_region **ret_region, struct err *err)
{
	struct agent_region *region = mem_zalloc(sizeof(*region));
	struct stat stat;
	int ret;

	region->fd = fd;
	region->is_writable = is_writable;
	ret = check_file(claim, fd, &stat, err);
	if (ret == 0) {
		region->file_bytes = (uint64_t)stat.st_size;
		region->device = stat.st_dev;
		region->inode = stat.st_ino;
		ret = read_header(claim, region, err);
	}
	if (ret == 0)
		ret = check_process(claim, &region->header, err);
	if (ret == 0) {
		take_facts(region);
		ret = agent_region_refresh(region);
		if (ret < 0)
			refuse_damaged(claim, "it changes while it is read", err);
	}
	if (ret < 0) {
		agent_region_close(region);
		return ret;
	}
	*ret_region = region;
	return 0;
}

/* A file that a descriptor of ours refers to, anew: its position and flags are then ours. */
static int reopen(int fd, bool *ret_is_writable)
{
	char path[64];
	int opened;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	opened = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	*ret_is_writable = opened >= 0;
	if (opened < 0)
		opened = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return opened < 0 ? -errno : opened;
}

static bool is_memory(int path_fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	return is_named(AT_FDCWD, path);
}

/* Looked at before it is opened: what is behind the number may have become a device since. */
static int open_entry(const struct claim *claim, int folder_fd, const char *name,
		      struct agent_region **ret_region, struct err *err)
{
	OWN(own_close) int path_fd = openat(folder_fd, name, O_PATH | O_CLOEXEC);
	bool is_writable;
	int fd;

	if (path_fd < 0 || !is_memory(path_fd))
		return err_set(err, ERR_NOT_FOUND, -ENOENT, "Process %d has no agent.", claim->pid);
	fd = reopen(path_fd, &is_writable);
	if (fd < 0)
		return err_set(err, ERR_PERMISSION, fd,
			       "The agent's memory in process %d may not be read: %s.", claim->pid,
			       strerror(-fd));
	return open_region(claim, fd, is_writable, ret_region, err);
}

static int refuse_folder(const struct claim *claim, int error, struct err *err)
{
	if (error == EACCES || error == EPERM)
		return err_set(err, ERR_PERMISSION, -error,
			       "The descriptors of process %d may not be read, so that its agent "
			       "cannot be found: %s.",
			       claim->pid, strerror(error));
	return err_set(err, ERR_NOT_FOUND, -ENOENT, "Process %d has no agent.", claim->pid);
}

int agent_region_find(const struct target *target, struct agent_region **ret_region,
		      struct err *err)
{
	struct claim claim = {.target = target, .pid = target->pid};
	struct err refusal = {.kind = ERR_NOT_FOUND};
	OWN(own_closedir) DIR *folder = NULL;
	struct dirent *entry;
	size_t looked_at = 0;
	int fd = process_open(target, "fd", O_RDONLY | O_DIRECTORY), ret = -ENOENT;

	if (fd < 0)
		return refuse_folder(&claim, -fd, err);
	folder = fdopendir(fd);
	if (!folder) {
		close(fd);
		return refuse_folder(&claim, ENOMEM, err);
	}
	snprintf(refusal.sentence, sizeof(refusal.sentence), "Process %d has no agent.", claim.pid);
	claim.inner_pid = inner_pid(target);
	/* The first that is its own; of others, the first that is refused for a reason. */
	while (looked_at++ < DESCRIPTORS_MAX && (entry = readdir(folder))) {
		struct err why = {0};
		int now;

		if (entry->d_name[0] == '.' || !is_named(dirfd(folder), entry->d_name))
			continue;
		now = open_entry(&claim, dirfd(folder), entry->d_name, ret_region, &why);
		if (now == 0)
			return 0;
		if (now != -EAGAIN && ret == -ENOENT) {
			refusal = why;
			ret = now;
		}
	}
	if (err)
		*err = refusal;
	return ret;
}

int agent_region_adopt(int memfd, const struct target *target, struct agent_region **ret_region,
		       struct err *err)
{
	struct claim claim = {.target = target,
			      .pid = target->pid,
			      .inner_pid = inner_pid(target),
			      .is_adopted = true};
	bool is_writable;
	int fd = reopen(memfd, &is_writable);

	if (fd < 0)
		return err_set(err, ERR_GENERAL, fd,
			       "The memory given to the agent cannot be opened: %s.",
			       strerror(-fd));
	return open_region(&claim, fd, is_writable, ret_region, err);
}

static bool has_descriptor(const struct agent_region *region, const struct target *target)
{
	OWN(own_closedir) DIR *folder = NULL;
	struct dirent *entry;
	struct stat stat;
	size_t looked_at = 0;
	int fd = process_open(target, "fd", O_RDONLY | O_DIRECTORY);

	folder = fd < 0 ? NULL : fdopendir(fd);
	while (folder && looked_at++ < DESCRIPTORS_MAX && (entry = readdir(folder))) {
		if (entry->d_name[0] == '.' || !is_named(dirfd(folder), entry->d_name))
			continue;
		if (fstatat(dirfd(folder), entry->d_name, &stat, 0) == 0 &&
		    stat.st_dev == region->device && stat.st_ino == region->inode)
			return true;
	}
	return false;
}

bool agent_region_is_held(const struct agent_region *region, const struct target *target)
{
	OWN(target_mappings_done) target_mappings mappings = {0};

	if (has_descriptor(region, target))
		return true;
	/* The program may have closed what it does not know; the agent needs only the mapping. */
	if (target_list_mappings(target, &mappings) < 0)
		return true;
	for (size_t i = 0; i < mappings.count; i++) {
		if (mappings.items[i].inode == region->inode &&
		    makedev(mappings.items[i].device_major, mappings.items[i].device_minor) ==
			    region->device)
			return true;
	}
	return mappings.count == 0;
}
