#include "reader/target/offer.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stddef.h>

#include "reader/target/proc.h"
#include "reader/util/own.h"

static const char NOT_YET[] = "not in this version";

const char *const offer_signal_names[OFFER_SIGNALS] = {"cpu", "wait", "heap"};

static const char *bpf_here(const struct permit *permit)
{
	bool is_admin = permit_has(permit, CAP_SYS_ADMIN);

	if (!permit->has_btf)
		return "no BTF in this kernel";
	if (!is_admin && !permit_has(permit, CAP_BPF))
		return "needs CAP_BPF";
	if (!is_admin && !permit_has(permit, CAP_PERFMON))
		return "needs CAP_PERFMON";
	return "allowed";
}

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

void offers_list(const struct permit *permit, const struct target *target, enum permit_answer perf,
		 enum offer_agent agent, struct offer offers[OFFER_SOURCES])
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
	};

	for (int i = 0; i < OFFER_SOURCES; i++) {
		offers[i] = (struct offer){0};
		for (int j = 0; j < OFFER_SIGNALS; j++)
			offers[i].signals[j].text = NOT_YET;
	}
	offers[OFFER_AGENT].source = "agent";
	offers[OFFER_AGENT].signals[OFFER_WAIT].text = "never"; /* the agent sees no waiting */
	offers[OFFER_AGENT].here = target ? agent_here[agent] : "depends on the target";
	offers[OFFER_BPF].source = "bpf";
	offers[OFFER_BPF].here = bpf_here(permit);
	offers[OFFER_PERF].source = "perf";
	offers[OFFER_PERF].signals[OFFER_CPU].text = perf_cpu[perf];
	offers[OFFER_PERF].signals[OFFER_CPU].is_taken = perf != PERMIT_NO;
	offers[OFFER_PERF].here = perf_here[perf];
	offers[OFFER_PTRACE].source = "ptrace";
	offers[OFFER_PTRACE].here = ptrace_here(permit, target);
}
