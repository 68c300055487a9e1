/* Opening on a running process is a race with the threads it starts. A thread that exists when
 * the first list is read is opened here; one that is started by an opened thread inherits its
 * events. One that is found in a later list may be either, or both: it gets events of its own,
 * and what it inherited is left out (perf_record.h, bpf/shared.h). */
#include "reader/source/perf_threads.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
	/* Left free for the rest of rsprof: the database, the files of the target's modules. */
	DESCRIPTORS_RESERVED = 64,
	/* Under a limit too small for that, this part of it. */
	DESCRIPTORS_RESERVED_SHARE = 4,
	/* Lists of threads read before what is still new is left to inheritance. Two are enough
	 * for a program that does not start threads all the time. */
	THREAD_LISTS_MAX = 16,
};

void perf_notes_add(struct perf_notes *notes, const char *note)
{
	*vec_add(&notes->list) = note;
}

void perf_notes_copy(const struct perf_notes *notes, struct arena *arena,
		     struct source_facts *facts)
{
	const char **copies = arena_alloc(arena, (notes->list.count + 1) * sizeof(*copies));

	for (size_t i = 0; i < notes->list.count; i++)
		copies[i] = arena_strdup(arena, notes->list.items[i]);
	facts->notes = copies;
	facts->note_count = notes->list.count;
}

void perf_notes_done(struct perf_notes *notes)
{
	vec_done(&notes->list);
	arena_done(&notes->arena);
}

bool perf_is_refusal(int error)
{
	return error == -EACCES || error == -EPERM || error == -ENOSYS;
}

int perf_refuse(const struct source_config *config, const struct permit *permit, int error,
		const char *step, struct err *err)
{
	const struct target *target = config->target;

	if (perf_is_refusal(error) && permit_perf(permit, target, err) == PERMIT_NO)
		return error;
	err_set(err, perf_is_refusal(error) ? ERR_PERMISSION : ERR_GENERAL, error,
		"Process %d (%s) cannot be sampled: %s failed: %s.", target->pid, target->comm,
		step, strerror(-error));
	if (error == -EMFILE || error == -ENFILE)
		err_remedy(err, "Raise the limit of open files: ulimit -n 65536");
	else if (perf_is_refusal(error))
		err_remedy(err, "See what is allowed: rsprof doctor -p %d", target->pid);
	return error;
}

static bool has_frequency(const struct event_kind *kind)
{
	return kind->unit == EVENT_UNIT_SAMPLES || kind->unit == EVENT_UNIT_PERIOD;
}

int perf_check_frequency(const struct source_config *config, const struct permit *permit,
			 struct err *err)
{
	uint64_t max = permit->perf_max_sample_rate;

	for (size_t i = 0; i < config->event_count; i++) {
		if (!has_frequency(config->events[i]) || !max || config->frequency <= max)
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

static void plan_descriptors(struct perf_threads *threads)
{
	size_t used = count_open_files(), reserved = DESCRIPTORS_RESERVED;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		limit.rlim_cur = 1024;
	threads->descriptors_limit = limit.rlim_cur;
	if (reserved > limit.rlim_cur / DESCRIPTORS_RESERVED_SHARE)
		reserved = limit.rlim_cur / DESCRIPTORS_RESERVED_SHARE;
	if (limit.rlim_cur > used + reserved)
		threads->descriptors_left = limit.rlim_cur - used - reserved;
}

void perf_raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		/* Where even that is refused, the soft limit is what there is. */
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Errors of single threads are gathered; only what refuses the whole recording is returned. */
static int take_thread(struct perf_threads *threads, pid_t tid, bool is_late, struct err *err)
{
	struct err refused = {0};
	int failed = -EMFILE;

	if (threads->descriptors_each <= threads->descriptors_left)
		failed = threads->open(threads, tid, is_late, &refused);
	if (refused.kind) {
		if (err)
			*err = refused;
		return failed;
	}
	if (failed == -EMFILE || failed == -ENFILE) {
		threads->no_room++;
	} else if (failed && failed != -ESRCH) {
		threads->failed++;
		threads->first_error = threads->first_error ? threads->first_error : failed;
	}
	if (!failed) {
		threads->opened++;
		threads->descriptors_left -= threads->descriptors_each;
	}
	return 0;
}

/* One list of threads. Returns the number of new ones, or -errno. */
static int take_new_threads(struct perf_threads *threads, bool is_late, struct err *err)
{
	target_threads list = {0};
	int found = 0, failed = 0;
	int listed = target_list_threads(threads->config->target, &list);

	if (listed && listed != -ESRCH && !threads->opened)
		failed = perf_refuse(threads->config, threads->permit, listed,
				     "listing its threads", err);
	for (size_t i = 0; i < list.count && !failed; i++) {
		pid_t tid = list.items[i].tid;

		if (u64_map_get(&threads->seen, (uint64_t)tid) != UINT32_MAX)
			continue;
		u64_map_put(&threads->seen, (uint64_t)tid, 1);
		failed = take_thread(threads, tid, is_late, err);
		found++;
	}
	vec_done(&list);
	return failed ? failed : found;
}

static int explain_nothing_open(const struct perf_threads *threads, struct err *err)
{
	const struct target *target = threads->config->target;

	if (threads->first_error)
		return perf_refuse(threads->config, threads->permit, threads->first_error,
				   "perf_event_open", err);
	if (threads->no_room) {
		err_set(err, ERR_GENERAL, 0,
			"The limit of open files (%" PRIu64
			") leaves no room for one thread on every CPU.",
			threads->descriptors_limit);
		err_remedy(err, "Raise it: ulimit -n 65536");
		return -EMFILE;
	}
	return err_set(err, ERR_NOT_FOUND, -ESRCH, "Process %d (%s) ended while attaching.",
		       target->pid, target->comm);
}

static void note_missing_threads(const struct perf_threads *threads, bool is_stable)
{
	struct perf_notes *notes = threads->notes;
	uint32_t all = threads->opened + perf_threads_not_opened(threads);

	if (threads->no_room)
		perf_notes_add(notes,
			       arena_printf(&notes->arena,
					    "%" PRIu32 " of %" PRIu32
					    " threads are not sampled: there is no room for them "
					    "within the limit of open files (%" PRIu64
					    "). Raise it: ulimit -n.",
					    threads->no_room, all, threads->descriptors_limit));
	if (threads->failed)
		perf_notes_add(notes,
			       arena_printf(&notes->arena,
					    "%" PRIu32 " of %" PRIu32
					    " threads are not sampled: perf_event_open "
					    "failed: %s.",
					    threads->failed, all, strerror(-threads->first_error)));
	if (!is_stable)
		perf_notes_add(notes, "Threads were starting all the time while rsprof attached; a "
				      "few may be missing.");
}

int perf_threads_open(struct perf_threads *threads, struct err *err)
{
	int found = 1;

	plan_descriptors(threads);
	for (int list = 0; found > 0 && list < THREAD_LISTS_MAX; list++)
		found = take_new_threads(threads, list > 0, err);
	if (found < 0)
		return found;
	if (!threads->opened)
		return explain_nothing_open(threads, err);
	note_missing_threads(threads, found == 0);
	return 0;
}

uint32_t perf_threads_not_opened(const struct perf_threads *threads)
{
	return threads->no_room + threads->failed;
}

void perf_threads_done(struct perf_threads *threads)
{
	u64_map_done(&threads->seen);
}
