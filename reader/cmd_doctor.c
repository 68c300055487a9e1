/* rsprof doctor: what this machine and this target allow, and what would allow more. */
#include "reader/verb.h"

#include <errno.h>
#include <langinfo.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reader/core/module.h"
#include "reader/symbol/symbol.h"
#include "reader/target/capability.h"
#include "reader/target/offer.h"
#include "reader/target/permit.h"
#include "reader/target/target.h"
#include "reader/target/traits.h"
#include "reader/util/fmt.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "reader/view/view.h"

enum {
	/* Files that doctor tries to open; a program that maps more is told about these. */
	FILES_MAX = 512,
};

struct doctor_options {
	uint64_t pid;
	bool json;
};

static const struct opt doctor_options[] = {
	{.letter = 'p', .name = "pid", .value_name = "PID", .type = OPT_COUNT,
	 .offset = offsetof(struct doctor_options, pid), .min = 1, .max = INT32_MAX,
	 .help = "also tell what may be profiled of this process", .complete = OPT_COMPLETE_PID},
	{.name = "json", .type = OPT_FLAG, .offset = offsetof(struct doctor_options, json),
	 .help = "print JSON"},
	{0},
};

/* All that is told, gathered before any of it is printed. */
struct report {
	struct permit permit;
	struct target *target; /* NULL without -p */
	enum permit_answer perf;
	struct err perf_err; /* where perf is not PERMIT_YES */
	struct offer offers[OFFER_SOURCES];
	/* Of the target. */
	bool has_mappings;
	bool has_agent;
	const char *allocator; /* may be NULL */
	enum frame_pointers frame_pointers;
	struct symbolizer *symbolizer; /* owns the strings in symbols */
	struct module_table *modules;
	struct symbol_facts symbols;
	const char *executable_missing; /* static, or NULL */
	size_t file_count, unreadable_count;
	struct str first_unreadable; /* "PATH: reason", scrubbed */
};

static void report_done(struct report *report)
{
	symbolizer_free(report->symbolizer);
	module_table_free(report->modules);
	target_free(report->target);
	str_done(&report->first_unreadable);
}

static void count_files(struct report *report, const target_mappings *mappings)
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

static void look_at_executable(struct report *report, const struct target_mapping *mapping)
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

static void look_at_target(struct report *report)
{
	OWN(target_mappings_done) target_mappings mappings = {0};
	const struct target_mapping *executable;

	if (target_list_mappings(report->target, &mappings) < 0 || mappings.count == 0)
		return;
	report->has_mappings = true;
	report->has_agent = traits_has_agent(&mappings);
	report->allocator = traits_allocator(&mappings);
	executable = traits_executable(report->target, &mappings);
	if (executable)
		look_at_executable(report, executable);
	else
		report->executable_missing = "it is not mapped";
	count_files(report, &mappings);
}

static enum offer_agent agent_of(const struct report *report)
{
	if (!report->has_mappings)
		return OFFER_AGENT_UNKNOWN;
	return report->has_agent ? OFFER_AGENT_LOADED : OFFER_AGENT_ABSENT;
}

static int gather(const struct doctor_options *options, struct report *report, struct err *err)
{
	permit_read(&report->permit);
	if (options->pid) {
		int ret = target_open_pid((pid_t)options->pid, &report->target, err);

		if (ret < 0)
			return ret;
		look_at_target(report);
	}
	report->perf = permit_perf(&report->permit, report->target, &report->perf_err);
	if (report->perf == PERMIT_NO && report->perf_err.kind == ERR_NOT_FOUND) {
		*err = report->perf_err;
		return -ESRCH;
	}
	offers_list(&report->permit, report->target, report->perf, agent_of(report),
		    report->offers);
	return 0;
}

static const char *yes_no(bool value)
{
	return value ? "yes" : "no";
}

static void print_setting(const char *name, int value, int absent)
{
	if (value == absent)
		printf("  %s none", name);
	else
		printf("  %s %d", name, value);
}

static void print_machine(const struct permit *permit)
{
	char buffer[FMT_MAX], second[FMT_MAX];
	bool has_any = false;

	printf("kernel %s  %s  BTF %s", permit->kernel, permit->machine, yes_no(permit->has_btf));
	print_setting("perf_event_paranoid", permit->perf_event_paranoid, -2);
	print_setting("ptrace_scope", permit->ptrace_scope, -1);
	printf("  hardware counters %s  container %s\n", yes_no(permit->has_hardware_counters),
	       yes_no(permit->in_container));
	printf("limits: memlock %s  perf rings %s per CPU  open files %s of %s\n",
	       permit->memlock_soft == UINT64_MAX ? "none"
						  : fmt_bytes(buffer, permit->memlock_soft),
	       fmt_bytes((char[FMT_MAX]){0}, permit->perf_mlock_kb * 1024),
	       fmt_count((char[FMT_MAX]){0}, permit->open_files_soft),
	       fmt_count(second, permit->open_files_hard));
	printf("you: uid %u", permit->uid);
	for (const struct capability_name *at = capability_names; at->name; at++) {
		if (permit_has(permit, at->capability)) {
			printf(", %s", at->name);
			has_any = true;
		}
	}
	printf("%s\n", has_any ? "" : ", no capabilities that matter here");
}

static const char *frame_pointers_text(enum frame_pointers use)
{
	switch (use) {
	case FRAME_POINTERS_MOST:
		return "frame pointers";
	case FRAME_POINTERS_SOME:
		return "frame pointers in some functions";
	case FRAME_POINTERS_NONE:
		return "no frame pointers";
	case FRAME_POINTERS_UNKNOWN:
		break;
	}
	return NULL;
}

static void add_symbols(const struct report *report, struct str *text)
{
	if (report->executable_missing)
		str_addf(text, ", executable unreadable (%s)", report->executable_missing);
	if (!report->symbolizer)
		return;
	if (report->symbols.language)
		str_addf(text, ", %s", report->symbols.language);
	if (report->symbols.source == SYMBOL_SOURCE_DWARF)
		str_addf(text, ", DWARF %d", report->symbols.dwarf_version);
	else if (report->symbols.source == SYMBOL_SOURCE_ELF)
		str_add(text, ", no DWARF: function names only");
	else
		str_add(text, ", stripped: no names");
}

static void print_target(const struct report *report)
{
	const struct target *target = report->target;
	const char *frames = frame_pointers_text(report->frame_pointers);
	OWN(str_done) struct str text = {0};

	str_addf(&text, "\ntarget %d ", target->pid);
	str_add_scrubbed(&text, target->comm);
	if (target->uid == report->permit.uid)
		str_add(&text, " (yours");
	else
		str_addf(&text, " (uid %u's", target->uid);
	if (report->has_mappings) {
		add_symbols(report, &text);
		if (frames)
			str_addf(&text, ", %s", frames);
		if (report->allocator)
			str_addf(&text, ", %s malloc", report->allocator);
		str_add(&text, report->has_agent ? ", agent" : ", no agent");
	} else {
		str_add(&text, ", its memory map is not readable");
	}
	if (target->other_mount_namespace)
		str_add(&text, ", other mount namespace");
	if (target->other_pid_namespace)
		str_add(&text, ", other PID namespace");
	printf("%s)\n", str_text(&text));
	if (report->unreadable_count > 0)
		printf("%zu of %zu mapped files cannot be read, their code has no names: %s\n",
		       report->unreadable_count, report->file_count,
		       str_text(&report->first_unreadable));
}

static void print_offers(const struct report *report)
{
	const char *mark = strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? "▸" : ">";
	int widths[OFFER_SIGNALS];
	bool is_any_taken = false;

	for (int i = 0; i < OFFER_SIGNALS; i++) {
		widths[i] = 0;
		for (int j = 0; j < OFFER_SOURCES; j++) {
			int width = (int)strlen(report->offers[j].signals[i].text);

			widths[i] = width > widths[i] ? width : widths[i];
		}
	}
	printf("%s  source ", report->target ? "" : "\n");
	for (int i = 0; i < OFFER_SIGNALS; i++)
		printf("  %-*s  ", widths[i], offer_signal_names[i]);
	printf("  %s\n", report->target ? "machine and target" : "machine");
	for (int i = 0; i < OFFER_SOURCES; i++) {
		const struct offer *offer = &report->offers[i];

		printf("  %-7s", offer->source);
		for (int j = 0; j < OFFER_SIGNALS; j++) {
			bool is_taken = offer->signals[j].is_taken;

			printf("%s %-*s  ", is_taken ? mark : " ", widths[j],
			       offer->signals[j].text);
			is_any_taken |= is_taken;
		}
		printf("  %s\n", offer->here);
	}
	if (is_any_taken && report->target)
		printf("%s what rsprof -p %d would take\n", mark, report->target->pid);
	else if (is_any_taken)
		printf("%s what rsprof would take for a process of yours\n", mark);
	else
		printf("rsprof can take none of these.\n");
}

static void print_text(const struct report *report)
{
	print_machine(&report->permit);
	if (report->target)
		print_target(report);
	print_offers(report);
	if (report->perf != PERMIT_YES)
		printf("%s\n%s\n", report->perf_err.sentence, report->perf_err.remedy);
}

static void print_json_text(const char *key, const char *text)
{
	printf(",\"%s\":", key);
	if (text)
		json_print_string(stdout, text);
	else
		printf("null");
}

static void print_json_number(const char *key, int64_t value, int64_t absent)
{
	if (value == absent)
		printf(",\"%s\":null", key);
	else
		printf(",\"%s\":%lld", key, (long long)value);
}

static void print_json_machine(const struct permit *permit)
{
	bool is_first = true;

	printf("{\"kernel\":");
	json_print_string(stdout, permit->kernel);
	print_json_text("machine", permit->machine);
	printf(",\"btf\":%s", permit->has_btf ? "true" : "false");
	print_json_number("perf_event_paranoid", permit->perf_event_paranoid, -2);
	print_json_number("ptrace_scope", permit->ptrace_scope, -1);
	print_json_number("kptr_restrict", permit->kptr_restrict, INT64_MIN);
	printf(",\"hardware_counters\":%s,\"container\":%s",
	       permit->has_hardware_counters ? "true" : "false",
	       permit->in_container ? "true" : "false");
	/* RLIM_INFINITY is all ones. */
	print_json_number("memlock_bytes", (int64_t)permit->memlock_soft, -1);
	print_json_number("open_files_soft", (int64_t)permit->open_files_soft, -1);
	print_json_number("open_files_hard", (int64_t)permit->open_files_hard, -1);
	print_json_number("perf_event_mlock_kb", (int64_t)permit->perf_mlock_kb, -1);
	print_json_number("perf_event_max_stack", (int64_t)permit->perf_max_stack, -1);
	print_json_number("perf_event_max_sample_rate", (int64_t)permit->perf_max_sample_rate, -1);
	print_json_number("uid", permit->uid, -1);
	printf(",\"capabilities\":[");
	for (const struct capability_name *at = capability_names; at->name; at++) {
		if (!permit_has(permit, at->capability))
			continue;
		printf("%s\"%s\"", is_first ? "" : ",", at->name);
		is_first = false;
	}
	printf("]");
}

static void print_json_target(const struct report *report)
{
	const struct target *target = report->target;

	if (!target) {
		printf(",\"target\":null");
		return;
	}
	printf(",\"target\":{\"pid\":%d", target->pid);
	print_json_text("process_name", target->comm);
	print_json_text("exe_path", *target->exe_path ? target->exe_path : NULL);
	print_json_text("command_line", target->command_line);
	print_json_number("uid", target->uid, -1);
	printf(",\"maps_readable\":%s", report->has_mappings ? "true" : "false");
	print_json_text("exe_missing", report->executable_missing);
	print_json_text("language", report->symbols.language);
	print_json_number("dwarf_version", report->symbols.dwarf_version, 0);
	print_json_text("frame_pointers", frame_pointers_text(report->frame_pointers));
	print_json_text("allocator", report->allocator);
	printf(",\"agent\":%s,\"files\":%zu,\"files_unreadable\":%zu",
	       report->has_agent ? "true" : "false", report->file_count,
	       report->unreadable_count);
	printf(",\"other_mount_namespace\":%s,\"other_pid_namespace\":%s}",
	       target->other_mount_namespace ? "true" : "false",
	       target->other_pid_namespace ? "true" : "false");
}

static void print_json(const struct report *report)
{
	print_json_machine(&report->permit);
	print_json_target(report);
	printf(",\"sources\":[");
	for (int i = 0; i < OFFER_SOURCES; i++) {
		const struct offer *offer = &report->offers[i];

		printf("%s{\"source\":\"%s\"", i ? "," : "", offer->source);
		for (int j = 0; j < OFFER_SIGNALS; j++)
			printf(",\"%s\":{\"answer\":\"%s\",\"taken\":%s}", offer_signal_names[j],
			       offer->signals[j].text,
			       offer->signals[j].is_taken ? "true" : "false");
		print_json_text("here", offer->here);
		printf("}");
	}
	printf("],\"advice\":[");
	if (report->perf != PERMIT_YES) {
		printf("{\"sentence\":");
		json_print_string(stdout, report->perf_err.sentence);
		print_json_text("remedy", report->perf_err.remedy);
		printf("}");
	}
	printf("]}\n");
}

static int run(int argc, char **argv, struct err *err)
{
	OWN(report_done) struct report report = {.perf = PERMIT_NO};
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
	ret = gather(&options, &report, err);
	if (ret < 0)
		return ret;
	if (options.json)
		print_json(&report);
	else
		print_text(&report);
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
		"asking the kernel.",
	.options = doctor_options,
	.operand_complete = OPT_COMPLETE_NONE,
	.run = run,
};
