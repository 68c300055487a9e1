/* The dynamic linker's list of what it has loaded, in the order in which it looks symbols up, out
 * of the target's memory. What is read there may be anything: it may change meanwhile, lead in
 * circles or to nowhere. Private to this room. */
#ifndef RSPROF_TARGET_LINK_MAP_H
#define RSPROF_TARGET_LINK_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "reader/target/target.h"
#include "reader/util/vec.h"

enum {
	LINK_MAP_MAX = 8192, /* objects; browsers have 300 */
};

struct linked_object {
	uint64_t bias;	  /* as the linker has it */
	uint64_t dynamic; /* address of its dynamic section: within a mapping of the object */
};

typedef VEC(struct linked_object) linked_objects;

/* Copies `count` bytes from the address, or -errno. */
struct link_map_reader {
	int (*read)(void *context, uint64_t address, void *into, size_t count);
	void *context;
};

/* From the executable's program headers in memory (AT_PHDR, AT_PHNUM). Appends the objects. 0;
 * -ENODATA where there is no list: a static program, or the linker has not begun; -EBADMSG where
 * memory makes no sense, and -errno where it cannot be read: nothing is appended then. */
int link_map_walk(const struct link_map_reader *reader, uint64_t program_headers, uint64_t count,
		  linked_objects *objects);

/* AT_PHDR and AT_PHNUM of the target, 0 and 0 where they are not told. 0 or -errno. */
int link_map_program_headers(const struct target *target, uint64_t *ret_address,
			     uint64_t *ret_count);

/* link_map_walk over the target's memory. */
int link_map_read(const struct target *target, uint64_t program_headers, uint64_t count,
		  linked_objects *objects);

#endif
