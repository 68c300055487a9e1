/* The text of /proc/PID/maps. Private to this room. */
#ifndef RSPROF_TARGET_MAPS_H
#define RSPROF_TARGET_MAPS_H

#include <stddef.h>

#include "reader/target/target.h"

/* Appends a mapping for each line; a line that is none is passed over, so that a new kind of line
 * costs no other. Returns the number of lines passed over. */
size_t maps_parse(const char *text, size_t length, target_mappings *mappings);

/* The mappings of rsprof itself. 0 or -errno. */
int maps_read_self(target_mappings *mappings);

/* Both show the same file, by device and inode. */
bool mapping_same_file(const struct target_mapping *a, const struct target_mapping *b);

#endif
