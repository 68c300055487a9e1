/* The agent source, inside. Private to src_agent.c, agent_watch.c, agent_look.c and agent_stream.c.
 */
#ifndef RSPROF_SOURCE_AGENT_SOURCE_H
#define RSPROF_SOURCE_AGENT_SOURCE_H

#include "reader/source/agent_counts.h"
#include "reader/source/agent_memory.h"
#include "reader/source/agent_rings.h"
#include "reader/source/agent_stacks.h"
#include "reader/source/agent_threads.h"
#include "reader/source/agent_trace.h"
#include "reader/source/source.h"
#include "reader/util/arena.h"
#include "reader/util/vec.h"

struct agent_tracer;

/* Of one agent's memory: a program that is exec'ed, or that forks, has one of its own. */
struct agent_session {
	struct agent_region *region;
	struct agent_counts counts;
	struct agent_modules modules;
	struct agent_rings *rings; /* NULL: what is in them is not needed */
	struct agent_clock clock;
	struct agent_trace trace;
	struct agent_tracer *tracer; /* NULL: rings are read by the pump's thread */
	uint64_t first_key;	     /* of its sites */
	bool was_on;		     /* its counters are of this recording */
	bool was_dormant;	     /* when it was found: what it counted before is not */
	enum rsprof_shm_state state; /* as last told */
	uint64_t unknown_before, unknown_frees;
	uint64_t lost[RSPROF_SHM_LOST_CAUSES]; /* as last told */
	uint64_t missed, dropped, bad;	       /* as last told */
};

struct src_agent {
	struct source base;
	struct source_config config;
	struct source *beside; /* NULL: samples are of the agent's timers */
	uint32_t event_index;  /* of these samples */
	bool has_event;
	struct agent_session *session; /* NULL: there is no agent, or not yet */
	struct agent_threads threads;  /* without a source beside */
	uint64_t sessions;
	uint64_t start_ns, look_ns, next_look_ns, lease_ns, seek_ns;
	uint64_t held_ns; /* when the target was last known to have the session's memory */
	uint64_t exec_ns; /* when a program that has no agent yet began; 0: none did */
	size_t fds_taken; /* of the memfds that were given to the child */
	/* When the source beside told that the target became another program. */
	VEC(uint64_t) execs;
	bool told_missing;
	bool is_damaged; /* nothing more is read of it */
	bool is_whole;	 /* of a trace: each event since the program began was read */
	bool was_counted;
	bool is_stopped, told_end;
	/* Of earlier sessions. */
	uint64_t unknown_frees, calls;
	struct arena arena; /* of steps */
	VEC(struct delta_step) steps;
	size_t steps_told;
	uint64_t bad_stacks, bad_events;
	uint64_t bad_told;

	source_sink sink; /* of the drain under way */
	void *context;
};

/* ---- src_agent.c */

void agent_add_step(struct src_agent *agent, enum heap_mode mode, const char *reason);
void agent_tell_lost(struct src_agent *agent, enum loss_cause cause, uint64_t count);
/* What is counted by the session, for people and for describe. */
enum heap_mode agent_mode(const struct src_agent *agent);

/* ---- agent_watch.c: which memory it is */

/* Of a target that runs. -ENOENT and the like with err. */
int agent_watch_open(struct src_agent *agent, struct err *err);
/* Takes up an agent that has come, and leaves one that has gone. */
void agent_watch(struct src_agent *agent, bool is_last);
void agent_watch_close(struct src_agent *agent);
/* A program was exec'ed: its agent, if it has one, is another. */
void agent_watch_exec(struct src_agent *agent, uint64_t time_ns);

/* ---- agent_look.c: counters, each second */

void agent_look(struct src_agent *agent, bool is_last);
/* The session ended before that time: what is alive by its counters will not be seen freed. */
void agent_look_end(struct src_agent *agent, uint64_t time_ns);

/* ---- agent_stream.c: rings */

/* Whether they are needed, and if so, what is read from now on. */
void agent_stream_start(struct src_agent *agent);
void agent_stream_drain(struct src_agent *agent, bool is_last);
void agent_stream_stop(struct agent_session *session);
/* Around a look at trace, rings and clock, which a thread of their own may write. */
void agent_stream_lock(struct agent_session *session);
void agent_stream_unlock(struct agent_session *session);

#endif
