/* The words of the format that its writer and its reader share. */
#ifndef RSPROF_SOURCE_EVENT_TEXT_WORDS_H
#define RSPROF_SOURCE_EVENT_TEXT_WORDS_H

#include "reader/core/event.h"

#define EVENT_TEXT_FIRST_LINE "rsprof-events 1"

/* Indexed by enum event_type; a sample that is a wait has a word of its own. */
#define EVENT_TEXT_WAIT "wait"
extern const char *const event_text_types[EVENT_TYPES];

#endif
