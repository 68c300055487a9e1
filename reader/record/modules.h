/* Which code is mapped where in the target: what the source's records and /proc tell, put into an
 * address space. Belongs to the pump's thread. */
#ifndef RSPROF_RECORD_MODULES_H
#define RSPROF_RECORD_MODULES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "reader/core/event.h"
#include "reader/core/loss.h"
#include "reader/core/module.h"
#include "reader/target/target.h"

struct modules;

/* target is NULL for a replay: files are then not opened. What is read from /proc is written to
 * save_events (or NULL), as if the source had told it. */
struct modules *modules_new(const struct target *target, struct losses *losses, FILE *save_events);
void modules_free(struct modules *modules);
/* Reads /proc/PID/maps anew. */
void modules_scan(struct modules *modules, uint64_t now_ns);
void modules_on_mmap(struct modules *modules, const struct event *event);
void modules_on_exec(struct modules *modules);
/* The place of an address. An unknown one makes it look into /proc again, a bounded number of times
 * a second. false: unknown. */
bool modules_find(struct modules *modules, uint64_t address, uint64_t now_ns,
		  struct place *ret_place);
/* Only what the mappings tell; never looks into /proc. */
bool modules_find_known(struct modules *modules, uint64_t address, struct place *ret_place);
const struct module_table *modules_table(const struct modules *modules);
/* The module behind a mapping of /proc/PID/maps, without a word about what is mapped when: a file
 * that is known is not opened again. NULL where the table of modules is full. */
const struct module *modules_intern(struct modules *modules, const struct target_mapping *mapping);
/* How often an unknown address made it look into /proc: the source has missed something. */
uint64_t modules_rescans(const struct modules *modules);

#endif
