/* The report of rsprof doctor as JSON. */
#include <stdio.h>

#include "reader/cmd_doctor.h"
#include "reader/target/capability.h"
#include "reader/view/view.h"

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

static void print_json_heap(const struct doctor_report *report)
{
	const struct allocator_list *list = &report->allocators;

	printf(",\"heap\":{\"allocators\":[");
	for (size_t i = 0; i < report->layer_count; i++) {
		const struct doctor_layer *layer = &report->layers[i];

		printf("%s{\"functions\":%zu", i ? "," : "", layer->function_count);
		print_json_number("emulated", layer->emulated_count, -1);
		print_json_text("kind", list->layers.items[i].kind);
		print_json_text("object", list->layers.items[i].object);
		printf("}");
	}
	printf("]");
	print_json_text("missing", list->missing);
	printf("}");
}

static void print_json_agent(const struct doctor_report *report)
{
	const struct agent_verdict *agent = &report->agent;
	const char *inject = doctor_inject_missing(report);

	printf(",\"agent_facts\":");
	if (agent->presence == AGENT_RUNNING) {
		printf("{\"state\":\"%s\",\"heap\":\"%s\"", agent->state,
		       heap_mode_names[agent->heap]);
		print_json_text("version", agent->version);
		print_json_text("allocator", agent->allocator);
		print_json_number("cpu_freq_hz", agent->cpu_frequency, 0);
		print_json_text("missing",
				agent->missing.length ? str_text(&agent->missing) : NULL);
		printf("}");
	} else {
		printf("null");
	}
	print_json_text("agent_refused",
			agent->presence == AGENT_REFUSED ? agent->err.sentence : NULL);
	printf(",\"inject\":%s", inject ? "false" : "true");
	print_json_text("inject_missing", inject);
}

static void print_json_target(const struct doctor_report *report)
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
	print_json_text("frame_pointers", doctor_frame_pointers_text(report->frame_pointers));
	print_json_text("allocator", report->allocator);
	print_json_heap(report);
	printf(",\"agent\":%s,\"files\":%zu,\"files_unreadable\":%zu",
	       report->agent.presence == AGENT_RUNNING ? "true" : "false", report->file_count,
	       report->unreadable_count);
	print_json_agent(report);
	printf(",\"other_mount_namespace\":%s,\"other_pid_namespace\":%s}",
	       target->other_mount_namespace ? "true" : "false",
	       target->other_pid_namespace ? "true" : "false");
}

static void print_json_advice(const char *source, const struct err *err, const char *separator)
{
	printf("%s{\"source\":\"%s\"", separator, source);
	print_json_text("sentence", err->sentence);
	print_json_text("remedy", err->remedy);
	printf("}");
}

void doctor_print_json(const struct doctor_report *report)
{
	print_json_machine(&report->permit);
	print_json_text("agent_library", report->agent_library);
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
	if (!report->answers.is_bpf_allowed)
		print_json_advice("bpf", &report->bpf_err, "");
	if (report->answers.perf != PERMIT_YES)
		print_json_advice("perf", &report->perf_err,
				  report->answers.is_bpf_allowed ? "" : ",");
	printf("]}\n");
}
