/* Looks at an agent's counters: about one a second and one at the end. */
#include <errno.h>

#include "reader/source/agent_source.h"
#include "reader/source/heap_look.h"
#include "reader/source/mapping_event.h"
#include "reader/util/clock.h"

static const enum loss_cause causes[RSPROF_SHM_LOST_CAUSES] = {
	[RSPROF_SHM_LOST_SITES] = LOSS_HEAP_STACKS_FULL,
	[RSPROF_SHM_LOST_BLOCKS] = LOSS_HEAP_BLOCKS_FULL,
	[RSPROF_SHM_LOST_MODULES] = LOSS_MODULES_FULL,
	[RSPROF_SHM_LOST_TIMERS] = LOSS_TIMERS_MISSING,
	[RSPROF_SHM_LOST_SAMPLES] = LOSS_TIMER_SAMPLES,
	[RSPROF_SHM_LOST_REENTRIES] = LOSS_HEAP_CALLS_MISSED,
};

static bool is_counted(const struct src_agent *agent)
{
	return agent->config.heap != HEAP_MODE_OFF &&
	       agent->session->region->facts.heap != HEAP_MODE_OFF;
}

/* ---- losses */

/* A counter that went back says nothing, until it is beyond what was told. */
static uint64_t grown(struct src_agent *agent, uint64_t now, uint64_t *told)
{
	uint64_t more = now > *told ? now - *told : 0;

	if (now < *told)
		agent->bad_events++;
	*told = now;
	return more;
}

static void tell_stream_losses(struct src_agent *agent, struct agent_session *session)
{
	const struct agent_rings_lost *lost;
	uint64_t missed, dropped;
	bool is_traced = session->region->facts.heap == HEAP_MODE_TRACE;

	if (!session->rings)
		return;
	lost = agent_rings_lost(session->rings);
	missed = grown(agent, lost->missed, &session->missed);
	dropped = grown(agent, lost->dropped, &session->dropped);
	agent_tell_lost(agent, is_traced ? LOSS_HEAP_TRACE : LOSS_RING_FULL, missed + dropped);
}

static void tell_losses(struct src_agent *agent, struct agent_session *session)
{
	const struct rsprof_shm_header *header = &session->region->header;
	uint64_t bad;

	for (int i = 0; i < RSPROF_SHM_LOST_CAUSES; i++)
		agent_tell_lost(agent, causes[i], grown(agent, header->lost[i], &session->lost[i]));
	tell_stream_losses(agent, session);
	bad = session->counts.bad + session->modules.bad + session->trace.bad;
	if (session->rings)
		bad += agent_rings_lost(session->rings)->bad;
	agent->bad_events += bad - session->bad;
	session->bad = bad;
	agent_tell_lost(agent, LOSS_BAD_RECORD,
			agent->bad_events + agent->bad_stacks - agent->bad_told);
	agent->bad_told = agent->bad_events + agent->bad_stacks;
}

/* ---- stacks and mappings */

static void tell_stack_event(struct src_agent *agent, uint32_t site,
			     const struct agent_stack *stack)
{
	uint32_t pid = (uint32_t)agent->config.target->pid;
	struct event event = {
		.time_ns = agent->look_ns, .type = EVENT_HEAP_STACK, .pid = pid, .tid = pid};

	event.heap_stack.site = agent->session->first_key + site;
	event.heap_stack.pcs = stack->pcs;
	event.heap_stack.pc_count = stack->pc_count;
	event.heap_stack.status = stack->status;
	agent->sink(agent->context, &event);
}

static bool tell_stack(void *context, uint32_t site)
{
	struct src_agent *agent = context;
	struct agent_session *session = agent->session;
	struct agent_stack stack;
	int ret = agent_stack_read(session->region, site, &stack);
	bool is_old;

	if (ret == -ENOENT)
		return false;
	/* Counted under no stack. */
	if (ret < 0) {
		agent->bad_stacks++;
		return true;
	}
	is_old = agent_modules_tell_old(&session->modules, &stack, agent->look_ns, agent->sink,
					agent->context);
	tell_stack_event(agent, site, &stack);
	if (is_old)
		agent_modules_restore(&session->modules, &stack, agent->look_ns, agent->sink,
				      agent->context);
	return true;
}

static void tell_mapping(struct src_agent *agent, const struct target_mapping *mapping)
{
	struct event event = mapping_event(agent->config.target, mapping, agent->look_ns);

	agent->sink(agent->context, &event);
}

/* Where nobody beside tells what is mapped. The agent's own list serves a process that has ended.
 */
static void tell_mappings(struct src_agent *agent)
{
	target_mappings mappings = {0};
	bool is_any = false;

	if (target_list_mappings(agent->config.target, &mappings) == 0) {
		for (size_t i = 0; i < mappings.count; i++) {
			if (!mappings.items[i].is_executable)
				continue;
			tell_mapping(agent, &mappings.items[i]);
			is_any = true;
		}
	}
	target_mappings_done(&mappings);
	if (!is_any)
		agent_modules_tell(&agent->session->modules, agent->look_ns, agent->sink,
				   agent->context);
}

static void look_at_modules(struct src_agent *agent)
{
	if (agent_modules_read(&agent->session->modules, agent->session->region) && !agent->beside)
		tell_mappings(agent);
}

/* ---- state */

static void look_at_unknown(struct agent_session *session)
{
	uint64_t now = agent_region_unknown_frees(session->region);

	if (now >= session->unknown_before &&
	    now - session->unknown_before > session->unknown_frees)
		session->unknown_frees = now - session->unknown_before;
}

/* A trace without a gap since the program began. */
static void check_whole(struct src_agent *agent)
{
	const struct agent_session *session = agent->session;
	const struct agent_rings_lost *lost;

	if (!agent->is_whole)
		return;
	lost = agent_rings_lost(session->rings);
	agent->is_whole = !lost->missed && !lost->dropped && !lost->bad && !session->trace.bad;
}

static void tell_state(struct src_agent *agent)
{
	struct agent_session *session = agent->session;
	uint32_t pid = (uint32_t)agent->config.target->pid;
	struct event event = {
		.time_ns = agent->look_ns, .type = EVENT_HEAP_STATE, .pid = pid, .tid = pid};
	struct heap_state *state = &event.heap_state;

	state->is_counted = true;
	state->unknown_frees =
		agent->unknown_frees + session->unknown_frees + session->counts.inherited_frees;
	state->hits = agent->calls + session->counts.calls + session->unknown_frees;
	state->is_peak_exact = agent->is_whole;
	if (agent->is_whole) {
		state->peak_bytes = session->trace.peak_bytes;
		state->peak_ns = agent_clock_ns(&session->clock, session->trace.peak_ticks);
	}
	agent->sink(agent->context, &event);
	agent->was_counted = true;
}

static bool tell_peak(void *context, uint32_t site, uint64_t peak_bytes)
{
	struct src_agent *agent = context;
	struct agent_session *session = agent->session;
	uint32_t pid = (uint32_t)agent->config.target->pid;
	struct event event = {
		.time_ns = agent->look_ns, .type = EVENT_HEAP_COUNTS, .pid = pid, .tid = pid};

	if (!agent_counts_is_told(&session->counts, site))
		return false;
	event.heap_counts.site = session->first_key + site;
	event.heap_counts.peak_bytes = peak_bytes;
	agent->sink(agent->context, &event);
	return true;
}

static const char *state_reason(const struct agent_region_facts *facts)
{
	const char *refusal = agent_region_refusal(facts);

	if (refusal)
		return refusal;
	switch (facts->state) {
	case RSPROF_SHM_PAUSED:
		return "The program has paused the agent.";
	case RSPROF_SHM_DORMANT:
		return "The agent sleeps until it next sees that somebody reads.";
	default:
		return "The agent counts.";
	}
}

/* What its counters hold is of this recording. Where it never could count they say nothing. */
static bool has_counted(const struct agent_session *session, const struct agent_region_facts *facts)
{
	if (facts->state == RSPROF_SHM_ON)
		return true;
	if (facts->state == RSPROF_SHM_OFF && facts->reason != RSPROF_SHM_STOPPED &&
	    facts->reason != RSPROF_SHM_CONFINED)
		return false;
	return !session->was_dormant && facts->state != RSPROF_SHM_STARTING;
}

static void look_at_state(struct src_agent *agent)
{
	struct agent_session *session = agent->session;
	const struct agent_region_facts *facts = &session->region->facts;

	session->was_on |= has_counted(session, facts);
	if (facts->state == session->state || facts->state == RSPROF_SHM_STARTING)
		return;
	if (is_counted(agent))
		agent_add_step(agent, facts->state == RSPROF_SHM_ON ? facts->heap : HEAP_MODE_OFF,
			       state_reason(facts));
	session->state = facts->state;
}

/* An agent that slept has begun anew: it does not know the blocks of before. */
static void look_at_first_site(struct src_agent *agent)
{
	struct agent_session *session = agent->session;
	uint32_t first = session->region->header.first_site;

	if (first < RSPROF_SHM_SITE_FIRST)
		first = RSPROF_SHM_SITE_FIRST;
	if (first > session->region->layout.sites)
		first = session->region->layout.sites;
	if (first <= session->counts.first_site)
		return;
	if (session->counts.has_read)
		agent_counts_write_off(&session->counts, first, agent->look_ns, agent->sink,
				       agent->context);
	agent_counts_set_first(&session->counts, first);
	if (session->trace.first_site && session->trace.first_site != first)
		agent->is_whole = false;
}

static void stop_damaged(struct src_agent *agent)
{
	agent->is_damaged = true;
	agent->bad_events++;
	agent_add_step(agent, HEAP_MODE_OFF,
		       "The agent's memory is no longer what it was: nothing more is read of it.");
}

static void look_at_heap(struct src_agent *agent, bool is_last)
{
	struct agent_session *session = agent->session;

	look_at_first_site(agent);
	if (agent_counts_read(&session->counts, session->region, clock_now_ns()) < 0)
		stop_damaged(agent);
	/* After the counters: what is in them has its stack and its mappings told by now. */
	if (agent_region_refresh(session->region) == 0)
		look_at_modules(agent);
	agent_counts_tell(&session->counts, agent->look_ns, is_last, tell_stack, agent, agent->sink,
			  agent->context);
	look_at_unknown(session);
	agent_stream_lock(session);
	check_whole(agent);
	if (agent->is_whole)
		agent_trace_tell(&session->trace, tell_peak, agent);
	tell_state(agent);
	agent_stream_unlock(session);
}

static void look(struct src_agent *agent, uint64_t time_ns, bool is_last)
{
	struct agent_session *session = agent->session;

	agent->look_ns = time_ns;
	if (agent_region_refresh(session->region) < 0) {
		stop_damaged(agent);
		return;
	}
	look_at_state(agent);
	look_at_modules(agent);
	if (!agent->beside)
		agent_threads_look(&agent->threads, time_ns, agent->sink, agent->context);
	if (is_counted(agent) && session->was_on)
		look_at_heap(agent, is_last);
	agent_stream_lock(session);
	tell_losses(agent, session);
	agent_stream_unlock(session);
}

void agent_look(struct src_agent *agent, bool is_last)
{
	uint64_t now = clock_now_ns();

	if (!is_last && now < agent->next_look_ns)
		return;
	agent->next_look_ns = heap_look_next_ns(agent->start_ns, now);
	if (agent->session && !agent->is_damaged)
		look(agent, now, is_last);
}

void agent_look_end(struct src_agent *agent, uint64_t time_ns)
{
	struct agent_session *session = agent->session;

	if (!agent->is_damaged)
		look(agent, time_ns, true);
	if (is_counted(agent) && session->was_on)
		agent_counts_write_off(&session->counts, UINT32_MAX, agent->look_ns, agent->sink,
				       agent->context);
	agent->unknown_frees += session->unknown_frees + session->counts.inherited_frees;
	agent->calls += session->counts.calls + session->unknown_frees;
	agent->is_whole = false;
}
