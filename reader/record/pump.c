#include "reader/record/pump.h"

#include <string.h>

#include "reader/core/aggregate.h"
#include "reader/core/thread_table.h"
#include "reader/record/merge.h"
#include "reader/record/module_tables.h"
#include "reader/record/modules.h"
#include "reader/record/prebuild.h"
#include "reader/record/publisher.h"
#include "reader/record/pump_heap.h"
#include "reader/record/tell.h"
#include "reader/record/unwinder.h"
#include "reader/source/event_text.h"
#include "reader/util/clock.h"
#include "reader/util/mem.h"
#include "reader/util/vec.h"

/* A record is in its ring within an interrupt of its time; a virtual machine may lose its CPU in
 * between for some milliseconds. */
#define HOLD_BACK_NS (20 * NS_PER_MS)
/* A process that has just begun maps its libraries and may be gone soon: look often at first. */
#define EAGER_NS (2 * NS_PER_S)
#define EAGER_WAIT_MS 10
#define WAIT_MS 100

enum {
	/* CPU time without samples is told from here on. */
	UNSAMPLED_MS_MIN = 200,
	UNSAMPLED_PCT_MIN = 20,
};

struct pump {
	struct pump_config config;
	struct merge *merge;
	struct modules *modules;
	struct module_tables *tables;
	struct publisher *publisher; /* NULL where the source does not walk stacks itself */
	struct unwinder *unwinder;
	struct stack_table *stacks;
	struct thread_table *threads;
	struct aggregate *aggregate;
	struct pump_heap heap;
	struct losses losses;
	uint64_t start_ns, checkpoint_end_ns; /* CLOCK_MONOTONIC */
	uint64_t end_ns;		      /* 0: it goes on */
	uint64_t delivered_ns, samples, clock_samples, newest_ns;
	uint64_t rescans; /* of modules, that the publisher was told of */
	uint32_t checkpoint;
	VEC(struct delta_step) steps; /* since the last delta; times are CLOCK_MONOTONIC */
	struct told told;
	struct delta_process process;
	uint64_t user_ms_at_start, system_ms_at_start, cpu_ns_at_start, anonymous_bytes_at_start;
	bool is_replay;
	bool is_foreign; /* the child has not exec'ed yet: what it does is rsprof's */
};

static void name_thread(struct pump *pump, const struct target_thread *thread)
{
	struct event event = {
		.time_ns = pump->start_ns,
		.type = EVENT_COMM,
		.pid = (uint32_t)pump->config.target->pid,
		.tid = (uint32_t)thread->tid,
		.comm = {.comm = thread->comm},
	};

	thread_table_name(pump->threads, event.tid, thread->comm);
	if (pump->config.save_events)
		event_text_write(pump->config.save_events, &event);
}

static void name_threads(struct pump *pump)
{
	target_threads threads = {0};

	if (target_list_threads(pump->config.target, &threads) == 0) {
		for (size_t i = 0; i < threads.count; i++)
			name_thread(pump, &threads.items[i]);
	}
	vec_done(&threads);
}

struct pump *pump_new(const struct pump_config *config)
{
	struct pump *pump = mem_zalloc(sizeof(*pump));

	pump->config = *config;
	pump->is_replay = !config->target;
	pump->is_foreign = config->maps_come_by_exec;
	pump->merge = merge_new();
	pump->modules = modules_new(config->target, &pump->losses, config->save_events);
	pump->tables = module_tables_new();
	pump->unwinder =
		unwinder_new(pump->modules, pump->tables, config->frames_max, config->copy_bytes);
	pump->stacks = stack_table_new();
	pump->threads = thread_table_new();
	pump->aggregate = aggregate_new();
	pump->checkpoint_end_ns = config->interval_ns;
	pump->told.modules = 1; /* the unknown module needs no telling */
	return pump;
}

void pump_prepare(struct pump *pump)
{
	const struct pump_config *config = &pump->config;

	if (!config->target || !config->source->ops->set_code)
		return;
	pump->publisher =
		publisher_new(config->source, config->target, pump->modules, pump->tables);
	if (config->maps_come_by_exec)
		prebuild(module_tables_cache(pump->tables), config->target->exe_path);
	else
		publisher_start(pump->publisher);
}

void pump_begin(struct pump *pump, uint64_t start_ns)
{
	const struct pump_config *config = &pump->config;

	pump->start_ns = start_ns;
	pump->checkpoint_end_ns = start_ns + config->interval_ns;
	target_cpu_ms(config->target, &pump->user_ms_at_start, &pump->system_ms_at_start);
	target_cpu_ns(config->target, &pump->cpu_ns_at_start);
	name_threads(pump);
	if (config->maps_come_by_exec)
		return;
	target_rss_anonymous_bytes(config->target, &pump->anonymous_bytes_at_start);
	modules_scan(pump->modules, start_ns);
}

void pump_free(struct pump *pump)
{
	if (!pump)
		return;
	merge_free(pump->merge);
	unwinder_free(pump->unwinder);
	publisher_free(pump->publisher);
	module_tables_free(pump->tables);
	modules_free(pump->modules);
	stack_table_free(pump->stacks);
	thread_table_free(pump->threads);
	aggregate_free(pump->aggregate);
	pump_heap_done(&pump->heap);
	vec_done(&pump->steps);
	free(pump);
}

/* A timer begins with a full period on each thread, so that threads which live shorter leave no
 * sample; and nothing in the rings tells. What a disturbed machine leaves out is less. */
static void count_unsampled(struct pump *pump)
{
	uint64_t used_ms = pump->process.user_ms, sampled_ms;

	if (!pump->config.clock_frequency)
		return;
	if (!pump->config.count_system_time)
		used_ms += pump->process.system_ms;
	sampled_ms = (pump->clock_samples + pump->losses.count[LOSS_RING_FULL]) * 1000 /
		     pump->config.clock_frequency;
	pump->losses.count[LOSS_CPU_UNSAMPLED_MS] = 0;
	if (used_ms > sampled_ms + UNSAMPLED_MS_MIN &&
	    (used_ms - sampled_ms) * 100 > used_ms * UNSAMPLED_PCT_MIN)
		pump->losses.count[LOSS_CPU_UNSAMPLED_MS] = used_ms - sampled_ms;
}

/* A process that has ended keeps the last numbers it had. */
static void read_process(struct pump *pump)
{
	uint64_t user_ms, system_ms, cpu_ns, bytes;

	if (!pump->config.target || pump->end_ns)
		return;
	if (target_cpu_ms(pump->config.target, &user_ms, &system_ms) == 0) {
		if (user_ms >= pump->user_ms_at_start)
			pump->process.user_ms = user_ms - pump->user_ms_at_start;
		if (system_ms >= pump->system_ms_at_start)
			pump->process.system_ms = system_ms - pump->system_ms_at_start;
	}
	if (target_cpu_ns(pump->config.target, &cpu_ns) == 0 && cpu_ns >= pump->cpu_ns_at_start)
		pump->process.cpu_ns = cpu_ns - pump->cpu_ns_at_start;
	if (target_rss_bytes(pump->config.target, &bytes) == 0)
		pump->process.rss_bytes = bytes;
	if (target_rss_anonymous_bytes(pump->config.target, &bytes) == 0)
		pump->process.rss_anonymous_bytes = bytes;
}

static void count_missing(struct pump *pump)
{
	if (!pump->config.target)
		return;
	if (pump->config.count_system_time)
		pump->losses.count[LOSS_SYSTEM_TIME_MS] = pump->process.system_ms;
	count_unsampled(pump);
}

static void close_checkpoint(struct pump *pump, uint64_t end_ns)
{
	struct delta *delta = delta_new();
	const struct delta_row *rows = aggregate_rows(pump->aggregate, &delta->row_count);

	read_process(pump);
	count_missing(pump);
	pump->losses.count[LOSS_LATE] = merge_late(pump->merge);
	delta->checkpoint = ++pump->checkpoint;
	delta->end_ns = end_ns - pump->start_ns;
	delta->rows = arena_copy(&delta->arena, rows, delta->row_count * sizeof(*rows));
	pump_heap_tell(&pump->heap, pump->start_ns, delta);
	tell_modules(&pump->told, modules_table(pump->modules), delta);
	tell_threads(&pump->told, pump->threads, delta);
	tell_stacks(&pump->told, pump->stacks, delta);
	tell_steps(pump->steps.items, pump->steps.count, pump->start_ns, delta);
	vec_clear(&pump->steps);
	delta->losses = pump->losses;
	delta->process = pump->process;
	aggregate_clear(pump->aggregate);
	pump->delivered_ns = delta->end_ns;
	pump->config.deliver(pump->config.context, delta);
}

/* Closes every checkpoint that ends at or before the time. */
static void advance(struct pump *pump, uint64_t time_ns)
{
	while (pump->start_ns && time_ns >= pump->checkpoint_end_ns) {
		close_checkpoint(pump, pump->checkpoint_end_ns);
		pump->checkpoint_end_ns += pump->config.interval_ns;
	}
}

/* The frames of a sample as places; returns how many. Return addresses are looked up one byte back,
 * inside the call. A frame-pointer walk that has left the code is cut there: what follows is
 * somebody's data, not a caller. */
static size_t find_places(struct pump *pump, const struct event *event, struct place *places,
			  enum stack_status *status)
{
	uint32_t count = event->sample.pc_count;

	if (count > EVENT_FRAMES_MAX)
		count = EVENT_FRAMES_MAX;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t address = event->sample.pcs[i] - (i ? 1 : 0);

		if (i == 0 ? modules_find(pump->modules, address, event->time_ns, &places[i])
			   : modules_find_known(pump->modules, address, &places[i]))
			continue;
		if (i && *status == STACK_FRAME_POINTERS)
			return i;
		pump->losses.count[LOSS_ADDRESS_UNKNOWN]++;
		if (*status == STACK_COMPLETE || *status == STACK_FRAME_POINTERS)
			*status = STACK_NO_MAPPING;
	}
	return count;
}

static bool is_wait(const struct pump *pump, const struct event *event)
{
	return event->sample.wait_kind != WAIT_NONE ||
	       (pump->config.wait_events >> event->sample.event_index & 1);
}

static struct delta_row row_of(const struct event *event, bool is_of_wait)
{
	uint64_t count = is_of_wait ? event->sample.waits : 1;

	return (struct delta_row){
		.event_index = event->sample.event_index,
		.kind = event->sample.wait_kind,
		.count = count,
		.kernel_count = event->sample.in_kernel ? count : 0,
		.value = event->sample.value,
		.run_ns = event->sample.run_ns,
	};
}

static void count_sample(struct pump *pump, const struct event *event)
{
	struct event unwound;
	struct place places[EVENT_FRAMES_MAX];
	enum stack_status status;
	size_t count;
	bool is_of_wait = is_wait(pump, event);
	struct delta_row row = row_of(event, is_of_wait);

	if (is_of_wait && pump->is_foreign)
		return;
	if (event->sample.registers) {
		unwinder_walk(pump->unwinder, event, &unwound);
		event = &unwound;
	}
	if (pump->config.save_events)
		event_text_write(pump->config.save_events, event);
	pump->clock_samples += event->sample.event_index == pump->config.clock_event;
	status = event->sample.status;
	count = find_places(pump, event, places, &status);
	if (thread_table_get(pump->threads, event->pid, event->tid, &row.thread) < 0) {
		pump->losses.count[LOSS_THREADS_FULL] += row.count ? row.count : 1;
		return;
	}
	if (stack_table_intern(pump->stacks, places, count, status, &row.stack) < 0) {
		pump->losses.count[LOSS_STACKS_FULL] += row.count ? row.count : 1;
		return;
	}
	pump->samples += !is_of_wait;
	aggregate_add(pump->aggregate, &row);
}

/* Of the heap, as a sample: what is walked and looked up is the same. */
static struct event sample_of(const struct event *event)
{
	struct event sample = {.time_ns = event->time_ns, .pid = event->pid, .tid = event->tid};

	sample.sample.pcs = event->heap_stack.pcs;
	sample.sample.pc_count = event->heap_stack.pc_count;
	sample.sample.status = event->heap_stack.status;
	sample.sample.registers = event->heap_stack.registers;
	sample.sample.stack = event->heap_stack.stack;
	sample.sample.stack_bytes = event->heap_stack.stack_bytes;
	return sample;
}

static void save_heap_stack(struct pump *pump, const struct event *event,
			    const struct event *sample)
{
	struct event walked = *event;

	walked.heap_stack.pcs = sample->sample.pcs;
	walked.heap_stack.pc_count = sample->sample.pc_count;
	walked.heap_stack.status = sample->sample.status;
	walked.heap_stack.registers = NULL;
	event_text_write(pump->config.save_events, &walked);
}

static void learn_heap_stack(struct pump *pump, const struct event *event)
{
	struct event sample = sample_of(event), unwound;
	struct place places[EVENT_FRAMES_MAX];
	enum stack_status status;
	stack_id stack;
	size_t count;

	if (sample.sample.registers) {
		unwinder_walk(pump->unwinder, &sample, &unwound);
		sample = unwound;
	}
	if (pump->config.save_events)
		save_heap_stack(pump, event, &sample);
	status = sample.sample.status;
	count = find_places(pump, &sample, places, &status);
	if (stack_table_intern(pump->stacks, places, count, status, &stack) < 0)
		stack.v = 0;
	pump_heap_on_stack(&pump->heap, event->heap_stack.site, stack);
}

static bool is_of_heap(const struct event *event)
{
	return event->type == EVENT_HEAP_STACK || event->type == EVENT_HEAP_COUNTS ||
	       event->type == EVENT_HEAP_STATE;
}

/* In the order of time. */
static void on_event(void *context, const struct event *event)
{
	struct pump *pump = context;

	if (!pump->start_ns) {
		pump->start_ns = event->time_ns;
		pump->checkpoint_end_ns = event->time_ns + pump->config.interval_ns;
	}
	advance(pump, event->time_ns);
	if (event->time_ns > pump->newest_ns)
		pump->newest_ns = event->time_ns;
	if (pump->is_foreign && is_of_heap(event))
		return;
	/* What has a stack is saved once that is known. */
	if (pump->config.save_events && event->type != EVENT_SAMPLE &&
	    event->type != EVENT_HEAP_STACK)
		event_text_write(pump->config.save_events, event);
	switch (event->type) {
	case EVENT_SAMPLE:
		count_sample(pump, event);
		break;
	case EVENT_MMAP:
		pump->is_foreign = false;
		modules_on_mmap(pump->modules, event);
		break;
	case EVENT_COMM:
		if (event->comm.is_exec) {
			pump->is_foreign = false;
			modules_on_exec(pump->modules);
			/* The vDSO comes without a record. */
			modules_scan(pump->modules, event->time_ns);
		}
		thread_table_name(pump->threads, event->tid, event->comm.comm);
		break;
	case EVENT_FORK:
		thread_table_fork(pump->threads, event->tid, event->fork.parent_tid);
		break;
	case EVENT_LOST:
		if (event->lost.cause < LOSS_CAUSES)
			pump->losses.count[event->lost.cause] += event->lost.count;
		break;
	case EVENT_HEAP_STACK:
		learn_heap_stack(pump, event);
		break;
	case EVENT_HEAP_COUNTS:
		pump_heap_on_counts(&pump->heap, event, pump->stacks, &pump->losses);
		break;
	case EVENT_HEAP_STATE:
		pump_heap_on_state(&pump->heap, event);
		break;
	case EVENT_EXIT:
	case EVENT_TYPES:
		break;
	}
}

/* In the order of the rings. */
static void on_drained(void *context, const struct event *event)
{
	struct pump *pump = context;
	struct event last;

	if (pump->publisher)
		publisher_on_event(pump->publisher, event);
	if (pump->end_ns && event->time_ns >= pump->end_ns) {
		last = *event;
		/* Within the last checkpoint, wherever that ends. */
		last.time_ns = pump->end_ns - 1;
		event = &last;
	}
	merge_add(pump->merge, event);
}

static void drain(struct pump *pump)
{
	struct source *source = pump->config.source;
	struct delta_step step;

	source->ops->drain(source, on_drained, pump);
	if (!source->ops->next_step)
		return;
	while (source->ops->next_step(source, &step))
		*vec_add(&pump->steps) = step;
}

/* Comes before all that may take its time. */
static void publish(struct pump *pump)
{
	uint64_t rescans = modules_rescans(pump->modules);

	if (!pump->publisher)
		return;
	/* Code that no event told of was met by a sample. */
	if (rescans != pump->rescans)
		publisher_mark(pump->publisher);
	pump->rescans = rescans;
	publisher_run(pump->publisher);
}

bool pump_round(struct pump *pump, int wake_fd)
{
	struct source *source = pump->config.source;
	const struct source_ops *ops = source->ops;
	uint64_t now = clock_now_ns();
	int wait_ms = now - pump->start_ns < EAGER_NS ? EAGER_WAIT_MS : WAIT_MS;

	if (pump->is_replay) {
		/* Its times are its own: what was drained is all there is up to then. */
		drain(pump);
		merge_flush(pump->merge, UINT64_MAX, on_event, pump);
		return !ops->is_over(source);
	}
	if (pump->publisher)
		wait_ms = publisher_wait_ms(pump->publisher, wait_ms);
	ops->wait(source, wake_fd, wait_ms);
	now = clock_now_ns();
	drain(pump);
	publish(pump);
	merge_flush(pump->merge, now - HOLD_BACK_NS, on_event, pump);
	advance(pump, now - HOLD_BACK_NS);
	return true;
}

void pump_end(struct pump *pump)
{
	read_process(pump);
	pump->end_ns = pump->is_replay ? 0 : clock_now_ns();
}

void pump_finish(struct pump *pump)
{
	uint64_t end;

	drain(pump);
	merge_flush(pump->merge, UINT64_MAX, on_event, pump);
	end = pump->is_replay ? pump->newest_ns + 1 : pump->end_ns;
	if (!end)
		end = clock_now_ns();
	if (!pump->start_ns)
		pump->start_ns = end;
	advance(pump, end);
	/* The last checkpoint is as long as it is; a moment with nothing in it needs none. */
	if (end > pump->checkpoint_end_ns - pump->config.interval_ns || pump->checkpoint == 0)
		close_checkpoint(pump, end > pump->start_ns ? end : pump->start_ns + 1);
}

uint64_t pump_samples(const struct pump *pump)
{
	return pump->samples;
}

uint64_t pump_elapsed_ns(const struct pump *pump)
{
	return pump->delivered_ns;
}

const struct losses *pump_losses(const struct pump *pump)
{
	return &pump->losses;
}

const struct delta_process *pump_process(const struct pump *pump)
{
	return &pump->process;
}

const struct heap_state *pump_heap(const struct pump *pump)
{
	return &pump->heap.state;
}

uint64_t pump_anonymous_bytes_at_start(const struct pump *pump)
{
	return pump->anonymous_bytes_at_start;
}
