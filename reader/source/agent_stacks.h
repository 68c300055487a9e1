/* The stacks and modules that an agent's memory tells of. */
#ifndef RSPROF_SOURCE_AGENT_STACKS_H
#define RSPROF_SOURCE_AGENT_STACKS_H

#include "reader/core/event.h"
#include "reader/source/agent_memory.h"
#include "reader/source/source.h"
#include "reader/util/vec.h"

struct agent_stack {
	uint64_t pcs[EVENT_FRAMES_MAX];
	uint32_t pc_count;
	enum stack_status status;
	uint32_t module_epoch; /* when it was walked */
};

/* 0; -ENOENT: it was not told yet; -EBADMSG: what is there is no stack. */
int agent_stack_read(const struct agent_region *region, uint32_t site,
		     struct agent_stack *ret_stack);

/* Zero-initialised is empty and usable. */
struct agent_modules {
	const struct target *target;
	VEC(struct rsprof_shm_module) items;
	uint32_t epoch;	   /* of the last look */
	uint64_t bad;	   /* all in all */
	uint64_t compared; /* by looks for mappings that are gone, which have a bound */
};

void agent_modules_done(struct agent_modules *modules);
/* Reads what is new. true: code has been mapped or unmapped since the last look. */
bool agent_modules_read(struct agent_modules *modules, const struct agent_region *region);
/* Tells all that are there now as mappings: for a source beside which nobody tells them. */
void agent_modules_tell(const struct agent_modules *modules, uint64_t time_ns, source_sink sink,
			void *context);
/* Before a stack is told that was walked at that epoch: mappings of then that are gone by now.
 * Returns whether there were any; then agent_modules_restore puts back what is there today. */
bool agent_modules_tell_old(struct agent_modules *modules, const struct agent_stack *stack,
			    uint64_t time_ns, source_sink sink, void *context);
void agent_modules_restore(struct agent_modules *modules, const struct agent_stack *stack,
			   uint64_t time_ns, source_sink sink, void *context);

#endif
