/* A source that hands over a list of events made by the test, some at a time. */
#ifndef RSPROF_TESTS_LIB_FAKE_SOURCE_H
#define RSPROF_TESTS_LIB_FAKE_SOURCE_H

#include "reader/source/source.h"

struct fake_source {
	struct source source;
	const struct event *events;
	size_t event_count, next;
	size_t per_drain;
};

void fake_source_init(struct fake_source *fake, const struct event *events, size_t count,
		      size_t per_drain);

#endif
