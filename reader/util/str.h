/* A string under construction, and what strings from foreign programs need before a person sees
 * them. */
#ifndef RSPROF_UTIL_STR_H
#define RSPROF_UTIL_STR_H

#include <stdbool.h>
#include <stddef.h>

/* Zero-initialised is the empty string; text is NULL until something is added. */
struct str {
	char *text;
	size_t length, capacity;
};

void str_add(struct str *str, const char *text);
void str_add_bytes(struct str *str, const char *bytes, size_t count);
void str_addf(struct str *str, const char *format, ...) __attribute__((format(printf, 2, 3)));
void str_clear(struct str *str);
/* Never NULL. */
const char *str_text(const struct str *str);
void str_done(struct str *str);

bool str_starts(const char *text, const char *prefix);
bool str_ends(const char *text, const char *suffix);

/* Appends text with control characters (C0, C1, DEL, bidirectional overrides) and bytes that are
 * not UTF-8 replaced by '?', so that a foreign name can move no cursor. */
void str_add_scrubbed(struct str *str, const char *text);

/* Terminal columns that the UTF-8 text takes; wide characters two, combining ones none. */
size_t str_width(const char *text);

#endif
