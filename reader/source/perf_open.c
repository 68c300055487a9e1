/* Opening on a running process is a race with the threads it starts. A thread that exists when
 * the first list is read is opened here; one that is started by an opened thread inherits its
 * events. One that is found in a later list may be either, or both: it gets events of its own,
 * and the decoder leaves out what it inherited (perf_record.h). */
#include "reader/source/perf_open.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "reader/target/permit.h"
#include "reader/util/fmt.h"

enum {
	/* Left free for the rest of rsprof: the database, the files of the target's modules. */
	DESCRIPTORS_RESERVED = 64,
	/* Under a limit too small for that, this part of it. */
	DESCRIPTORS_RESERVED_SHARE = 4,
	/* Lists of threads read before what is still new is left to inheritance. Two are enough
	 * for a program that does not start threads all the time. */
	THREAD_LISTS_MAX = 16,
	/* The kernel's own default, where its setting cannot be read. */
	MAX_STACK_DEFAULT = 127,
};

struct opening {
	struct perf_set *set;
	struct perf_decoder *decoder;
	const struct source_config *config;
	const struct permit *permit;
	struct u64_map seen; /* tids */
	size_t descriptors_left;
	uint64_t descriptors_limit;
	uint32_t no_room, failed; /* threads */
	int first_error;
};

static void add_note(struct perf_set *set, const char *note)
{
	*vec_add(&set->notes) = note;
}

static bool is_refusal(int error)
{
	return error == -EACCES || error == -EPERM || error == -ENOSYS;
}

static int refuse(const struct opening *opening, int error, const char *step, struct err *err)
{
	const struct target *target = opening->config->target;

	if (is_refusal(error) && permit_perf(opening->permit, target, err) == PERMIT_NO)
		return error;
	err_set(err, is_refusal(error) ? ERR_PERMISSION : ERR_GENERAL, error,
		"Process %d (%s) cannot be sampled: %s failed: %s.", target->pid, target->comm,
		step, strerror(-error));
	if (error == -EMFILE || error == -ENFILE)
		err_remedy(err, "Raise the limit of open files: ulimit -n 65536");
	else if (is_refusal(error))
		err_remedy(err, "See what is allowed: rsprof doctor -p %d", target->pid);
	return error;
}

static int check_frequency(const struct opening *opening, struct err *err)
{
	const struct source_config *config = opening->config;
	uint64_t max = opening->permit->perf_max_sample_rate;

	for (size_t i = 0; i < config->event_count; i++) {
		if (config->events[i]->unit == EVENT_UNIT_OCCURRENCES || !max ||
		    config->frequency <= max)
			continue;
		err_set(err, ERR_USAGE, 0,
			"This machine allows %" PRIu64 " samples a second, not %" PRIu32
			" (kernel.perf_event_max_sample_rate).",
			max, config->frequency);
		err_remedy(err,
			   "Type --cpu-freq %" PRIu64 ", or allow more: "
			   "sudo sysctl kernel.perf_event_max_sample_rate=%" PRIu32,
			   max, config->frequency);
		return -EINVAL;
	}
	return 0;
}

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
		add_note(set, arena_printf(&set->arena,
					   "Stacks are cut at %" PRIu32 " frames, not at %" PRIu32
					   ": more needs sudo sysctl kernel.perf_event_max_stack=%"
					   PRIu32 ".",
					   max, wanted, wanted));
}

static size_t count_open_files(void)
{
	DIR *folder = opendir("/proc/self/fd");
	const struct dirent *entry;
	size_t count = 0;

	if (!folder)
		return 0;
	while ((entry = readdir(folder)))
		count += entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(folder);
	closedir(folder);
	return count;
}

/* Called when the rings are open. */
static void plan_descriptors(struct opening *opening)
{
	size_t used = count_open_files(), reserved = DESCRIPTORS_RESERVED;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		limit.rlim_cur = 1024;
	opening->descriptors_limit = limit.rlim_cur;
	if (reserved > limit.rlim_cur / DESCRIPTORS_RESERVED_SHARE)
		reserved = limit.rlim_cur / DESCRIPTORS_RESERVED_SHARE;
	if (limit.rlim_cur > used + reserved)
		opening->descriptors_left = limit.rlim_cur - used - reserved;
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		/* Where even that is refused, the soft limit is what there is. */
		setrlimit(RLIMIT_NOFILE, &limit);
	}
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
		return refuse(opening, failed, step, err);
	if (cpus->got_bytes < cpus->wanted_bytes) {
		/* The kernel's limit is for each CPU and holds the ring's control page too. */
		uint64_t kb = cpus->wanted_bytes / cpus->list.count / 1024 +
			      (uint64_t)sysconf(_SC_PAGESIZE) / 1024;

		add_note(set, arena_printf(&set->arena,
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
	size_t needed = set->cpus.list.count * opening->config->event_count;
	int failed = 0;

	if (needed > opening->descriptors_left)
		return -EMFILE;
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
	opening->descriptors_left -= needed;
	set->threads_opened++;
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
			add_note(set, "Page faults inside system calls are not counted: only user "
				      "mode may be sampled.");
	}
	return 0;
}

/* Errors of single threads are gathered; only what refuses the whole recording is returned. */
static int take_thread(struct opening *opening, pid_t tid, bool is_late, struct err *err)
{
	struct perf_plan *plan = &opening->set->plan;
	int failed = open_thread(opening, tid);

	if (is_refusal(failed) && plan->with_kernel && !opening->set->threads_opened) {
		plan->with_kernel = false;
		failed = open_thread(opening, tid);
		if (failed == 0 && check_user_only(opening, err))
			return -EACCES;
	}
	if (failed == -EMFILE || failed == -ENFILE) {
		opening->no_room++;
	} else if (failed && failed != -ESRCH) {
		opening->failed++;
		opening->first_error = opening->first_error ? opening->first_error : failed;
	}
	if (!failed && is_late)
		perf_decoder_add_late_thread(opening->decoder, (uint32_t)tid);
	return 0;
}

/* One list of threads. Returns the number of new ones, or -errno. */
static int take_new_threads(struct opening *opening, bool is_late, struct err *err)
{
	target_threads threads = {0};
	int found = 0, failed = 0;
	int listed = target_list_threads(opening->config->target, &threads);

	if (listed && listed != -ESRCH && !opening->set->threads_opened)
		failed = refuse(opening, listed, "listing its threads", err);
	for (size_t i = 0; i < threads.count && !failed; i++) {
		pid_t tid = threads.items[i].tid;

		if (u64_map_get(&opening->seen, (uint64_t)tid) != UINT32_MAX)
			continue;
		u64_map_put(&opening->seen, (uint64_t)tid, 1);
		failed = take_thread(opening, tid, is_late, err);
		found++;
	}
	vec_done(&threads);
	return failed ? failed : found;
}

static int explain_nothing_open(const struct opening *opening, struct err *err)
{
	const struct target *target = opening->config->target;

	if (opening->first_error)
		return refuse(opening, opening->first_error, "perf_event_open", err);
	if (opening->no_room) {
		err_set(err, ERR_GENERAL, 0,
			"The limit of open files (%" PRIu64
			") leaves no room for one thread on every CPU.",
			opening->descriptors_limit);
		err_remedy(err, "Raise it: ulimit -n 65536");
		return -EMFILE;
	}
	return err_set(err, ERR_NOT_FOUND, -ESRCH, "Process %d (%s) ended while attaching.",
		       target->pid, target->comm);
}

static void note_missing_threads(struct opening *opening, bool is_stable)
{
	struct perf_set *set = opening->set;
	uint32_t all = set->threads_opened + opening->no_room + opening->failed;

	set->threads_not_opened = opening->no_room + opening->failed;
	if (opening->no_room)
		add_note(set, arena_printf(&set->arena,
					   "%" PRIu32 " of %" PRIu32
					   " threads are not sampled: there is no room for them "
					   "within the limit of open files (%" PRIu64
					   "). Raise it: ulimit -n.",
					   opening->no_room, all, opening->descriptors_limit));
	if (opening->failed)
		add_note(set, arena_printf(&set->arena,
					   "%" PRIu32 " of %" PRIu32
					   " threads are not sampled: perf_event_open failed: %s.",
					   opening->failed, all, strerror(-opening->first_error)));
	if (!is_stable)
		add_note(set, "Threads were starting all the time while rsprof attached; a few may "
			      "be missing.");
}

static int open_threads(struct opening *opening, struct err *err)
{
	int found = 1;

	for (int list = 0; found > 0 && list < THREAD_LISTS_MAX; list++)
		found = take_new_threads(opening, list > 0, err);
	if (found < 0)
		return found;
	if (!opening->set->threads_opened)
		return explain_nothing_open(opening, err);
	note_missing_threads(opening, found == 0);
	return 0;
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
		failed = check_frequency(&opening, err);
	if (failed)
		return failed;
	perf_probe_kernel(&set->plan);
	decoder->threads_only = set->plan.threads_only;
	if (!config->stack_bytes)
		plan_frames(&opening);
	raise_descriptor_limit();
	failed = open_rings(&opening, err);
	if (failed)
		return failed;
	plan_descriptors(&opening);
	failed = open_threads(&opening, err);
	u64_map_done(&opening.seen);
	return failed;
}

/* Events first: rings that nothing writes into are unmapped without a walk over all of them. */
void perf_set_close(struct perf_set *set)
{
	for (size_t i = 0; i < set->counters.count; i++)
		close(set->counters.items[i].fd);
	vec_done(&set->counters);
	perf_cpus_close(&set->cpus);
	vec_done(&set->notes);
	arena_done(&set->arena);
}
