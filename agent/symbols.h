/* Whether a symbol is there, asked of the objects themselves: dlsym allocates the text of its error
 * where there is none, and the program's dlerror() would tell it. */
#ifndef RSPROF_AGENT_SYMBOLS_H
#define RSPROF_AGENT_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the object at the address defines it; 0: any object but this one. */
bool symbols_have(uintptr_t object, const char *name);

#endif
