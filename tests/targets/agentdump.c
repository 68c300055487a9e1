/* agentdump PID [WHAT]: what the agent's memory in a process says, as "KEY VALUE" lines, read as a
 * reader does, by pread. For tests of the agent that shall not depend on the reader.
 *
 *     header      state, reason, frequency, sites, what was lost
 *     heap        sums of all counts, and live blocks and bytes
 *     samples     CPU samples by lane's sums, by site's sums, and "tid TID SAMPLES" by the rings'
 * events sites       "site ID SAMPLES ALLOCS BYTES FREES FREE_BYTES: PC PC …" of those that counted
 *     events      "event KIND TID SITE ADDRESS VALUE" and "mark TEXT", oldest first in each lane
 *
 * Without WHAT all but the last two. Exit code 3: there is no agent's memory. */
#include "tests/targets/target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "include/rsprof/shm_abi.h"

enum { TIDS = 1 << 22, PATH_BYTES = 64, NO_AGENT = 3, KIND_SHIFT = 24 };

static struct rsprof_shm_header header;
static int fd;

/* Whole, or the program ends: nothing is told of what is not there. */
static void get(uint64_t at, void *to, size_t bytes)
{
	if (pread(fd, to, bytes, (off_t)at) != (ssize_t)bytes) {
		fprintf(stderr, "agentdump: %zu bytes at %" PRIu64 " cannot be read\n", bytes, at);
		exit(1);
	}
}

static void get_element(enum rsprof_shm_section_id section, uint64_t index, void *to, size_t bytes)
{
	const struct rsprof_shm_section *where = &header.sections[section];

	memset(to, 0, bytes);
	get(where->offset + index * where->stride, to,
	    where->stride < bytes ? where->stride : bytes);
}

static int open_memory(const char *pid)
{
	char folder[PATH_BYTES], path[2 * PATH_BYTES], target[PATH_BYTES];
	struct dirent *entry;
	uint64_t magic;
	DIR *list;

	snprintf(folder, sizeof(folder), "/proc/%s/fd", pid);
	list = opendir(folder);
	while (list && (entry = readdir(list))) {
		ssize_t length;
		int found;

		snprintf(path, sizeof(path), "%s/%.20s", folder, entry->d_name);
		length = readlink(path, target, sizeof(target) - 1);
		if (length < 0)
			continue;
		target[length] = '\0';
		if (strncmp(target, "/memfd:" RSPROF_SHM_NAME, strlen("/memfd:" RSPROF_SHM_NAME)))
			continue;
		found = open(path, O_RDONLY | O_CLOEXEC);
		if (found < 0)
			continue;
		if (pread(found, &magic, sizeof(magic), 0) == sizeof(magic) &&
		    magic == RSPROF_SHM_MAGIC) {
			closedir(list);
			return found;
		}
		close(found);
	}
	if (list)
		closedir(list);
	return -1;
}

static void print_header(void)
{
	static const char *const causes[] = {"sites",  "blocks",  "modules",
					     "timers", "samples", "reentries"};

	printf("pid %u\nstate %u\nreason %u\nheap %u\ncpu_frequency %u\nis_forked %u\nis_linked "
	       "%u\n",
	       header.pid, header.state, header.reason, header.heap, header.cpu_frequency,
	       header.is_forked, header.is_linked);
	printf("first_site %u\nnext_site %u\nmodule_count %u\n", header.first_site,
	       header.next_site, header.module_count);
	for (int i = 0; i < RSPROF_SHM_LOST_CAUSES; i++)
		printf("lost_%s %" PRIu64 "\n", causes[i], header.lost[i]);
}

static uint32_t site_end(void)
{
	return header.next_site < header.site_count ? header.next_site : header.site_count;
}

static struct rsprof_shm_counts counts_of(uint32_t site)
{
	struct rsprof_shm_counts sum = {0}, one;

	for (uint32_t lane = 0; lane < header.lane_count; lane++) {
		get_element(RSPROF_SHM_COUNTS, (uint64_t)lane * header.site_count + site, &one,
			    sizeof(one));
		sum.allocs += one.allocs;
		sum.alloc_bytes += one.alloc_bytes;
		sum.frees += one.frees;
		sum.free_bytes += one.free_bytes;
		sum.temporary += one.temporary;
		sum.reallocs += one.reallocs;
		sum.samples += one.samples;
	}
	return sum;
}

static void print_heap(void)
{
	struct rsprof_shm_counts sum = {0}, one;
	struct rsprof_shm_lane lane;
	uint64_t unknown = 0;

	for (uint32_t site = 0; site < site_end(); site++) {
		one = counts_of(site);
		sum.allocs += one.allocs;
		sum.alloc_bytes += one.alloc_bytes;
		sum.frees += one.frees;
		sum.free_bytes += one.free_bytes;
		sum.temporary += one.temporary;
		sum.reallocs += one.reallocs;
	}
	for (uint32_t i = 0; i < header.lane_count; i++) {
		get_element(RSPROF_SHM_LANES, i, &lane, sizeof(lane));
		unknown += lane.unknown_frees;
	}
	printf("allocs %" PRIu64 "\nalloc_bytes %" PRIu64 "\nfrees %" PRIu64 "\nfree_bytes %" PRIu64
	       "\ntemporary %" PRIu64 "\nreallocs %" PRIu64 "\nunknown_frees %" PRIu64
	       "\nlive %" PRId64 "\nlive_bytes %" PRId64 "\n",
	       sum.allocs, sum.alloc_bytes, sum.frees, sum.free_bytes, sum.temporary, sum.reallocs,
	       unknown, (int64_t)(sum.allocs - sum.frees),
	       (int64_t)(sum.alloc_bytes - sum.free_bytes));
}

/* Events that are still in the ring of a lane, the oldest first. */
static void for_each_event(uint32_t index, void (*act)(const struct rsprof_shm_event *))
{
	struct rsprof_shm_event event;
	struct rsprof_shm_lane lane;
	uint64_t from;

	get_element(RSPROF_SHM_LANES, index, &lane, sizeof(lane));
	from = lane.head > header.ring_events ? lane.head - header.ring_events : 0;
	for (uint64_t i = from; i < lane.head; i++) {
		get_element(RSPROF_SHM_RINGS,
			    (uint64_t)index * header.ring_events + (i & (header.ring_events - 1)),
			    &event, sizeof(event));
		act(&event);
	}
}

static uint32_t *by_tid;

static void add_sample(const struct rsprof_shm_event *event)
{
	if (event->tid_kind >> KIND_SHIFT == RSPROF_SHM_EVENT_SAMPLE)
		by_tid[event->tid_kind & ((1u << KIND_SHIFT) - 1)] += (uint32_t)event->value;
}

static void print_samples(void)
{
	uint64_t lanes = 0, sites = 0, events = 0;
	struct rsprof_shm_lane lane;

	by_tid = calloc(1u << KIND_SHIFT, sizeof(*by_tid));
	if (!by_tid)
		exit(1);
	for (uint32_t i = 0; i < header.lane_count; i++) {
		get_element(RSPROF_SHM_LANES, i, &lane, sizeof(lane));
		lanes += lane.samples;
		for_each_event(i, add_sample);
	}
	for (uint32_t site = 0; site < site_end(); site++)
		sites += counts_of(site).samples;
	for (uint32_t tid = 0; tid < 1u << KIND_SHIFT; tid++)
		events += by_tid[tid];
	printf("lane_samples %" PRIu64 "\nsite_samples %" PRIu64 "\nevent_samples %" PRIu64 "\n",
	       lanes, sites, events);
	for (uint32_t tid = 0; tid < 1u << KIND_SHIFT; tid++) {
		if (by_tid[tid])
			printf("tid %u %u\n", tid, by_tid[tid]);
	}
	free(by_tid);
}

static void print_stack(uint32_t site)
{
	const struct rsprof_shm_section *stacks = &header.sections[RSPROF_SHM_STACKS];
	struct rsprof_shm_stack stack;
	uint64_t at, pc;

	get_element(RSPROF_SHM_SITES, site, &at, sizeof(at));
	if (!at)
		return;
	get(stacks->offset + at, &stack, sizeof(stack));
	printf(" [%u]", stack.status);
	for (uint32_t i = 0; i < stack.frame_count; i++) {
		get(stacks->offset + at + sizeof(stack) + i * sizeof(pc), &pc, sizeof(pc));
		printf(" %" PRIx64, pc);
	}
}

static void print_sites(void)
{
	for (uint32_t site = 0; site < site_end(); site++) {
		struct rsprof_shm_counts sum = counts_of(site);

		if (!sum.samples && !sum.allocs && !sum.frees)
			continue;
		printf("site %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 ":", site,
		       sum.samples, sum.allocs, sum.alloc_bytes, sum.frees, sum.free_bytes);
		print_stack(site);
		putchar('\n');
	}
}

static void print_event(const struct rsprof_shm_event *event)
{
	const struct rsprof_shm_section *stacks = &header.sections[RSPROF_SHM_STACKS];
	uint32_t kind = event->tid_kind >> KIND_SHIFT;
	struct rsprof_shm_text text;
	char words[1024];

	printf("event %u %u %u %" PRIx64 " %" PRIu64 "\n", kind,
	       event->tid_kind & ((1u << KIND_SHIFT) - 1), event->site, event->address,
	       event->value);
	if (kind != RSPROF_SHM_EVENT_MARK)
		return;
	get(stacks->offset + event->address, &text, sizeof(text));
	if (text.bytes > sizeof(words))
		text.bytes = sizeof(words);
	get(stacks->offset + event->address + sizeof(text), words, text.bytes);
	printf("mark %.*s\n", (int)text.bytes, words);
}

static void print_events(void)
{
	for (uint32_t i = 0; i < header.lane_count; i++)
		for_each_event(i, print_event);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : NULL;

	if (argc < 2)
		return 2;
	fd = open_memory(argv[1]);
	if (fd < 0) {
		fprintf(stderr, "agentdump: %s has no agent's memory\n", argv[1]);
		return NO_AGENT;
	}
	get(0, &header, sizeof(header));
	if (!what || strcmp(what, "header") == 0)
		print_header();
	if (!what || strcmp(what, "heap") == 0)
		print_heap();
	if (!what || strcmp(what, "samples") == 0)
		print_samples();
	if (what && strcmp(what, "sites") == 0)
		print_sites();
	if (what && strcmp(what, "events") == 0)
		print_events();
	return 0;
}
