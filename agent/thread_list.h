/* The threads of this process, by the kernel. */
#ifndef RSPROF_AGENT_THREAD_LIST_H
#define RSPROF_AGENT_THREAD_LIST_H

#include <stdbool.h>
#include <stdint.h>

/* false: they cannot be listed. */
bool thread_list_each(void (*act)(void *context, uint32_t tid), void *context);

#endif
