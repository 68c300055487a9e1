#include "reader/record_source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "reader/record_refusal.h"
#include "reader/source/bpf_check.h"
#include "reader/target/permit.h"
#include "reader/util/own.h"

static const char WAIT_TIME[] = "wait-time";
static const char CPU_CLOCK[] = "cpu-clock";
static const char BY_SOURCE[] = "asked for by --source";

static const struct event_kind *kind_named(const char *name)
{
	return event_kind_by_name(name, strlen(name));
}

static bool is_wait(const struct event_kind *kind)
{
	return kind->unit == EVENT_UNIT_TIME;
}

static bool has_wait(const struct event_kind *const *events, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (is_wait(events[i]))
			return true;
	}
	return false;
}

/* The agent's timers are a clock of CPU time, and no other event; nothing asked for is the clock.
 */
static bool is_only_clock(const struct event_kind *const *events, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (events[i] != kind_named(CPU_CLOCK))
			return false;
	}
	return true;
}

static void take_events(struct source_choice *choice, const struct source_wish *wish)
{
	choice->has_asked_events = wish->event_count > 0;
	choice->event_count = 0;
	for (size_t i = 0; i < wish->event_count; i++)
		choice->events[choice->event_count++] = wish->events[i];
	if (choice->has_asked_events)
		return;
	if (choice->ops != &source_agent || choice->beside || choice->is_cpu_by_agent)
		choice->events[choice->event_count++] = kind_named(CPU_CLOCK);
	if (choice->ops == &source_bpf || choice->beside == &source_bpf)
		choice->events[choice->event_count++] = kind_named(WAIT_TIME);
}

static void explain_wait(struct source_choice *choice)
{
	const char *reason = choice->reason;

	if (choice->has_asked_events)
		reason = has_wait(choice->events, choice->event_count) ? "asked for by --event"
								       : "not asked for by --event";
	else if (choice->is_forced && choice->ops == &source_perf)
		reason = "perf records no waiting in this version";
	else if (choice->is_forced && choice->ops == &source_agent)
		reason = "the agent sees no waiting";
	snprintf(choice->wait_reason, sizeof(choice->wait_reason), "%s", reason);
}

static void explain_heap(struct source_choice *choice, enum heap_mode wanted)
{
	OWN(str_done) struct str reason = {0};

	if (wanted == HEAP_MODE_OFF) {
		str_add(&reason, "asked for by --heap off");
	} else if (choice->is_forced && choice->ops == &source_perf) {
		str_add(&reason, "perf counts no allocations");
	} else if (choice->is_forced && choice->ops == &source_agent && !choice->is_heap_by_agent) {
		str_add(&reason, choice->agent_reason);
	} else if (choice->ops != &source_bpf && !choice->is_heap_by_agent) {
		str_add(&reason, choice->agent_reason);
		str_addf(&reason, "%s%s", reason.length ? "; " : "", choice->reason);
	}
	snprintf(choice->heap_reason, sizeof(choice->heap_reason), "%s", str_text(&reason));
}

/* ---- the agent */

static bool is_usable(const struct agent_verdict *agent)
{
	return agent->presence == AGENT_PLANNED || agent->presence == AGENT_RUNNING;
}

static const char *const agent_manners[HEAP_MODES] = {
	[HEAP_MODE_OFF] = "counts nothing",	  [HEAP_MODE_EXACT] = "counts exactly",
	[HEAP_MODE_SAMPLED] = "samples by bytes", [HEAP_MODE_ALLOCS] = "samples allocations",
	[HEAP_MODE_TRACE] = "traces each call",
};

/* A trace is exact, too. */
static bool is_as_wished(const struct source_wish *wish, enum heap_mode heap)
{
	return !wish->is_heap_asked || heap == wish->heap ||
	       (wish->heap == HEAP_MODE_EXACT && heap == HEAP_MODE_TRACE);
}

/* How it counts was decided when the process began. */
static void note_mode(struct source_choice *choice, const struct source_wish *wish,
		      const struct agent_verdict *agent)
{
	if (!is_as_wished(wish, agent->heap))
		snprintf(choice->agent_note, sizeof(choice->agent_note),
			 "The agent in %d %s; RSPROF_HEAP=%s when it is started changes that.",
			 agent->pid, agent_manners[agent->heap], heap_mode_names[wish->heap]);
}

/* Why it does not count a heap that is wanted. */
static void explain_agent(struct source_choice *choice, const struct source_verdicts *verdicts)
{
	const struct agent_verdict *agent = &verdicts->agent;
	OWN(str_done) struct str reason = {0};

	if (agent->presence == AGENT_REFUSED)
		record_source_add_sentence(&reason, agent->err.sentence);
	else
		record_source_add_sentence(&reason, str_text(&agent->missing));
	snprintf(choice->agent_reason, sizeof(choice->agent_reason), "%s", str_text(&reason));
	if (agent->presence == AGENT_REFUSED)
		snprintf(choice->agent_note, sizeof(choice->agent_note), "%s", agent->err.sentence);
	else if (agent->is_heap_elsewhere)
		snprintf(choice->agent_note, sizeof(choice->agent_note),
			 "The agent cannot count the heap: %.1024s%s", choice->agent_reason,
			 verdicts->bpf.is_allowed
				 ? "; bpf counts it instead."
				 : ". Ways out: bpf (sudo rsprof), librsprof.a linked into the "
				   "program, in Rust the GlobalAlloc wrapper of rsprof-trace.");
	else if (is_usable(agent) || !agent->pid)
		snprintf(choice->agent_note, sizeof(choice->agent_note),
			 "The heap is not counted by the agent: %.1024s.", choice->agent_reason);
}

static void take_agent_heap(struct source_choice *choice, const struct source_wish *wish,
			    const struct source_verdicts *verdicts)
{
	const struct agent_verdict *agent = &verdicts->agent;

	choice->is_agent_planned = agent->presence == AGENT_PLANNED;
	if (wish->heap == HEAP_MODE_OFF)
		return;
	if (!is_usable(agent) || agent->heap == HEAP_MODE_OFF) {
		explain_agent(choice, verdicts);
		return;
	}
	choice->is_heap_by_agent = true;
	choice->agent_sample_bytes = agent->sample_bytes;
	choice->is_heap_whole = choice->is_agent_planned || agent->is_from_start;
	choice->agent_heap = choice->is_agent_planned ? wish->heap : agent->heap;
	if (!choice->is_agent_planned)
		note_mode(choice, wish, agent);
}

/* ---- the choice */

static int choose_agent(const struct source_wish *wish, const struct source_verdicts *verdicts,
			struct source_choice *choice, struct err *err)
{
	const struct agent_verdict *agent = &verdicts->agent;

	choice->ops = &source_agent;
	if (!is_usable(agent))
		return record_refuse_agent(agent, err);
	if (has_wait(wish->events, wish->event_count))
		return record_refuse_wait("the agent", "sees", err);
	if (!is_only_clock(wish->events, wish->event_count))
		return record_refuse_agent_events(err);
	take_agent_heap(choice, wish, verdicts);
	if (wish->is_heap_asked && !choice->is_heap_by_agent)
		return record_refuse_agent_heap(agent, err);
	choice->is_cpu_by_agent = agent->cpu_frequency > 0;
	choice->agent_frequency = agent->cpu_frequency;
	if (!choice->is_cpu_by_agent && (wish->event_count || !choice->is_heap_by_agent))
		return record_refuse_timers(err);
	if (!choice->is_cpu_by_agent)
		snprintf(choice->reason, sizeof(choice->reason), "%s, and its timers are off",
			 BY_SOURCE);
	return 0;
}

static int choose_forced(const struct source_wish *wish, const struct source_verdicts *verdicts,
			 struct source_choice *choice, struct err *err)
{
	choice->is_forced = true;
	snprintf(choice->reason, sizeof(choice->reason), "%s", BY_SOURCE);
	if (strcmp(wish->source, "agent") == 0)
		return choose_agent(wish, verdicts, choice, err);
	if (wish->heap == HEAP_MODE_TRACE)
		return record_refuse_trace(choice, err);
	if (strcmp(wish->source, "bpf") == 0) {
		choice->ops = &source_bpf;
		return verdicts->bpf.is_allowed ? 0 : record_refuse_bpf(&verdicts->bpf, err);
	}
	if (strcmp(wish->source, "perf"))
		return record_refuse_unknown(wish->source, err);
	choice->ops = &source_perf;
	if (has_wait(wish->events, wish->event_count))
		return record_refuse_wait("perf", "records", err);
	return wish->is_heap_asked ? record_refuse_heap_by_perf(err) : 0;
}

/* Neither bpf nor perf may be used, and an agent is there: its timers, or at least its heap. */
static void take_timers(struct source_choice *choice, const struct source_wish *wish,
			const struct agent_verdict *agent)
{
	if (agent->cpu_frequency && is_only_clock(wish->events, wish->event_count)) {
		choice->is_cpu_by_agent = true;
		choice->agent_frequency = agent->cpu_frequency;
		choice->beside = NULL;
	} else if (choice->is_heap_by_agent && !wish->event_count) {
		choice->beside = NULL;
	}
}

static void add_reason(struct source_choice *choice, const char *source, const char *why)
{
	OWN(str_done) struct str reason = {0};

	str_add(&reason, choice->reason);
	str_addf(&reason, "%s%s: %s", reason.length ? "; " : "", source, why);
	snprintf(choice->reason, sizeof(choice->reason), "%s", str_text(&reason));
}

static int choose_without_bpf(const struct source_wish *wish,
			      const struct source_verdicts *verdicts, struct source_choice *choice,
			      struct err *err)
{
	OWN(str_done) struct str missing = {0}, perf_missing = {0};
	const struct source_verdict *bpf = &verdicts->bpf;

	if (bpf->err.kind == ERR_NOT_FOUND) {
		*err = bpf->err;
		return -ESRCH;
	}
	if (has_wait(wish->events, wish->event_count))
		return record_refuse_without_bpf("The event wait-time needs", "", bpf, err);
	if (wish->is_heap_asked && !choice->is_heap_by_agent)
		return record_refuse_without_bpf("Counting the heap needs", choice->agent_reason,
						 bpf, err);
	record_add_missing(&missing, bpf);
	add_reason(choice, "bpf", str_text(&missing));
	choice->beside = &source_perf;
	if (verdicts->perf.is_allowed || !is_usable(&verdicts->agent))
		return 0;
	take_timers(choice, wish, &verdicts->agent);
	if (!choice->beside) {
		record_add_missing(&perf_missing, &verdicts->perf);
		add_reason(choice, "perf", str_text(&perf_missing));
	}
	return 0;
}

static int choose_best(const struct source_wish *wish, const struct source_verdicts *verdicts,
		       struct source_choice *choice, struct err *err)
{
	int result = 0;

	take_agent_heap(choice, wish, verdicts);
	if (wish->heap == HEAP_MODE_TRACE && !choice->is_heap_by_agent)
		return record_refuse_trace(choice, err);
	if (verdicts->bpf.is_allowed) {
		choice->beside = &source_bpf;
		snprintf(choice->reason, sizeof(choice->reason), "bpf is allowed");
	} else {
		result = choose_without_bpf(wish, verdicts, choice, err);
	}
	if (choice->is_heap_by_agent || choice->is_cpu_by_agent) {
		choice->ops = &source_agent;
	} else {
		choice->ops = choice->beside;
		choice->beside = NULL;
		choice->is_agent_planned = false;
	}
	return result;
}

int record_source_choose(const struct source_wish *wish, const struct source_verdicts *verdicts,
			 struct source_choice *ret_choice, struct err *err)
{
	struct source_choice choice = {0};
	int result = strcmp(wish->source, "auto") ? choose_forced(wish, verdicts, &choice, err)
						  : choose_best(wish, verdicts, &choice, err);

	if (result < 0)
		return result;
	choice.is_heap_asked = wish->is_heap_asked;
	take_events(&choice, wish);
	explain_wait(&choice);
	explain_heap(&choice, wish->heap);
	*ret_choice = choice;
	return 0;
}

/* ---- by options */

static int pick_replay(const struct source_config *asked, const struct source_wish *wish,
		       struct source_choice *ret_choice, struct err *err)
{
	struct source_choice choice = {
		.ops = &source_replay, .is_forced = true, .is_heap_asked = wish->is_heap_asked};

	if (wish->heap == HEAP_MODE_TRACE) {
		err_set(err, ERR_PERMISSION, -EOPNOTSUPP,
			"Tracing every allocation needs the agent, and a replay has none.");
		err_remedy(err, "Leave --heap out.");
		return -EOPNOTSUPP;
	}
	memcpy(choice.events, asked->events, sizeof(choice.events));
	choice.event_count = asked->event_count;
	choice.has_asked_events = true;
	snprintf(choice.reason, sizeof(choice.reason), "asked for by --replay");
	explain_wait(&choice);
	if (asked->heap == HEAP_MODE_OFF)
		explain_heap(&choice, asked->heap);
	*ret_choice = choice;
	return 0;
}

static void ask_kernel(const struct target *target, struct source_verdicts *verdicts)
{
	struct permit permit;

	verdicts->bpf.is_allowed = bpf_check(target, &verdicts->bpf.err) >= 0;
	if (verdicts->bpf.is_allowed)
		return;
	permit_read(&permit);
	verdicts->bpf.missing = permit_bpf_missing(&permit);
	if (is_usable(&verdicts->agent))
		verdicts->perf.is_allowed =
			permit_perf(&permit, target, &verdicts->perf.err) != PERMIT_NO;
}

int record_source_pick(const struct record_options *options, const struct target *target,
		       const struct agent_plan *plan, const struct source_config *asked,
		       struct source_choice *ret_choice, struct err *err)
{
	struct source_wish wish = {
		.source = options->source,
		.events = asked->events,
		.event_count = asked->event_count,
		.heap = asked->heap,
		.is_heap_asked = asked->heap != HEAP_MODE_OFF && strcmp(options->heap, "auto"),
	};
	struct source_verdicts verdicts = {.perf = {.is_allowed = true}};
	bool is_auto = strcmp(options->source, "auto") == 0;
	int result;

	if (options->replay)
		return pick_replay(asked, &wish, ret_choice, err);
	if (is_auto || strcmp(options->source, "agent") == 0) {
		if (plan)
			record_agent_planned(plan, asked->frequency, &verdicts.agent);
		else
			record_agent_look(target, &verdicts.agent);
	}
	if (is_auto || strcmp(options->source, "bpf") == 0)
		ask_kernel(target, &verdicts);
	result = record_source_choose(&wish, &verdicts, ret_choice, err);
	agent_verdict_done(&verdicts.agent);
	return result;
}

/* ---- where it then does not open */

/* Of the events beside the agent, or of all. */
static void take_perf(struct source_choice *choice)
{
	if (choice->ops == &source_agent)
		choice->beside = &source_perf;
	else
		choice->ops = &source_perf;
}

static bool can_fall_back(const struct source_choice *choice, const struct err *why)
{
	bool is_bpf = choice->ops == &source_bpf || choice->beside == &source_bpf;

	if (choice->is_forced || (why->kind != ERR_PERMISSION && why->kind != ERR_GENERAL))
		return false;
	if (choice->has_asked_events && has_wait(choice->events, choice->event_count))
		return false;
	if (is_bpf)
		return choice->is_heap_by_agent || !choice->is_heap_asked;
	/* The agent's heap alone, where no events were asked for. */
	return choice->beside == &source_perf && choice->is_heap_by_agent &&
	       !choice->has_asked_events;
}

bool record_source_fall_back(struct source_choice *choice, const struct err *why)
{
	OWN(str_done) struct str sentence = {0};
	struct source_wish nothing = {.source = "auto"};

	if (!can_fall_back(choice, why))
		return false;
	record_source_add_sentence(&sentence, why->sentence);
	if (choice->beside == &source_perf) {
		add_reason(choice, "perf", str_text(&sentence));
		choice->beside = NULL;
	} else {
		choice->reason[0] = '\0';
		add_reason(choice, "bpf", str_text(&sentence));
		take_perf(choice);
	}
	/* What was asked for stays; of the default, what the next one has. */
	if (!choice->has_asked_events)
		take_events(choice, &nothing);
	explain_wait(choice);
	/* Where it is not wanted, that is the reason. */
	if (!choice->heap_reason[0] && !choice->is_heap_by_agent)
		explain_heap(choice, HEAP_MODE_EXACT);
	return true;
}
