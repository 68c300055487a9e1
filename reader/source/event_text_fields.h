/* The fields of a line of events as text, taken one after another. One that is not what it should
 * be is remembered, the first of a line; what is taken instead is 0 or "". */
#ifndef RSPROF_SOURCE_EVENT_TEXT_FIELDS_H
#define RSPROF_SOURCE_EVENT_TEXT_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_text_fields {
	/* Of the line, not yet taken; NULL when there are none. */
	char *rest;
	/* What the first field that was not right should have been; NULL while all is right. */
	const char *wrong;
};

void fields_set_wrong(struct event_text_fields *fields, const char *wanted);
const char *fields_word(struct event_text_fields *fields); /* "" where there is none */
uint64_t fields_number(struct event_text_fields *fields, uint64_t max, const char *wanted);
uint32_t fields_u32(struct event_text_fields *fields, const char *wanted);
int64_t fields_signed(struct event_text_fields *fields, const char *wanted);
uint64_t fields_hex(struct event_text_fields *fields, const char *wanted);
/* One of two words. */
bool fields_choice(struct event_text_fields *fields, const char *yes, const char *no,
		   const char *wanted);
/* The rest of the line, unescaped in place; max includes the terminating NUL. */
const char *fields_text(struct event_text_fields *fields, size_t max, const char *wanted);

#endif
