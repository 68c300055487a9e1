/* mlockall. It would fill the sparse shared memory, gigabytes of it, with pages. So the rest is
 * locked mapping by mapping, and the agent's only where it is used. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "agent/lane.h"

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
