/* rsprof doctor: what this machine and this target allow, and what would allow more. */
#include "reader/verb.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reader/cmd_doctor.h"
#include "reader/cmd_doctor_unwind.h"
#include "reader/core/module.h"
#include "reader/source/bpf_check.h"
#include "reader/target/probe_point.h"
#include "reader/util/clock.h"
#include "reader/util/own.h"

enum {
	/* Files that doctor tries to open; a program that maps more is told about these. */
	FILES_MAX = 512,
};

struct doctor_options {
	uint64_t pid;
	bool json;
	bool is_unwind;
	struct doctor_unwind_options unwind;
};

static const struct opt doctor_options[] = {
	{.letter = 'p',
	 .name = "pid",
	 .value_name = "PID",
	 .type = OPT_COUNT,
	 .offset = offsetof(struct doctor_options, pid),
	 .min = 1,
	 .max = INT32_MAX,
	 .help = "also tell what may be profiled of this process",
	 .complete = OPT_COMPLETE_PID},
	{.name = "json",
	 .type = OPT_FLAG,
	 .offset = offsetof(struct doctor_options, json),
	 .help = "print JSON"},
	{.name = "unwind",
	 .type = OPT_FLAG,
	 .offset = offsetof(struct doctor_options, is_unwind),
	 .help = "sample the process, and compare its stacks with those that libdw walks"},
	{.letter = 'd',
	 .name = "duration",
	 .value_name = "DUR",
	 .type = OPT_DURATION,
	 .offset = offsetof(struct doctor_options, unwind.duration_ns),
	 .min = 10 * NS_PER_MS,
	 .max = 3600 * NS_PER_S,
	 .shown_default = "5s",
	 .help = "how long --unwind samples"},
	{.name = "cpu-freq",
	 .value_name = "HZ",
	 .type = OPT_COUNT,
	 .offset = offsetof(struct doctor_options, unwind.cpu_freq),
	 .min = 1,
	 .max = 10000,
	 .shown_default = "999",
	 .help = "samples of --unwind a second of CPU time"},
	{.name = "source",
	 .value_name = "SOURCE",
	 .type = OPT_CHOICE,
	 .offset = offsetof(struct doctor_options, unwind.source),
	 .choices = "auto|bpf|perf",
	 .shown_default = "auto",
	 .help = "whose walk --unwind compares"},
	{0},
};

static void report_done(struct doctor_report *report)
{
	symbolizer_free(report->symbolizer);
	module_table_free(report->modules);
	allocator_list_done(&report->allocators);
	allocator_finder_free(report->finder);
	agent_verdict_done(&report->agent);
	free(report->agent_library);
	target_free(report->target);
	str_done(&report->first_unreadable);
}

static void count_files(struct doctor_report *report, const target_mappings *mappings)
{
	uint64_t last_inode = 0;

	for (size_t i = 0; i < mappings->count && report->file_count < FILES_MAX; i++) {
		const struct target_mapping *at = &mappings->items[i];
		struct module_storage storage;
		struct module_facts facts;

		if (!at->is_executable || !at->inode || at->inode == last_inode)
			continue;
		last_inode = at->inode;
		target_module_facts(report->target, at, &storage, &facts);
		if (facts.kind != MODULE_FILE)
			continue;
		report->file_count++;
		if (facts.fd >= 0) {
			close(facts.fd);
			continue;
		}
		if (report->unreadable_count++ == 0) {
			str_add_scrubbed(&report->first_unreadable, facts.path);
			str_addf(&report->first_unreadable, ": %s", facts.missing);
		}
	}
}

static void look_at_executable(struct doctor_report *report, const struct target_mapping *mapping)
{
	struct module_storage storage;
	const struct module *module;
	struct module_facts facts;
	bool is_new;

	target_module_facts(report->target, mapping, &storage, &facts);
	report->executable_missing = facts.missing;
	if (facts.fd < 0)
		return;
	report->frame_pointers = frame_pointers_guess(facts.fd);
	report->modules = module_table_new();
	report->symbolizer = symbolizer_new();
	module = module_table_intern(report->modules, &facts, &is_new);
	if (module)
		symbolizer_describe(report->symbolizer, module, &report->symbols);
	/* Rust's std comes compiled, with frame pointers of its own, and outnumbers small programs:
	 * its share tells nothing of theirs. */
	if (report->symbols.language && strcmp(report->symbols.language, "Rust") == 0 &&
	    report->frame_pointers != FRAME_POINTERS_NONE)
		report->frame_pointers = FRAME_POINTERS_UNKNOWN;
}

/* Where its functions could be probed. */
static void look_at_layer(const struct allocator_list *list, uint32_t index,
			  struct doctor_layer *ret_layer)
{
	struct probe_request requests[ALLOCATOR_FUNCTIONS_MAX];
	struct probe_point points[ALLOCATOR_FUNCTIONS_MAX];
	struct doctor_layer layer = {0};

	for (size_t i = 0; i < list->functions.count; i++) {
		const struct allocator_function *function = &list->functions.items[i];

		if (function->layer == index && layer.function_count < ALLOCATOR_FUNCTIONS_MAX)
			requests[layer.function_count++] = allocator_probe_request(function);
	}
	if (probe_points_find(list->layers.items[index].fd, requests, layer.function_count,
			      points) < 0)
		layer.emulated_count = -1;
	else
		for (size_t i = 0; i < layer.function_count; i++)
			layer.emulated_count += points[i].is_emulated;
	*ret_layer = layer;
}

/* Whose malloc serves it; NULL where none was found that could be probed. */
static const char *allocator_of(const struct allocator_list *list)
{
	for (size_t i = 0; i < list->functions.count; i++) {
		const struct allocator_function *function = &list->functions.items[i];

		/* Those behind it are the kernel's. */
		if (function->call < ALLOCATOR_FREE)
			return list->layers.items[function->layer].kind;
	}
	return NULL;
}

static void look_at_allocators(struct doctor_report *report)
{
	struct allocator_list *list = &report->allocators;

	report->finder = allocator_finder_new();
	if (allocator_find(report->finder, report->target, list) < 0)
		return;
	report->allocator = allocator_of(list);
	report->answers.heap = report->allocator ? OFFER_HEAP_FOUND : OFFER_HEAP_NONE;
	for (uint32_t i = 0; i < list->layers.count && i < ALLOCATOR_LAYERS_MAX; i++)
		look_at_layer(list, i, &report->layers[report->layer_count++]);
}

static void look_at_target(struct doctor_report *report)
{
	OWN(target_mappings_done) target_mappings mappings = {0};
	const struct target_mapping *executable;

	if (target_list_mappings(report->target, &mappings) < 0 || mappings.count == 0)
		return;
	report->has_mappings = true;
	record_agent_look(report->target, &report->agent);
	report->is_static = !traits_has_linker(&mappings);
	executable = traits_executable(report->target, &mappings);
	if (executable)
		look_at_executable(report, executable);
	else
		report->executable_missing = "it is not mapped";
	count_files(report, &mappings);
	look_at_allocators(report);
}

static enum offer_agent agent_of(const struct doctor_report *report)
{
	if (!report->has_mappings)
		return OFFER_AGENT_UNKNOWN;
	if (report->agent.presence == AGENT_REFUSED)
		return OFFER_AGENT_UNUSABLE;
	return report->agent.presence == AGENT_RUNNING ? OFFER_AGENT_LOADED : OFFER_AGENT_ABSENT;
}

/* What is linked without an interpreter has no dynamic linker that could load anything. */
const char *doctor_inject_missing(const struct doctor_report *report)
{
	if (report->agent.presence == AGENT_RUNNING)
		return "it is there";
	if (report->agent.presence == AGENT_REFUSED)
		return "another one is there";
	if (!report->agent_library)
		return "librsprof_agent.so was not found";
	if (!report->has_mappings || strcmp(report->offers[OFFER_PTRACE].here, "allowed"))
		return report->offers[OFFER_PTRACE].here;
	return report->is_static ? "the program is statically linked" : NULL;
}

static int gather(const struct doctor_options *options, struct doctor_report *report,
		  struct err *err)
{
	permit_read(&report->permit);
	if (options->pid) {
		int ret = target_open_pid((pid_t)options->pid, &report->target, err);

		if (ret < 0)
			return ret;
		look_at_target(report);
	}
	report->agent_library = record_agent_library();
	report->answers.agent = agent_of(report);
	report->answers.has_agent_timers = report->agent.cpu_frequency > 0;
	if (report->agent.heap != HEAP_MODE_OFF)
		report->answers.agent_heap = heap_mode_names[report->agent.heap];
	report->answers.perf = permit_perf(&report->permit, report->target, &report->perf_err);
	if (report->answers.perf == PERMIT_NO && report->perf_err.kind == ERR_NOT_FOUND) {
		*err = report->perf_err;
		return -ESRCH;
	}
	report->answers.is_bpf_allowed = bpf_check(report->target, &report->bpf_err) >= 0;
	if (!report->answers.is_bpf_allowed)
		report->answers.bpf_missing = permit_bpf_missing(&report->permit);
	offers_list(&report->permit, report->target, &report->answers, report->offers);
	return 0;
}

static int run(int argc, char **argv, struct err *err)
{
	OWN(report_done) struct doctor_report report = {0};
	struct doctor_options options = {0};
	int operands = 0, ret;
	bool help = false;

	ret = opt_parse(doctor_options, argc - 1, argv + 1, false, &options, &operands, &help, err);
	if (ret < 0)
		return ret;
	if (help) {
		verb_print_help(&verb_doctor);
		return 0;
	}
	if (operands > 0) {
		err_set(err, ERR_USAGE, -EINVAL, "doctor takes options only.");
		err_remedy(err, "Type: rsprof doctor -p PID");
		return -EINVAL;
	}
	if (options.is_unwind)
		return doctor_unwind(options.pid, &options.unwind, options.json, err);
	if (options.unwind.duration_ns || options.unwind.cpu_freq || options.unwind.source) {
		err_set(err, ERR_USAGE, -EINVAL,
			"--duration, --cpu-freq and --source belong to --unwind.");
		err_remedy(err, "Type: rsprof doctor --unwind -p PID");
		return -EINVAL;
	}
	ret = gather(&options, &report, err);
	if (ret < 0)
		return ret;
	if (options.json)
		doctor_print_json(&report);
	else
		doctor_print_text(&report);
	return 0;
}

const struct verb verb_doctor = {
	.name = "doctor",
	.operands = "",
	.summary = "what this machine and a process allow, and what would allow more",
	.description =
		"Tells what the kernel, its settings and your capabilities allow rsprof to do, "
		"which source of events it would take for which signal, and the command that would "
		"allow more. With -p the answers are those for that process: they come from really "
		"asking the kernel.\n\n"
		"With --unwind the process is sampled; each stack is walked twice, by rsprof and "
		"by libdw from a copy of it, and the two are compared frame by frame.",
	.options = doctor_options,
	.operand_complete = OPT_COMPLETE_NONE,
	.run = run,
};
