#include "reader/record/truth_run.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "reader/record/merge.h"
#include "reader/record/modules.h"
#include "reader/record/publisher.h"
#include "reader/record/truth_match.h"
#include "reader/record/unwinder.h"
#include "reader/source/src_truth.h"
#include "reader/symbol/dwarf_walk.h"
#include "reader/util/clock.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/vec.h"

enum {
	/* Of stack, with each sample: deeper ones are not walked to the root, by nobody. */
	COPY_BYTES = 32 * 1024,
	/* Half a second of two busy CPUs at 999 Hz. */
	BUFFER_BYTES = 32 * 1024 * 1024,
	WAIT_MS = 10,
	/* Walks that wait for their like before they are looked for: a second of two busy CPUs. */
	MATCH_COUNT = 4096,
};

/* A record is in its ring within an interrupt of its time; a virtual machine may lose its CPU in
 * between for some milliseconds. */
#define HOLD_BACK_NS (20 * NS_PER_MS)
/* Both are complete up to the hold-back, but for what was late; after so long nothing comes. */
#define KEEP_NS (200 * NS_PER_MS)

struct runner {
	const struct truth_config *config;
	struct truth_run *run;
	struct source *source;
	struct merge *merge;
	struct modules *modules;
	struct module_tables *tables;
	struct publisher *publisher; /* NULL: the source leaves walking to us */
	uint64_t rescans;
	struct unwinder *unwinder;
	struct dwarf_walk *dwarf;
	bool is_code_new; /* mappings changed since libdw was told of them */
	uint64_t libdw_pcs[EVENT_FRAMES_MAX];
	struct truth_lists lists;
};

static void add_name(void *context, uint64_t pc, bool is_leaf, struct str *to)
{
	struct runner *runner = context;
	const struct module *module;
	uint64_t back = is_leaf ? 0 : 1;
	struct place place;

	if (!modules_find_known(runner->modules, pc - back, &place)) {
		str_addf(to, "0x%" PRIx64, pc);
		return;
	}
	module = module_table_get(modules_table(runner->modules), place.module);
	str_add_scrubbed(to, module->name);
	str_addf(to, "+0x%" PRIx64, place.vaddr + back);
}

/* What modules knows and the target has mapped now. */
static void tell_libdw(struct runner *runner)
{
	OWN(target_mappings_done) target_mappings mappings = {0};
	VEC(struct dwarf_walk_module) list = {0};

	runner->is_code_new = false;
	/* A target that has ended keeps the code it had. */
	if (target_list_mappings(runner->config->target, &mappings) || !mappings.count)
		return;
	for (size_t i = 0; i < mappings.count; i++) {
		const struct module *module;
		struct place place;

		if (!mappings.items[i].is_executable ||
		    !modules_find_known(runner->modules, mappings.items[i].start, &place))
			continue;
		module = module_table_get(modules_table(runner->modules), place.module);
		/* The kernel emulates the vsyscall page: nothing ever runs there. */
		if ((module->kind != MODULE_FILE && module->kind != MODULE_VDSO) ||
		    strcmp(module->path, "[vsyscall]") == 0)
			continue;
		*vec_add(&list) = (struct dwarf_walk_module){
			.key = module->id.v,
			.name = module->name,
			.fd = module->fd,
			.start = mappings.items[i].start,
			.file_offset = mappings.items[i].file_offset,
		};
	}
	runner->run->modules_refused =
		dwarf_walk_set_modules(runner->dwarf, list.items, list.count);
	vec_done(&list);
}

static struct truth_walk walk_of(const struct event *sample)
{
	const struct event_registers *registers = sample->sample.registers;

	return (struct truth_walk){
		.tid = sample->tid,
		.time_ns = sample->time_ns,
		.rip = registers ? registers->rip : sample->sample.pcs[0],
		.rsp = registers ? registers->general[EVENT_REGISTER_RSP] : 0,
	};
}

/* Valid until the next call. */
static struct truth_walk walk_ours(struct runner *runner, const struct event *sample)
{
	struct truth_walk walk = walk_of(sample);
	struct event walked;

	if (sample->sample.registers) {
		unwinder_walk(runner->unwinder, sample, &walked);
		sample = &walked;
	}
	walk.is_complete = sample->sample.status == STACK_COMPLETE;
	walk.pcs = sample->sample.pcs;
	walk.pc_count = sample->sample.pc_count;
	return walk;
}

/* Valid until the next call. */
static struct truth_walk walk_libdw(struct runner *runner, const struct event *sample)
{
	struct truth_walk walk = walk_of(sample);
	struct dwarf_walk_copy copy = {
		.address = walk.rsp,
		.bytes = sample->sample.stack,
		.size = sample->sample.stack_bytes,
	};
	struct dwarf_stack stack = {.pcs = runner->libdw_pcs, .pc_max = EVENT_FRAMES_MAX};

	if (runner->is_code_new)
		tell_libdw(runner);
	dwarf_walk_stack(runner->dwarf, sample->sample.registers, &copy, &stack);
	walk.is_complete = stack.end == DWARF_WALK_ROOT;
	walk.pcs = stack.pcs;
	walk.pc_count = stack.pc_count;
	return walk;
}

/* Each sample comes twice, and each of the two is walked by one. */
static void take_half(struct runner *runner, const struct event *sample)
{
	bool is_ours = sample->sample.event_index == TRUTH_WALKED;
	bool can_be_walked = is_ours ? sample->sample.pc_count : sample->sample.registers != NULL;
	struct truth_walk walk;

	if (!can_be_walked) {
		runner->run->unwalkable += is_ours;
		return;
	}
	runner->run->sent_back += is_ours && sample->sample.registers;
	walk = is_ours ? walk_ours(runner, sample) : walk_libdw(runner, sample);
	truth_lists_add(&runner->lists, is_ours, &walk);
}

static void take_sample(struct runner *runner, const struct event *sample)
{
	struct truth_walk ours, libdw;

	if (runner->config->of_bpf) {
		take_half(runner, sample);
		return;
	}
	if (!sample->sample.registers) {
		runner->run->unwalkable++;
		return;
	}
	ours = walk_ours(runner, sample);
	libdw = walk_libdw(runner, sample);
	truth_add(&runner->run->truth, &ours, &libdw);
}

/* In the order of time. */
static void on_event(void *context, const struct event *event)
{
	struct runner *runner = context;

	switch (event->type) {
	case EVENT_SAMPLE:
		take_sample(runner, event);
		break;
	case EVENT_MMAP:
		modules_on_mmap(runner->modules, event);
		runner->is_code_new |= event->mmap.is_executable;
		break;
	case EVENT_COMM:
		if (!event->comm.is_exec)
			break;
		modules_on_exec(runner->modules);
		modules_scan(runner->modules, event->time_ns);
		runner->is_code_new = true;
		break;
	case EVENT_LOST:
		if (event->lost.cause < LOSS_CAUSES)
			runner->run->losses.count[event->lost.cause] += event->lost.count;
		break;
	case EVENT_FORK:
	case EVENT_EXIT:
	case EVENT_HEAP_STACK:
	case EVENT_HEAP_COUNTS:
	case EVENT_HEAP_STATE:
	case EVENT_TYPES:
		break;
	}
}

/* In the order of the rings. */
static void on_drained(void *context, const struct event *event)
{
	struct runner *runner = context;

	if (runner->publisher)
		publisher_on_event(runner->publisher, event);
	merge_add(runner->merge, event);
}

static bool has_ended(const struct target *target)
{
	struct pollfd ended = {.fd = target->pidfd, .events = POLLIN};

	return target->pidfd < 0 ? !target_is_alive(target) : poll(&ended, 1, 0) > 0;
}

static void publish(struct runner *runner)
{
	uint64_t rescans = modules_rescans(runner->modules);

	if (!runner->publisher)
		return;
	/* Code that no event told of was met by a sample. */
	if (rescans != runner->rescans)
		publisher_mark(runner->publisher);
	runner->rescans = rescans;
	publisher_run(runner->publisher);
}

static void follow(struct runner *runner)
{
	const struct target *target = runner->config->target;
	const struct source_ops *ops = runner->source->ops;
	uint64_t begin = clock_now_ns(), now = begin;

	while (now - begin < runner->config->duration_ns && !has_ended(target)) {
		ops->wait(runner->source, target->pidfd, WAIT_MS);
		now = clock_now_ns();
		ops->drain(runner->source, on_drained, runner);
		publish(runner);
		merge_flush(runner->merge, now - HOLD_BACK_NS, on_event, runner);
		if (runner->lists.ours.count + runner->lists.libdw.count > MATCH_COUNT)
			truth_lists_match(&runner->lists, KEEP_NS, &runner->run->truth);
		now = clock_now_ns();
	}
	ops->stop(runner->source);
	runner->run->elapsed_ns += clock_now_ns() - begin;
	ops->drain(runner->source, on_drained, runner);
	merge_flush(runner->merge, UINT64_MAX, on_event, runner);
	truth_lists_match(&runner->lists, 0, &runner->run->truth);
	runner->run->unmatched += runner->lists.unmatched;
	runner->run->losses.count[LOSS_LATE] += merge_late(runner->merge);
}

/* Before events come: a program that walks by itself has its tables then. */
static void prepare(struct runner *runner)
{
	const struct truth_config *config = runner->config;

	runner->merge = merge_new();
	runner->modules = modules_new(config->target, &runner->run->losses, NULL);
	runner->tables = module_tables_new();
	runner->unwinder =
		unwinder_new(runner->modules, runner->tables, EVENT_FRAMES_MAX, COPY_BYTES);
	runner->dwarf = dwarf_walk_new();
	/* Samples of one thread are a period apart. */
	runner->lists.apart_ns_max = NS_PER_S / config->frequency / 2;
	if (!runner->source->ops->set_code)
		return;
	runner->publisher =
		publisher_new(runner->source, config->target, runner->modules, runner->tables);
	publisher_start(runner->publisher);
}

static void free_runner(struct runner *runner)
{
	publisher_free(runner->publisher);
	if (runner->source)
		runner->source->ops->close(runner->source);
	merge_free(runner->merge);
	unwinder_free(runner->unwinder);
	module_tables_free(runner->tables);
	dwarf_walk_free(runner->dwarf);
	modules_free(runner->modules);
	truth_lists_done(&runner->lists);
	free(runner);
}

int truth_run(const struct truth_config *config, struct truth_run *run, struct err *err)
{
	static const char event[] = "cpu-clock";
	const struct source_ops *ops = config->of_bpf ? &source_truth : &source_perf;
	struct source_config source = {
		.target = config->target,
		.events = {event_kind_by_name(event, strlen(event))},
		.event_count = 1,
		.frequency = config->frequency,
		.frames_max = EVENT_FRAMES_MAX,
		.stack_bytes = COPY_BYTES,
		.buffer_bytes = BUFFER_BYTES,
	};
	struct runner *runner = mem_zalloc(sizeof(*runner));
	int ret;

	runner->config = config;
	runner->run = run;
	run->truth.name = add_name;
	run->truth.context = runner;
	ret = ops->open(&source, &runner->source, err);
	if (ret == 0) {
		prepare(runner);
		ret = ops->start(runner->source, err);
	}
	if (ret == 0) {
		/* Events first, mappings after: what is mapped in between is told twice, never
		 * missed. */
		modules_scan(runner->modules, clock_now_ns());
		tell_libdw(runner);
		follow(runner);
	}
	free_runner(runner);
	run->truth.name = NULL;
	run->truth.context = NULL;
	return ret;
}

void truth_run_done(struct truth_run *run)
{
	truth_done(&run->truth);
}
