/* Relocation slots of objects that were bound before the agent came, or past it. */
#ifndef RSPROF_AGENT_PATCH_H
#define RSPROF_AGENT_PATCH_H

/* Diverts the slots of all objects that lead to the real functions, and from then on those of
 * objects that are loaded later. No allocation; with internal_depth. */
void agent_patch_objects(void);

#endif
