#include "reader/source/agent_stacks.h"

#include <errno.h>
#include <string.h>

#include "reader/source/mapping_event.h"

/* User space ends there: nothing beyond is a mapping. */
#define ADDRESS_END (UINT64_C(1) << 56)

/* Seconds of work, where a target makes up stacks and modules without end. */
#define COMPARED_MAX (UINT64_C(1) << 31)

static enum stack_status status_of(uint8_t status)
{
	switch ((enum rsprof_shm_status)status) {
	case RSPROF_SHM_COMPLETE:
		return STACK_COMPLETE;
	case RSPROF_SHM_TRUNCATED:
		return STACK_TRUNCATED;
	case RSPROF_SHM_NO_MAPPING:
		return STACK_NO_MAPPING;
	case RSPROF_SHM_NO_TABLE:
		return STACK_NO_TABLE;
	case RSPROF_SHM_READ_ERROR:
		return STACK_READ_ERROR;
	case RSPROF_SHM_EMPTY:
		return STACK_EMPTY;
	case RSPROF_SHM_USED_FRAME_POINTERS:
		return STACK_USED_FRAME_POINTERS;
	case RSPROF_SHM_BROKEN:
		break;
	}
	return STACK_BROKEN;
}

int agent_stack_read(const struct agent_region *region, uint32_t site,
		     struct agent_stack *ret_stack)
{
	struct rsprof_shm_stack head;
	uint64_t at;

	if (site >= region->layout.sites ||
	    agent_region_read_element(region, RSPROF_SHM_SITES, site, &at, sizeof(at)) < 0)
		return -EBADMSG;
	if (!at)
		return -ENOENT;
	if (at % sizeof(uint64_t) ||
	    agent_region_read(region, RSPROF_SHM_STACKS, at, &head, sizeof(head)) < 0 ||
	    head.site != site || head.frame_count > region->layout.frames_max ||
	    head.frame_count > EVENT_FRAMES_MAX ||
	    agent_region_read(region, RSPROF_SHM_STACKS, at + sizeof(head), ret_stack->pcs,
			      head.frame_count * sizeof(uint64_t)) < 0)
		return -EBADMSG;
	ret_stack->pc_count = head.frame_count;
	ret_stack->status = head.frame_count ? status_of(head.status) : STACK_EMPTY;
	ret_stack->module_epoch = head.module_epoch;
	return 0;
}

/* ---- modules */

void agent_modules_done(struct agent_modules *modules)
{
	vec_done(&modules->items);
}

static bool is_module(struct rsprof_shm_module *module)
{
	if (module->start >= module->end || module->end > ADDRESS_END ||
	    module->build_id_bytes > sizeof(module->build_id))
		return false;
	module->path[sizeof(module->path) - 1] = '\0';
	/* "" is the executable; anything else a path as /proc/PID/maps has it, or a name in
	 * brackets. */
	return !module->path[0] || module->path[0] == '/' || module->path[0] == '[';
}

static bool read_new(struct agent_modules *modules, const struct agent_region *region)
{
	uint32_t told = region->header.module_count;
	bool is_new = false;

	if (told > region->layout.modules) {
		modules->bad++;
		told = region->layout.modules;
	}
	while (modules->items.count < told) {
		struct rsprof_shm_module module;

		if (agent_region_read_element(region, RSPROF_SHM_MODULES, modules->items.count,
					      &module, sizeof(module)) < 0 ||
		    !is_module(&module)) {
			modules->bad++;
			module = (struct rsprof_shm_module){.removed_epoch = 1};
		}
		*vec_add(&modules->items) = module;
		is_new = true;
	}
	return is_new;
}

static void read_removals(struct agent_modules *modules, const struct agent_region *region)
{
	for (size_t i = 0; i < modules->items.count; i++) {
		struct rsprof_shm_module *module = &modules->items.items[i], now;

		if (!module->removed_epoch && agent_region_read_element(region, RSPROF_SHM_MODULES,
									i, &now, sizeof(now)) == 0)
			module->removed_epoch = now.removed_epoch;
	}
}

bool agent_modules_read(struct agent_modules *modules, const struct agent_region *region)
{
	bool is_new = read_new(modules, region);
	uint32_t epoch = region->header.module_epoch;

	if (epoch == modules->epoch && !is_new)
		return false;
	if (epoch != modules->epoch)
		read_removals(modules, region);
	modules->epoch = epoch;
	return true;
}

static void tell(const struct agent_modules *modules, const struct rsprof_shm_module *module,
		 uint64_t time_ns, source_sink sink, void *context)
{
	const struct target *target = modules->target;
	struct target_mapping mapping = {
		.start = module->start,
		.end = module->end,
		.file_offset = module->file_offset,
		.inode = module->inode,
		.device_major = module->device_major,
		.device_minor = module->device_minor,
		.is_executable = true,
		.path = module->path[0] ? (char *)module->path : target->exe_path,
	};
	struct event event = mapping_event(target, &mapping, time_ns);

	sink(context, &event);
}

void agent_modules_tell(const struct agent_modules *modules, uint64_t time_ns, source_sink sink,
			void *context)
{
	for (size_t i = 0; i < modules->items.count; i++) {
		if (!modules->items.items[i].removed_epoch)
			tell(modules, &modules->items.items[i], time_ns, sink, context);
	}
}

static bool holds(const struct rsprof_shm_module *module, const struct agent_stack *stack)
{
	for (uint32_t i = 0; i < stack->pc_count; i++) {
		uint64_t pc = stack->pcs[i] - (i ? 1 : 0);

		if (pc >= module->start && pc < module->end)
			return true;
	}
	return false;
}

static bool was_there(const struct rsprof_shm_module *module, const struct agent_stack *stack)
{
	return module->removed_epoch && module->start < module->end &&
	       module->removed_epoch > stack->module_epoch &&
	       module->added_epoch <= stack->module_epoch;
}

/* What was mapped over it by then, though nobody had seen yet that it was gone. */
static bool was_replaced(struct agent_modules *modules, size_t index,
			 const struct agent_stack *stack)
{
	const struct rsprof_shm_module *module = &modules->items.items[index];

	modules->compared += modules->items.count - index;
	for (size_t i = index + 1; i < modules->items.count; i++) {
		const struct rsprof_shm_module *later = &modules->items.items[i];

		if (later->start < module->end && module->start < later->end &&
		    later->added_epoch > module->added_epoch &&
		    later->added_epoch <= stack->module_epoch)
			return true;
	}
	return false;
}

/* What of today lies where this has been. */
static void restore(const struct agent_modules *modules, const struct rsprof_shm_module *old,
		    uint64_t time_ns, source_sink sink, void *context)
{
	for (size_t i = 0; i < modules->items.count; i++) {
		const struct rsprof_shm_module *module = &modules->items.items[i];

		if (!module->removed_epoch && module->start < old->end && old->start < module->end)
			tell(modules, module, time_ns, sink, context);
	}
}

bool agent_modules_tell_old(struct agent_modules *modules, const struct agent_stack *stack,
			    uint64_t time_ns, source_sink sink, void *context)
{
	bool is_any = false;

	if (stack->module_epoch >= modules->epoch)
		return false;
	for (size_t i = 0; i < modules->items.count && modules->compared < COMPARED_MAX; i++) {
		const struct rsprof_shm_module *module = &modules->items.items[i];

		modules->compared += 1;
		if (!was_there(module, stack))
			continue;
		modules->compared += stack->pc_count;
		if (!holds(module, stack) || was_replaced(modules, i, stack))
			continue;
		tell(modules, module, time_ns, sink, context);
		is_any = true;
	}
	return is_any;
}

void agent_modules_restore(struct agent_modules *modules, const struct agent_stack *stack,
			   uint64_t time_ns, source_sink sink, void *context)
{
	for (size_t i = 0; i < modules->items.count && modules->compared < COMPARED_MAX; i++) {
		const struct rsprof_shm_module *module = &modules->items.items[i];

		if (!was_there(module, stack) || !holds(module, stack))
			continue;
		modules->compared += modules->items.count;
		restore(modules, module, time_ns, sink, context);
	}
}
