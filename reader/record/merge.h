/* Events of several rings, put into the order of time. What is younger than the horizon is held
 * back, since another ring may still hold something older; what comes too late for that is handed
 * over all the same and counted. */
#ifndef RSPROF_RECORD_MERGE_H
#define RSPROF_RECORD_MERGE_H

#include <stddef.h>
#include <stdint.h>

#include "reader/core/event.h"

enum {
	/* Bounds the memory of a hold-back: at 200 bytes an event some 50 MB. Beyond it the oldest
	 * are handed over early. */
	MERGE_HELD_MAX = 256 * 1024,
};

typedef void (*merge_sink)(void *context, const struct event *event);

struct merge;

struct merge *merge_new(void);
void merge_free(struct merge *merge);
/* Copies the event. */
void merge_add(struct merge *merge, const struct event *event);
/* Hands over what is not younger than the horizon, oldest first. */
void merge_flush(struct merge *merge, uint64_t horizon_ns, merge_sink sink, void *context);
size_t merge_held(const struct merge *merge);
/* Events so far that came after a younger one had been handed over. */
uint64_t merge_late(const struct merge *merge);

#endif
