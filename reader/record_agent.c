#include "reader/record_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "reader/source/agent_region.h"
#include "reader/target/command.h"
#include "reader/target/inject.h"
#include "reader/target/traits.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"

enum {
	/* Programs take the lowest descriptors that are free, and some close all up to a number. */
	MEMFD_HIGH = 900,
	MEMFD_LOW = 3,
};

static const char LIBRARY[] = "librsprof_agent.so";

void agent_verdict_done(struct agent_verdict *verdict)
{
	str_done(&verdict->missing);
}

/* ---- a running process */

static void own_region(struct agent_region **region)
{
	agent_region_close(*region);
}

static void judge(const struct target *target, const struct agent_region_facts *facts,
		  struct agent_verdict *verdict)
{
	static const char *const states[] = {
		[RSPROF_SHM_STARTING] = "starting", [RSPROF_SHM_ON] = "on",
		[RSPROF_SHM_DORMANT] = "dormant",   [RSPROF_SHM_PAUSED] = "paused",
		[RSPROF_SHM_OFF] = "off",
	};
	const char *refusal = agent_region_refusal(facts);

	verdict->presence = AGENT_RUNNING;
	verdict->cpu_frequency = facts->cpu_frequency;
	verdict->sample_bytes = facts->sample_bytes;
	/* One that has slept, or was put in later, or has blocks of a parent, knows not all. */
	verdict->is_from_start = facts->state == RSPROF_SHM_ON && !facts->is_forked &&
				 facts->heap != HEAP_MODE_SAMPLED &&
				 (facts->is_linked || traits_preloads_agent(target));
	verdict->state =
		facts->state < sizeof(states) / sizeof(*states) ? states[facts->state] : "unknown";
	snprintf(verdict->version, sizeof(verdict->version), "%s", facts->version);
	snprintf(verdict->allocator, sizeof(verdict->allocator), "%s", facts->allocator);
	verdict->is_heap_elsewhere = facts->reason == RSPROF_SHM_OWN_ALLOCATOR;
	if (refusal)
		str_add(&verdict->missing, refusal);
	else
		verdict->heap = facts->heap;
}

void record_agent_look(const struct target *target, struct agent_verdict *ret_verdict)
{
	OWN(own_region) struct agent_region *region = NULL;
	struct agent_verdict verdict = {.pid = target->pid};
	int ret = agent_region_find(target, &region, &verdict.err);

	if (ret == 0) {
		judge(target, agent_region_facts(region), &verdict);
	} else if (ret == -ENOENT) {
		verdict.presence = AGENT_ABSENT;
		str_add(&verdict.missing, "no agent is loaded");
	} else {
		verdict.presence = AGENT_REFUSED;
	}
	*ret_verdict = verdict;
}

/* ---- the library */

/* NULL where there is none. */
static char *library_in(const char *folder, const char *below)
{
	OWN(str_done) struct str path = {0};

	str_addf(&path, "%s/%s%s", folder, below, LIBRARY);
	return realpath(str_text(&path), NULL);
}

char *record_agent_library(void)
{
	const char *named = getenv("RSPROF_AGENT_LIB");
	char folder[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", folder, sizeof(folder) - 1);
	char *path = NULL, *slash;

	folder[length < 0 ? 0 : length] = '\0';
	slash = strrchr(folder, '/');
	if (slash) {
		*slash = '\0';
		path = library_in(folder, "");
		if (!path)
			path = library_in(folder, "../lib/");
	}
	if (!path && named && *named)
		path = realpath(named, NULL);
	return path;
}

static int refuse_library(struct err *err)
{
	err_set(err, ERR_GENERAL, -ENOENT, "%s is not beside rsprof, nor in ../lib from there.",
		LIBRARY);
	err_remedy(err, "Name it: RSPROF_AGENT_LIB=/path/to/%s", LIBRARY);
	return -ENOENT;
}

int record_agent_inject(const struct target *target, struct err *err)
{
	OWN(own_region) struct agent_region *region = NULL;
	OWN(own_free) char *library = NULL;
	struct inject_result result;
	struct err ignored;

	if (agent_region_find(target, &region, &ignored) == 0)
		return 0;
	library = record_agent_library();
	if (!library)
		return refuse_library(err);
	return inject_agent(target, library, &result, err);
}

/* ---- a command */

/* What LD_PRELOAD would take apart, or expand. */
static bool can_be_preloaded(const char *path)
{
	return !strpbrk(path, " :$");
}

static void make_memory(struct agent_plan *plan)
{
	for (; plan->fd_count < RSPROF_SHM_GIVEN; plan->fd_count++) {
		int fd = memfd_create(RSPROF_SHM_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);

		if (fd < 0 && !plan->fd_count)
			str_addf(&plan->missing, "memfd_create: %s", strerror(errno));
		if (fd < 0)
			return;
		plan->fds[plan->fd_count] = fd;
	}
}

void record_agent_plan(const char *path, struct agent_plan *ret_plan)
{
	OWN(own_free) char *library = record_agent_library();
	OWN(command_facts_done) struct command_facts command = {0};
	struct agent_plan plan = {0};

	command_look(path, &command);
	if (!command.calls_malloc)
		str_add(&plan.missing, str_text(&command.missing));
	plan.can_count = command.calls_malloc;
	if (command.takes_preload && !library) {
		str_clear(&plan.missing);
		str_addf(&plan.missing, "%s was not found", LIBRARY);
	} else if (command.takes_preload && !can_be_preloaded(library)) {
		str_clear(&plan.missing);
		str_addf(&plan.missing, "LD_PRELOAD takes no path with blanks, colons or \"$\": %s",
			 library);
	} else if (command.takes_preload) {
		make_memory(&plan);
		if (plan.fd_count)
			plan.library = own_take(library);
	}
	*ret_plan = plan;
}

void agent_plan_done(struct agent_plan *plan)
{
	free(plan->library);
	str_done(&plan->missing);
	while (plan->fd_count)
		close(plan->fds[--plan->fd_count]);
}

void record_agent_planned(const struct agent_plan *plan, uint32_t cpu_frequency,
			  struct agent_verdict *ret_verdict)
{
	struct agent_verdict verdict = {.presence = plan->library ? AGENT_PLANNED : AGENT_ABSENT};

	str_add(&verdict.missing, str_text(&plan->missing));
	verdict.is_heap_elsewhere = plan->library && !plan->can_count;
	if (plan->library) {
		verdict.heap = plan->can_count ? HEAP_MODE_EXACT : HEAP_MODE_OFF;
		verdict.cpu_frequency = cpu_frequency;
	}
	*ret_verdict = verdict;
}

/* One after the other, as the agent looks for them. The first one's number; -1: none has one. */
static int open_high(const struct agent_plan *plan)
{
	struct rlimit limit = {.rlim_cur = MEMFD_HIGH + RSPROF_SHM_GIVEN};
	int high = MEMFD_HIGH, first = -1, last;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < MEMFD_HIGH + RSPROF_SHM_GIVEN)
		high = (int)limit.rlim_cur - RSPROF_SHM_GIVEN;
	for (; high >= MEMFD_LOW && first < 0; high--)
		first = fcntl(plan->fds[0], F_DUPFD, high);
	last = first;
	for (size_t i = 1; i < plan->fd_count && last >= 0; i++)
		last = fcntl(plan->fds[i], F_DUPFD, last + 1);
	return first;
}

static void set_number(const char *name, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	setenv(name, text, 1);
}

static void set_preload(const char *library)
{
	const char *others = getenv("LD_PRELOAD");
	OWN(str_done) struct str list = {0};

	str_add(&list, library);
	if (others && *others)
		str_addf(&list, ":%s", others);
	setenv("LD_PRELOAD", str_text(&list), 1);
}

void record_agent_enter(const struct agent_plan *plan, const struct agent_order *order)
{
	int fd;

	if (!order->is_loaded)
		return;
	fd = open_high(plan);
	if (fd >= 0)
		set_number("RSPROF_SHM_FD", (uint64_t)fd);
	set_preload(plan->library);
	setenv("RSPROF_HEAP", heap_mode_names[order->heap], 1);
	set_number("RSPROF_HEAP_SAMPLE", order->sample_bytes);
	/* Asks for timers in any process that has the agent. */
	unsetenv("RSPROF_CPU_FREQ");
	if (order->cpu_frequency)
		set_number("RSPROF_CPU_FREQ", order->cpu_frequency);
	/* What it becomes by exec is the target, too; its children are not. */
	set_number("RSPROF_SHM_PID", (uint64_t)getpid());
	/* It is to be on, whatever others are to be. */
	unsetenv("RSPROF_AGENT");
}
