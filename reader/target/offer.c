#include "reader/target/offer.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>

#include "reader/target/proc.h"
#include "reader/util/own.h"

static const char NOT_YET[] = "not in this version";
static const char TOTALS[] = "totals only";

const char *const offer_signal_names[OFFER_SIGNALS] = {"cpu", "wait", "heap"};

/* The kernel's own verdict: mem opens for who may attach. */
static const char *ptrace_here(const struct permit *permit, const struct target *target)
{
	OWN(own_close) int fd = -1;

	if (!target)
		return permit->ptrace_scope >= 3 ? "ptrace_scope forbids it"
						 : "depends on the target";
	fd = process_open(target, "mem", O_RDONLY);
	if (fd >= 0)
		return "allowed";
	if (permit->ptrace_scope >= 1 && target->uid == permit->uid)
		return "ptrace_scope forbids it";
	return "needs CAP_SYS_PTRACE";
}

static void fill(struct offer *offer, enum offer_signal signal, const char *text, bool is_taken)
{
	snprintf(offer->signals[signal].text, sizeof(offer->signals[signal].text), "%s", text);
	offer->signals[signal].is_taken = is_taken;
}

static void offer_bpf(const struct offer_answers *answers, struct offer *offer)
{
	char text[OFFER_TEXT_MAX] = "no";

	offer->here = answers->is_bpf_allowed ? "allowed" : "refused";
	if (answers->is_bpf_allowed)
		snprintf(text, sizeof(text), "yes");
	else if (answers->bpf_missing)
		snprintf(text, sizeof(text), "no: %s", answers->bpf_missing);
	fill(offer, OFFER_CPU, text, answers->is_bpf_allowed);
	fill(offer, OFFER_WAIT, answers->is_bpf_allowed ? "yes" : "no", answers->is_bpf_allowed);
	if (answers->is_bpf_allowed)
		fill(offer, OFFER_HEAP, answers->heap == OFFER_HEAP_NONE ? TOTALS : "yes", true);
	else
		fill(offer, OFFER_HEAP, "no", false);
}

/* It sees no waiting. Without a target nothing is known of it, and a command that is started gets
 * it. */
static void offer_agent(const struct offer_answers *answers, const struct target *target,
			struct offer *offer)
{
	bool is_loaded = answers->agent == OFFER_AGENT_LOADED;
	bool needs_timers = !answers->is_bpf_allowed && answers->perf == PERMIT_NO;

	fill(offer, OFFER_WAIT, "never", false);
	if (!target) {
		fill(offer, OFFER_CPU, "with rsprof run", false);
		fill(offer, OFFER_HEAP, "with rsprof run", false);
		return;
	}
	fill(offer, OFFER_CPU,
	     !is_loaded			 ? "no"
	     : answers->has_agent_timers ? "yes"
					 : "no timers",
	     is_loaded && answers->has_agent_timers && needs_timers);
	fill(offer, OFFER_HEAP, is_loaded && answers->agent_heap ? answers->agent_heap : "no",
	     is_loaded && answers->agent_heap);
}

void offers_list(const struct permit *permit, const struct target *target,
		 const struct offer_answers *answers, struct offer offers[OFFER_SOURCES])
{
	static const char *const perf_cpu[] = {
		[PERMIT_YES] = "yes",
		[PERMIT_USER_ONLY] = "yes, user time only",
		[PERMIT_NO] = "no",
	};
	static const char *const perf_here[] = {
		[PERMIT_YES] = "allowed",
		[PERMIT_USER_ONLY] = "user time allowed",
		[PERMIT_NO] = "refused",
	};
	static const char *const agent_here[] = {
		[OFFER_AGENT_UNKNOWN] = "not known",
		[OFFER_AGENT_ABSENT] = "not loaded",
		[OFFER_AGENT_LOADED] = "loaded",
		[OFFER_AGENT_UNUSABLE] = "cannot be used",
	};

	for (int i = 0; i < OFFER_SOURCES; i++) {
		offers[i] = (struct offer){0};
		for (int j = 0; j < OFFER_SIGNALS; j++)
			fill(&offers[i], j, NOT_YET, false);
	}
	offers[OFFER_AGENT].source = "agent";
	offer_agent(answers, target, &offers[OFFER_AGENT]);
	offers[OFFER_AGENT].here = target ? agent_here[answers->agent] : "depends on the target";
	offers[OFFER_BPF].source = "bpf";
	offer_bpf(answers, &offers[OFFER_BPF]);
	offers[OFFER_PERF].source = "perf";
	fill(&offers[OFFER_PERF], OFFER_CPU, perf_cpu[answers->perf],
	     answers->perf != PERMIT_NO && !answers->is_bpf_allowed);
	fill(&offers[OFFER_PERF], OFFER_HEAP, TOTALS,
	     offers[OFFER_PERF].signals[OFFER_CPU].is_taken);
	offers[OFFER_PERF].here = perf_here[answers->perf];
	if (offers[OFFER_AGENT].signals[OFFER_HEAP].is_taken)
		offers[OFFER_BPF].signals[OFFER_HEAP].is_taken =
			offers[OFFER_PERF].signals[OFFER_HEAP].is_taken = false;
	offers[OFFER_PTRACE].source = "ptrace";
	fill(&offers[OFFER_PTRACE], OFFER_HEAP, TOTALS, false);
	offers[OFFER_PTRACE].here = ptrace_here(permit, target);
}
