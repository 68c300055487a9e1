/* A file of events as text, for tests of what reads it. */
#ifndef RSPROF_TESTS_UNIT_EVENT_FILE_H
#define RSPROF_TESTS_UNIT_EVENT_FILE_H

#include <stdio.h>
#include <string.h>

#include "reader/core/event_kind.h"
#include "tests/lib/kit.h"

static inline const char *write_file(const char *text)
{
	static char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/events", kit_folder());
	file = fopen(path, "w");
	CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
	return path;
}

static inline const struct event_kind *kind_of(const char *name)
{
	return event_kind_by_name(name, strlen(name));
}

#endif
