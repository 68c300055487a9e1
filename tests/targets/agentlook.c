/* What the memory that an agent shares says of a process, read by nothing of rsprof's: the tests' second
 * opinion.
 *
 *   agentlook FILE PID                  of a process that has the agent
 *   agentlook FILE [-k MS] -- COMMAND…  starts it with an empty memfd for the agent and looks when it has
 *                                       ended; -k kills it MS milliseconds after it wrote its first byte
 *
 * The command's output goes where this program's goes. Prints "key value" lines: the header's, sums over all
 * sites, and of each place in FILE "at ADDRESS KEY VALUE", by the first return address that lies in it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "include/rsprof/shm_abi.h"

enum { PLACES = 4096, FRAMES = 512 };

static int fd = -1;
static struct rsprof_shm_header header;
static struct rsprof_shm_module *modules;
static struct stat file;
static struct place {
	uint64_t address;
	struct rsprof_shm_counts counts;
} places[PLACES];
static size_t place_count;

static void fail(const char *what)
{
	fprintf(stderr, "agentlook: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void take(void *to, size_t bytes, uint64_t at)
{
	memset(to, 0, bytes);
	if (pread(fd, to, bytes, (off_t)at) < 0)
		fail("pread");
}

static uint64_t at(enum rsprof_shm_section_id id, uint64_t index)
{
	return header.sections[id].offset + index * header.sections[id].stride;
}

static int find(const char *pid)
{
	char path[64], link[128];

	for (int i = 0; i < 4096; i++) {
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/%s/fd/%d", pid, i);
		length = readlink(path, link, sizeof(link) - 1);
		if (length < 0)
			continue;
		link[length] = 0;
		if (strncmp(link, "/memfd:" RSPROF_SHM_NAME, sizeof("/memfd:" RSPROF_SHM_NAME) - 1) == 0)
			return open(path, O_RDONLY | O_CLOEXEC);
	}
	errno = ENOENT;
	return -1;
}

static void add(struct rsprof_shm_counts *to, const struct rsprof_shm_counts *from)
{
	uint64_t *sums = (uint64_t *)to;

	for (size_t i = 0; i < sizeof(*to) / 8; i++)
		sums[i] += ((const uint64_t *)from)[i];
}

static struct rsprof_shm_counts *place_of(uint64_t address)
{
	for (size_t i = 0; i < place_count; i++) {
		if (places[i].address == address)
			return &places[i].counts;
	}
	if (place_count == PLACES - 1)
		return &places[PLACES - 1].counts;
	places[place_count].address = address;
	return &places[place_count++].counts;
}

/* Of the first address in the file, as the file has it; 0: none. */
static uint64_t place_address(const struct rsprof_shm_stack *stack, const uint64_t *pcs)
{
	for (size_t i = 1; i < stack->frame_count; i++) {
		for (uint32_t m = 0; m < header.module_count; m++) {
			const struct rsprof_shm_module *module = &modules[m];

			if (module->inode == file.st_ino && pcs[i] > module->start && pcs[i] <= module->end &&
			    module->added_epoch <= stack->module_epoch &&
			    (!module->removed_epoch || module->removed_epoch > stack->module_epoch))
				return pcs[i] - 1 - module->bias;
		}
	}
	return 0;
}

static void print_counts(const char *prefix, const struct rsprof_shm_counts *counts)
{
	static const char *const keys[] = {"total_allocs", "total_alloc_bytes", "total_frees",
					   "total_free_bytes", "temporary", "reallocs",
					   "growth_bytes", "samples"};

	for (size_t i = 0; i < 8; i++)
		printf("%s%s %" PRIu64 "\n", prefix, keys[i], ((const uint64_t *)counts)[i]);
	printf("%sbytes %" PRId64 "\n%sblocks %" PRId64 "\n", prefix,
	       (int64_t)(counts->alloc_bytes - counts->free_bytes), prefix,
	       (int64_t)(counts->allocs - counts->frees));
}

static void look_at_sites(void)
{
	struct rsprof_shm_counts total = {0}, inherited = {0};
	uint64_t frames = 0, stacks = 0, weight = 0, by_status[256] = {0};
	uint32_t count = header.next_site < header.site_count ? header.next_site : header.site_count;
	struct rsprof_shm_counts *sums = calloc(count, sizeof(*sums));
	struct rsprof_shm_counts *lane = calloc(count, sizeof(*lane));

	for (uint32_t i = 0; i < header.lane_count; i++) {
		uint64_t begin = at(RSPROF_SHM_COUNTS, (uint64_t)i * header.site_count);

		/* Nothing of it was ever written. */
		if (lseek(fd, (off_t)begin, SEEK_DATA) >= (off_t)(begin + count * sizeof(*lane)))
			continue;
		take(lane, count * sizeof(*lane), begin);
		for (uint32_t site = 0; site < count; site++)
			add(&sums[site], &lane[site]);
	}
	for (uint32_t site = 0; site < count; site++) {
		struct rsprof_shm_stack stack = {0};
		uint64_t pcs[FRAMES], offset = 0;
		uint64_t used = sums[site].allocs + sums[site].frees + sums[site].samples;

		if (!used)
			continue;
		if (site >= RSPROF_SHM_SITE_FIRST && site < header.first_site) {
			add(&inherited, &sums[site]);
			continue;
		}
		add(&total, &sums[site]);
		take(&offset, sizeof(offset), at(RSPROF_SHM_SITES, site));
		if (!offset) {
			if (site >= RSPROF_SHM_SITE_FIRST)
				printf("untold_site %u\n", site);
			add(place_of(0), &sums[site]);
			continue;
		}
		take(&stack, sizeof(stack), header.sections[RSPROF_SHM_STACKS].offset + offset);
		if (stack.site != site || stack.frame_count > FRAMES) {
			printf("bad_stack %u\n", site);
			continue;
		}
		take(pcs, stack.frame_count * 8ul,
		     header.sections[RSPROF_SHM_STACKS].offset + offset + sizeof(stack));
		stacks++;
		frames += stack.frame_count;
		weight += used;
		by_status[stack.status] += used;
		add(place_of(place_address(&stack, pcs)), &sums[site]);
	}
	print_counts("", &total);
	printf("inherited_frees %" PRIu64 "\ninherited_free_bytes %" PRIu64 "\n", inherited.frees,
	       inherited.free_bytes);
	printf("stacks %" PRIu64 "\nframes %" PRIu64 "\n", stacks, frames);
	for (int i = 0; i < 256; i++) {
		if (by_status[i])
			printf("status_%d_pct %.2f\n", i, 100.0 * (double)by_status[i] / (double)weight);
	}
	for (size_t i = 0; i < place_count; i++) {
		char prefix[40];

		snprintf(prefix, sizeof(prefix), "at 0x%" PRIx64 " ", places[i].address);
		print_counts(prefix, &places[i].counts);
	}
	free(sums);
	free(lane);
}

static void look_at_lanes(void)
{
	struct rsprof_shm_lane lane;
	uint64_t unknown = 0, dropped = 0, events = 0, owned = 0;

	for (uint32_t i = 0; i < header.lane_count; i++) {
		take(&lane, sizeof(lane), at(RSPROF_SHM_LANES, i));
		unknown += lane.unknown_frees;
		dropped += lane.dropped;
		events += lane.head;
		owned += lane.owner != 0;
	}
	printf("unknown_frees %" PRIu64 "\ndropped %" PRIu64 "\nevents %" PRIu64
	       "\nlanes_owned %" PRIu64 "\n",
	       unknown, dropped, events, owned);
}

static int look(void)
{
	static const char *const causes[] = {"sites",  "blocks",  "modules",
					     "timers", "samples", "reentries"};

	take(&header, sizeof(header), 0);
	if (header.magic != RSPROF_SHM_MAGIC) {
		printf("magic 0\n");
		return 1;
	}
	printf("magic 1\npid %u\nstate %u\nreason %u\nheap %u\nis_forked %u\nallocator %s\n", header.pid,
	       header.state, header.reason, header.heap, header.is_forked, header.allocator);
	printf("first_site %u\nnext_site %u\nmodules %u\nmodule_epoch %u\nlanes %u\nstacks_used %" PRIu64
	       "\n",
	       header.first_site, header.next_site, header.module_count, header.module_epoch,
	       header.lane_count, header.stacks_used);
	for (size_t i = 0; i < RSPROF_SHM_LOST_CAUSES; i++)
		printf("lost_%s %" PRIu64 "\n", causes[i], header.lost[i]);
	modules = calloc(header.module_count + 1, sizeof(*modules));
	for (uint32_t i = 0; i < header.module_count; i++)
		take(&modules[i], sizeof(*modules), at(RSPROF_SHM_MODULES, i));
	look_at_lanes();
	look_at_sites();
	free(modules);
	return 0;
}

/* The first byte that the command writes is waited for, so that it has begun. */
static int run(char **command, long kill_ms)
{
	int both[2], status;
	char number[16], buffer[4096];
	ssize_t got;
	pid_t child;

	fd = memfd_create(RSPROF_SHM_NAME, MFD_ALLOW_SEALING);
	if (fd < 0 || pipe2(both, O_CLOEXEC))
		fail("memfd_create");
	snprintf(number, sizeof(number), "%d", fd);
	setenv("RSPROF_SHM_FD", number, 1);
	child = fork();
	if (child == 0) {
		snprintf(number, sizeof(number), "%d", (int)getpid());
		setenv("RSPROF_SHM_PID", number, 1);
		dup2(both[1], 1);
		execvp(command[0], command);
		_exit(127);
	}
	unsetenv("RSPROF_SHM_FD");
	close(both[1]);
	if (kill_ms >= 0) {
		struct pollfd one = {.fd = both[0], .events = POLLIN};

		poll(&one, 1, 10000);
		usleep((useconds_t)kill_ms * 1000);
		kill(child, SIGKILL);
	}
	while ((got = read(both[0], buffer, sizeof(buffer))) > 0)
		fwrite(buffer, 1, (size_t)got, stdout);
	if (waitpid(child, &status, 0) < 0)
		fail("waitpid");
	printf("status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return look();
}

int main(int argc, char **argv)
{
	long kill_ms = -1;
	int i = 2;

	if (argc < 3 || stat(argv[1], &file)) {
		fprintf(stderr, "agentlook FILE PID | FILE [-k MS] -- COMMAND…\n");
		return 2;
	}
	if (argc == 3 && argv[2][0] != '-') {
		fd = find(argv[2]);
		if (fd < 0) {
			printf("magic 0\n");
			return 1;
		}
		return look();
	}
	if (argc > i + 1 && strcmp(argv[i], "-k") == 0) {
		kill_ms = atol(argv[i + 1]);
		i += 2;
	}
	if (argc < i + 2 || strcmp(argv[i], "--") != 0)
		return 2;
	return run(argv + i + 1, kill_ms);
}
