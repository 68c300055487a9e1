/* A source that hands over a list of events made by the test, some at a time. */
#ifndef RSPROF_TESTS_LIB_FAKE_SOURCE_H
#define RSPROF_TESTS_LIB_FAKE_SOURCE_H

#include "reader/source/source.h"

enum { FAKE_CODE_MAX = 4096 };

struct fake_source {
	struct source source;
	const struct event *events;
	size_t event_count, next;
	size_t per_drain;
	const struct delta_step *steps; /* told one a call, NULL: none */
	size_t step_count, next_step;

	/* Of a source that walks stacks itself. */
	uint64_t epoch;
	unsigned execs_to_come; /* so many calls of code_epoch are followed by an exec */
	struct source_code code[FAKE_CODE_MAX]; /* as last told */
	size_t code_count;
	uint64_t code_epoch;
	const struct unwind_rules *rules;
	size_t set_count; /* how often it was told */
	void (*on_set)(struct fake_source *fake);
	int wait_ms; /* as last asked for; it does not wait */
};

/* A replay: its end is the end of the events. */
void fake_source_init(struct fake_source *fake, const struct event *events, size_t count,
		      size_t per_drain);
/* A source of a live target that walks stacks itself; it is never over. */
void fake_walker_init(struct fake_source *fake, const struct event *events, size_t count,
		      size_t per_drain);
/* As last told; NULL where the address is in none. */
const struct source_code *fake_source_find(const struct fake_source *fake, uint64_t address);

#endif
