/* One recording from open to end: joins a source, the pump, the symbol thread, the writer and the
 * database. */
#ifndef RSPROF_RECORD_SESSION_H
#define RSPROF_RECORD_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "reader/source/source.h"
#include "reader/store/store.h"
#include "reader/target/target.h"

struct session_config {
	struct source_config source;
	const struct source_ops *ops;
	struct target *target;	   /* NULL for a replay */
	const char *process_name;  /* of the recording */
	const char *source_reason; /* why this source, for meta */
	const char *wait_reason;   /* why waits are recorded, or why not, likewise */
	const char *heap_reason;   /* why the heap is not counted; "": the source tells */
	bool is_heap_required;	   /* refused where the source cannot count it */
	bool is_heap_whole;	   /* counted since the program began: nothing was there before */
	const char *agent_reason;  /* why the agent does not count the heap; "" or NULL: it does */
	const char *agent_note;	   /* a sentence for the notes; "" or NULL: none */
	const char *output;
	bool append;
	uint64_t interval_ns;
	const char *save_events; /* file for the events as text, or NULL */
};

struct session;

/* Opens the source and the database; nothing runs yet, nothing is left behind on failure. */
int session_open(const struct session_config *config, struct session **ret_session,
		 struct err *err);
/* Starts events and threads. */
int session_start(struct session *session, struct err *err);
/* Readable when the recording should end by itself: the source is over, or a commit failed. */
int session_end_fd(const struct session *session);

struct session_progress {
	uint64_t elapsed_ns, samples, lost;
	uint64_t judged, complete; /* samples whose stacks are judged, and the complete ones */
	uint64_t rss_bytes;
	bool is_heap_live; /* it is known what is live */
	uint64_t heap_live_bytes;
};
void session_read_progress(struct session *session, struct session_progress *ret_progress);

/* A step of the source since the last call; false: none. Strings live until session_finish. */
bool session_next_step(struct session *session, struct delta_step *ret_step);

/* What the source had to say of itself; valid until session_finish. */
const struct source_facts *session_source_facts(const struct session *session);
/* Ends the recording and the database, and frees the session. 0, or what went wrong on the way (the
 * database holds what was committed). */
int session_finish(struct session *session, struct err *err);
/* Instead of finish where start failed or never came: leaves no file that was not there before. */
void session_abandon(struct session *session);

#endif
