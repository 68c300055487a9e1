/* What perf_threads.c opens on each thread, and the rings that it writes into. */
#include "reader/source/perf_open.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "reader/util/fmt.h"

enum {
	/* The kernel's own default, where its setting cannot be read. */
	MAX_STACK_DEFAULT = 127,
};

struct opening {
	struct perf_set *set;
	struct perf_decoder *decoder;
	const struct source_config *config;
	const struct permit *permit;
};

/* One frame more than is kept tells a stack that was cut from one that fits; where the kernel
 * gives no more, a full one is taken for cut. */
static void plan_frames(const struct opening *opening)
{
	uint32_t max = (uint32_t)opening->permit->perf_max_stack;
	uint32_t wanted = opening->config->frames_max;
	struct perf_set *set = opening->set;
	uint32_t asked;

	if (!max)
		max = MAX_STACK_DEFAULT;
	asked = wanted < max ? wanted + 1 : max;
	set->plan.chain_frames = (uint16_t)asked;
	opening->decoder->frames_cut = asked;
	opening->decoder->frames_kept = wanted < max ? wanted : max;
	if (wanted > max)
		perf_notes_add(&set->notes,
			       arena_printf(&set->notes.arena,
					    "Stacks are cut at %" PRIu32 " frames, not at %" PRIu32
					    ": more needs sudo sysctl kernel.perf_event_max_stack="
					    "%" PRIu32 ".",
					    max, wanted, wanted));
}

static int open_rings(struct opening *opening, struct err *err)
{
	struct perf_set *set = opening->set;
	struct perf_cpus *cpus = &set->cpus;
	const char *step;
	char got[FMT_MAX], wanted[FMT_MAX];
	int failed = perf_cpus_open(cpus, opening->config->target->pid,
				    opening->config->buffer_bytes, &step);

	if (failed)
		return perf_refuse(opening->config, opening->permit, failed, step, err);
	if (cpus->got_bytes < cpus->wanted_bytes) {
		/* The kernel's limit is for each CPU and holds the ring's control page too. */
		uint64_t kb = cpus->wanted_bytes / cpus->list.count / 1024 +
			      (uint64_t)sysconf(_SC_PAGESIZE) / 1024;

		perf_notes_add(&set->notes,
			       arena_printf(&set->notes.arena,
					    "The ring buffer has %s, not %s, within the limit of "
					    "locked memory: more needs sudo sysctl "
					    "kernel.perf_event_mlock_kb=%" PRIu64 ".",
					    fmt_bytes(got, cpus->got_bytes),
					    fmt_bytes(wanted, cpus->wanted_bytes), kb));
	}
	return 0;
}

static int open_counter(struct opening *opening, pid_t tid, const struct perf_cpu *cpu,
			size_t index)
{
	struct perf_set *set = opening->set;
	struct perf_event_attr attr;
	struct perf_counter counter = {.event_index = (uint32_t)index};

	perf_fill_attr(&attr, &set->plan, opening->config->events[index], index == 0);
	counter.fd = perf_open_event(&attr, tid, cpu->cpu);
	if (counter.fd < 0)
		return counter.fd;
	if (ioctl(counter.fd, PERF_EVENT_IOC_SET_OUTPUT, cpu->leader_fd) ||
	    ioctl(counter.fd, PERF_EVENT_IOC_ID, &counter.id)) {
		int failed = -errno;

		close(counter.fd);
		return failed;
	}
	*vec_add(&set->counters) = counter;
	return 0;
}

/* On all CPUs or not at all: shares of a thread that is seen on some CPUs only would mean
 * nothing. */
static int open_thread(struct opening *opening, pid_t tid)
{
	struct perf_set *set = opening->set;
	size_t first = set->counters.count;
	int failed = 0;

	for (size_t cpu = 0; cpu < set->cpus.list.count && !failed; cpu++) {
		for (size_t i = 0; i < opening->config->event_count && !failed; i++)
			failed = open_counter(opening, tid, &set->cpus.list.items[cpu], i);
	}
	if (failed) {
		while (set->counters.count > first)
			close(set->counters.items[--set->counters.count].fd);
		return failed;
	}
	for (size_t i = first; i < set->counters.count; i++)
		perf_decoder_add_stream(opening->decoder, set->counters.items[i].id, (uint32_t)tid,
					set->counters.items[i].event_index);
	return 0;
}

/* Some events happen in kernel mode only, and would be a silent zero without it. */
static int check_user_only(const struct opening *opening, struct err *err)
{
	struct perf_set *set = opening->set;

	for (size_t i = 0; i < opening->config->event_count; i++) {
		const char *name = opening->config->events[i]->name;

		if (strcmp(name, "context-switches") == 0) {
			err_set(err, ERR_PERMISSION, 0,
				"You may sample user mode only, and %s happen in the kernel.",
				name);
			err_remedy(err, "Run rsprof as root, or allow it: "
					"sudo sysctl kernel.perf_event_paranoid=1");
			return -EACCES;
		}
		if (strcmp(name, "page-faults") == 0)
			perf_notes_add(&set->notes,
				       "Page faults inside system calls are not counted: only user "
				       "mode may be sampled.");
	}
	return 0;
}

static int take_thread(struct perf_threads *threads, pid_t tid, bool is_late, struct err *err)
{
	struct opening *opening = threads->context;
	struct perf_plan *plan = &opening->set->plan;
	int failed = open_thread(opening, tid);

	if (perf_is_refusal(failed) && plan->with_kernel && !threads->opened) {
		plan->with_kernel = false;
		failed = open_thread(opening, tid);
		if (failed == 0 && check_user_only(opening, err))
			return -EACCES;
	}
	if (!failed && is_late)
		perf_decoder_add_late_thread(opening->decoder, (uint32_t)tid);
	return failed;
}

static int open_threads(struct opening *opening, struct err *err)
{
	struct perf_set *set = opening->set;
	struct perf_threads threads = {
		.config = opening->config,
		.permit = opening->permit,
		.notes = &set->notes,
		.open = take_thread,
		.context = opening,
		.descriptors_each = set->cpus.list.count * opening->config->event_count,
	};
	int failed = perf_threads_open(&threads, err);

	set->threads_opened = threads.opened;
	set->threads_not_opened = perf_threads_not_opened(&threads);
	perf_threads_done(&threads);
	return failed;
}

int perf_set_open(struct perf_set *set, struct perf_decoder *decoder,
		  const struct source_config *config, struct err *err)
{
	struct permit permit;
	struct opening opening = {
		.set = set, .decoder = decoder, .config = config, .permit = &permit};
	int failed;

	permit_read(&permit);
	set->plan.frequency = config->frequency;
	set->plan.stack_bytes = config->stack_bytes;
	decoder->has_stacks = config->stack_bytes != 0;
	set->plan.start_on_exec = config->start_on_exec;
	set->plan.with_kernel = true;
	decoder->target_pid = (uint32_t)config->target->pid;
	for (size_t i = 0; i < config->event_count; i++)
		decoder->value_is_period[i] = config->events[i]->unit == EVENT_UNIT_PERIOD;
	failed = perf_check_kinds(config->events, config->event_count, err);
	if (!failed)
		failed = perf_check_frequency(config, &permit, err);
	if (failed)
		return failed;
	perf_probe_kernel(&set->plan);
	decoder->threads_only = set->plan.threads_only;
	if (!config->stack_bytes)
		plan_frames(&opening);
	perf_raise_descriptor_limit();
	failed = open_rings(&opening, err);
	if (failed)
		return failed;
	return open_threads(&opening, err);
}

/* Events first: rings that nothing writes into are unmapped without a walk over all of them. */
void perf_set_close(struct perf_set *set)
{
	for (size_t i = 0; i < set->counters.count; i++)
		close(set->counters.items[i].fd);
	vec_done(&set->counters);
	perf_cpus_close(&set->cpus);
	perf_notes_done(&set->notes);
}
