/* The report of rsprof doctor for people. */
#include <langinfo.h>
#include <stdio.h>
#include <string.h>

#include "reader/cmd_doctor.h"
#include "reader/target/capability.h"
#include "reader/util/fmt.h"
#include "reader/util/own.h"

static const char *yes_no(bool value)
{
	return value ? "yes" : "no";
}

const char *doctor_frame_pointers_text(enum frame_pointers use)
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

static void add_symbols(const struct doctor_report *report, struct str *text)
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

static void print_target(const struct doctor_report *report)
{
	const struct target *target = report->target;
	const char *frames = doctor_frame_pointers_text(report->frame_pointers);
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
		if (report->allocator && (strcmp(report->allocator, "malloc") == 0 ||
					  strcmp(report->allocator, "Rust") == 0))
			str_add(&text, ", an allocator of its own");
		else if (report->allocator)
			str_addf(&text, ", %s malloc", report->allocator);
		str_add(&text, report->agent.presence == AGENT_RUNNING ? ", agent" : ", no agent");
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

/* "glibc malloc in libc.so.6" */
static void name_layer(const struct allocator_layer *layer, struct str *text)
{
	bool is_libc = strcmp(layer->kind, "glibc") == 0 || strcmp(layer->kind, "musl") == 0;

	str_addf(text, "%s%s in ", layer->kind, is_libc ? " malloc" : "");
	str_add_scrubbed(text, layer->object);
}

static void print_allocators(const struct doctor_report *report)
{
	const struct allocator_list *list = &report->allocators;

	for (size_t i = 0; i < report->layer_count; i++) {
		const struct doctor_layer *layer = &report->layers[i];
		OWN(str_done) struct str text = {0};

		name_layer(&list->layers.items[i], &text);
		printf("heap: %s, %zu functions", str_text(&text), layer->function_count);
		if (layer->emulated_count >= 0)
			printf(", %d of them probed at an instruction that the kernel emulates",
			       layer->emulated_count);
		printf("\n");
	}
	if (list->missing)
		printf("heap: %s\n", list->missing);
}

/* "agent: 0.5.0, on, counts exactly, malloc of /lib/…/libc.so.6" */
static void print_agent(const struct doctor_report *report)
{
	const struct agent_verdict *agent = &report->agent;
	OWN(str_done) struct str text = {0};

	if (!report->target || !report->has_mappings) {
		str_add(&text, report->agent_library ? report->agent_library
						     : "librsprof_agent.so was not found");
	} else if (agent->presence == AGENT_REFUSED) {
		str_add_scrubbed(&text, agent->err.sentence);
	} else if (agent->presence == AGENT_RUNNING) {
		str_addf(&text, "%s, %s, heap %s", agent->version, agent->state,
			 heap_mode_names[agent->heap]);
		if (agent->cpu_frequency)
			str_addf(&text, ", CPU timers at %u Hz", agent->cpu_frequency);
		str_add(&text, *agent->allocator ? ", malloc of " : "");
		str_add_scrubbed(&text, agent->allocator);
		if (agent->missing.length)
			str_addf(&text, ": %s", str_text(&agent->missing));
	} else if (doctor_inject_missing(report)) {
		str_addf(&text, "not loaded, and cannot be put in: %s",
			 doctor_inject_missing(report));
	} else {
		str_addf(&text, "not loaded; rsprof -p %d --inject would put it in",
			 report->target->pid);
	}
	printf("agent: %s\n", str_text(&text));
}

static void print_offers(const struct doctor_report *report)
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

static bool is_missing_capability(const struct doctor_report *report)
{
	return report->answers.bpf_missing && strstr(report->answers.bpf_missing, "CAP_");
}

/* Root without its capabilities is in a container, or lost them: sudo helps only others. */
static void print_bpf_advice(const struct doctor_report *report)
{
	char pid[16] = "PID";

	if (!is_missing_capability(report) || report->permit.uid == 0) {
		printf("%s\n%s\n", report->bpf_err.sentence, report->bpf_err.remedy);
		return;
	}
	if (report->target)
		snprintf(pid, sizeof(pid), "%d", report->target->pid);
	printf("For waiting, the heap by line, and stacks unwound in the kernel%s:\n"
	       "  sudo rsprof -p %s  or, once: sudo setcap "
	       "cap_bpf,cap_perfmon,cap_sys_ptrace,cap_checkpoint_restore+ep "
	       "$(command -v rsprof)\n",
	       report->target ? " on this process" : "", pid);
}

void doctor_print_text(const struct doctor_report *report)
{
	print_machine(&report->permit);
	if (report->target)
		print_target(report);
	if (report->target)
		print_allocators(report);
	print_agent(report);
	print_offers(report);
	if (report->answers.perf != PERMIT_YES)
		printf("%s\n%s\n", report->perf_err.sentence, report->perf_err.remedy);
	if (!report->answers.is_bpf_allowed)
		print_bpf_advice(report);
}
