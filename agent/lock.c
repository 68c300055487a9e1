/* What a program says of its memory. mlockall would fill the sparse shared memory, gigabytes of it,
 * with pages. So the rest is locked mapping by mapping, and the agent's only where it is used.
 *
 * And a limit of the address space that the program sets for itself is for what it has mapped, not
 * for what the agent has. Where that is more than a part of it the agent ends, and gives back its
 * memory, as long as no other thread may be at it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "agent/lane.h"
#include "agent/wishes.h"

/* Lines of /proc/self/maps, read by pieces. */
struct maps {
	int fd;
	long at, bytes;
	char text[4096];
};

static int next_char(struct maps *maps)
{
	if (maps->at == maps->bytes) {
		maps->bytes = sys_read(maps->fd, maps->text, sizeof(maps->text));
		maps->at = 0;
		if (maps->bytes <= 0) {
			maps->bytes = 0;
			return -1;
		}
	}
	return (unsigned char)maps->text[maps->at++];
}

/* Up to the character that is no digit, which is lost. */
static uintptr_t next_number(struct maps *maps)
{
	uintptr_t number = 0;
	int c;

	for (;;) {
		c = next_char(maps);
		if (c >= '0' && c <= '9')
			number = number << 4 | (uintptr_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			number = number << 4 | (uintptr_t)(c - 'a' + 10);
		else
			return number;
	}
}

static bool next_mapping(struct maps *maps, uintptr_t *ret_start, uintptr_t *ret_end)
{
	int c;

	*ret_start = next_number(maps);
	*ret_end = next_number(maps);
	do
		c = next_char(maps);
	while (c >= 0 && c != '\n');
	return *ret_start < *ret_end;
}

/* Of all that is not the shared memory or one of the agent's sparse tables. */
static uint64_t for_the_rest(bool is_to_lock)
{
	uintptr_t ours = (uintptr_t)agent_process.region, start, end;
	struct maps maps = {.fd = sys_open("/proc/self/maps", O_RDONLY)};
	uint64_t total = 0;

	if (maps.fd < 0)
		return UINT64_MAX;
	while (next_mapping(&maps, &start, &end)) {
		if ((start < ours + agent_process.region_bytes && ours < end) ||
		    lane_has(start, end) || sys_is_mapped(start, end))
			continue;
		total += end - start;
		/* As with mlockall, what cannot be read is passed over. */
		if (is_to_lock)
			sys_call(SYS_mlock, (long)start, (long)(end - start), 0, 0, 0, 0);
	}
	sys_close(maps.fd);
	return total;
}

static bool may_lock_the_rest(void)
{
	struct rlimit limit;

	return !sys_call(SYS_prlimit64, 0, RLIMIT_MEMLOCK, 0, (long)&limit, 0, 0) &&
	       limit.rlim_cur && for_the_rest(false) <= limit.rlim_cur;
}

AGENT_EXPORT int mlockall(int flags)
{
	bool is_ours = agent_process.region && (flags & MCL_CURRENT) && !(flags & MCL_ONFAULT);
	long error = sys_call(SYS_mlockall, is_ours ? flags | MCL_ONFAULT : flags, 0, 0, 0, 0, 0);

	/* The limit is for all that is mapped, with the shared memory. */
	if (error == -ENOMEM && is_ours && may_lock_the_rest())
		error = 0;
	if (error) {
		errno = (int)-error;
		return -1;
	}
	if (!is_ours)
		return 0;
	for_the_rest(true);
	/* What comes later is as the program has said. */
	if (flags & MCL_FUTURE)
		sys_call(SYS_mlockall, MCL_FUTURE, 0, 0, 0, 0, 0);
	return 0;
}

/* ---- limits */

enum { PAGE = 4096, LINKS_OF_ONE = 3 };

static bool is_one_thread(void)
{
	static const char tasks[] = "/proc/self/task";
	struct stat status;

	return !sys_call(SYS_newfstatat, AT_FDCWD, (long)tasks, (long)&status, 0, 0, 0) &&
	       status.st_nlink == LINKS_OF_ONE;
}

/* In whole mappings, which the kernel may have joined with others. */
static uint64_t lanes_bytes(void)
{
	struct maps maps = {.fd = sys_open("/proc/self/maps", O_RDONLY)};
	uintptr_t start, end;
	uint64_t sum = 0;

	if (maps.fd < 0)
		return 0;
	while (next_mapping(&maps, &start, &end)) {
		if (lane_has(start, end))
			sum += end - start;
	}
	sys_close(maps.fd);
	return sum;
}

/* Only what is a lane's of a mapping. */
static void release_lanes_in(uintptr_t start, uintptr_t end)
{
	uintptr_t ours = 0;

	for (uintptr_t page = start; page <= end; page += PAGE) {
		bool is_ours = page < end && lane_has(page, page + PAGE);

		if (is_ours && !ours)
			ours = page;
		if (is_ours || !ours)
			continue;
		sys_call(SYS_munmap, (long)ours, (long)(page - ours), 0, 0, 0, 0);
		ours = 0;
	}
}

static void release_lanes(void)
{
	struct maps maps = {.fd = sys_open("/proc/self/maps", O_RDONLY)};
	uintptr_t start, end;

	if (maps.fd < 0)
		return;
	while (next_mapping(&maps, &start, &end)) {
		if (lane_has(start, end))
			release_lanes_in(start, end);
	}
	sys_close(maps.fd);
}

/* All but the header, which tells readers what has become of the agent. */
static void release_region(void)
{
	const struct rsprof_shm_header *header = agent_process.region;
	uint64_t kept = header->sections[RSPROF_SHM_LANES].offset;

	if (kept < agent_process.region_bytes)
		sys_call(SYS_munmap, (long)agent_process.region + (long)kept,
			 (long)(agent_process.region_bytes - kept), 0, 0, 0, 0);
	agent_process.region = NULL;
}

/* Private memory that may be written is data. */
static uint64_t counted_bytes(int resource)
{
	uint64_t bytes = sys_large_bytes();

	return resource == RLIMIT_DATA ? bytes : bytes + agent_process.region_bytes + lanes_bytes();
}

static void make_room(int resource, const struct rlimit *limit)
{
	struct agent_thread *thread = &agent_thread;

	if ((resource != RLIMIT_AS && resource != RLIMIT_DATA) || !limit ||
	    limit->rlim_cur == RLIM_INFINITY || !agent_process.region || agent_is_borrowed())
		return;
	if (counted_bytes(resource) <= limit->rlim_cur / AGENT_PART || !is_one_thread() ||
	    thread->internal_depth || thread->busy_frame)
		return;
	agent_end(RSPROF_SHM_CONFINED);
	release_lanes();
	release_region();
	sys_release_large();
}

static int set_limit(pid_t pid, int resource, const struct rlimit *limit, struct rlimit *ret_old)
{
	long error;

	if (!pid || pid == (pid_t)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0))
		make_room(resource, limit);
	error = sys_call(SYS_prlimit64, pid, resource, (long)limit, (long)ret_old, 0, 0);
	if (!error)
		return 0;
	errno = (int)-error;
	return -1;
}

AGENT_EXPORT int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
	return set_limit(0, (int)resource, limit, NULL);
}

AGENT_EXPORT int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit)
{
	return set_limit(0, (int)resource, (const struct rlimit *)limit, NULL);
}

AGENT_EXPORT int prlimit(pid_t pid, enum __rlimit_resource resource, const struct rlimit *limit,
			 struct rlimit *ret_old)
{
	return set_limit(pid, (int)resource, limit, ret_old);
}

AGENT_EXPORT int prlimit64(pid_t pid, enum __rlimit_resource resource, const struct rlimit64 *limit,
			   struct rlimit64 *ret_old)
{
	return set_limit(pid, (int)resource, (const struct rlimit *)limit,
			 (struct rlimit *)ret_old);
}

WISH_IS(mlockall);
WISH_IS(setrlimit);
WISH_IS(setrlimit64);
WISH_IS(prlimit);
WISH_IS(prlimit64);
