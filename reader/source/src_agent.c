/* The agent source: the heap is counted inside the target, by the agent that was loaded or linked
 * into it, and read here out of the memory that it shares. CPU samples and waits come from a source
 * beside, or, where there is none, from the agent's own timers. Here the parts are joined to the
 * ops of a source:
 *
 *     agent_find.c, agent_region.c, agent_layout.c   the memory: found, opened, believed
 *     agent_watch.c            which process image's it is; dormant agents; exec
 *     agent_look.c             each second: counters, losses, state
 *     agent_counts.c           counters become differences
 *     agent_stacks.c           stacks and modules
 *     agent_stream.c           samples, threads, traces, out of
 *     agent_rings.c            the rings, merged by time, and
 *     agent_clock.c            what their times mean
 *     agent_threads.c          names of threads, where no kernel tells them
 *
 * The target may be anybody's: nothing that its memory says is used before it was copied and
 * checked, and all that is written there is a lease, which says that somebody reads, and how far a
 * trace was read. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "reader/source/agent_source.h"
#include "reader/util/clock.h"

enum {
	/* A ring of a trace holds 30 ms at four million events a second. */
	TRACE_WAIT_MS = 5,
	/* While a program begins. */
	SEEK_WAIT_MS = 10,
};

static const struct source_ops ops_alone;

static struct src_agent *src_agent_of(struct source *source)
{
	return (struct src_agent *)source;
}

/* ---- what the parts say */

enum heap_mode agent_mode(const struct src_agent *agent)
{
	if (!agent->session)
		return agent->told_missing ? HEAP_MODE_OFF : agent->config.heap;
	if (agent->config.heap == HEAP_MODE_OFF ||
	    agent_region_refusal(&agent->session->region->facts))
		return HEAP_MODE_OFF;
	return agent->session->region->facts.heap;
}

void agent_add_step(struct src_agent *agent, enum heap_mode mode, const char *reason)
{
	const char *name = heap_mode_names[mode];

	if (mode != HEAP_MODE_OFF)
		name = arena_printf(&agent->arena, "%s, %s", source_agent.name, name);
	*vec_add(&agent->steps) = (struct delta_step){
		.time_ns = clock_now_ns(),
		.signal = "heap",
		.mode = name,
		.reason = arena_strdup(&agent->arena, reason),
	};
}

void agent_tell_lost(struct src_agent *agent, enum loss_cause cause, uint64_t count)
{
	uint32_t pid = (uint32_t)agent->config.target->pid;
	struct event event = {
		.time_ns = clock_now_ns(),
		.type = EVENT_LOST,
		.pid = pid,
		.tid = pid,
		.lost = {.count = count, .cause = cause},
	};

	if (count)
		agent->sink(agent->context, &event);
}

/* ---- opening */

static void src_agent_close(struct source *source)
{
	struct src_agent *agent = src_agent_of(source);

	if (!agent)
		return;
	agent_watch_close(agent);
	if (agent->beside)
		agent->beside->ops->close(agent->beside);
	agent_threads_done(&agent->threads);
	vec_done(&agent->execs);
	vec_done(&agent->steps);
	arena_done(&agent->arena);
	free(agent);
}

/* The agent's timers sample CPU time and nothing else. */
static int check_events(struct src_agent *agent, struct err *err)
{
	const struct source_config *config = &agent->config;

	for (size_t i = 0; i < config->event_count; i++) {
		if (config->events[i]->unit != EVENT_UNIT_SAMPLES)
			return err_set(err, ERR_USAGE, -EOPNOTSUPP,
				       "The agent cannot record the event %s.",
				       config->events[i]->name);
		if (!agent->has_event)
			agent->event_index = (uint32_t)i;
		agent->has_event = true;
	}
	return 0;
}

static int open_beside(struct src_agent *agent, struct err *err)
{
	struct source_config config = agent->config;

	config.heap = HEAP_MODE_OFF;
	config.beside = NULL;
	config.agent_fd_count = 0;
	return agent->config.beside->open(&config, &agent->beside, err);
}

static int src_agent_open(const struct source_config *config, struct source **ret_source,
			  struct err *err)
{
	struct src_agent *agent = mem_zalloc(sizeof(*agent));
	int ret;

	agent->config = *config;
	agent->threads.target = config->target;
	ret = config->beside ? 0 : check_events(agent, err);
	/* The agent first: without it nothing beside is worth opening. */
	if (ret == 0)
		ret = agent_watch_open(agent, err);
	if (ret == 0 && config->beside)
		ret = open_beside(agent, err);
	if (ret < 0) {
		src_agent_close(&agent->base);
		return ret;
	}
	/* A source that walks no stacks has no ops for code. */
	agent->base.ops =
		agent->beside && agent->beside->ops->set_code ? &source_agent : &ops_alone;
	*ret_source = &agent->base;
	return 0;
}

/* ---- beginning and end */

static int src_agent_start(struct source *source, struct err *err)
{
	struct src_agent *agent = src_agent_of(source);

	agent->start_ns = clock_now_ns();
	return agent->beside ? agent->beside->ops->start(agent->beside, err) : 0;
}

static void src_agent_stop(struct source *source)
{
	struct src_agent *agent = src_agent_of(source);

	if (agent->beside && !agent->is_stopped)
		agent->beside->ops->stop(agent->beside);
	agent->is_stopped = true;
}

/* ---- code, of the source beside */

static uint64_t src_agent_code_epoch(struct source *source)
{
	struct source *beside = src_agent_of(source)->beside;

	return beside->ops->code_epoch(beside);
}

static void src_agent_set_code(struct source *source, uint64_t epoch,
			       const struct source_code *code, size_t count,
			       const struct unwind_rules *rules)
{
	struct source *beside = src_agent_of(source)->beside;

	beside->ops->set_code(beside, epoch, code, count, rules);
}

/* ---- draining */

static void on_beside(void *context, const struct event *event)
{
	struct src_agent *agent = context;

	if (event->type == EVENT_COMM && event->comm.is_exec &&
	    event->pid == (uint32_t)agent->config.target->pid)
		agent_watch_exec(agent, event->time_ns);
	agent->sink(agent->context, event);
}

static int src_agent_drain(struct source *source, source_sink sink, void *context)
{
	struct src_agent *agent = src_agent_of(source);
	bool is_last = agent->is_stopped && !agent->told_end;
	int ret = 0;

	agent->sink = sink;
	agent->context = context;
	if (agent->beside)
		ret = agent->beside->ops->drain(agent->beside, on_beside, agent);
	if (agent->told_end)
		return ret;
	agent_watch(agent, is_last);
	if (agent->session && !agent->is_damaged)
		agent_stream_drain(agent, is_last);
	agent_look(agent, is_last);
	agent->told_end = is_last;
	return ret;
}

static int wait_ms(const struct src_agent *agent, int timeout_ms)
{
	uint64_t now = clock_now_ns(), rest_ms = 0;
	int most = timeout_ms;

	if (agent->next_look_ns > now)
		rest_ms = (agent->next_look_ns - now + NS_PER_MS - 1) / NS_PER_MS;
	if (agent->session && agent->next_look_ns && rest_ms < INT32_MAX &&
	    (most < 0 || (int)rest_ms < most))
		most = (int)rest_ms;
	if (agent->session && agent->session->rings &&
	    agent->session->region->facts.heap == HEAP_MODE_TRACE &&
	    (most < 0 || most > TRACE_WAIT_MS))
		most = TRACE_WAIT_MS;
	if (!agent->session && !agent->told_missing && (most < 0 || most > SEEK_WAIT_MS))
		most = SEEK_WAIT_MS;
	return most;
}

static void src_agent_wait(struct source *source, int wake_fd, int timeout_ms)
{
	struct src_agent *agent = src_agent_of(source);
	struct pollfd wake = {.fd = wake_fd, .events = POLLIN};

	timeout_ms = wait_ms(agent, timeout_ms);
	if (agent->beside)
		agent->beside->ops->wait(agent->beside, wake_fd, timeout_ms);
	else
		poll(&wake, 1, timeout_ms);
}

/* ---- the rest */

static bool src_agent_next_step(struct source *source, struct delta_step *ret_step)
{
	struct src_agent *agent = src_agent_of(source);
	struct source *beside = agent->beside;

	if (agent->steps_told == agent->steps.count)
		return beside && beside->ops->next_step && beside->ops->next_step(beside, ret_step);
	*ret_step = agent->steps.items[agent->steps_told++];
	return true;
}

static const char *heap_reason(const struct src_agent *agent, struct arena *arena)
{
	const struct agent_region_facts *facts;
	const char *refusal;

	if (!agent->session)
		return "the agent is loaded when the program begins";
	facts = &agent->session->region->facts;
	refusal = agent_region_refusal(facts);
	if (refusal)
		return refusal;
	return arena_printf(arena, "the agent in it counts malloc%s%s%s",
			    facts->allocator[0] ? " of " : "", facts->allocator,
			    facts->state == RSPROF_SHM_DORMANT ? ", once it has woken" : "");
}

static void src_agent_describe(const struct source *source, struct arena *arena,
			       struct source_facts *ret_facts)
{
	const struct src_agent *agent = (const struct src_agent *)source;

	*ret_facts = (struct source_facts){.name = "agent", .stacks = "unwind tables"};
	if (agent->beside)
		agent->beside->ops->describe(agent->beside, arena, ret_facts);
	ret_facts->heap = agent_mode(agent);
	ret_facts->heap_name = "agent";
	ret_facts->heap_reason =
		agent->config.heap == HEAP_MODE_OFF ? NULL : heap_reason(agent, arena);
}

const struct source_ops source_agent = {
	.name = "agent",
	.open = src_agent_open,
	.start = src_agent_start,
	.drain = src_agent_drain,
	.wait = src_agent_wait,
	.code_epoch = src_agent_code_epoch,
	.set_code = src_agent_set_code,
	.next_step = src_agent_next_step,
	.stop = src_agent_stop,
	.describe = src_agent_describe,
	.close = src_agent_close,
};

static const struct source_ops ops_alone = {
	.name = "agent",
	.open = src_agent_open,
	.start = src_agent_start,
	.drain = src_agent_drain,
	.wait = src_agent_wait,
	.next_step = src_agent_next_step,
	.stop = src_agent_stop,
	.describe = src_agent_describe,
	.close = src_agent_close,
};
