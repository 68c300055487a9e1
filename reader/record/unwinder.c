#include "reader/record/unwinder.h"

#include <stdlib.h>
#include <string.h>

#include "reader/unwind/walk.h"
#include "reader/util/mem.h"

_Static_assert((int)EVENT_REGISTERS == (int)EH_REGISTERS, "registers are copied as they are");
_Static_assert((int)EVENT_REGISTER_RSP == (int)EH_REGISTER_RSP, "both are DWARF's numbers");

struct unwinder {
	struct modules *modules;
	struct module_tables *tables;
	uint32_t frames_max, copy_bytes;
	uint64_t pcs[EVENT_FRAMES_MAX];
};

struct unwinder *unwinder_new(struct modules *modules, struct module_tables *tables,
			      uint32_t frames_max, uint32_t copy_bytes)
{
	struct unwinder *unwinder = mem_zalloc(sizeof(*unwinder));

	unwinder->modules = modules;
	unwinder->tables = tables;
	unwinder->frames_max = frames_max < EVENT_FRAMES_MAX ? frames_max : EVENT_FRAMES_MAX;
	unwinder->copy_bytes = copy_bytes;
	return unwinder;
}

void unwinder_free(struct unwinder *unwinder)
{
	free(unwinder);
}

static bool find_place(void *context, uint64_t address, struct unwind_place *ret_place)
{
	struct unwinder *unwinder = context;
	struct place place;

	if (!modules_find_known(unwinder->modules, address, &place))
		return false;
	ret_place->table = module_tables_get(
		unwinder->tables, module_table_get(modules_table(unwinder->modules), place.module));
	ret_place->bias = address - place.vaddr;
	return true;
}

static enum stack_status status_of(const struct unwinder *unwinder, const struct event *sample,
				   const struct unwind_stack *stack)
{
	if (stack->status == STACK_COMPLETE && stack->frame_pointer_count)
		return STACK_USED_FRAME_POINTERS;
	/* The stack was deeper than the copy. */
	if (stack->status == STACK_READ_ERROR && sample->sample.stack_bytes >= unwinder->copy_bytes)
		return STACK_TRUNCATED;
	return stack->status;
}

void unwinder_walk(struct unwinder *unwinder, const struct event *sample, struct event *ret_sample)
{
	const struct event_registers *sampled = sample->sample.registers;
	struct unwind_registers registers = {.rip = sampled->rip, .known = sampled->known};
	const struct unwind_copy copy = {
		.address = sampled->general[EVENT_REGISTER_RSP],
		.bytes = sample->sample.stack,
		.size = sample->sample.stack_bytes,
	};
	const struct unwind_walk walk = {
		.rules = unwind_cache_rules(module_tables_cache(unwinder->tables)),
		.find = find_place,
		.context = unwinder,
		.may_use_frame_pointers = true,
	};
	struct unwind_stack stack = {.pcs = unwinder->pcs, .pc_max = unwinder->frames_max};
	struct place leaf;

	memcpy(registers.general, sampled->general, sizeof(registers.general));
	/* Code that nobody told us of is looked for before the walk needs it. */
	modules_find(unwinder->modules, sampled->rip, sample->time_ns, &leaf);
	unwind_walk(&walk, &registers, &copy, &stack);
	*ret_sample = *sample;
	ret_sample->sample.registers = NULL;
	ret_sample->sample.pcs = unwinder->pcs;
	ret_sample->sample.pc_count = stack.pc_count;
	ret_sample->sample.status = status_of(unwinder, sample, &stack);
}
