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
	uint32_t frames_max, stack_bytes; /* --frames, --stack-copy */
	uint64_t interval_ns;		  /* of checkpoints */
	uint64_t start_ns;	/* CLOCK_MONOTONIC; 0 for a replay: the first event's time */
	bool count_system_time; /* system time may not be sampled: count it as missing */
	FILE *save_events;	/* every event as text, or NULL */
	/* Takes over a reference; called on the pump's thread. */
	void (*deliver)(void *context, struct delta *delta);
	void *context;
};

struct pump;

struct pump *pump_new(const struct pump_config *config);
/* One round: waits for events (until wake_fd is readable or it is time), drains, counts, delivers
 * the checkpoints that are complete. false where the source is over (a replay's end). */
bool pump_round(struct pump *pump, int wake_fd);
/* After the source was stopped: everything that is left, and the last checkpoint. */
void pump_finish(struct pump *pump);
void pump_free(struct pump *pump);

uint64_t pump_samples(const struct pump *pump);
uint64_t pump_elapsed_ns(const struct pump *pump); /* time covered by delivered checkpoints */
const struct losses *pump_losses(const struct pump *pump);
uint64_t pump_rss_bytes(const struct pump *pump);

#endif
