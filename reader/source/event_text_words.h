/* The words of the format that its writer and its reader share. */
#ifndef RSPROF_SOURCE_EVENT_TEXT_WORDS_H
#define RSPROF_SOURCE_EVENT_TEXT_WORDS_H

#include <stddef.h>

#include "reader/core/event.h"

#define EVENT_TEXT_FIRST_LINE "rsprof-events 1"
#define EVENT_TEXT_HEAP "heap"

/* Indexed by enum event_type; a sample that is a wait has a word of its own. */
#define EVENT_TEXT_WAIT "wait"
extern const char *const event_text_types[EVENT_TYPES];

/* Where in struct heap_counts and struct heap_state the numbers of a line are, in its order; 64
 * bits each. */
enum { EVENT_TEXT_COUNTS = 10, EVENT_TEXT_STATES = 9 };
extern const size_t event_text_counts[EVENT_TEXT_COUNTS];
extern const size_t event_text_states[EVENT_TEXT_STATES];
/* The one of the heap's state that may be negative. */
#define EVENT_TEXT_SIGNED offsetof(struct heap_state, brk_bytes)

_Static_assert(sizeof(struct heap_counts) == EVENT_TEXT_COUNTS * sizeof(uint64_t),
	       "a line has all of it");

#endif
