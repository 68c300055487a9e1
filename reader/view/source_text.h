/* The text of a source file, looked for where it was compiled and where it may be now. Whatever is
 * found there is foreign: only regular files of bounded size are read, and nothing waits. */
#ifndef RSPROF_VIEW_SOURCE_TEXT_H
#define RSPROF_VIEW_SOURCE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/util/str.h"

enum {
	SOURCE_BYTES_MAX = 32 << 20, /* larger ones were written by programs, for programs */
	SOURCE_LINES_MAX = 1000000,  /* likewise */
	SOURCE_COLUMNS_MAX = 4096,   /* of a line; what is behind is left out where it is printed */
	SOURCE_PLACES_MAX = 256,     /* places that are looked at */
	SOURCE_TAB = 8,
};

/* Folders that are searched, separated by colons. */
#define SOURCE_PATH_VARIABLE "RSPROF_SOURCE_PATH"

enum source_state {
	SOURCE_UNCHANGED, /* not written since the recording began */
	SOURCE_CHANGED,	  /* written since: its lines may be others */
	SOURCE_MISSING,
};

/* "unchanged", "changed", "missing": words of JSON. */
extern const char *const source_state_names[];

struct source_request {
	const char *file, *path; /* as a location has them: file is the short form, path may be
				  * NULL */
	uint64_t start_unix_ns;	 /* of the recording */
	/* Beside the current directory and $RSPROF_SOURCE_PATH. */
	const char *const *folders;
	size_t folder_count;
};

struct source_text {
	enum source_state state;
	char *path;	  /* where it was found; NULL: it was not */
	bool is_moved;	  /* not at the path that was recorded */
	struct str why;	  /* where it is missing: "not found", "not read: a is a FIFO" */
	struct str tried; /* where it is not found: "a, b and 3 more" */
	char *text;
	size_t length;
	uint32_t *begins; /* by line, counted from 0: its offset in text */
	size_t line_count;
};

/* Always gives a result, to be passed to source_text_done. */
void source_text_read(const struct source_request *request, struct source_text *ret_source);
void source_text_done(struct source_text *source);

/* Appends the columns from..from + width of a line (counted from 1), tabs as spaces; a wide
 * character that is cut in two is left out. Returns whether more of the line follows. Nothing where
 * there is no such line. Control characters and bytes that are not UTF-8 are appended as they are.
 */
bool source_text_add(const struct source_text *source, uint32_t line, size_t from, size_t width,
		     struct str *to);
/* The bytes of a line, without its end; NULL where there is no such line. */
const char *source_text_line(const struct source_text *source, uint32_t line, size_t *ret_length);

#endif
