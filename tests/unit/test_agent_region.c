/* The shared memory that the agent makes: its layout, its limits, descriptors it is given. */
#include "tests/lib/kit.h"

#include <stdlib.h>
#include <unistd.h>

#include "agent/config.c"
#include "agent/region.c"
#include "agent/sys.c"

union agent_page agent_page;
struct agent_process agent_process = {.granule_bits = AGENT_GRANULE_GLIBC, .region_fd = -1};

const char *real_allocator(void)
{
	return "/lib/libc.so.6";
}

static enum real_place where = REAL_BEHIND;

enum real_place real_place(void)
{
	return where;
}

bool real_is_linked(void)
{
	return false;
}

uint8_t lane_clock_kind(void)
{
	return RSPROF_SHM_CLOCK_MONOTONIC;
}

static void begin(void)
{
	bool is_given;
	const char *why;

	CHECK(config_begin());
	agent_process.pid = (uint32_t)getpid();
	why = region_begin(&is_given);
	if (why)
		FAIL("%s", why);
}

static bool is_apart(const struct rsprof_shm_section *a, const struct rsprof_shm_section *b)
{
	return a->offset + a->stride * a->count <= b->offset ||
	       b->offset + b->stride * b->count <= a->offset;
}

TEST(sections_lie_apart_in_whole_pages_within_the_file)
{
	const struct rsprof_shm_section *sections;
	struct stat status;

	begin();
	CHECK(!fstat(agent_process.region_fd, &status));
	sections = agent_state.header->sections;
	for (int i = 0; i < RSPROF_SHM_SECTIONS; i++) {
		CHECK_EQ_U64(sections[i].offset % 4096, 0);
		CHECK(sections[i].offset >= sizeof(struct rsprof_shm_header));
		CHECK(sections[i].offset + sections[i].stride * sections[i].count <=
		      (uint64_t)status.st_size);
		for (int j = 0; j < i; j++)
			CHECK(is_apart(&sections[i], &sections[j]));
	}
	CHECK_EQ_U64(sections[RSPROF_SHM_COUNTS].count,
		     (uint64_t)agent_state.header->lane_count * agent_state.header->site_count);
	CHECK_EQ_U64(sections[RSPROF_SHM_RINGS].count,
		     (uint64_t)agent_state.header->lane_count * agent_state.header->ring_events);
	/* Sparse. */
	CHECK_BETWEEN(status.st_blocks, 0, 64);
}

TEST(header_is_whole_before_magic)
{
	struct rsprof_shm_header header;

	begin();
	CHECK_EQ_U64(agent_state.header->magic, 0);
	region_publish();
	CHECK_EQ_I64(pread(agent_process.region_fd, &header, sizeof(header), 0), sizeof(header));
	CHECK_EQ_U64(header.magic, RSPROF_SHM_MAGIC);
	CHECK_EQ_U64(header.major, RSPROF_SHM_MAJOR);
	CHECK_EQ_U64(header.pid, (uint64_t)getpid());
	CHECK(header.start_time > 0);
	CHECK_EQ_STR(header.version, RSPROF_VERSION);
	CHECK_EQ_STR(header.allocator, "/lib/libc.so.6");
}

TEST(descriptor_is_high_closes_on_exec_and_is_sealed)
{
	begin();
	CHECK(agent_process.region_fd >= 64);
	CHECK_EQ_I64(fcntl(agent_process.region_fd, F_GETFD), FD_CLOEXEC);
	/* And against being executed, where the kernel knows that. */
	CHECK_EQ_I64(fcntl(agent_process.region_fd, F_GET_SEALS) &
			     (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_WRITE),
		     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	CHECK(ftruncate(agent_process.region_fd, 0) < 0);
}

/* Where threads are there already a larger table would be waited for. */
TEST(late_descriptor_stays_in_the_first_table)
{
	where = REAL_BEFORE;
	begin();
	CHECK_BETWEEN(agent_process.region_fd, 56, 63);
	CHECK_EQ_I64(fcntl(agent_process.region_fd, F_GETFD), FD_CLOEXEC);
}

static void set_fd(int fd)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", fd);
	setenv("RSPROF_SHM_FD", text, 1);
}

static bool is_adopted(int fd)
{
	bool is_given;

	set_fd(fd);
	CHECK(config_begin());
	CHECK(!region_begin(&is_given));
	return is_given;
}

TEST(empty_memfd_of_the_name_is_adopted)
{
	struct stat before, after;
	int fd = memfd_create(RSPROF_SHM_NAME, MFD_ALLOW_SEALING);

	CHECK(!fstat(fd, &before));
	CHECK(is_adopted(fd));
	CHECK(!fstat(agent_process.region_fd, &after));
	CHECK_EQ_U64(after.st_ino, before.st_ino);
	CHECK(fcntl(fd, F_GETFD) < 0);
}

TEST(memfd_of_another_name_is_not_touched)
{
	int fd = memfd_create("other", MFD_ALLOW_SEALING);
	struct stat status;

	CHECK(!is_adopted(fd));
	CHECK(!fstat(fd, &status));
	CHECK_EQ_I64(status.st_size, 0);
}

TEST(memfd_that_is_in_use_is_not_touched)
{
	int fd = memfd_create(RSPROF_SHM_NAME, MFD_ALLOW_SEALING);
	struct stat status;

	CHECK(!ftruncate(fd, 4096));
	CHECK(!is_adopted(fd));
	CHECK(!fstat(fd, &status));
	CHECK_EQ_I64(status.st_size, 4096);
}

TEST(descriptor_that_is_closed_is_not_adopted)
{
	CHECK(!is_adopted(777));
}

static void set_limit(int what, uint64_t bytes)
{
	struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};

	if (setrlimit((__rlimit_resource_t)what, &limit)) {
		limit.rlim_max = bytes;
		CHECK(!setrlimit((__rlimit_resource_t)what, &limit));
	}
}

TEST(little_file_size_is_refused_without_a_signal)
{
	bool is_given;

	CHECK(config_begin());
	set_limit(RLIMIT_FSIZE, 1 << 20);
	CHECK(region_begin(&is_given) != NULL);
	CHECK(!agent_state.header);
}

TEST(limited_file_size_gets_the_small_layout)
{
	set_limit(RLIMIT_FSIZE, UINT64_C(1) << 30);
	begin();
	CHECK_EQ_U64(agent_state.header->lane_count, 64);
	CHECK_EQ_U64(agent_state.header->site_count, 1 << 15);
}

TEST(few_descriptors_are_enough)
{
	set_limit(RLIMIT_NOFILE, 40);
	begin();
	CHECK(agent_process.region_fd < 40);
}

TEST(no_descriptor_is_refused)
{
	struct rlimit limit, before;
	bool is_given;

	CHECK(config_begin());
	CHECK(!getrlimit(RLIMIT_NOFILE, &before));
	limit = before;
	limit.rlim_cur = 0;
	CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
	CHECK(region_begin(&is_given) != NULL);
	/* For those who look for leaks. */
	CHECK(!setrlimit(RLIMIT_NOFILE, &before));
}

TEST(child_maps_its_own_where_its_parents_was)
{
	void *place;
	uint64_t parents;

	begin();
	region_publish();
	place = agent_process.region;
	parents = agent_process.region_inode;
	region_leave();
	/* Nothing is there, but it may be touched. */
	CHECK_EQ_U64(((struct rsprof_shm_header *)place)->magic, 0);
	((struct rsprof_shm_header *)place)->next_site = 5;
	begin();
	CHECK(agent_process.region == place);
	CHECK(agent_process.region_inode != parents);
	CHECK_EQ_U64(agent_state.header->next_site, 0);
}

TEST(descriptor_that_became_the_programs_is_not_closed)
{
	int fd;

	begin();
	fd = agent_process.region_fd;
	CHECK_EQ_I64(dup2(2, fd), fd);
	region_leave();
	CHECK(fcntl(fd, F_GETFD) >= 0);
}

TEST(environment_is_read_strictly)
{
	setenv("RSPROF_HEAP", "sampled", 1);
	setenv("RSPROF_HEAP_SAMPLE", "64k", 1);
	setenv("RSPROF_CPU_FREQ", "99999", 1);
	setenv("RSPROF_AGENT", "dormant", 1);
	setenv("RSPROF_VERBOSE", "yes", 1);
	setenv("RSPROF_SHM_FD", "3x", 1);
	CHECK(config_begin());
	CHECK_EQ_U64(agent_config.heap, RSPROF_SHM_HEAP_SAMPLED);
	CHECK_EQ_U64(agent_config.sample_bytes, 65536);
	CHECK_EQ_U64(agent_config.cpu_frequency, 0);
	CHECK(agent_config.is_dormant);
	CHECK(!agent_config.is_verbose);
	CHECK_EQ_I64(agent_config.shm_fd, -1);
}

KIT_MAIN
