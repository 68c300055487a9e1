/* What the verbs that read a saved profile have in common. */
#ifndef RSPROF_READING_H
#define RSPROF_READING_H

#include <stddef.h>

#include "reader/core/snapshot.h"
#include "reader/util/err.h"
#include "reader/util/opt.h"
#include "reader/view/view.h"
#include "reader/view/window.h"

/* Options that they share, as rows of their tables; owner is their struct, with members of these
 * names. */
#define READING_WINDOW_OPTIONS(owner)                                                              \
	{.name = "since",                                                                          \
	 .value_name = "DUR",                                                                      \
	 .type = OPT_DURATION,                                                                     \
	 .offset = offsetof(owner, since),                                                         \
	 .min = 1000000,                                                                           \
	 .help = "only the last DUR of the recording"},                                            \
		{.name = "until",                                                                  \
		 .value_name = "DUR",                                                              \
		 .type = OPT_DURATION,                                                             \
		 .offset = offsetof(owner, until),                                                 \
		 .min = 1000000,                                                                   \
		 .help = "only the first DUR of the recording"},                                   \
	{                                                                                          \
		.name = "window", .value_name = "A..B", .type = OPT_TEXT,                          \
		.offset = offsetof(owner, window),                                                 \
		.help = "only from A to B, counted from the start"                                 \
	}
#define READING_FILTER_OPTION(owner)                                                               \
	{                                                                                          \
		.letter = 'f', .name = "filter", .value_name = "TEXT", .type = OPT_TEXT,           \
		.offset = offsetof(owner, filter),                                                 \
		.help = "only rows with TEXT in their file or function, in either case"            \
	}
#define READING_CHARGE_OPTIONS(owner)                                                              \
	{.name = "include-internal",                                                               \
	 .type = OPT_FLAG,                                                                         \
	 .offset = offsetof(owner, include_internal),                                              \
	 .help = "charge the function that ran, also in libc, std or an allocator"},               \
	{                                                                                          \
		.name = "no-inline", .type = OPT_FLAG, .offset = offsetof(owner, no_inline),       \
		.help = "charge inlined calls to the function they were inlined into"              \
	}
#define READING_PRINT_OPTIONS(owner)                                                               \
	{.name = "json", .type = OPT_FLAG, .offset = offsetof(owner, json), .help = "print JSON"}, \
	{                                                                                          \
		.name = "csv", .type = OPT_FLAG, .offset = offsetof(owner, csv),                   \
		.help = "print CSV"                                                                \
	}
#define READING_WINDOW(options)                                                                    \
	((struct window_request){.since_ns = (options)->since,                                     \
				 .until_ns = (options)->until,                                     \
				 .window = (options)->window})

/* Refuses both at once. */
int reading_check_print(bool json, bool csv, struct err *err);

/* The part of the profile that is asked for. */
int reading_open(const char *path, const struct window_request *request,
		 struct snapshot **ret_snapshot, struct err *err);
/* Names what the recording did not resolve, and says on stderr what has no name all the same. */
void reading_resolve(struct snapshot *snapshot);
/* What standard output shows. */
struct view_print reading_terminal(void);

#endif
