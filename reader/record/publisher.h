/* Tells a source that walks stacks itself which code is mapped in the target, with its unwind
 * tables. Belongs to the pump's thread; before that runs, to main's.
 *
 * A mapping whose table still has to be built is left out: walks that meet it send a copy of their
 * stack. So what has a table is told at once, before any table is built, and what is built is told
 * as soon as it is there, small files first. */
#ifndef RSPROF_RECORD_PUBLISHER_H
#define RSPROF_RECORD_PUBLISHER_H

#include <stdbool.h>
#include <stdint.h>

#include "reader/core/event.h"
#include "reader/record/module_tables.h"
#include "reader/record/modules.h"
#include "reader/source/source.h"
#include "reader/target/target.h"

struct publisher;

struct publisher *publisher_new(struct source *source, const struct target *target,
				struct modules *modules, struct module_tables *tables);
void publisher_free(struct publisher *publisher);

/* Before events come: every table is built first (but for what takes longer than anybody waits),
 * so that the first walk finds all. */
void publisher_start(struct publisher *publisher);
/* An event as it is drained, in whatever order: code that it maps is published by the next
 * publisher_run. */
void publisher_on_event(struct publisher *publisher, const struct event *event);
/* Something is mapped that no event told of. */
void publisher_mark(struct publisher *publisher);
/* After each drain: publishes where there is something new, then builds missing tables for a
 * moment and publishes those. */
void publisher_run(struct publisher *publisher);
/* The time until which there is nothing to do without events, but no longer than wait_ms. */
int publisher_wait_ms(const struct publisher *publisher, int wait_ms);

#endif
