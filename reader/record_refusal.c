#include "reader/record_refusal.h"

#include <errno.h>

#include "reader/util/own.h"

void record_add_missing(struct str *to, const struct source_verdict *verdict)
{
	if (verdict->missing)
		str_add(to, verdict->missing);
	else
		record_source_add_sentence(to, verdict->err.sentence);
}

int record_refuse_unknown(const char *source, struct err *err)
{
	err_set(err, ERR_PERMISSION, -EOPNOTSUPP, "This version of rsprof has no source \"%s\".",
		source);
	err_remedy(err, "Use --source agent, bpf or perf, or leave the option out.");
	return -EOPNOTSUPP;
}

int record_refuse_wait(const char *source, const char *why, struct err *err)
{
	err_set(err, ERR_PERMISSION, -EOPNOTSUPP,
		"The event wait-time needs the source bpf: %s %s no waiting.", source, why);
	err_remedy(err, "Use --source bpf, or leave wait-time out of --event.");
	return -EOPNOTSUPP;
}

int record_refuse_heap_by_perf(struct err *err)
{
	err_set(err, ERR_PERMISSION, -EOPNOTSUPP,
		"Counting the heap needs the agent or the source bpf: perf counts no allocations.");
	err_remedy(err, "Use --source bpf, or leave --heap out.");
	return -EOPNOTSUPP;
}

int record_refuse_trace(const struct source_choice *choice, struct err *err)
{
	err_set(err, ERR_PERMISSION, -EOPNOTSUPP, "Tracing every allocation needs the agent: %s.",
		*choice->agent_reason ? choice->agent_reason : "another source was asked for");
	err_remedy(err, "Start the program under it: rsprof run --heap trace -- CMD; or count them "
			"all instead: --heap exact");
	return -EOPNOTSUPP;
}

/* what: "The event wait-time needs". */
int record_refuse_without_bpf(const char *what, const char *agent, const struct source_verdict *bpf,
			      struct err *err)
{
	OWN(str_done) struct str missing = {0};

	record_add_missing(&missing, bpf);
	if (*agent)
		err_set(err, ERR_PERMISSION, -EPERM,
			"%s the agent or the source bpf, and neither can be used: %s; bpf: %s.",
			what, agent, str_text(&missing));
	else
		err_set(err, ERR_PERMISSION, -EPERM, "%s the source bpf, which cannot be used: %s.",
			what, str_text(&missing));
	err_remedy(err, "%s", bpf->err.remedy);
	return -EPERM;
}

/* What was asked for by name and cannot be had is a refusal, whatever the reason; a target that is
 * gone or a wrong option is what it is. */
int record_refuse_bpf(const struct source_verdict *bpf, struct err *err)
{
	*err = bpf->err;
	if (err->kind != ERR_USAGE && err->kind != ERR_NOT_FOUND)
		err->kind = ERR_PERMISSION;
	return -EPERM;
}

int record_refuse_agent(const struct agent_verdict *agent, struct err *err)
{
	if (agent->presence == AGENT_REFUSED) {
		*err = agent->err;
		return -EPERM;
	}
	err_set(err, ERR_PERMISSION, -EPERM, "The source agent cannot be used: %s.",
		str_text(&agent->missing));
	err_remedy(err, agent->pid
				? "Start the program under it: rsprof run -- CMD; or put it into "
				  "this process: --inject"
				: "Leave --source out to record the command without it.");
	return -EPERM;
}

int record_refuse_timers(struct err *err)
{
	err_set(err, ERR_PERMISSION, -EOPNOTSUPP,
		"The agent's timers are off, and so are the events that were asked for.");
	err_remedy(err, "Leave --source out, or start the program with RSPROF_CPU_FREQ=99.");
	return -EOPNOTSUPP;
}

int record_refuse_agent_events(struct err *err)
{
	err_set(err, ERR_PERMISSION, -EOPNOTSUPP,
		"The agent samples CPU time (cpu-clock), and no other event.");
	err_remedy(err, "Leave --source out, or use --event cpu-clock.");
	return -EOPNOTSUPP;
}

int record_refuse_agent_heap(const struct agent_verdict *agent, struct err *err)
{
	err_set(err, ERR_PERMISSION, -EOPNOTSUPP, "The agent cannot count the heap: %s.",
		str_text(&agent->missing));
	err_remedy(err, "Leave --source or --heap out.");
	return -EOPNOTSUPP;
}
