/* The files with code that a target has mapped, in the order in which the dynamic linker looks
 * symbols up. Private to this room. */
#ifndef RSPROF_TARGET_ALLOCATOR_OBJECTS_H
#define RSPROF_TARGET_ALLOCATOR_OBJECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "reader/target/allocator.h"
#include "reader/target/allocator_file.h"

struct mapped_object {
	const struct target_mapping *mapping; /* the first executable one of its file */
	const char *name;		      /* base name of its path */
	const struct allocator_file *file;    /* the finder's; NULL: not readable */
	const char *missing;		      /* why not */
	uint64_t bias, text_start, text_end;
};

struct mapped_objects {
	target_mappings mappings;
	VEC(struct mapped_object) list;
	VEC(uint32_t) order; /* indexes; where the linker's list cannot be read, a guess */
	bool is_cut;	     /* there are more than OBJECTS_MAX */
	uint32_t executable; /* index, or list.count where it is not known */
};

/* 0, or -errno where the target is gone or unreadable. */
int mapped_objects_find(struct allocator_finder *finder, const struct target *target,
			struct mapped_objects *ret_objects);
void mapped_objects_done(struct mapped_objects *objects);

/* What the file behind the mapping holds, read at most once; NULL with *ret_missing where it cannot
 * be opened. Valid until the next mapped_objects_find. */
const struct allocator_file *allocator_finder_file(struct allocator_finder *finder,
						   const struct target *target,
						   const struct target_mapping *mapping,
						   const char **ret_missing);
/* Begins a new look: forgets files where there are too many. */
void allocator_finder_trim(struct allocator_finder *finder);

#endif
