#include "reader/record/session_facts.h"

#include <assert.h>
#include <inttypes.h>
#include <sys/utsname.h>

#include "reader/core/attribute.h"
#include "reader/util/clock.h"
#include "reader/util/own.h"
#include "reader/util/str.h"

static void add(struct session_facts *facts, const char *key, const char *value)
{
	assert(facts->count < SESSION_FACTS_MAX);
	facts->items[facts->count++] = (struct store_fact){key, value};
}

static void add_number(struct session_facts *facts, const char *key, uint64_t value)
{
	add(facts, key, arena_printf(facts->arena, "%" PRIu64, value));
}

static void add_percentage(struct session_facts *facts, const char *key, uint64_t part,
			   uint64_t whole)
{
	if (whole)
		add(facts, key,
		    arena_printf(facts->arena, "%.2f", 100.0 * (double)part / (double)whole));
}

const char *session_heap_reason(const struct session_config *config,
				const struct source_facts *source)
{
	if (config->heap_reason && *config->heap_reason)
		return config->heap_reason;
	if (source->heap_reason)
		return source->heap_reason;
	return source->heap == HEAP_MODE_OFF ? "the source counts no allocations" : "";
}

static const char *counted_by(const struct source_facts *source)
{
	return source->heap_name ? source->heap_name : source->name;
}

/* Who counts it. Where nobody does, the memory of the process as a whole is still looked at, unless
 * there is no process (a replay). */
static const char *heap_source(const struct session_facts *facts)
{
	if (facts->source->heap != HEAP_MODE_OFF)
		return counted_by(facts->source);
	if (facts->config->source.heap == HEAP_MODE_OFF || !facts->config->target)
		return "off";
	return "totals";
}

static void describe_heap(struct session_facts *facts)
{
	const struct source_config *source = &facts->config->source;
	uint64_t bytes;

	add(facts, "heap_source", heap_source(facts));
	add(facts, "heap_source_reason", session_heap_reason(facts->config, facts->source));
	add(facts, "heap_mode", heap_mode_names[facts->source->heap]);
	add(facts, "heap_agent_reason",
	    facts->config->agent_reason ? facts->config->agent_reason : "");
	if (facts->source->heap == HEAP_MODE_OFF || !facts->config->target)
		return;
	add_number(facts, "heap_sample_bytes", source->heap_sample_bytes);
	add_number(facts, "heap_blocks_max", source->heap_blocks_max);
	add_number(facts, "heap_stacks_max", source->heap_stacks_max);
	/* At the end it is told again, by the moment at which counting began. */
	if (target_rss_anonymous_bytes(facts->config->target, &bytes) == 0)
		add_number(facts, "heap_anonymous_bytes_at_attach",
			   source->start_on_exec || facts->config->is_heap_whole ? 0 : bytes);
}

static void add_notes(struct session_facts *facts)
{
	const char *agent = facts->config->agent_note;
	OWN(str_done) struct str notes = {0};

	for (size_t i = 0; i < facts->source->note_count; i++)
		str_addf(&notes, "%s%s", i ? "\n" : "", facts->source->notes[i]);
	if (agent && *agent)
		str_addf(&notes, "%s%s", notes.length ? "\n" : "", agent);
	add(facts, "notes", arena_strdup(facts->arena, str_text(&notes)));
}

void session_facts_begin(struct session_facts *facts)
{
	const struct session_config *config = facts->config;
	const struct source_facts *source = facts->source;
	struct utsname system;
	bool has_cpu = false, has_wait = false;

	for (size_t i = 0; i < config->source.event_count; i++) {
		has_wait |= config->source.events[i]->unit == EVENT_UNIT_TIME;
		has_cpu |= config->source.events[i]->unit != EVENT_UNIT_TIME;
	}
	add(facts, "rsprof_version", RSPROF_VERSION);
	add_number(facts, "attribute_version", ATTRIBUTE_VERSION);
	add_number(facts, "cpu_freq_hz", config->source.frequency);
	add(facts, "cpu_source", has_cpu ? source->name : "off");
	add(facts, "cpu_source_reason", config->source_reason);
	add(facts, "cpu_stacks", source->stacks);
	describe_heap(facts);
	add(facts, "wait_source", has_wait ? source->name : "off");
	add(facts, "wait_source_reason", config->wait_reason);
	add(facts, "user_time_only", source->user_time_only ? "1" : "0");
	add_number(facts, "stack_copy_bytes", config->source.stack_bytes);
	add_number(facts, "frames_max", config->source.frames_max);
	add_number(facts, "buffer_bytes", source->buffer_bytes);
	if (uname(&system) == 0)
		add(facts, "kernel",
		    arena_printf(facts->arena, "%s %s", system.release, system.machine));
	add_notes(facts);
}

/* "complete 1283, truncated 4": samples by how their stack ended. */
static const char *status_counts(struct session_facts *facts, const struct stack_share *share)
{
	OWN(str_done) struct str text = {0};

	for (int status = 0; status < STACK_STATUSES; status++) {
		if (share->by_status[status])
			str_addf(&text, "%s%s %" PRIu64, text.length ? ", " : "",
				 stack_status_names[status], share->by_status[status]);
	}
	return arena_strdup(facts->arena, str_text(&text));
}

/* What the probes cost is an estimate, and so is its share of the CPU time that the target used. */
static void sum_up_heap(struct session_facts *facts, const struct pump *pump,
			const struct stack_share *share)
{
	const struct heap_state *heap = pump_heap(pump);
	uint64_t cpu_ns = pump_process(pump)->cpu_ns;

	if (facts->source->heap == HEAP_MODE_OFF)
		return;
	add_number(facts, "heap_hits", heap->hits);
	add_number(facts, "heap_cost_ns", heap->cost_ns);
	/* An estimate may say more than there is. */
	add_percentage(facts, "heap_cost_pct", heap->cost_ns < cpu_ns ? heap->cost_ns : cpu_ns,
		       cpu_ns);
	add_percentage(facts, "heap_complete_stacks_pct", share->complete_allocs, share->allocs);
	if (facts->config->target && !facts->config->is_heap_whole)
		add_number(facts, "heap_anonymous_bytes_at_attach",
			   pump_anonymous_bytes_at_start(pump));
}

void session_facts_end(struct session_facts *facts, const struct pump *pump,
		       const struct stack_share *share)
{
	add_number(facts, "samples", pump_samples(pump));
	add_percentage(facts, "complete_stacks_pct", share->complete, share->samples);
	if (share->samples)
		add(facts, "stack_status", status_counts(facts, share));
	add_percentage(facts, "wait_complete_stacks_pct", share->complete_waits, share->waits);
	sum_up_heap(facts, pump, share);
	if (facts->source->user_time_only)
		add_number(facts, "cpu_time_unsampled_ms",
			   pump_losses(pump)->count[LOSS_SYSTEM_TIME_MS]);
}
