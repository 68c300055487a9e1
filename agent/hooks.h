/* The hooks by name. Their addresses in here are ours, not what the name leads to. */
#ifndef RSPROF_AGENT_HOOKS_H
#define RSPROF_AGENT_HOOKS_H

#include <stdbool.h>

struct agent_hook {
	const char *name;
	void *hook;
	void *const *real; /* leads to NULL: there is nothing to hook */
};
enum { AGENT_HOOKS = 11, AGENT_NEW_HOOKS = 20 };
extern const struct agent_hook agent_hooks[AGENT_HOOKS] __attribute__((visibility("hidden")));

/* The code of the hooks that allocate. */
extern const char hooks_start[] __asm__("__start_rsprof_hooks")
	__attribute__((visibility("hidden")));
extern const char hooks_end[] __asm__("__stop_rsprof_hooks") __attribute__((visibility("hidden")));

/* operator new and delete, where they do not come through malloc. */
extern const struct agent_hook agent_new_hooks[AGENT_NEW_HOOKS]
	__attribute__((visibility("hidden")));
/* Finds the real ones; true: slots must be patched. With internal_depth. */
bool hooks_find_new(void);

#endif
