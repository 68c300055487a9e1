/* The memory of an agent: found, opened and held against itself. Whatever is in it, the reader says
 * what is wrong, or reads what is right. */
#include <errno.h>
#include <sys/stat.h>

#include "reader/source/agent_stacks.h"
#include "tests/unit/agent_region_maker.h"
#include "tests/unit/child.h"

static int adopt(struct maker *maker, struct err *err)
{
	struct agent_region *region = NULL;
	int ret;

	*err = (struct err){0};
	ret = agent_region_adopt(maker->fd, &maker->target, &region, err);
	agent_region_close(region);
	return ret;
}

/* Refused with a sentence that has the words in it. */
static void check_refused(struct maker *maker, int want, const char *words)
{
	struct err err;
	int ret = adopt(maker, &err);

	if (ret != want || !strstr(err.sentence, words))
		FAIL("%d with \"%s\", not %d with \"%s\"", ret, err.sentence, want, words);
}

TEST(a_valid_one_tells_its_facts)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	const struct agent_region_facts *facts = agent_region_facts(region);

	CHECK_EQ_I64(facts->state, RSPROF_SHM_ON);
	CHECK_EQ_I64(facts->heap, HEAP_MODE_EXACT);
	CHECK_EQ_U64(facts->cpu_frequency, 99);
	CHECK_EQ_U64(facts->lanes, MAKER_LANES);
	CHECK_EQ_U64(facts->sites, MAKER_SITES);
	CHECK_EQ_STR(facts->version, "1.0.0");
	CHECK_EQ_STR(facts->allocator, "/lib/libc.so.6");
	CHECK(facts->is_writable && !facts->is_forked && !facts->is_linked);
	CHECK(!agent_region_refusal(facts));
	maker.header->state = RSPROF_SHM_OFF;
	maker.header->reason = RSPROF_SHM_OWN_ALLOCATOR;
	CHECK_EQ_I64(agent_region_refresh(region), 0);
	CHECK(strstr(agent_region_refusal(facts), "allocator of its own"));
	agent_region_close(region);
	maker_close(&maker);
}

TEST(one_that_has_not_begun_is_waited_for)
{
	struct maker maker = maker_open();
	struct err err;

	maker.header->magic = 0;
	CHECK_EQ_I64(adopt(&maker, &err), -EAGAIN);
	CHECK_EQ_I64(ftruncate(maker.fd, 0), 0);
	CHECK_EQ_I64(adopt(&maker, &err), -EAGAIN);
	maker_close(&maker);
}

TEST(foreign_names_move_no_cursor)
{
	struct maker maker = maker_open();
	struct agent_region *region;

	strcpy(maker.header->allocator, "/lib/\x1b[2Jx");
	memset(maker.header->version, 'v', sizeof(maker.header->version));
	region = maker_region(&maker);
	CHECK_EQ_STR(agent_region_facts(region)->allocator, "/lib/?[2Jx");
	CHECK_EQ_U64(strlen(agent_region_facts(region)->version), 15);
	agent_region_close(region);
	maker_close(&maker);
}

/* ---- damage */

struct damage {
	const char *words;
	size_t offset, bytes;
	uint64_t value;
};

#define FIELD(name)                                                                                \
	offsetof(struct rsprof_shm_header, name), sizeof(((struct rsprof_shm_header *)0)->name)
#define SECTION(id, name) offsetof(struct rsprof_shm_header, sections[id].name), sizeof(uint64_t)

TEST(every_damaged_field_is_refused)
{
	static const struct damage damages[] = {
		{"does not begin", FIELD(magic), RSPROF_SHM_MAGIC + 1},
		{"version 2.0", FIELD(major), 2},
		{"header", FIELD(header_bytes), sizeof(struct rsprof_shm_header) - 8},
		{"header", FIELD(header_bytes), UINT32_MAX},
		{"number of sections", FIELD(section_count), RSPROF_SHM_SECTIONS - 1},
		{"number of sections", FIELD(section_count), RSPROF_SHM_SECTIONS_MAX + 1},
		{"number of lanes", FIELD(lane_count), 0},
		{"number of lanes", FIELD(lane_count), UINT32_MAX},
		{"number of elements", FIELD(lane_count), MAKER_LANES + 1},
		{"number of sites", FIELD(site_count), RSPROF_SHM_SITE_FIRST},
		{"number of sites", FIELD(site_count), UINT32_MAX},
		{"number of elements", FIELD(site_count), MAKER_SITES * 2},
		{"rings", FIELD(ring_events), MAKER_RING - 1},
		{"rings", FIELD(ring_events), UINT32_C(1) << 31},
		{"number of elements", FIELD(ring_events), MAKER_RING * 2},
		{"stacks", FIELD(frames_max), 0},
		{"stacks", FIELD(frames_max), EVENT_FRAMES_MAX + 1},
		{"not known here", FIELD(heap), RSPROF_SHM_HEAP_TRACE + 1},
		{"not known here", FIELD(clock), RSPROF_SHM_CLOCK_TSC + 1},
		{"where none can be", SECTION(RSPROF_SHM_CONTROL, offset), 0},
		{"where none can be", SECTION(RSPROF_SHM_LANES, offset), 4104},
		{"beyond its end", SECTION(RSPROF_SHM_COUNTS, offset), UINT64_MAX - 4095},
		{"beyond its end", SECTION(RSPROF_SHM_SITES, offset), UINT64_C(1) << 40},
		{"beyond its end", SECTION(RSPROF_SHM_COUNTS, stride), UINT64_MAX / 2},
		{"beyond its end", SECTION(RSPROF_SHM_STACKS, count), UINT64_MAX},
		{"beyond its end", SECTION(RSPROF_SHM_RINGS, count), UINT64_C(1) << 60},
		{"overlap", SECTION(RSPROF_SHM_LANES, offset), 4096},
		{"overlap", SECTION(RSPROF_SHM_SITES, stride), 1024},
		{"impossible size", SECTION(RSPROF_SHM_COUNTS, stride), 56},
		{"impossible size", SECTION(RSPROF_SHM_LANES, stride), 0},
		{"impossible size", SECTION(RSPROF_SHM_RINGS, stride), 0},
		{"impossible size", SECTION(RSPROF_SHM_STACKS, stride), 0},
		{"impossible size", SECTION(RSPROF_SHM_SITES, stride), 12},
		{"number of elements", SECTION(RSPROF_SHM_CONTROL, count), 0},
		{"number of elements", SECTION(RSPROF_SHM_SITES, count), MAKER_SITES - 1},
		{"number of elements", SECTION(RSPROF_SHM_LANES, count), MAKER_LANES - 1},
		{"another process", FIELD(pid), 1},
		{"another process", FIELD(start_time), 12345},
	};

	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		const struct damage *damage = &damages[i];
		struct maker maker = maker_open();
		struct err err;

		memcpy(maker.memory + damage->offset, &damage->value, damage->bytes);
		if (adopt(&maker, &err) >= 0 || !strstr(err.sentence, damage->words))
			FAIL("damage %zu is told as \"%s\", not \"%s\"", i, err.sentence,
			     damage->words);
		maker_close(&maker);
	}
}

TEST(another_version_is_named_with_ours)
{
	struct maker maker = maker_open();
	struct err err;

	maker.header->major = 7;
	maker.header->minor = 3;
	CHECK_EQ_I64(adopt(&maker, &err), -EPROTO);
	CHECK(strstr(err.sentence, "version 7.3"));
	CHECK(strstr(err.sentence, "version 1.0"));
	CHECK(err.kind == ERR_GENERAL && err.remedy[0]);
	maker_close(&maker);
}

TEST(a_later_minor_version_is_read)
{
	struct maker maker = maker_open();
	struct rsprof_shm_header *header = maker.header;

	header->minor = 9;
	header->header_bytes += 64;
	header->section_count++;
	header->sections[RSPROF_SHM_SECTIONS] = (struct rsprof_shm_section){3 << 20, 8, 16};
	agent_region_close(maker_region(&maker));
	header->sections[RSPROF_SHM_SECTIONS].offset = 1 << 30;
	check_refused(&maker, -EBADMSG, "beyond its end");
	maker_close(&maker);
}

TEST(a_truncated_one_is_refused)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_stack stack;
	uint32_t site = maker_site(&maker, 3, 0x1000);

	CHECK_EQ_I64(agent_stack_read(region, site, &stack), 0);
	CHECK_EQ_I64(ftruncate(maker.fd, 8192), 0);
	CHECK_EQ_I64(agent_region_refresh(region), -EBADMSG);
	CHECK_EQ_I64(agent_stack_read(region, site, &stack), -EBADMSG);
	agent_region_close(region);
	check_refused(&maker, -EBADMSG, "beyond its end");
	CHECK_EQ_I64(ftruncate(maker.fd, 64), 0);
	check_refused(&maker, -EBADMSG, "truncated");
	maker_close(&maker);
}

TEST(a_header_that_changes_later_is_refused)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);

	maker.header->next_site++;
	CHECK_EQ_I64(agent_region_refresh(region), 0);
	maker.header->sections[RSPROF_SHM_COUNTS].offset += 4096;
	CHECK_EQ_I64(agent_region_refresh(region), -EBADMSG);
	agent_region_close(region);
	maker_close(&maker);
}

TEST(another_users_is_refused)
{
	struct maker maker = maker_open();

	if (fchown(maker.fd, 4711, 4711) < 0)
		SKIP("needs root");
	maker.target.uid = 1234;
	check_refused(&maker, -EACCES, "another user");
	maker_close(&maker);
}

TEST(a_file_is_no_memory)
{
	struct maker maker = maker_open();
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/file", kit_folder());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK_EQ_I64(write(fd, maker.memory, 8192), 8192);
	close(maker.fd);
	maker.fd = fd;
	/* On a tmpfs it has seals, too, and is as good as a memfd: then it is short of its
	 * sections. */
	check_refused(&maker, -EBADMSG, "damaged");
	maker_close(&maker);
}

/* ---- finding */

/* Holds the memory that it inherited. */
static void hold(const void *argument)
{
	const int *fd = argument;

	CHECK(dup2(*fd, 700) == 700);
	child_ready();
	child_await();
}

static void hold_nothing(const void *argument)
{
	child_ready();
	child_await();
}

/* child_fork closes the lower descriptors. */
static int high(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 200);
}

static struct target *target_of(const struct child *child)
{
	struct target *target = NULL;
	struct err err = {0};

	if (target_open_pid(child->pid, &target, &err) < 0)
		FAIL("%s", err.sentence);
	return target;
}

TEST(a_process_without_agent_has_none)
{
	struct child child = child_start(hold_nothing, NULL);
	struct target *target = target_of(&child);
	struct agent_region *region = NULL;
	struct err err = {0};

	CHECK_EQ_I64(agent_region_find(target, &region, &err), -ENOENT);
	CHECK(err.kind == ERR_NOT_FOUND && strstr(err.sentence, "no agent"));
	target_free(target);
	child_end(&child);
}

TEST(it_is_found_among_descriptors_and_an_inherited_one_is_not)
{
	struct maker maker = maker_open();
	int fd = high(maker.fd);
	struct child child = child_start(hold, &fd);
	struct target *target = target_of(&child);
	struct agent_region *region = NULL;
	struct err err = {0};

	/* As it is, it is this process's. */
	CHECK_EQ_I64(agent_region_find(target, &region, &err), -ENOENT);
	CHECK(strstr(err.sentence, "another process"));
	maker.header->pid = (uint32_t)child.pid;
	maker.header->start_time = target->start_ticks;
	CHECK_EQ_I64(agent_region_find(target, &region, &err), 0);
	CHECK(agent_region_is_held(region, target));
	agent_region_close(region);
	maker.header->major = 2;
	CHECK_EQ_I64(agent_region_find(target, &region, &err), -EPROTO);
	target_free(target);
	child_end(&child);
	close(fd);
	maker_close(&maker);
}

TEST(what_was_written_stays_when_the_process_is_killed)
{
	struct maker maker = maker_open();
	int fd = high(maker.fd);
	struct child child = child_start(hold, &fd);
	struct target *target = target_of(&child);
	struct agent_region *region = NULL;
	struct agent_stack stack;
	struct err err = {0};
	uint32_t site;

	maker.header->pid = (uint32_t)child.pid;
	maker.header->start_time = target->start_ticks;
	CHECK_EQ_I64(agent_region_find(target, &region, &err), 0);
	site = maker_site(&maker, 5, 0x4000);
	child_end(&child);
	close(fd);
	maker_close(&maker);
	CHECK_EQ_I64(agent_region_refresh(region), 0);
	CHECK_EQ_I64(agent_stack_read(region, site, &stack), 0);
	CHECK_EQ_U64(stack.pc_count, 5);
	CHECK_EQ_U64(stack.pcs[4], 0x4040);
	agent_region_close(region);
	target_free(target);
}

TEST(a_lease_is_only_ever_raised)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);

	agent_region_lease(region, 1000);
	CHECK_EQ_U64(maker.control->lease_ns, 1000);
	agent_region_lease(region, 500);
	CHECK_EQ_U64(maker.control->lease_ns, 1000);
	agent_region_lease(region, 2000);
	CHECK_EQ_U64(maker.control->lease_ns, 2000);
	agent_region_close(region);
	maker_close(&maker);
}

/* ---- stacks */

TEST(stacks_are_read_within_their_bounds)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_stack stack;
	uint32_t site = maker_site(&maker, 7, 0x1000), loop = maker_site(&maker, 2, 0x9000);
	struct rsprof_shm_stack *record = (void *)(maker.stacks + maker.sites[site]);
	uint64_t at = maker.sites[site];

	CHECK_EQ_I64(agent_stack_read(region, site, &stack), 0);
	CHECK_EQ_U64(stack.pc_count, 7);
	CHECK_EQ_I64(stack.status, STACK_COMPLETE);
	CHECK_EQ_I64(agent_stack_read(region, site + 100, &stack), -ENOENT);
	CHECK_EQ_I64(agent_stack_read(region, MAKER_SITES, &stack), -EBADMSG);
	/* Another site's record. */
	maker.sites[loop] = at;
	CHECK_EQ_I64(agent_stack_read(region, loop, &stack), -EBADMSG);
	record->frame_count = MAKER_FRAMES + 1;
	CHECK_EQ_I64(agent_stack_read(region, site, &stack), -EBADMSG);
	record->frame_count = 0;
	CHECK_EQ_I64(agent_stack_read(region, site, &stack), 0);
	CHECK_EQ_I64(stack.status, STACK_EMPTY);
	record->frame_count = 1;
	record->status = 200;
	CHECK_EQ_I64(agent_stack_read(region, site, &stack), 0);
	CHECK_EQ_I64(stack.status, STACK_BROKEN);
	for (size_t i = 0; i < 3; i++) {
		static const uint64_t beyond[] = {MAKER_STACKS_BYTES - 8, UINT64_MAX - 7, 12};

		maker.sites[site] = beyond[i];
		CHECK_EQ_I64(agent_stack_read(region, site, &stack), -EBADMSG);
	}
	/* A record at the very end, whose frames go beyond. */
	at = MAKER_STACKS_BYTES - sizeof(*record);
	record = (void *)(maker.stacks + at);
	*record = (struct rsprof_shm_stack){.site = site, .frame_count = 1};
	maker.sites[site] = at;
	CHECK_EQ_I64(agent_stack_read(region, site, &stack), -EBADMSG);
	agent_region_close(region);
	maker_close(&maker);
}

/* ---- modules */

static uint64_t mapped[8];
static size_t mapped_count;

static void take_mapping(void *context, const struct event *event)
{
	CHECK_EQ_I64(event->type, EVENT_MMAP);
	CHECK(mapped_count < 8);
	mapped[mapped_count++] = event->mmap.inode;
}

static void add_module(struct maker *maker, uint64_t start, uint64_t inode, uint32_t added,
		       uint32_t removed)
{
	struct rsprof_shm_module *module = &maker->modules[maker->header->module_count++];

	*module = (struct rsprof_shm_module){.start = start,
					     .end = start + 0x1000,
					     .inode = inode,
					     .added_epoch = added,
					     .removed_epoch = removed,
					     .path = "/lib/plugin.so"};
}

TEST(a_stack_of_a_closed_library_is_told_by_what_was_there)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_modules modules = {.target = &maker.target};
	struct agent_stack old, new;
	uint32_t site = maker_site(&maker, 1, 0x10010);

	add_module(&maker, 0x10000, 1, 0, 1);
	add_module(&maker, 0x10000, 2, 1, 0);
	add_module(&maker, 0x20000, 3, 0, 0);
	maker.header->module_epoch = 1;
	CHECK_EQ_I64(agent_region_refresh(region), 0);
	CHECK(agent_modules_read(&modules, region));
	CHECK(!agent_modules_read(&modules, region));
	CHECK_EQ_I64(agent_stack_read(region, site, &old), 0);
	CHECK_EQ_I64(agent_stack_read(region, maker_site(&maker, 1, 0x10010), &new), 0);
	CHECK(agent_modules_tell_old(&modules, &old, 0, take_mapping, NULL));
	agent_modules_restore(&modules, &old, 0, take_mapping, NULL);
	CHECK_EQ_U64(mapped_count, 2);
	CHECK_EQ_U64(mapped[0], 1);
	CHECK_EQ_U64(mapped[1], 2);
	CHECK(!agent_modules_tell_old(&modules, &new, 0, take_mapping, NULL));
	agent_modules_tell(&modules, 0, take_mapping, NULL);
	CHECK_EQ_U64(mapped_count, 4);
	CHECK_EQ_U64(modules.bad, 0);
	agent_modules_done(&modules);
	agent_region_close(region);
	maker_close(&maker);
}

TEST(impossible_modules_are_none)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_modules modules = {.target = &maker.target};

	add_module(&maker, 0x10000, 1, 0, 0);
	maker.modules[0].end = maker.modules[0].start;
	add_module(&maker, UINT64_MAX - 0x1000, 2, 0, 0);
	add_module(&maker, 0x20000, 3, 0, 0);
	memset(maker.modules[2].path, '/', sizeof(maker.modules[2].path));
	add_module(&maker, 0x30000, 4, 0, 0);
	strcpy(maker.modules[3].path, "relative/path");
	maker.header->module_count = UINT32_MAX;
	CHECK_EQ_I64(agent_region_refresh(region), 0);
	agent_modules_read(&modules, region);
	CHECK_EQ_U64(modules.items.count, MAKER_MODULES);
	agent_modules_tell(&modules, 0, take_mapping, NULL);
	CHECK_EQ_U64(mapped_count, 1);
	CHECK_EQ_U64(mapped[0], 3);
	agent_modules_done(&modules);
	agent_region_close(region);
	maker_close(&maker);
}

KIT_MAIN
