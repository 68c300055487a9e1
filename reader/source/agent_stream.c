/* What comes through the agent's rings: samples of its timers where no other source has them,
 * threads that begin and end, and the events of a trace.
 *
 * The rings of a trace are read by a thread of their own: the pump's has other work, which may take
 * longer than a ring lasts. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "reader/source/agent_source.h"
#include "reader/util/clock.h"

enum {
	TID_MASK = (1 << 24) - 1,
	/* One sample stands for the time since the last one of its thread, in which signals may
	 * have been blocked: a minute at most is believed. */
	WEIGHT_SECONDS_MAX = 60,
	/* Of samples and threads that wait for the pump. */
	QUEUED_MAX = 1 << 16,
};
/* A ring of a trace lasts 30 ms at four million events a second. Where there were many, no nap. */
#define TRACER_NAP_NS (2 * NS_PER_MS)
#define TRACER_MANY 8192

struct agent_tracer {
	struct src_agent *agent;
	pthread_t thread;
	pthread_mutex_t lock; /* of the session's trace, rings and clock, and of what follows */
	atomic_bool is_over;
	VEC(struct rsprof_shm_event) queued;
	uint64_t handled;
	bool is_damaged;
};

static void tell_sample(struct src_agent *agent, const struct rsprof_shm_event *from,
			struct event *event)
{
	struct agent_session *session = agent->session;
	struct agent_stack stack;

	if (event->time_ns < agent->start_ns && !agent->config.start_on_exec)
		return;
	if (!from->value ||
	    from->value / WEIGHT_SECONDS_MAX > session->region->facts.cpu_frequency) {
		agent->bad_events++;
		return;
	}
	event->type = EVENT_SAMPLE;
	event->sample.event_index = agent->event_index;
	event->sample.value = 1;
	event->sample.status = STACK_NOT_WALKED;
	if (from->site >= RSPROF_SHM_SITE_FIRST &&
	    agent_stack_read(session->region, from->site, &stack) == 0) {
		event->sample.pcs = stack.pcs;
		event->sample.pc_count = stack.pc_count;
		event->sample.status = stack.status;
	} else if (from->site >= RSPROF_SHM_SITE_FIRST) {
		agent->bad_events++;
	}
	for (uint64_t i = 0; i < from->value; i++)
		agent->sink(agent->context, event);
}

/* Where another source is beside, it tells these. */
static void tell_event(struct src_agent *agent, const struct rsprof_shm_event *from)
{
	struct event event = {
		.time_ns = agent_clock_ns(&agent->session->clock, from->time),
		.pid = (uint32_t)agent->config.target->pid,
		.tid = agent_threads_tid(&agent->threads, from->tid_kind & TID_MASK),
	};

	switch (from->tid_kind >> 24) {
	case RSPROF_SHM_EVENT_SAMPLE:
		if (agent->has_event)
			tell_sample(agent, from, &event);
		break;
	case RSPROF_SHM_EVENT_THREAD_START:
		event.type = EVENT_FORK;
		event.fork.parent_pid = event.fork.parent_tid = event.pid;
		agent->sink(agent->context, &event);
		break;
	case RSPROF_SHM_EVENT_THREAD_END:
		event.type = EVENT_EXIT;
		agent->sink(agent->context, &event);
		break;
	default:
		break;
	}
}

static bool is_of_trace(const struct rsprof_shm_event *event)
{
	uint32_t kind = event->tid_kind >> 24;

	return kind == RSPROF_SHM_EVENT_ALLOC || kind == RSPROF_SHM_EVENT_FREE;
}

static void on_event(void *context, const struct rsprof_shm_event *event)
{
	struct src_agent *agent = context;

	if (is_of_trace(event))
		agent_trace_add(&agent->session->trace, event);
	else if (!agent->beside)
		tell_event(agent, event);
}

/* ---- the thread */

static void on_traced(void *context, const struct rsprof_shm_event *event)
{
	struct agent_tracer *tracer = context;

	tracer->handled++;
	if (is_of_trace(event))
		agent_trace_add(&tracer->agent->session->trace, event);
	else if (!tracer->agent->beside && tracer->queued.count < QUEUED_MAX)
		*vec_add(&tracer->queued) = *event;
}

static void *run_tracer(void *argument)
{
	struct agent_tracer *tracer = argument;
	struct agent_session *session = tracer->agent->session;
	const struct timespec nap = {.tv_nsec = TRACER_NAP_NS};
	uint64_t before = 0;

	/* acquire pairs with the release in join_tracer. */
	while (!atomic_load_explicit(&tracer->is_over, memory_order_acquire)) {
		pthread_mutex_lock(&tracer->lock);
		tracer->is_damaged |=
			agent_rings_drain(session->rings, session->region, &session->clock, false,
					  on_traced, tracer) < 0;
		pthread_mutex_unlock(&tracer->lock);
		if (tracer->handled - before < TRACER_MANY)
			nanosleep(&nap, NULL);
		before = tracer->handled;
	}
	return NULL;
}

/* Where there can be no thread, the pump's does. */
static void start_tracer(struct src_agent *agent)
{
	struct agent_tracer *tracer = mem_zalloc(sizeof(*tracer));

	tracer->agent = agent;
	pthread_mutex_init(&tracer->lock, NULL);
	agent->session->tracer = tracer;
	if (pthread_create(&tracer->thread, NULL, run_tracer, tracer) == 0)
		return;
	agent->session->tracer = NULL;
	pthread_mutex_destroy(&tracer->lock);
	free(tracer);
}

static void join_tracer(struct agent_tracer *tracer)
{
	if (!atomic_exchange_explicit(&tracer->is_over, true, memory_order_release))
		pthread_join(tracer->thread, NULL);
}

void agent_stream_stop(struct agent_session *session)
{
	struct agent_tracer *tracer = session->tracer;

	if (!tracer)
		return;
	join_tracer(tracer);
	session->tracer = NULL;
	pthread_mutex_destroy(&tracer->lock);
	vec_done(&tracer->queued);
	free(tracer);
}

void agent_stream_lock(struct agent_session *session)
{
	if (session->tracer)
		pthread_mutex_lock(&session->tracer->lock);
}

void agent_stream_unlock(struct agent_session *session)
{
	if (session->tracer)
		pthread_mutex_unlock(&session->tracer->lock);
}

static void take_queued(struct src_agent *agent)
{
	struct agent_tracer *tracer = agent->session->tracer;

	if (!tracer)
		return;
	for (size_t i = 0; i < tracer->queued.count; i++)
		tell_event(agent, &tracer->queued.items[i]);
	vec_clear(&tracer->queued);
	agent->is_damaged |= tracer->is_damaged;
}

void agent_stream_drain(struct src_agent *agent, bool is_last)
{
	struct agent_session *session = agent->session;

	if (!session->rings)
		return;
	if (session->tracer && is_last)
		join_tracer(session->tracer);
	agent_stream_lock(session);
	agent_clock_look(&session->clock);
	take_queued(agent);
	agent_stream_unlock(session);
	if (session->tracer && !is_last)
		return;
	if (agent_rings_drain(session->rings, session->region, &session->clock, is_last, on_event,
			      agent) < 0)
		agent->is_damaged = true;
}

static bool is_trace(const struct src_agent *agent)
{
	return agent->session->region->facts.heap == HEAP_MODE_TRACE &&
	       agent->config.heap != HEAP_MODE_OFF;
}

void agent_stream_start(struct src_agent *agent)
{
	struct agent_session *session = agent->session;
	bool is_traced = is_trace(agent);
	uint32_t first_site;

	if (agent->beside && !is_traced)
		return;
	agent_clock_start(&session->clock, session->region->header.clock == RSPROF_SHM_CLOCK_TSC);
	session->rings = agent_rings_new();
	agent_rings_start(session->rings, session->region, is_traced, agent->config.heap_wait_us);
	first_site = session->region->header.first_site;
	if (first_site < RSPROF_SHM_SITE_FIRST)
		first_site = RSPROF_SHM_SITE_FIRST;
	agent_trace_start(&session->trace, first_site,
			  is_traced ? session->region->layout.sites : 0);
	agent->is_whole = is_traced && agent_rings_is_whole(session->rings) &&
			  !session->was_dormant && agent->sessions == 1;
	if (is_traced)
		start_tracer(agent);
}
