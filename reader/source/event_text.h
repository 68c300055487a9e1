/* Events as text, a line each: what --save-events writes and a replay reads. event_text.c
 * describes the format. */
#ifndef RSPROF_SOURCE_EVENT_TEXT_H
#define RSPROF_SOURCE_EVENT_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "reader/core/event.h"
#include "reader/core/event_kind.h"
#include "reader/core/heap.h"
#include "reader/source/source.h"
#include "reader/util/err.h"

struct event_text_header {
	const struct event_kind *events[SOURCE_EVENTS_MAX];
	size_t event_count;
	uint32_t frequency;  /* Hz */
	enum heap_mode heap; /* as it began; off: there are no events of the heap */
};

/* Both return 0, or -EIO where the file could not take it. */
int event_text_write_header(FILE *file, const struct event_text_header *header);
int event_text_write(FILE *file, const struct event *event);

struct event_text_reader;

/* Opens a regular file and reads its header. Everything wrong with the file is ERR_USAGE, with its
 * line. */
int event_text_open(const char *path, struct event_text_reader **ret_reader, struct err *err);
void event_text_close(struct event_text_reader *reader);
const struct event_text_header *event_text_header(const struct event_text_reader *reader);
/* 1 and the next event, whose pointers are valid until the next call; 0 at the end; -errno. */
int event_text_next(struct event_text_reader *reader, struct event *ret_event, struct err *err);
/* Back to the first event. */
void event_text_rewind(struct event_text_reader *reader);

#endif
