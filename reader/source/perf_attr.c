#include "reader/source/perf_attr.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "reader/util/str.h"

/* By the stable names of core/event_kind.c. */
static const struct perf_number {
	const char *name;
	uint32_t type;
	uint64_t config;
} perf_numbers[] = {
	{"cpu-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK},
	{"task-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK},
	{"cpu-cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
	{"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
	{"cache-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
	{"context-switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
	{"page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
	{NULL, 0, 0},
};

static const struct perf_number *number_of(const struct event_kind *kind)
{
	const struct perf_number *number = perf_numbers;

	while (number->name && strcmp(number->name, kind->name))
		number++;
	return number->name ? number : NULL;
}

int perf_open_event(struct perf_event_attr *attr, pid_t pid, int cpu)
{
	int fd = (int)syscall(SYS_perf_event_open, attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* What every event has: rings may only be shared by events of one clock, and the decoder knows one
 * sample_type. */
static void fill_common(struct perf_event_attr *attr)
{
	memset(attr, 0, sizeof(*attr));
	attr->size = sizeof(*attr);
	attr->disabled = 1;
	attr->exclude_hv = 1;
	attr->exclude_guest = 1;
	attr->use_clockid = 1;
	attr->clockid = CLOCK_MONOTONIC;
	attr->sample_id_all = 1;
	attr->sample_type = PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID |
			    PERF_SAMPLE_TIME | PERF_SAMPLE_PERIOD;
}

void perf_fill_leader_attr(struct perf_event_attr *attr)
{
	fill_common(attr);
	attr->type = PERF_TYPE_SOFTWARE;
	attr->config = PERF_COUNT_SW_DUMMY;
	attr->exclude_kernel = 1;
	attr->exclude_user = 1;
	/* With a watermark of 0 bytes the kernel takes half the ring: readers are woken then,
	 * and not by every sample. */
	attr->watermark = 1;
}

static void ask_for_sideband(struct perf_event_attr *attr)
{
	attr->mmap = 1;
	attr->mmap2 = 1;
	attr->comm = 1;
	attr->comm_exec = 1;
	attr->task = 1;
}

void perf_fill_sideband_attr(struct perf_event_attr *attr)
{
	perf_fill_leader_attr(attr);
	attr->disabled = 0;
	attr->wakeup_watermark = 1;
	ask_for_sideband(attr);
}

void perf_fill_attr(struct perf_event_attr *attr, const struct perf_plan *plan,
		    const struct event_kind *kind, bool has_sideband)
{
	const struct perf_number *number = number_of(kind);

	fill_common(attr);
	attr->type = number->type;
	attr->config = number->config;
	attr->watermark = 1;
	if (kind->unit == EVENT_UNIT_OCCURRENCES) {
		attr->sample_period = 1;
	} else {
		attr->freq = 1;
		attr->sample_freq = plan->frequency;
	}
	if (plan->for_programs) {
		attr->watermark = 0;
	} else if (plan->stack_bytes) {
		attr->sample_type |= PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER;
		attr->sample_regs_user = PERF_REGISTERS_SAMPLED;
		attr->sample_stack_user = plan->stack_bytes;
	} else {
		attr->sample_type |= PERF_SAMPLE_CALLCHAIN;
		attr->exclude_callchain_kernel = 1;
		attr->sample_max_stack = plan->chain_frames;
	}
	attr->exclude_kernel = !plan->with_kernel;
	attr->inherit = 1;
	attr->inherit_thread = plan->threads_only;
	attr->enable_on_exec = plan->start_on_exec;
	attr->read_format = plan->reads_lost ? PERF_FORMAT_LOST : 0;
	if (has_sideband)
		ask_for_sideband(attr);
}

/* Opens on ourselves, on no CPU in particular. 0 or -errno. */
static int try_open(struct perf_event_attr *attr)
{
	int fd = perf_open_event(attr, 0, -1);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

void perf_probe_kernel(struct perf_plan *plan)
{
	struct perf_event_attr attr;

	perf_fill_leader_attr(&attr);
	attr.inherit = 1;
	attr.inherit_thread = 1;
	plan->threads_only = try_open(&attr) != -EINVAL;
	perf_fill_leader_attr(&attr);
	attr.read_format = PERF_FORMAT_LOST;
	plan->reads_lost = try_open(&attr) != -EINVAL;
}

static bool is_countable(const struct event_kind *kind)
{
	const struct perf_number *number = number_of(kind);
	struct perf_event_attr attr;

	if (!number)
		return false;
	fill_common(&attr);
	attr.type = number->type;
	attr.config = number->config;
	attr.exclude_kernel = 1;
	/* A period that is not reached: hardware is asked for its ability to sample. */
	attr.sample_period = INT32_MAX;
	switch (try_open(&attr)) {
	case -ENOENT:
	case -ENODEV:
	case -EOPNOTSUPP:
	case -EINVAL:
		return false;
	default:
		return true;
	}
}

static bool is_hardware(const struct event_kind *kind)
{
	const struct perf_number *number = number_of(kind);

	return number && number->type == PERF_TYPE_HARDWARE;
}

static int refuse_kind(const struct event_kind *refused, struct err *err)
{
	struct str list = {0};
	bool counts_hardware = false;
	const char *reason = "this kernel has no such event";

	for (const struct event_kind *kind = event_kinds; kind->name; kind++) {
		if (!is_countable(kind))
			continue;
		str_addf(&list, "%s%s", list.length ? ", " : "", kind->name);
		counts_hardware |= is_hardware(kind);
	}
	if (is_hardware(refused))
		reason = counts_hardware ? "the processor has no such counter"
					 : "no hardware counters";
	err_set(err, ERR_USAGE, 0, "This machine cannot count %s (%s). It can count: %s.",
		refused->name, reason, str_text(&list));
	err_remedy(err, "Choose one of them: --event cpu-clock");
	str_done(&list);
	return -ENOTSUP;
}

int perf_check_kinds(const struct event_kind *const *kinds, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (kinds[i]->unit == EVENT_UNIT_TIME) {
			err_set(err, ERR_PERMISSION, 0, "%s is recorded by the bpf source only.",
				kinds[i]->name);
			err_remedy(err, "See what that needs: rsprof doctor");
			return -ENOTSUP;
		}
		if (!is_countable(kinds[i]))
			return refuse_kind(kinds[i], err);
	}
	return 0;
}
