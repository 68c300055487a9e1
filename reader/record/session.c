#include "reader/record/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "reader/record/pump.h"
#include "reader/record/session_facts.h"
#include "reader/record/symbol_worker.h"
#include "reader/record/writer.h"
#include "reader/source/event_text.h"
#include "reader/target/elf_image.h"
#include "reader/util/clock.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/vec.h"

enum {
	/* Of the pump's thread, which works for well under a thousandth of the time, of opening and
	 * of ending. */
	PUMP_NICE = -20,
};

struct session {
	struct session_config config;
	struct arena arena;
	struct source *source;
	struct source_facts facts;
	struct store *store;
	struct pump *pump;
	struct symbol_worker *symbols;
	struct writer *writer;
	FILE *save_events;
	pthread_t pump_thread;
	bool is_running;
	int wake_fd; /* ends the pump's wait */
	int end_fd;  /* tells main that the recording is over */
	atomic_bool stop;
	uint64_t started_ns;
	pthread_mutex_t progress_lock;
	struct session_progress progress;
	VEC(struct delta_step) steps; /* not yet taken; under the lock, as their strings are */
	size_t steps_taken;
	enum heap_mode heap_mode; /* by the last step */
	struct arena step_strings;
};

static void signal_fd(int fd)
{
	static const uint64_t one = 1;
	ssize_t written = write(fd, &one, sizeof(one));

	(void)written; /* an eventfd takes it, or is readable already */
}

/* The build of the executable, "" where it cannot be told. */
static const char *executable_build_id(struct session *session)
{
	const struct target *target = session->config.target;
	char *text = arena_zalloc(&session->arena, 2 * BUILD_ID_MAX + 1);
	OWN(own_close) int fd = -1;
	struct module module = {0};
	struct elf_image image;

	if (!target)
		return text;
	/* A child that has not exec'ed yet is still rsprof. */
	fd = session->config.source.start_on_exec
		     ? open(target->exe_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
		     : openat(target->proc_fd, "exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || elf_image_read(fd, &image) < 0)
		return text;
	memcpy(module.build_id, image.build_id, sizeof(module.build_id));
	module.build_id_size = image.build_id_size;
	return module_build_id_text(&module, text);
}

static struct session_facts facts_of(struct session *session)
{
	return (struct session_facts){
		.arena = &session->arena, .config = &session->config, .source = &session->facts};
}

static int open_store(struct session *session, struct err *err)
{
	const struct session_config *config = &session->config;
	const struct target *target = config->target;
	struct session_facts facts = facts_of(session);
	struct store_recording recording = {
		.pid = target ? (uint32_t)target->pid : 0,
		.process_name = config->process_name,
		.exe_path = target ? target->exe_path : "",
		.command_line = target ? target->command_line : "",
		.exe_build_id = executable_build_id(session),
		.start_unix_ns = clock_read_ns(CLOCK_REALTIME),
		.start_monotonic_ns = clock_now_ns(),
		.checkpoint_interval_ns = config->interval_ns,
		.events = config->source.events,
		.event_count = config->source.event_count,
		.facts = facts.items,
	};

	session_facts_begin(&facts);
	recording.fact_count = facts.count;
	if (config->append)
		return store_append(config->output, &recording, &session->store, err);
	return store_create(config->output, &recording, &session->store, err);
}

static int open_save_file(struct session *session, struct err *err)
{
	const struct session_config *config = &session->config;
	struct event_text_header header = {
		.event_count = config->source.event_count,
		.frequency = config->source.frequency,
		.heap = session->facts.heap,
	};

	memcpy(header.events, config->source.events, sizeof(header.events));
	session->save_events = fopen(config->save_events, "wxe");
	if (!session->save_events)
		return err_set(err, ERR_GENERAL, -errno, "%s could not be made: %s.",
			       config->save_events, strerror(errno));
	event_text_write_header(session->save_events, &header);
	return 0;
}

/* A full disk shows itself here at the latest. */
static int close_save_file(struct session *session, struct err *err)
{
	FILE *file = session->save_events;
	bool failed;

	session->save_events = NULL;
	if (!file)
		return 0;
	failed = ferror(file);
	if (fclose(file) == 0 && !failed)
		return 0;
	return err_set(err, ERR_GENERAL, -EIO, "%s could not be written to its end.",
		       session->config.save_events);
}

static int refuse_heap(const struct session *session, struct err *err)
{
	const struct session_config *config = &session->config;
	const char *reason = session_heap_reason(config, &session->facts);
	size_t length = strlen(reason);

	if (!config->target)
		return err_set(err, ERR_USAGE, -EINVAL, "%s has no heap.",
			       config->source.replay_path);
	while (length && reason[length - 1] == '.')
		length--;
	err_set(err, ERR_PERMISSION, -EOPNOTSUPP, "The heap cannot be counted: %.*s.", (int)length,
		reason);
	err_remedy(err, "Leave --heap out to record how much memory the process has as a whole.");
	return -EOPNOTSUPP;
}

static int open_all(struct session *session, struct err *err)
{
	const struct session_config *config = &session->config;
	int result;

	session->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	session->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (session->wake_fd < 0 || session->end_fd < 0)
		return err_set(err, ERR_GENERAL, -errno,
			       "rsprof could not make an event descriptor: %s.", strerror(errno));
	result = config->ops->open(&config->source, &session->source, err);
	if (result < 0)
		return result;
	config->ops->describe(session->source, &session->arena, &session->facts);
	session->heap_mode = session->facts.heap;
	if (config->is_heap_required && session->facts.heap == HEAP_MODE_OFF)
		return refuse_heap(session, err);
	/* After the source: where that fails, another one may be tried. */
	if (config->save_events) {
		result = open_save_file(session, err);
		if (result < 0)
			return result;
	}
	return open_store(session, err);
}

/* Among a thousand busy threads of the target, opening and the pump would get their share, a
 * thousandth: it would take minutes to begin, and the rings would run over. Where it may not be
 * raised, what is lost is counted. Returns what it was. */
static int raise_priority(void)
{
	int before = getpriority(PRIO_PROCESS, (id_t)gettid());

	setpriority(PRIO_PROCESS, (id_t)gettid(), PUMP_NICE);
	return before;
}

/* Threads that are made begin with their maker's. */
static void restore_priority(int before)
{
	setpriority(PRIO_PROCESS, (id_t)gettid(), before);
}

int session_open(const struct session_config *config, struct session **ret_session, struct err *err)
{
	struct session *session = mem_zalloc(sizeof(*session));
	int result, priority;

	session->config = *config;
	session->wake_fd = session->end_fd = -1;
	pthread_mutex_init(&session->progress_lock, NULL);
	priority = raise_priority();
	result = open_all(session, err);
	restore_priority(priority);
	if (result < 0) {
		session_abandon(session);
		return result;
	}
	*ret_session = session;
	return 0;
}

static void on_resolved(void *context, struct resolved_batch *batch)
{
	struct session *session = context;

	writer_add_resolved(session->writer, batch);
}

static void keep_steps(struct session *session, const struct delta *delta)
{
	struct arena *strings = &session->step_strings;

	pthread_mutex_lock(&session->progress_lock);
	for (size_t i = 0; i < delta->step_count; i++) {
		enum heap_mode mode = heap_mode_by_step(delta->steps[i].mode);

		if (strcmp(delta->steps[i].signal, "heap") == 0 && mode < HEAP_MODES)
			session->heap_mode = mode;
		*vec_add(&session->steps) = (struct delta_step){
			.time_ns = delta->steps[i].time_ns,
			.signal = arena_strdup(strings, delta->steps[i].signal),
			.mode = arena_strdup(strings, delta->steps[i].mode),
			.reason = arena_strdup(strings, delta->steps[i].reason),
		};
	}
	pthread_mutex_unlock(&session->progress_lock);
}

static void on_delta(void *context, struct delta *delta)
{
	struct session *session = context;

	keep_steps(session, delta);
	/* The writer first: what is resolved must never be committed before what it is about. */
	writer_add(session->writer, delta_hold(delta));
	symbol_worker_add(session->symbols, delta);
}

static void publish_progress(struct session *session)
{
	pthread_mutex_lock(&session->progress_lock);
	session->progress.samples = pump_samples(session->pump);
	session->progress.lost = losses_total(pump_losses(session->pump));
	session->progress.rss_bytes = pump_process(session->pump)->rss_bytes;
	session->progress.is_heap_live =
		pump_heap(session->pump)->is_counted && heap_mode_sees_frees(session->heap_mode);
	session->progress.heap_live_bytes = pump_heap(session->pump)->live_bytes;
	pthread_mutex_unlock(&session->progress_lock);
}

static void *run_pump(void *argument)
{
	struct session *session = argument;

	raise_priority();
	/* acquire pairs with the release in session_finish; the wake_fd does the waking. */
	while (!atomic_load_explicit(&session->stop, memory_order_acquire)) {
		bool is_over = !pump_round(session->pump, session->wake_fd);

		publish_progress(session);
		if (is_over) {
			signal_fd(session->end_fd);
			break;
		}
	}
	pump_end(session->pump);
	session->source->ops->stop(session->source);
	pump_finish(session->pump);
	publish_progress(session);
	return NULL;
}

/* Bit i: event i is of waits. */
static uint32_t wait_events(const struct session *session)
{
	const struct source_config *source = &session->config.source;
	uint32_t events = 0;

	for (size_t i = 0; i < source->event_count; i++) {
		if (source->events[i]->unit == EVENT_UNIT_TIME)
			events |= 1u << i;
	}
	return events;
}

/* The first event that samples CPU time by a clock, if there is one. */
static void find_clock(const struct source_config *source, struct pump_config *pump)
{
	for (size_t i = 0; i < source->event_count; i++) {
		if (source->events[i]->unit != EVENT_UNIT_SAMPLES)
			continue;
		pump->clock_event = (uint32_t)i;
		pump->clock_frequency = source->frequency;
		return;
	}
}

int session_start(struct session *session, struct err *err)
{
	const struct session_config *config = &session->config;
	struct pump_config pump = {
		.source = session->source,
		.target = config->target,
		.maps_come_by_exec = config->source.start_on_exec,
		.frames_max = config->source.frames_max,
		.copy_bytes = session->facts.copy_bytes,
		.wait_events = wait_events(session),
		.interval_ns = config->interval_ns,
		.count_system_time = session->facts.user_time_only,
		.save_events = session->save_events,
		.deliver = on_delta,
		.context = session,
	};
	int result, priority = raise_priority();

	find_clock(&config->source, &pump);
	session->pump = pump_new(&pump);
	pump_prepare(session->pump);
	session->started_ns = clock_now_ns();
	result = session->source->ops->start(session->source, err);
	if (result == 0 && config->target)
		pump_begin(session->pump, session->started_ns);
	restore_priority(priority);
	if (result < 0)
		return result;
	session->writer = writer_start(session->store, session->end_fd);
	session->symbols = symbol_worker_start(pump.wait_events, on_resolved, session);
	if (!session->writer || !session->symbols ||
	    pthread_create(&session->pump_thread, NULL, run_pump, session))
		return err_set(err, ERR_GENERAL, -EAGAIN, "rsprof could not start its threads.");
	session->is_running = true;
	return 0;
}

int session_end_fd(const struct session *session)
{
	return session->end_fd;
}

void session_read_progress(struct session *session, struct session_progress *ret_progress)
{
	struct stack_share share;

	pthread_mutex_lock(&session->progress_lock);
	*ret_progress = session->progress;
	pthread_mutex_unlock(&session->progress_lock);
	ret_progress->elapsed_ns = clock_now_ns() - session->started_ns;
	symbol_worker_share(session->symbols, &share);
	ret_progress->judged = share.samples;
	ret_progress->complete = share.complete;
}

bool session_next_step(struct session *session, struct delta_step *ret_step)
{
	bool is_there;

	pthread_mutex_lock(&session->progress_lock);
	is_there = session->steps_taken < session->steps.count;
	if (is_there)
		*ret_step = session->steps.items[session->steps_taken++];
	pthread_mutex_unlock(&session->progress_lock);
	return is_there;
}

const struct source_facts *session_source_facts(const struct session *session)
{
	return &session->facts;
}

static void free_session(struct session *session)
{
	if (session->source)
		session->source->ops->close(session->source);
	/* Has the tables that the source was told of. */
	pump_free(session->pump);
	if (session->save_events)
		fclose(session->save_events);
	own_close(&session->wake_fd);
	own_close(&session->end_fd);
	pthread_mutex_destroy(&session->progress_lock);
	vec_done(&session->steps);
	arena_done(&session->step_strings);
	arena_done(&session->arena);
	free(session);
}

void session_abandon(struct session *session)
{
	struct err ignored;
	struct stack_share share;

	if (session->symbols)
		symbol_worker_finish(session->symbols, &share);
	if (session->writer)
		writer_finish(session->writer, &ignored);
	if (session->store)
		store_abandon(session->store, !session->config.append);
	free_session(session);
}

static int finish_store(struct session *session, const struct stack_share *share, struct err *err)
{
	struct session_facts facts = facts_of(session);
	struct store_end end = {.duration_ns = pump_elapsed_ns(session->pump),
				.facts = facts.items};

	session_facts_end(&facts, session->pump, share);
	end.fact_count = facts.count;
	return store_finish(session->store, &end, err);
}

/* What is left is the work of a second at most, and somebody waits for it: not for minutes, because
 * the target has 200 busy threads. */
static void raise_all(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;

	while (tasks && (task = readdir(tasks))) {
		if (task->d_name[0] != '.')
			setpriority(PRIO_PROCESS, (id_t)strtoul(task->d_name, NULL, 10), PUMP_NICE);
	}
	if (tasks)
		closedir(tasks);
}

int session_finish(struct session *session, struct err *err)
{
	struct stack_share share;
	int result;

	atomic_store_explicit(&session->stop, true, memory_order_release);
	signal_fd(session->wake_fd);
	pthread_join(session->pump_thread, NULL);
	raise_all();
	/* Every delta is queued now: the symbol thread ends with the last, the writer after it. */
	symbol_worker_finish(session->symbols, &share);
	result = writer_finish(session->writer, err);
	if (result < 0)
		store_abandon(session->store, false);
	else
		result = finish_store(session, &share, err);
	if (result == 0)
		result = close_save_file(session, err);
	free_session(session);
	return result;
}
