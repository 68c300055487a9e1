/* What of include/rsprof/rsprof.h the other parts have to know. */
#ifndef RSPROF_AGENT_API_H
#define RSPROF_AGENT_API_H

#include <stdbool.h>

/* This agent is in the executable, and another one is preloaded, which counts: this one passes all
 * calls on, which then come to the other's hooks. */
bool api_yields(void);
/* There is an agent in the executable: this one, or one that yields to this one. Then it is no
 * strange allocator whose malloc is found there. */
bool api_executable_has_agent(void);
/* This agent is in the executable. */
bool api_is_linked(void);

#endif
