/* Functions that are diverted together with malloc where slots are patched at all. Of the dynamic
 * linker: an object that is loaded later is bound past the agent, too. And those of wishes.h.
 * Private to patch*.c. */
#ifndef RSPROF_AGENT_PATCH_LOAD_H
#define RSPROF_AGENT_PATCH_LOAD_H

#include <stdbool.h>

struct patch_hook {
	const char *name;
	void *real;
	void *hook;
};

enum { PATCH_LOAD_HOOKS = 10 };

/* Writes the hooks whose real functions are found; returns their number. */
unsigned patch_load_hooks(struct patch_hook *ret_hooks);

/* patch.c: looks at all objects; unless forced, only if there are others than at the last look. */
void patch_new_objects(bool is_forced);

#endif
