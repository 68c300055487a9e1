/* What kind of program a target is, as far as it decides how well it can be profiled. For doctor;
 * all of it is cheap, and a guess where said so. */
#ifndef RSPROF_TARGET_TRAITS_H
#define RSPROF_TARGET_TRAITS_H

#include <stdbool.h>

#include "reader/target/target.h"

enum frame_pointers {
	FRAME_POINTERS_UNKNOWN,
	FRAME_POINTERS_NONE,
	FRAME_POINTERS_SOME, /* libraries linked in were built the other way */
	FRAME_POINTERS_MOST,
};

/* A guess: how many functions of an x86-64 ELF file begin by setting up a frame pointer. */
enum frame_pointers frame_pointers_guess(int fd);

bool traits_has_agent(const target_mappings *mappings);
/* By the environment that its program was started with. */
bool traits_preloads_agent(const struct target *target);

/* A dynamic linker is mapped; a static program has none. */
bool traits_has_linker(const target_mappings *mappings);

/* The first executable mapping of the target's executable, or NULL. */
const struct target_mapping *traits_executable(const struct target *target,
					       const target_mappings *mappings);

#endif
