/* The pump: drains the source, merges by time, turns addresses into places while the mappings are
 * still there, interns stacks, counts, and closes a delta a checkpoint. All of it on one thread;
 * what it shares leaves as immutable deltas. */
#ifndef RSPROF_RECORD_PUMP_H
#define RSPROF_RECORD_PUMP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "reader/core/delta.h"
#include "reader/source/source.h"
#include "reader/target/target.h"

struct pump_config {
	struct source *source;	     /* the caller's; opened */
	const struct target *target; /* NULL for a replay */
	bool maps_come_by_exec;	     /* a child that has not exec'ed: what it maps now is not the
					target's */
	uint32_t frames_max;	     /* --frames */
	uint32_t copy_bytes;	     /* how much of a stack the source copies at most */
	uint32_t wait_events;	     /* bit i: event i is of waits (EVENT_UNIT_TIME) */
	uint64_t interval_ns;	     /* of checkpoints */
	/* The event that samples CPU time by a clock, so that its samples can be held against what
	 * the target used; frequency 0: none does. */
	uint32_t clock_event, clock_frequency;
	bool count_system_time; /* system time may not be sampled: count it as missing */
	FILE *save_events;	/* every event as text, or NULL */
	/* Takes over a reference; called on the pump's thread. */
	void (*deliver)(void *context, struct delta *delta);
	void *context;
};

struct pump;

struct pump *pump_new(const struct pump_config *config);
/* Before the source is started: one that walks stacks itself gets the tables of the code that is
 * mapped, or will be where the target has not exec'ed yet. Takes as long as building them does. */
void pump_prepare(struct pump *pump);
/* After the source was started, since what is mapped in between is then told twice and never
 * missed. start_ns (CLOCK_MONOTONIC) is the recording's time 0; a replay begins with its first
 * event, without this. */
void pump_begin(struct pump *pump, uint64_t start_ns);
/* One round: waits for events (until wake_fd is readable or it is time), drains, counts, delivers
 * the checkpoints that are complete. false where the source is over (a replay's end). */
bool pump_round(struct pump *pump, int wake_fd);
/* The recording ends now. Then the source is stopped, which may take its time (the kernel takes
 * probes away slowly): what it tells still is of this moment at the latest. */
void pump_end(struct pump *pump);
/* After the source was stopped: everything that is left, and the last checkpoint. */
void pump_finish(struct pump *pump);
void pump_free(struct pump *pump);

uint64_t pump_samples(const struct pump *pump);	   /* of all events but waits */
uint64_t pump_elapsed_ns(const struct pump *pump); /* time covered by delivered checkpoints */
const struct losses *pump_losses(const struct pump *pump);
/* By the last checkpoint. */
const struct delta_process *pump_process(const struct pump *pump);
/* By all events so far. */
const struct heap_state *pump_heap(const struct pump *pump);
/* Anonymous memory of the target when events had just begun: nothing of what was allocated before
 * can be more. 0 for a child that had not exec'ed. */
uint64_t pump_anonymous_bytes_at_start(const struct pump *pump);

#endif
