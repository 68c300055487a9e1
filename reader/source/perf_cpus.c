#include "reader/source/perf_cpus.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reader/source/perf_attr.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"

enum {
	CPUS_MAX = 8192,	  /* the most a kernel can be built for (CONFIG_NR_CPUS) */
	RING_PAGES_MIN = 8,	  /* a burst of some 150 samples of 16 frames */
	RING_PAGES_MAX = 1 << 18, /* 1 GiB a CPU: beyond that a ring is a mistake in --buffer */
};

struct cpu_bits {
	unsigned long words[CPUS_MAX / (8 * sizeof(unsigned long))];
};

static void set_bit(struct cpu_bits *bits, unsigned cpu)
{
	bits->words[cpu / (8 * sizeof(long))] |= 1UL << cpu % (8 * sizeof(long));
}

static bool has_bit(const struct cpu_bits *bits, unsigned cpu)
{
	return bits->words[cpu / (8 * sizeof(long))] >> cpu % (8 * sizeof(long)) & 1;
}

/* "0-3,8": as sysfs writes sets of CPUs. */
static void add_online(struct cpu_bits *bits)
{
	OWN(own_fclose) FILE *file = fopen("/sys/devices/system/cpu/online", "re");
	unsigned first, last;

	while (file && fscanf(file, "%u", &first) == 1) {
		last = first;
		if (fscanf(file, "-%u", &last) < 0)
			last = first;
		for (unsigned cpu = first; cpu <= last && cpu < CPUS_MAX; cpu++)
			set_bit(bits, cpu);
		if (fgetc(file) != ',')
			break;
	}
}

/* The CPUs that are online, and those the target may run on: containers are told of CPUs 0 to N-1
 * by some sysfs stand-ins while they run on others. */
static void list_cpus(struct cpu_bits *bits, pid_t target)
{
	struct cpu_bits affinity = {{0}};
	bool is_empty = true;

	memset(bits, 0, sizeof(*bits));
	add_online(bits);
	if (sched_getaffinity(target, sizeof(affinity), (cpu_set_t *)&affinity) == 0) {
		for (size_t i = 0; i < sizeof(bits->words) / sizeof(*bits->words); i++)
			bits->words[i] |= affinity.words[i];
	}
	for (size_t i = 0; i < sizeof(bits->words) / sizeof(*bits->words); i++)
		is_empty &= !bits->words[i];
	for (long cpu = sysconf(_SC_NPROCESSORS_ONLN); is_empty && cpu-- > 0;)
		set_bit(bits, (unsigned)cpu % CPUS_MAX);
}

static int open_leaders(struct perf_cpus *cpus, pid_t target, struct perf_event_attr *attr,
			pid_t of_pid)
{
	struct cpu_bits bits;

	list_cpus(&bits, target);
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
		int fd;

		if (!has_bit(&bits, cpu))
			continue;
		fd = perf_open_event(attr, of_pid, (int)cpu);
		/* No such CPU after all. */
		if (fd == -ENODEV || fd == -EINVAL)
			continue;
		if (fd < 0)
			return fd;
		*vec_add(&cpus->list) = (struct perf_cpu){.cpu = (int)cpu, .leader_fd = fd};
	}
	return cpus->list.count ? 0 : -ENODEV;
}

static void unmap_all(struct perf_cpus *cpus)
{
	for (size_t i = 0; i < cpus->list.count; i++)
		perf_ring_unmap(&cpus->list.items[i].ring);
}

/* All of one size: which CPU a busy thread runs on is not ours to choose. */
static int map_all(struct perf_cpus *cpus, size_t pages)
{
	for (size_t i = 0; i < cpus->list.count; i++) {
		struct perf_cpu *cpu = &cpus->list.items[i];
		int failed = perf_ring_map(&cpu->ring, cpu->leader_fd, pages, cpus->scratch);

		if (failed) {
			unmap_all(cpus);
			return failed;
		}
	}
	return 0;
}

static int open_all(struct perf_cpus *cpus, pid_t target, struct perf_event_attr *attr,
		    pid_t of_pid, uint64_t buffer_bytes, const char **ret_step)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	size_t pages = RING_PAGES_MIN;
	int failed = open_leaders(cpus, target, attr, of_pid);

	*ret_step = "opening an event of its own";
	if (failed)
		return failed;
	while (pages < RING_PAGES_MAX && pages * 2 * page_bytes <= buffer_bytes / cpus->list.count)
		pages *= 2;
	cpus->scratch = mem_alloc(PERF_RING_RECORD_MAX);
	cpus->wanted_bytes = pages * page_bytes * cpus->list.count;
	*ret_step = "mapping a ring buffer";
	do {
		failed = map_all(cpus, pages);
		cpus->got_bytes = pages * page_bytes * cpus->list.count;
		pages /= 2;
	} while (pages && (failed == -EPERM || failed == -ENOMEM));
	return failed;
}

int perf_cpus_open(struct perf_cpus *cpus, pid_t target, uint64_t buffer_bytes,
		   const char **ret_step)
{
	struct perf_event_attr attr;

	perf_fill_leader_attr(&attr);
	return open_all(cpus, target, &attr, 0, buffer_bytes, ret_step);
}

int perf_cpus_open_sideband(struct perf_cpus *cpus, pid_t target, uint64_t buffer_bytes,
			    const char **ret_step)
{
	struct perf_event_attr attr;

	perf_fill_sideband_attr(&attr);
	return open_all(cpus, target, &attr, -1, buffer_bytes, ret_step);
}

void perf_cpus_close(struct perf_cpus *cpus)
{
	unmap_all(cpus);
	for (size_t i = 0; i < cpus->list.count; i++)
		close(cpus->list.items[i].leader_fd);
	vec_done(&cpus->list);
	free(cpus->scratch);
	cpus->scratch = NULL;
}
