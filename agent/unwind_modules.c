/* Code that is loaded: known here by segment, and told to readers before any stack that leads
 * through it.
 *
 * The table is written by whoever meets a module first, without a lock: a place is claimed, filled
 * and then told. Two that meet it at once may tell it twice; readers take either. Signals are held
 * back meanwhile, since a handler that leaves by longjmp would leave the place half done. */
#include "agent/unwind.h"

#include <elf.h>
#include <signal.h>
#include <sys/syscall.h>

enum unwind_module_state {
	MODULE_FREE = 0,
	MODULE_READY = 1,
	MODULE_GONE = 2,
};

enum { MODULES_MAX = 2048, PAGE = 4096 };

static struct {
	struct unwind_module *modules;
	_Atomic uint32_t count;
	_Atomic uint32_t epoch;
	/* Of the shared table. */
	_Atomic uint8_t *told; /* whether it is filled */
	_Atomic uint32_t told_count;
} known;

bool unwind_modules_begin(void)
{
	uint32_t told;

	if (!known.modules) {
		known.modules = sys_map(MODULES_MAX * sizeof(*known.modules));
		known.told = sys_map(MODULES_MAX * sizeof(*known.told));
	}
	if (!known.modules || !known.told)
		return false;
	told = agent_state.header ? agent_state.header->module_count : 0;
	/* A new session in the same memory: what was told, is. */
	if (told && told == atomic_load(&known.told_count))
		return true;
	for (uint32_t i = 0; i < MODULES_MAX; i++) {
		if (i < atomic_load(&known.count))
			atomic_store(&known.modules[i].state, MODULE_FREE);
		if (i < told || i < atomic_load(&known.told_count))
			atomic_store(&known.told[i], i < told);
	}
	atomic_store(&known.count, 0);
	atomic_store(&known.told_count, told);
	atomic_store(&known.epoch, agent_state.header ? agent_state.header->module_epoch : 0);
	return true;
}

uint32_t unwind_module_count(void)
{
	return atomic_load_explicit(&known.told_count, memory_order_relaxed);
}

uint32_t unwind_module_epoch(void)
{
	return atomic_load_explicit(&known.epoch, memory_order_relaxed);
}

/* A number below max that nobody else gets. */
static bool claim(_Atomic uint32_t *count, uint32_t max, uint32_t *ret_number)
{
	uint32_t number = atomic_load_explicit(count, memory_order_relaxed);

	do {
		if (number >= max)
			return false;
	} while (!atomic_compare_exchange_weak(count, &number, number + 1));
	*ret_number = number;
	return true;
}

/* ---- one module */

static bool set_table(struct unwind_module *module, const struct unwind_object *object)
{
	const Elf64_Phdr *segments = object->segments, *segment;
	uintptr_t start = 0;
	size_t bytes = 0;

	for (unsigned i = 0; i < object->segment_count; i++) {
		if (segments[i].p_type == PT_GNU_EH_FRAME) {
			start = object->bias + segments[i].p_vaddr;
			bytes = segments[i].p_memsz;
		}
	}
	if (!bytes || !unwind_object_segment(object, start, bytes) ||
	    ehframe_index_open((const void *)start, bytes, start, &module->index))
		return false;
	start = module->index.frame_vaddr;
	segment = unwind_object_segment(object, start, 1);
	if (!segment || !module->index.count)
		return false;
	module->section = (struct ehframe_section){
		.bytes = (const void *)start,
		.size = object->bias + segment->p_vaddr + segment->p_memsz - start,
		.vaddr = start,
	};
	return true;
}

/* Tells those at the front of the table that are filled. */
static void publish(struct rsprof_shm_header *header)
{
	for (;;) {
		uint32_t count = __atomic_load_n(&header->module_count, __ATOMIC_RELAXED);

		if (count >= agent_state.module_max || count >= MODULES_MAX ||
		    !atomic_load_explicit(&known.told[count], memory_order_acquire))
			return;
		__atomic_compare_exchange_n(&header->module_count, &count, count + 1, false,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED);
	}
}

static uint32_t tell(const struct unwind_module *module, const struct unwind_object *object,
		     uint64_t file_offset)
{
	struct rsprof_shm_header *header = agent_state.header;
	struct rsprof_shm_module *modules = agent_state.modules;
	uint32_t max = agent_state.module_max, number;

	if (!header || !modules)
		return UINT32_MAX;
	if (!claim(&known.told_count, max < MODULES_MAX ? max : MODULES_MAX, &number)) {
		agent_lost(RSPROF_SHM_LOST_MODULES, 1);
		return UINT32_MAX;
	}
	modules[number].bias = module->bias;
	modules[number].added_epoch = unwind_module_epoch();
	unwind_module_tell(&modules[number], object, module->start, module->end, file_offset);
	atomic_store_explicit(&known.told[number], 1, memory_order_release);
	publish(header);
	return number;
}

static void gone(struct unwind_module *module)
{
	uint32_t expected = MODULE_READY;

	if (!atomic_compare_exchange_strong(&module->state, &expected, MODULE_GONE))
		return;
	if (module->told != UINT32_MAX && agent_state.modules)
		__atomic_store_n(&agent_state.modules[module->told].removed_epoch,
				 unwind_module_epoch() + !unwind_module_epoch(), __ATOMIC_RELEASE);
}

/* ---- finding */

/* A library that was loaded where another one had been, by the same dynamic linker's record, is
 * told apart by what readers are told of it. */
static bool is_still(const struct unwind_module *module, const struct unwind_object *object)
{
	struct rsprof_shm_module now, *told;

	if (module->told == UINT32_MAX || !agent_state.modules)
		return true;
	told = &agent_state.modules[module->told];
	__builtin_memset(&now, 0, sizeof(now));
	unwind_module_tell(&now, object, module->start, module->end, told->file_offset);
	return now.inode == told->inode && now.device_major == told->device_major &&
	       now.device_minor == told->device_minor &&
	       now.build_id_bytes == told->build_id_bytes &&
	       __builtin_memcmp(now.build_id, told->build_id, sizeof(now.build_id)) == 0;
}

/* The one that is known at the address; those that it turns out to have replaced are gone. */
static struct unwind_module *look_up(const struct unwind_object *object, uintptr_t address,
				     uintptr_t start, uintptr_t end, uint64_t generation)
{
	uint32_t count = atomic_load_explicit(&known.count, memory_order_acquire);
	struct unwind_module *found = NULL;

	for (uint32_t i = 0; i < count && i < MODULES_MAX; i++) {
		struct unwind_module *module = &known.modules[i];

		if (atomic_load_explicit(&module->state, memory_order_acquire) != MODULE_READY ||
		    module->start >= end || module->end <= start)
			continue;
		if (module->start == start && module->end == end &&
		    module->identity == object->identity && module->bias == object->bias &&
		    (atomic_load(&module->generation) == generation || is_still(module, object))) {
			atomic_store(&module->generation, generation);
			found = module;
		} else {
			gone(module);
			unwind_modules_changed();
		}
	}
	return found;
}

static void add(const struct unwind_module *module, const struct unwind_object *object,
		uint64_t file_offset)
{
	struct unwind_module *to;
	uint32_t number;

	/* Beyond the table, they are looked at each time. */
	if (!claim(&known.count, MODULES_MAX, &number))
		return;
	to = &known.modules[number];
	*to = *module; /* its state is free still */
	to->told = tell(module, object, file_offset);
	atomic_store_explicit(&to->state, MODULE_READY, memory_order_release);
}

static void add_undisturbed(const struct unwind_module *module, const struct unwind_object *object,
			    uint64_t file_offset)
{
	uint64_t all = ~UINT64_C(0), before = 0;

	sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, sizeof(all), 0, 0);
	add(module, object, file_offset);
	sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof(before), 0, 0);
}

bool unwind_module_find(uintptr_t address, uint64_t generation, struct unwind_module *ret_module)
{
	struct unwind_module module = {.told = UINT32_MAX}, *found;
	struct unwind_object object;
	const Elf64_Phdr *segment;

	if (!unwind_object_find(address, &object))
		return false;
	segment = unwind_object_segment(&object, address, 1);
	if (!segment || !(segment->p_flags & PF_X))
		return false;
	module.start = (object.bias + segment->p_vaddr) & ~(uintptr_t)(PAGE - 1);
	module.end = (object.bias + segment->p_vaddr + segment->p_memsz + PAGE - 1) &
		     ~(uintptr_t)(PAGE - 1);
	found = look_up(&object, address, module.start, module.end, generation);
	if (found) {
		*ret_module = *found;
		return true;
	}
	module.bias = object.bias;
	module.identity = object.identity;
	module.has_table = set_table(&module, &object);
	atomic_store(&module.generation, generation);
	add_undisturbed(&module, &object, segment->p_offset & ~(uint64_t)(PAGE - 1));
	*ret_module = module;
	return true;
}

void unwind_modules_changed(void)
{
	struct rsprof_shm_header *header = agent_state.header;
	uint32_t epoch = atomic_fetch_add(&known.epoch, 1) + 1;
	uint32_t count = atomic_load_explicit(&known.count, memory_order_acquire);
	struct unwind_object object;

	atomic_fetch_add_explicit(&unwind_rules.generation, UINT64_C(0x9e3779b97f4a7c15) << 1,
				  memory_order_release);
	if (header)
		__atomic_store_n(&header->module_epoch, epoch, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < count && i < MODULES_MAX; i++) {
		struct unwind_module *module = &known.modules[i];

		if (atomic_load_explicit(&module->state, memory_order_acquire) == MODULE_READY &&
		    !unwind_object_find(module->start, &object))
			gone(module);
	}
}
