/* What a command is before it is started: whether the dynamic linker would load a library into it
 * ahead of its own, and whose malloc it would call then. */
#ifndef RSPROF_TARGET_COMMAND_H
#define RSPROF_TARGET_COMMAND_H

#include <stdbool.h>

#include "reader/util/str.h"

struct command_facts {
	bool takes_preload; /* LD_PRELOAD loads a library of this machine's glibc into it */
	bool calls_malloc;  /* by its name, so that a library loaded ahead can stand before it */
	/* Where one of them is false, why: "/bin/x is statically linked". The first that is. */
	struct str missing;
};

/* path: of an ELF file, or of a script, whose interpreter is looked at. What cannot be read is not
 * believed to take anything. */
void command_look(const char *path, struct command_facts *ret_facts);
void command_facts_done(struct command_facts *facts);

#endif
