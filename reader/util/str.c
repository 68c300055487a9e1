#include "reader/util/str.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "reader/util/mem.h"
#include "reader/util/utf8.h"

static void reserve(struct str *str, size_t extra)
{
	if (str->length + extra + 1 > str->capacity) {
		size_t want = str->capacity ? str->capacity * 2 : 64;

		while (want < str->length + extra + 1)
			want *= 2;
		str->text = mem_grow(str->text, want, 1);
		str->capacity = want;
	}
}

void str_add_bytes(struct str *str, const char *bytes, size_t count)
{
	reserve(str, count);
	memcpy(str->text + str->length, bytes, count);
	str->length += count;
	str->text[str->length] = '\0';
}

void str_add(struct str *str, const char *text)
{
	str_add_bytes(str, text, strlen(text));
}

void str_addf(struct str *str, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	reserve(str, (size_t)length);
	va_start(args, format);
	vsnprintf(str->text + str->length, (size_t)length + 1, format, args);
	va_end(args);
	str->length += (size_t)length;
}

void str_clear(struct str *str)
{
	str->length = 0;
	if (str->text)
		str->text[0] = '\0';
}

const char *str_text(const struct str *str)
{
	return str->text ? str->text : "";
}

void str_done(struct str *str)
{
	free(str->text);
	memset(str, 0, sizeof(*str));
}

bool str_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *text, const char *suffix)
{
	size_t length = strlen(text), want = strlen(suffix);

	return length >= want && strcmp(text + length - want, suffix) == 0;
}

void str_add_scrubbed(struct str *str, const char *text)
{
	while (*text) {
		uint32_t point;
		size_t bytes = utf8_decode(text, &point);

		if (!bytes || utf8_is_harmful(point))
			str_add_bytes(str, "?", 1);
		else
			str_add_bytes(str, text, bytes);
		text += bytes ? bytes : 1;
	}
}

size_t str_width(const char *text)
{
	size_t width = 0;

	while (*text) {
		uint32_t point;
		size_t bytes = utf8_decode(text, &point);
		int columns = bytes ? wcwidth((wchar_t)point) : 1;

		/* A locale that does not know the character still shows one cell. */
		width += columns < 0 ? 1 : (size_t)columns;
		text += bytes ? bytes : 1;
	}
	return width;
}
