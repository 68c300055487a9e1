#include "reader/source/event_text_fields.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "reader/util/fmt.h"

enum { ESCAPE_LENGTH = 4 /* \xHH */ };

void fields_set_wrong(struct event_text_fields *fields, const char *wanted)
{
	if (!fields->wrong)
		fields->wrong = wanted;
}

const char *fields_word(struct event_text_fields *fields)
{
	char *word = fields->rest;

	if (!word)
		return "";
	fields->rest = strchr(word, ' ');
	if (fields->rest)
		*fields->rest++ = '\0';
	return word;
}

uint64_t fields_number(struct event_text_fields *fields, uint64_t max, const char *wanted)
{
	uint64_t value;

	if (parse_count(fields_word(fields), &value) || value > max) {
		fields_set_wrong(fields, wanted);
		return 0;
	}
	return value;
}

uint32_t fields_u32(struct event_text_fields *fields, const char *wanted)
{
	return (uint32_t)fields_number(fields, UINT32_MAX, wanted);
}

uint64_t fields_hex(struct event_text_fields *fields, const char *wanted)
{
	const char *word = fields_word(fields);
	size_t length = strlen(word);

	if (!length || length > 16 || strspn(word, "0123456789abcdef") != length) {
		fields_set_wrong(fields, wanted);
		return 0;
	}
	return strtoull(word, NULL, 16);
}

bool fields_choice(struct event_text_fields *fields, const char *yes, const char *no,
		   const char *wanted)
{
	const char *word = fields_word(fields);

	if (strcmp(word, yes) == 0)
		return true;
	if (strcmp(word, no))
		fields_set_wrong(fields, wanted);
	return false;
}

int64_t fields_signed(struct event_text_fields *fields, const char *wanted)
{
	bool is_negative = fields->rest && *fields->rest == '-';
	int64_t value;

	if (is_negative)
		fields->rest++;
	value = (int64_t)fields_number(fields, INT64_MAX, wanted);
	return is_negative ? -value : value;
}

/* The byte of \xHH, or -1. */
static int unescape(const char *text)
{
	if (text[1] != 'x' || !isxdigit((unsigned char)text[2]) ||
	    !isxdigit((unsigned char)text[3]))
		return -1;
	return (int)strtoul((char[]){text[2], text[3], '\0'}, NULL, 16);
}

const char *fields_text(struct event_text_fields *fields, size_t max, const char *wanted)
{
	char *text = fields->rest, *to = text;
	const char *from = text;

	fields->rest = NULL;
	if (!text || !*text) {
		fields_set_wrong(fields, wanted);
		return "";
	}
	if (strcmp(text, "-") == 0)
		return "";
	while (*from) {
		int byte = *from;

		if (*from == '\\') {
			byte = unescape(from);
			if (byte <= 0) {
				fields_set_wrong(fields, wanted);
				return "";
			}
			from += ESCAPE_LENGTH;
		} else {
			from++;
		}
		*to++ = (char)byte;
	}
	*to = '\0';
	if ((size_t)(to - text) >= max)
		fields_set_wrong(fields, wanted);
	return text;
}
