/* What of unwind_modules.c is asked for from outside of the unwinder. */
#ifndef RSPROF_AGENT_MODULES_H
#define RSPROF_AGENT_MODULES_H

#include <stdbool.h>
#include <stdint.h>

/* Whether a module that one of these addresses was in has gone after `epoch`. The first address is
 * that of a function or an instruction, the others are return addresses. */
bool modules_went(uint32_t epoch, const uint64_t *pcs, uint32_t count);
/* Looks whether modules have gone that nobody told of: the C library unloads some by itself. */
void modules_look(void);
/* unwind_object.c's: whether an object is loaded there, as far as can be told fast. */
bool modules_may_have(uintptr_t address);
/* unwind_object.c's: who is loaded there, without a look at it; false: that cannot be told fast. */
bool modules_identify(uintptr_t address, const void **ret_identity, uintptr_t *ret_bias);

/* The dynamic linker's code. It allocates by calloc what it knows of an object before it maps it.
 */
struct modules_linker {
	uintptr_t start, bytes;
};
extern struct modules_linker modules_linker __attribute__((visibility("hidden")));

static inline bool modules_is_linker(uintptr_t caller)
{
	return caller - modules_linker.start < modules_linker.bytes;
}

#endif
