/* Makes the memory that an agent shares, as the ABI lays it out: small, and written by the test. */
#ifndef RSPROF_TESTS_UNIT_AGENT_REGION_MAKER_H
#define RSPROF_TESTS_UNIT_AGENT_REGION_MAKER_H

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "include/rsprof/shm_abi.h"
#include "reader/source/agent_memory.h"
#include "reader/target/proc.h"
#include "reader/util/clock.h"
#include "tests/lib/kit.h"

enum {
	MAKER_LANES = 4,
	MAKER_SITES = 256,
	MAKER_STACKS_BYTES = 64 * 1024,
	MAKER_MODULES = 16,
	MAKER_RING = 64,
	MAKER_FRAMES = 127,
	MAKER_PAGE = 4096,
};

struct maker {
	int fd;
	size_t bytes;
	uint8_t *memory;
	struct rsprof_shm_header *header;
	struct rsprof_shm_control *control;
	struct rsprof_shm_lane *lanes;
	struct rsprof_shm_counts *counts;
	uint64_t *sites;
	uint8_t *stacks;
	struct rsprof_shm_module *modules;
	struct rsprof_shm_event *rings;
	uint32_t ring_events;
	struct target target; /* this very process */
};

static inline uint64_t maker_section(struct maker *maker, enum rsprof_shm_section_id id,
				     uint64_t at, uint64_t stride, uint64_t count)
{
	maker->header->sections[id] = (struct rsprof_shm_section){at, stride, count};
	return (at + stride * count + MAKER_PAGE - 1) & ~(uint64_t)(MAKER_PAGE - 1);
}

static inline void maker_layout(struct maker *maker, uint32_t ring_events)
{
	const uint64_t sizes[RSPROF_SHM_SECTIONS][2] = {
		[RSPROF_SHM_CONTROL] = {sizeof(struct rsprof_shm_control), 1},
		[RSPROF_SHM_LANES] = {sizeof(struct rsprof_shm_lane), MAKER_LANES},
		[RSPROF_SHM_COUNTS] = {sizeof(struct rsprof_shm_counts), MAKER_LANES * MAKER_SITES},
		[RSPROF_SHM_SITES] = {sizeof(uint64_t), MAKER_SITES},
		[RSPROF_SHM_STACKS] = {1, MAKER_STACKS_BYTES},
		[RSPROF_SHM_MODULES] = {sizeof(struct rsprof_shm_module), MAKER_MODULES},
		[RSPROF_SHM_RINGS] = {sizeof(struct rsprof_shm_event),
				      (uint64_t)MAKER_LANES * ring_events},
	};
	uint64_t at = MAKER_PAGE;

	for (int i = 0; i < RSPROF_SHM_SECTIONS; i++)
		at = maker_section(maker, (enum rsprof_shm_section_id)i, at, sizes[i][0],
				   sizes[i][1]);
}

static inline void maker_target(struct maker *maker)
{
	struct process_stat stat;

	maker->target = (struct target){.pid = getpid(), .pidfd = -1, .uid = geteuid()};
	maker->target.exe_path = (char *)"/bin/true";
	maker->target.proc_fd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (maker->target.proc_fd < 0 ||
	    process_stat_read(maker->target.proc_fd, "stat", &stat) < 0)
		FAIL("no /proc/self");
	maker->target.start_ticks = stat.start_ticks;
}

/* Valid, exact, on, with clock MONOTONIC and nothing counted. */
static inline struct maker maker_open_rings(uint32_t ring_events)
{
	struct maker maker = {.fd = memfd_create(RSPROF_SHM_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING),
			      .ring_events = ring_events};
	const struct rsprof_shm_section *sections;
	struct rsprof_shm_header *header;

	maker.bytes = 4 * 1024 * 1024 + (size_t)MAKER_LANES * ring_events * 32;
	if (maker.fd < 0 || ftruncate(maker.fd, (off_t)maker.bytes) < 0)
		FAIL("no memfd");
	maker.memory = mmap(NULL, maker.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, maker.fd, 0);
	if (maker.memory == MAP_FAILED)
		FAIL("no memory");
	maker.header = header = (void *)maker.memory;
	maker_target(&maker);
	*header = (struct rsprof_shm_header){
		.major = RSPROF_SHM_MAJOR,
		.minor = RSPROF_SHM_MINOR,
		.header_bytes = sizeof(*header),
		.section_count = RSPROF_SHM_SECTIONS,
		.lane_count = MAKER_LANES,
		.site_count = MAKER_SITES,
		.ring_events = ring_events,
		.frames_max = MAKER_FRAMES,
		.pid = (uint32_t)getpid(),
		.start_time = maker.target.start_ticks,
		.created_ns = clock_now_ns() - NS_PER_S,
		.heap = RSPROF_SHM_HEAP_EXACT,
		.cpu_frequency = 99,
		.version = "1.0.0",
		.allocator = "/lib/libc.so.6",
		.state = RSPROF_SHM_ON,
		.first_site = RSPROF_SHM_SITE_FIRST,
		.next_site = RSPROF_SHM_SITE_FIRST,
		.stacks_used = 8,
	};
	maker_layout(&maker, ring_events);
	sections = header->sections;
	maker.control = (void *)(maker.memory + sections[RSPROF_SHM_CONTROL].offset);
	maker.lanes = (void *)(maker.memory + sections[RSPROF_SHM_LANES].offset);
	maker.counts = (void *)(maker.memory + sections[RSPROF_SHM_COUNTS].offset);
	maker.sites = (void *)(maker.memory + sections[RSPROF_SHM_SITES].offset);
	maker.stacks = maker.memory + sections[RSPROF_SHM_STACKS].offset;
	maker.modules = (void *)(maker.memory + sections[RSPROF_SHM_MODULES].offset);
	maker.rings = (void *)(maker.memory + sections[RSPROF_SHM_RINGS].offset);
	header->magic = RSPROF_SHM_MAGIC;
	return maker;
}

static inline struct maker maker_open(void)
{
	return maker_open_rings(MAKER_RING);
}

static inline void maker_close(struct maker *maker)
{
	munmap(maker->memory, maker->bytes);
	close(maker->fd);
	close(maker->target.proc_fd);
}

/* A site with a stack of so many frames from first_pc on, 16 bytes apart. */
static inline uint32_t maker_site(struct maker *maker, uint16_t frames, uint64_t first_pc)
{
	struct rsprof_shm_header *header = maker->header;
	uint32_t site = header->next_site++;
	uint64_t at = header->stacks_used;
	struct rsprof_shm_stack *stack = (void *)(maker->stacks + at);
	uint64_t *pcs = (void *)(stack + 1);

	*stack = (struct rsprof_shm_stack){.site = site, .frame_count = frames};
	stack->module_epoch = header->module_epoch;
	stack->module_count = header->module_count;
	for (uint16_t i = 0; i < frames; i++)
		pcs[i] = first_pc + 16 * (uint64_t)i;
	header->stacks_used += sizeof(*stack) + 8 * (uint64_t)frames;
	maker->sites[site] = at;
	return site;
}

static inline struct rsprof_shm_counts *maker_counts(struct maker *maker, uint32_t lane,
						     uint32_t site)
{
	return &maker->counts[lane * MAKER_SITES + site];
}

static inline void maker_alloc(struct maker *maker, uint32_t lane, uint32_t site, uint64_t bytes)
{
	maker_counts(maker, lane, site)->alloc_bytes += bytes;
	maker_counts(maker, lane, site)->allocs++;
}

static inline void maker_free(struct maker *maker, uint32_t lane, uint32_t site, uint64_t bytes)
{
	maker_counts(maker, lane, site)->free_bytes += bytes;
	maker_counts(maker, lane, site)->frees++;
}

static inline void maker_event(struct maker *maker, uint32_t lane, enum rsprof_shm_event_kind kind,
			       uint64_t time, uint32_t site, uint64_t value)
{
	uint64_t head = maker->lanes[lane].head;

	maker->rings[(uint64_t)lane * maker->ring_events + (head & (maker->ring_events - 1))] =
		(struct rsprof_shm_event){
			.time = time,
			.value = value,
			.site = site,
			.tid_kind = (uint32_t)kind << 24 | ((uint32_t)getpid() & 0xffffff),
		};
	__atomic_store_n(&maker->lanes[lane].head, head + 1, __ATOMIC_RELEASE);
}

static inline struct agent_region *maker_region(struct maker *maker)
{
	struct agent_region *region = NULL;
	struct err err = {0};

	if (agent_region_adopt(maker->fd, &maker->target, &region, &err) < 0)
		FAIL("not adopted: %s", err.sentence);
	return region;
}

#endif
