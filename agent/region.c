#include <fcntl.h>
#include <limits.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "agent/lane.h"
#include "agent/real.h"
#include "agent/region.h"

enum {
	PAGE_BYTES = 4096,
	FD_WANTED = 900,
	FD_LATE = 56, /* so that the program's descriptors keep their numbers */
	FD_LEAST = 32,
};

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

/* How much there is room for. */
struct plan {
	uint32_t lanes, sites, ring_events, modules;
	uint64_t stacks;
};
static const struct plan plans[] = {
	{.lanes = 256,
	 .sites = AGENT_SITES_MAX,
	 .ring_events = 4096,
	 .modules = 1024,
	 .stacks = 128 << 20},
	{.lanes = 64, .sites = 1 << 15, .ring_events = 4096, .modules = 256, .stacks = 32 << 20},
};
enum { PLANS = sizeof(plans) / sizeof(plans[0]), TRACE_EVENTS = 131072 };

static uint64_t lay(struct rsprof_shm_section *section, uint64_t at, uint64_t stride,
		    uint64_t count)
{
	section->offset = at;
	section->stride = stride;
	section->count = count;
	return (at + stride * count + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
}

static uint64_t lay_out(const struct plan *plan, struct rsprof_shm_section *sections)
{
	uint64_t at = PAGE_BYTES;

	_Static_assert(sizeof(struct rsprof_shm_header) <= PAGE_BYTES, "the header has a page");
	at = lay(&sections[RSPROF_SHM_CONTROL], at, sizeof(struct rsprof_shm_control), 1);
	at = lay(&sections[RSPROF_SHM_LANES], at, sizeof(struct rsprof_shm_lane), plan->lanes);
	at = lay(&sections[RSPROF_SHM_MODULES], at, sizeof(struct rsprof_shm_module),
		 plan->modules);
	at = lay(&sections[RSPROF_SHM_SITES], at, sizeof(uint64_t), plan->sites);
	at = lay(&sections[RSPROF_SHM_STACKS], at, 1, plan->stacks);
	at = lay(&sections[RSPROF_SHM_RINGS], at, sizeof(struct rsprof_shm_event),
		 (uint64_t)plan->lanes * plan->ring_events);
	return lay(&sections[RSPROF_SHM_COUNTS], at, sizeof(struct rsprof_shm_counts),
		   (uint64_t)plan->lanes * plan->sites);
}

/* ---- the descriptor */

static bool is_error(long result)
{
	return result < 0 && result > -4096;
}

static int new_fd(void)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	long fd = sys_call(SYS_memfd_create, (long)RSPROF_SHM_NAME, flags | MFD_NOEXEC_SEAL, 0, 0,
			   0, 0);

	if (is_error(fd)) /* Linux < 6.3 */
		fd = sys_call(SYS_memfd_create, (long)RSPROF_SHM_NAME, flags, 0, 0, 0, 0);
	return is_error(fd) ? -1 : (int)fd;
}

static bool is_empty_one(int fd)
{
	static const char want[] = "/memfd:" RSPROF_SHM_NAME;
	char link[32] = "/proc/self/fd/", name[sizeof(want) - 1], digits[12];
	size_t i = sizeof(digits), at = strlen(link);
	unsigned number = (unsigned)fd;
	struct stat status;

	do
		digits[--i] = (char)('0' + number % 10);
	while (number /= 10);
	memcpy(link + at, digits + i, sizeof(digits) - i);
	return sys_call(SYS_readlinkat, AT_FDCWD, (long)link, (long)name, sizeof(name), 0, 0) ==
		       sizeof(name) &&
	       !memcmp(name, want, sizeof(name)) &&
	       !is_error(sys_call(SYS_fstat, fd, (long)&status, 0, 0, 0, 0)) && !status.st_size;
}

/* The next of those that the process was started with. What is left of them is for the programs
 * that it becomes by exec; its children are other processes and have no use for them. */
static int given_fd(void)
{
	bool is_other = agent_config.shm_pid && agent_config.shm_pid != agent_process.pid;
	int fd = agent_config.shm_fd, i;

	if (fd < 0)
		return -1;
	for (i = 0; i < RSPROF_SHM_GIVEN_SPAN; i++) {
		if (!is_empty_one(fd + i))
			continue;
		if (!is_other)
			return fd + i;
		sys_close(fd + i);
	}
	return -1;
}

/* To a number where nobody looks for one. The old number is given back. */
static int high_fd(int fd)
{
	struct rlimit limit = {.rlim_cur = 1024};
	long wanted = FD_WANTED, high;

	sys_call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit, 0, 0);
	if (limit.rlim_cur <= FD_WANTED)
		wanted = (long)limit.rlim_cur - 8;
	/* A larger table costs a process with threads some RCU grace periods: where they are all
	 * there already, the first table's end has to do. */
	if (real_place() == REAL_BEFORE && wanted > FD_LATE)
		wanted = FD_LATE;
	for (; wanted >= FD_LEAST; wanted /= 2) {
		high = sys_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, wanted, 0, 0, 0);
		if (!is_error(high)) {
			sys_close(fd);
			return (int)high;
		}
	}
	sys_call(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC, 0, 0, 0);
	return fd;
}

/* ---- the header */

/* Field 22 of /proc/self/stat; the second one may have anything in it and ends with the last ')'.
 */
static uint64_t start_time(void)
{
	char text[1024];
	const char *at, *end;
	uint64_t time = 0;
	int field, fd = sys_open("/proc/self/stat", O_RDONLY);
	long bytes;

	if (fd < 0)
		return 0;
	bytes = sys_read(fd, text, sizeof(text));
	sys_close(fd);
	if (bytes <= 0)
		return 0;
	end = text + bytes;
	at = memrchr(text, ')', (size_t)bytes);
	for (field = 2; at && field < 22; field++) {
		at = memchr(at, ' ', (size_t)(end - at));
		if (at)
			at++;
	}
	for (; at && at < end && *at >= '0' && *at <= '9'; at++)
		time = time * 10 + (uint64_t)(*at - '0');
	return time;
}

static void copy_text(char *to, size_t bytes, const char *from)
{
	size_t length = strlen(from);

	if (length > bytes - 1)
		length = bytes - 1;
	memcpy(to, from, length);
}

static void fill_header(struct rsprof_shm_header *header, const struct plan *plan)
{
	header->major = RSPROF_SHM_MAJOR;
	header->minor = RSPROF_SHM_MINOR;
	header->header_bytes = sizeof(*header);
	header->section_count = RSPROF_SHM_SECTIONS;
	header->lane_count = plan->lanes;
	header->site_count = plan->sites;
	header->ring_events = plan->ring_events;
	header->frames_max = AGENT_FRAMES_MAX;
	header->pid = agent_process.pid;
	header->start_time = start_time();
	header->created_ns = sys_monotonic_ns();
	header->heap = agent_config.heap;
	header->clock = lane_clock_kind();
	header->is_forked = agent_process.fork_count > 0;
	header->is_linked = real_is_linked();
	header->cpu_frequency = agent_config.cpu_frequency;
	header->sample_bytes = agent_config.sample_bytes;
	copy_text(header->version, sizeof(header->version), RSPROF_VERSION);
	copy_text(header->allocator, sizeof(header->allocator), real_allocator());
}

static void use(char *memory, uint64_t bytes, int fd, const struct stat *status)
{
	struct rsprof_shm_header *header = (struct rsprof_shm_header *)memory;
	const struct rsprof_shm_section *sections = header->sections;

	agent_state.header = header;
	agent_state.control =
		(struct rsprof_shm_control *)(memory + sections[RSPROF_SHM_CONTROL].offset);
	agent_state.lanes = (struct rsprof_shm_lane *)(memory + sections[RSPROF_SHM_LANES].offset);
	agent_state.sites = (_Atomic uint64_t *)(memory + sections[RSPROF_SHM_SITES].offset);
	agent_state.stacks = (uint8_t *)memory + sections[RSPROF_SHM_STACKS].offset;
	agent_state.stacks_bytes = sections[RSPROF_SHM_STACKS].count;
	agent_state.modules =
		(struct rsprof_shm_module *)(memory + sections[RSPROF_SHM_MODULES].offset);
	agent_state.module_max = (uint32_t)sections[RSPROF_SHM_MODULES].count;
	agent_state.heap = header->heap;
	agent_state.is_tsc = header->clock == RSPROF_SHM_CLOCK_TSC;
	agent_process.region = memory;
	agent_process.region_bytes = bytes;
	agent_process.region_fd = fd;
	agent_process.region_device = status->st_dev;
	agent_process.region_inode = status->st_ino;
}

/* ---- making it */

/* A program that may have only so much address space is not to find it taken by us. */
static bool has_room(uint64_t bytes)
{
	struct rlimit limit;

	if (is_error(sys_call(SYS_prlimit64, 0, RLIMIT_AS, 0, (long)&limit, 0, 0)))
		return true;
	return limit.rlim_cur == RLIM_INFINITY || bytes <= limit.rlim_cur / 4;
}

/* More would be answered with SIGXFSZ. */
static bool may_grow(uint64_t bytes)
{
	struct rlimit limit;

	if (is_error(sys_call(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, (long)&limit, 0, 0)))
		return true;
	return limit.rlim_cur == RLIM_INFINITY || bytes <= limit.rlim_cur;
}

static void map_nothing(void *at, uint64_t bytes)
{
	sys_call(SYS_mmap, (long)at, (long)bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

static const char *make(int fd, const struct plan *plan)
{
	struct rsprof_shm_section sections[RSPROF_SHM_SECTIONS_MAX] = {0};
	uint64_t file_bytes = lay_out(plan, sections), bytes = sections[RSPROF_SHM_RINGS].offset;
	struct stat status;
	/* A forked child's lies where its parent's was: see region_leave(). */
	bool is_in_place = agent_process.region && agent_process.region_bytes == bytes;
	long memory;

	if (!is_in_place && !has_room(bytes))
		return "too little address space is allowed";
	if (!may_grow(file_bytes))
		return "files are not allowed to be that large";
	memory = sys_call(SYS_mmap, is_in_place ? (long)agent_process.region : 0, (long)bytes,
			  PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_NORESERVE | (is_in_place ? MAP_FIXED : 0), fd, 0);
	if (is_error(memory))
		return "no address space";
	/* Before that its pages are not touched. */
	if (is_error(sys_call(SYS_ftruncate, fd, (long)file_bytes, 0, 0, 0, 0)) ||
	    is_error(sys_call(SYS_fstat, fd, (long)&status, 0, 0, 0, 0))) {
		if (is_in_place)
			map_nothing((void *)memory, bytes);
		else
			sys_call(SYS_munmap, memory, (long)bytes, 0, 0, 0, 0);
		return "the memory file cannot grow";
	}
	sys_call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, 0, 0, 0);
	sys_call(SYS_madvise, memory, (long)bytes, MADV_DONTDUMP, 0, 0, 0);
	sys_call(SYS_madvise, memory, (long)bytes, MADV_NOHUGEPAGE, 0, 0, 0);
	memcpy(((struct rsprof_shm_header *)memory)->sections, sections, sizeof(sections));
	fill_header((struct rsprof_shm_header *)memory, plan);
	use((char *)memory, bytes, fd, &status);
	return NULL;
}

const char *region_begin(bool *ret_is_given)
{
	const char *why = "no address space";
	int fd = given_fd();
	bool is_given = fd >= 0;
	struct plan plan;
	size_t i;

	if (fd < 0)
		fd = new_fd();
	if (fd < 0)
		return "no memory file (memfd_create)";
	fd = high_fd(fd);
	for (i = 0; i < PLANS && why; i++) {
		plan = plans[i];
		if (agent_config.heap == RSPROF_SHM_HEAP_TRACE)
			plan.ring_events = TRACE_EVENTS;
		why = make(fd, &plan);
	}
	if (why)
		sys_close(fd);
	else
		*ret_is_given = is_given;
	return why;
}

void region_publish(void)
{
	/* Pairs with nothing but the order in which a reader reads: magic first. */
	__atomic_store_n(&agent_state.header->magic, RSPROF_SHM_MAGIC, __ATOMIC_RELEASE);
}

/* The program may have closed it and have one of its own there. */
static bool is_ours(int fd)
{
	struct stat status;

	return !is_error(sys_call(SYS_fstat, fd, (long)&status, 0, 0, 0, 0)) &&
	       status.st_dev == agent_process.region_device &&
	       status.st_ino == agent_process.region_inode;
}

/* ---- what is each lane's */

bool region_map_part(enum rsprof_shm_section_id section, uint32_t lane, void **at, uint64_t *bytes)
{
	const struct rsprof_shm_section *all = &agent_state.header->sections[section];
	uint64_t need = all->stride * all->count / agent_state.header->lane_count;
	bool is_in_place = *at && *bytes >= need;
	long memory;

	if (!is_ours(agent_process.region_fd) || (!is_in_place && !has_room(need)))
		return false;
	memory = sys_call(SYS_mmap, is_in_place ? (long)*at : 0, (long)need, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_NORESERVE | (is_in_place ? MAP_FIXED : 0),
			  agent_process.region_fd, (long)(all->offset + lane * need));
	if (is_error(memory))
		return false;
	sys_call(SYS_madvise, memory, (long)need, MADV_DONTDUMP, 0, 0, 0);
	sys_call(SYS_madvise, memory, (long)need, MADV_NOHUGEPAGE, 0, 0, 0);
	*at = (void *)memory;
	*bytes = need;
	return true;
}

void region_leave_part(void *at, uint64_t bytes)
{
	if (at)
		map_nothing(at, bytes);
}

/* A handler may have forked while a hook of its thread was at the parent's memory, and the hook
 * goes on in the child: it must find memory there, but not its parent's. */
void region_leave(void)
{
	if (!agent_process.region)
		return;
	if (is_ours(agent_process.region_fd))
		sys_close(agent_process.region_fd);
	map_nothing(agent_process.region, agent_process.region_bytes);
}
