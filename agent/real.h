/* The functions that the hooks stand before. */
#ifndef RSPROF_AGENT_REAL_H
#define RSPROF_AGENT_REAL_H

#include "agent/agent.h"

/* Callable at any time: until they are found, each finds them first. */
struct real_functions {
	void *(*malloc)(size_t);
	void *(*calloc)(size_t, size_t);
	void *(*realloc)(void *, size_t);
	void *(*reallocarray)(void *, size_t, size_t);
	void (*free)(void *);
	int (*posix_memalign)(void **, size_t, size_t);
	void *(*aligned_alloc)(size_t, size_t);
	void *(*memalign)(size_t, size_t);
	void *(*valloc)(size_t);
	void *(*pvalloc)(size_t);
};
extern struct real_functions real __attribute__((visibility("hidden")));

enum real_place {
	REAL_BEHIND = 0,     /* calls of malloc come to the hooks, and go on to the next object */
	REAL_BEFORE = 1,     /* another object's malloc is found first: slots must be patched */
	REAL_EXECUTABLE = 2, /* the executable's is: its calls cannot be hooked */
};

/* Idempotent, any thread, may be re-entered. */
void real_begin(void);
bool real_is_found(void);
/* Once they are found. */
enum real_place real_place(void);
/* Path of the object with the real malloc, as the dynamic linker knows it; never NULL. */
const char *real_allocator(void);
/* The hooks are a part of the program itself, not of a library. */
bool real_is_linked(void);

/* Memory for what must allocate before the real functions are found: dlsym, for one. It is never
 * reused; about 32 KiB, then NULL. */
#define BOOT_BYTES 32768
extern char boot_memory[BOOT_BYTES] __attribute__((visibility("hidden")));

static inline bool boot_has(const void *block)
{
	return (uintptr_t)block - (uintptr_t)boot_memory < BOOT_BYTES;
}
/* realloc of such a block: to a real one. */
void *boot_realloc(void *block, size_t size);

#endif
