/* Which memory is read: the one that a child was given, the one that a process has, another after
 * an exec, none. */
#include <errno.h>
#include <time.h>

#include "reader/source/agent_source.h"
#include "reader/util/clock.h"

/* A lease is given for so long, and renewed each second: a reader that dies is soon none. */
#define LEASE_NS (10 * NS_PER_S)
#define RENEW_NS NS_PER_S
/* A dormant agent wakes with the program's next allocation. */
#define WAKE_NS NS_PER_S
#define WAKE_STEP_NS NS_PER_MS
/* A program that has begun loads its agent within this; then it is said that it did not. */
#define MISSING_NS NS_PER_S
/* How often an agent is looked for, at first and later. */
#define SEEK_EAGER_NS (10 * NS_PER_MS)
#define SEEK_NS (250 * NS_PER_MS)
/* How often it is looked whether the program is still the same, where nobody tells. */
#define HELD_NS (100 * NS_PER_MS)

/* More than a child is given memory for. */
enum { EXECS_MAX = 64 };

static const char missing[] = "The program did not load the agent: it is linked statically, "
			      "changes its user, or was begun "
			      "without LD_PRELOAD. Its heap is not counted.";

static bool wants_lease(const struct src_agent *agent)
{
	return agent->config.heap != HEAP_MODE_OFF || !agent->beside;
}

static void renew_lease(struct src_agent *agent)
{
	uint64_t now = clock_now_ns();

	if (!wants_lease(agent) || now < agent->lease_ns)
		return;
	agent_region_lease(agent->session->region, now + LEASE_NS);
	agent->lease_ns = now + RENEW_NS;
}

static void begin_session(struct src_agent *agent, struct agent_region *region)
{
	struct agent_session *session = mem_zalloc(sizeof(*session));
	const struct agent_region_facts *facts = &region->facts;

	session->region = region;
	session->first_key = ++agent->sessions << 32;
	session->state = facts->state;
	session->was_dormant = facts->state == RSPROF_SHM_DORMANT;
	session->unknown_before = session->was_dormant ? agent_region_unknown_frees(region) : 0;
	session->modules.target = agent->config.target;
	session->counts.pid = (uint32_t)agent->config.target->pid;
	session->counts.first_key = session->first_key;
	session->counts.is_estimate = facts->heap == HEAP_MODE_SAMPLED;
	session->counts.is_forked = facts->is_forked;
	agent->threads.is_inner = region->header.pid != (uint32_t)agent->config.target->pid;
	agent->session = session;
	agent->next_look_ns = agent->lease_ns = 0;
	agent->held_ns = clock_now_ns();
	renew_lease(agent);
	agent_stream_start(agent);
}

static void free_session(struct agent_session *session)
{
	agent_stream_stop(session);
	if (session->rings)
		agent_rings_stop(session->rings, session->region);
	agent_rings_free(session->rings);
	agent_trace_done(&session->trace);
	agent_counts_done(&session->counts);
	agent_modules_done(&session->modules);
	agent_region_close(session->region);
	free(session);
}

void agent_watch_close(struct src_agent *agent)
{
	if (agent->session)
		free_session(agent->session);
	agent->session = NULL;
}

static void await_waking(struct src_agent *agent)
{
	struct agent_region *region = agent->session->region;
	uint64_t end = clock_now_ns() + WAKE_NS;
	struct timespec step = {.tv_nsec = WAKE_STEP_NS};

	while (wants_lease(agent) && region->is_writable &&
	       region->facts.state == RSPROF_SHM_DORMANT && clock_now_ns() < end) {
		nanosleep(&step, NULL);
		if (agent_region_refresh(region) < 0)
			return;
	}
	/* Else a step tells of it when it wakes. */
	agent->session->state = region->facts.state;
}

int agent_watch_open(struct src_agent *agent, struct err *err)
{
	struct agent_region *region;
	int ret;

	if (agent->config.start_on_exec)
		return 0;
	ret = agent_region_find(agent->config.target, &region, err);
	if (ret == -EAGAIN)
		return err_set(err, ERR_NOT_FOUND, -ENOENT, "Process %d has no agent yet.",
			       agent->config.target->pid);
	if (ret < 0)
		return ret;
	begin_session(agent, region);
	await_waking(agent);
	return 0;
}

/* Where nobody beside tells of an exec. */
static void tell_exec(struct src_agent *agent)
{
	const struct agent_region_facts *facts = &agent->session->region->facts;
	struct target *target = (struct target *)agent->config.target;
	uint32_t pid = (uint32_t)target->pid;
	struct event event = {
		.time_ns =
			facts->created_ns > agent->start_ns ? facts->created_ns : agent->start_ns,
		.type = EVENT_COMM,
		.pid = pid,
		.tid = pid,
		.comm = {.comm = target->comm, .is_exec = true},
	};
	target_threads threads = {0};

	if (target_list_threads(target, &threads) == 0) {
		for (size_t i = 0; i < threads.count; i++) {
			if (threads.items[i].tid == target->pid)
				event.comm.comm = threads.items[i].comm;
		}
		agent->sink(agent->context, &event);
	} else {
		agent->sink(agent->context, &event);
	}
	vec_done(&threads);
}

/* What was said before of the heap may be no longer so. */
static void tell_arrival(struct src_agent *agent)
{
	const struct agent_region_facts *facts = &agent->session->region->facts;
	const char *refusal = agent_region_refusal(facts);

	if (agent->config.heap == HEAP_MODE_OFF)
		return;
	if (refusal)
		agent_add_step(agent, HEAP_MODE_OFF, refusal);
	else if (agent->told_missing || agent->sessions > 1 || facts->heap != agent->config.heap)
		agent_add_step(agent, facts->heap, "The program has loaded the agent.");
}

/* Of the memory that the child was given, what the program took that it is now, or that it became
 * next. -EAGAIN: none, yet; -ENOENT: it was given none, or no more. */
static int take_given(struct src_agent *agent, struct agent_region **ret_region, struct err *err)
{
	const struct source_config *config = &agent->config;
	int ret = -ENOENT;

	while (agent->fds_taken < config->agent_fd_count) {
		ret = agent_region_adopt(config->agent_fds[agent->fds_taken], config->target,
					 ret_region, err);
		if (ret < 0)
			return ret;
		agent->fds_taken++;
		if (!agent->session || (*ret_region)->inode != agent->session->region->inode)
			return 0;
		/* It was found by its process before. */
		agent_region_close(*ret_region);
	}
	return -ENOENT;
}

/* -EAGAIN and -ENOENT: there is none yet. */
static int seek(struct src_agent *agent, struct agent_region **ret_region, struct err *err)
{
	int ret = take_given(agent, ret_region, err);

	if (ret != -EAGAIN && ret != -ENOENT)
		return ret;
	/* A program that closed what it was given makes its own. */
	return agent->exec_ns ? agent_region_find(agent->config.target, ret_region, err) : ret;
}

static void tell_missing(struct src_agent *agent, const char *reason)
{
	if (!agent->told_missing && agent->config.heap != HEAP_MODE_OFF)
		agent_add_step(agent, HEAP_MODE_OFF, reason);
	agent->told_missing = true;
}

static bool is_missing(const struct src_agent *agent, uint64_t now, bool is_last)
{
	if (agent->exec_ns)
		return is_last || now - agent->exec_ns > MISSING_NS;
	return is_last || (!agent->beside && now - agent->start_ns > MISSING_NS);
}

/* What it had counted is told as of just before: its addresses are those of the program that has
 * gone. */
static void end_session(struct src_agent *agent, uint64_t time_ns)
{
	if (!agent->is_damaged)
		agent_stream_drain(agent, true);
	agent_look_end(agent, time_ns - 1);
	agent_watch_close(agent);
	agent->exec_ns = time_ns;
	agent->seek_ns = 0;
	agent->is_damaged = false;
}

/* When the program began that made this memory: its exec was before. */
static uint64_t began_ns(const struct src_agent *agent, const struct agent_region *region)
{
	uint64_t began = 0;

	for (size_t i = 0; i < agent->execs.count; i++) {
		if (agent->execs.items[i] <= region->facts.created_ns &&
		    agent->execs.items[i] > began)
			began = agent->execs.items[i];
	}
	return began ? began : region->facts.created_ns;
}

/* When the program that made this memory became another one, which is known to have happened. */
static uint64_t ended_ns(const struct src_agent *agent, const struct agent_region *region)
{
	uint64_t ended = clock_now_ns();

	for (size_t i = 0; i < agent->execs.count; i++) {
		if (agent->execs.items[i] > region->facts.created_ns &&
		    agent->execs.items[i] < ended)
			ended = agent->execs.items[i];
	}
	return ended;
}

static void arrive(struct src_agent *agent, struct agent_region *region)
{
	if (agent->session)
		end_session(agent, began_ns(agent, region));
	begin_session(agent, region);
	if (!agent->beside)
		tell_exec(agent);
	tell_arrival(agent);
	agent->told_missing = false;
}

/* A short-lived program, an interpreter or a shell, may have become another one before its memory
 * was looked at. */
static void follow_given(struct src_agent *agent)
{
	struct agent_region *region;
	struct err err = {0};

	while (take_given(agent, &region, &err) == 0)
		arrive(agent, region);
}

static void seek_agent(struct src_agent *agent, bool is_last)
{
	uint64_t now = clock_now_ns();
	struct agent_region *region;
	struct err err = {0};
	int ret;

	if (!is_last && now < agent->seek_ns)
		return;
	agent->seek_ns = now + (agent->told_missing ? SEEK_NS : SEEK_EAGER_NS);
	ret = seek(agent, &region, &err);
	if (ret == 0) {
		arrive(agent, region);
		follow_given(agent);
		/* Its exec was told before there was a session. */
		if (!is_last && !agent_region_is_held(agent->session->region, agent->config.target))
			end_session(agent, ended_ns(agent, agent->session->region));
	} else if (ret != -EAGAIN && ret != -ENOENT) {
		/* Refused: it will not become better. */
		agent->fds_taken = agent->config.agent_fd_count;
		tell_missing(agent, err.sentence);
	} else if (is_missing(agent, now, is_last)) {
		tell_missing(agent, missing);
	}
}

void agent_watch_exec(struct src_agent *agent, uint64_t time_ns)
{
	if (agent->execs.count < EXECS_MAX)
		*vec_add(&agent->execs) = time_ns;
	if (!agent->session)
		agent->exec_ns = time_ns;
	else if (!agent_region_is_held(agent->session->region, agent->config.target))
		end_session(agent, time_ns);
}

/* Where nobody tells of an exec. */
static void look_for_exec(struct src_agent *agent, uint64_t now)
{
	if (now - agent->held_ns < HELD_NS || !target_is_alive(agent->config.target))
		return;
	if (agent_region_is_held(agent->session->region, agent->config.target))
		agent->held_ns = now;
	else
		end_session(agent, agent->held_ns + 1);
}

void agent_watch(struct src_agent *agent, bool is_last)
{
	if (!agent->session) {
		if (agent->config.start_on_exec || agent->exec_ns)
			seek_agent(agent, is_last);
		return;
	}
	follow_given(agent);
	renew_lease(agent);
	if (!agent->beside && !is_last)
		look_for_exec(agent, clock_now_ns());
}
