/* A module copied out of the target's memory into a memfd, where no file can be opened. Private to
 * this room. */
#ifndef RSPROF_TARGET_MEMORY_IMAGE_H
#define RSPROF_TARGET_MEMORY_IMAGE_H

#include "reader/target/target.h"

/* Both return an fd, or -errno with *ret_missing set to a static sentence. */

/* The ELF file behind the mapping, as far as its segments are mapped from that file. Writable
 * segments hold what the process made of them; section headers, which are not mapped, are left out
 * of the ELF header. */
int memory_image_of_file(const struct target *target, const struct target_mapping *mapping,
			 const char **ret_missing);
/* The mapping's bytes as they are: the vDSO is an ELF file in memory. */
int memory_image_of_range(const struct target *target, const struct target_mapping *mapping,
			  const char **ret_missing);

#endif
