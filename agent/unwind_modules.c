/* Code that is loaded: known here by segment, and told to readers before any stack that leads
 * through it.
 *
 * The table is written by whoever meets a module first, without a lock: a place is claimed, filled
 * and then told. Two that meet it at once may tell it twice; readers take either. Signals are held
 * back meanwhile, since a handler that leaves by longjmp would leave the place half done. */
#include "agent/modules.h"
#include "agent/unwind.h"

#include <elf.h>
#include <signal.h>
#include <sys/auxv.h>
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
	_Atomic uint32_t *went; /* the epoch that a module has not seen; 0: it is there */
	/* All that have gone lie in here. */
	_Atomic uintptr_t went_low, went_high;
	/* Of the shared table. */
	_Atomic uint8_t *told; /* whether it is filled */
	_Atomic uint32_t told_count;
} known;

struct modules_linker modules_linker;

static void find_linker(void)
{
	const Elf64_Ehdr *header = (const void *)getauxval(AT_BASE);
	const Elf64_Phdr *segments;
	uintptr_t end = 0;

	if (!header)
		return;
	segments = (const void *)((const char *)header + header->e_phoff);
	for (unsigned i = 0; i < header->e_phnum; i++) {
		if (segments[i].p_type == PT_LOAD)
			end = segments[i].p_vaddr + segments[i].p_memsz;
	}
	modules_linker = (struct modules_linker){(uintptr_t)header, end};
}

bool unwind_modules_begin(void)
{
	uint32_t told;

	if (!modules_linker.start)
		find_linker();

	if (!known.modules) {
		known.modules = sys_map(MODULES_MAX * sizeof(*known.modules));
		known.told = sys_map(MODULES_MAX * sizeof(*known.told));
		known.went = sys_map(MODULES_MAX * sizeof(*known.went));
	}
	if (!known.modules || !known.told || !known.went)
		return false;
	unwind_objects_begin();
	told = agent_state.header ? agent_state.header->module_count : 0;
	/* A new session in the same memory: what was told, is. */
	if (told && told == atomic_load(&known.told_count))
		return true;
	for (uint32_t i = 0; i < MODULES_MAX; i++) {
		if (i < atomic_load(&known.count)) {
			atomic_store(&known.modules[i].state, MODULE_FREE);
			atomic_store(&known.went[i], 0);
		}
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

static void widen(const struct unwind_module *module)
{
	uintptr_t low = atomic_load(&known.went_low), high = atomic_load(&known.went_high);

	while ((!low || module->start < low) &&
	       !atomic_compare_exchange_weak(&known.went_low, &low, module->start))
		;
	while (module->end > high &&
	       !atomic_compare_exchange_weak(&known.went_high, &high, module->end))
		;
}

/* Those who find the state find the rest. */
static void gone(struct unwind_module *module, uint32_t epoch)
{
	uint32_t expected = MODULE_READY;

	widen(module);
	atomic_store(&known.went[module - known.modules], epoch);
	if (!atomic_compare_exchange_strong(&module->state, &expected, MODULE_GONE))
		return;
	if (module->told != UINT32_MAX && agent_state.modules)
		__atomic_store_n(&agent_state.modules[module->told].removed_epoch, epoch,
				 __ATOMIC_RELEASE);
}

static bool is_any_within(const uint64_t *pcs, uint32_t count, uintptr_t start, uintptr_t end)
{
	for (uint32_t i = 0; i < count; i++) {
		if (pcs[i] - (i > 0) - start < end - start)
			return true;
	}
	return false;
}

bool modules_went(uint32_t epoch, const uint64_t *pcs, uint32_t count)
{
	uintptr_t low = atomic_load(&known.went_low), high = atomic_load(&known.went_high);
	uint32_t known_count = atomic_load(&known.count);

	if (!known.went || !is_any_within(pcs, count, low, high))
		return false;
	for (uint32_t i = 0; i < known_count && i < MODULES_MAX; i++) {
		const struct unwind_module *module = &known.modules[i];

		if (atomic_load(&module->state) == MODULE_GONE &&
		    atomic_load(&known.went[i]) > epoch &&
		    is_any_within(pcs, count, module->start, module->end))
			return true;
	}
	return false;
}

/* Rules and memos are looked at anew. */
static uint32_t changed(void)
{
	uint32_t epoch = atomic_fetch_add(&known.epoch, 1) + 1;

	atomic_fetch_add_explicit(&unwind_rules.generation, UINT64_C(0x9e3779b97f4a7c15) << 1,
				  memory_order_release);
	return epoch;
}

/* Readers look for what has gone once the epoch is another one. */
static void tell_epoch(void)
{
	if (agent_state.header)
		__atomic_store_n(&agent_state.header->module_epoch, unwind_module_epoch(),
				 __ATOMIC_RELEASE);
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
			/* Before it is told as gone: stacks through it are of an earlier epoch. */
			gone(module, changed());
			tell_epoch();
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

/* The one there that was met before, and has been seen since modules last changed. */
static const struct unwind_module *look_up_fast(uintptr_t address, uint64_t generation)
{
	uint32_t count = atomic_load_explicit(&known.count, memory_order_acquire);
	const void *identity;
	uintptr_t bias;

	if (!modules_identify(address, &identity, &bias))
		return NULL;
	for (uint32_t i = 0; i < count && i < MODULES_MAX; i++) {
		const struct unwind_module *module = &known.modules[i];

		if (atomic_load_explicit(&module->state, memory_order_acquire) == MODULE_READY &&
		    address - module->start < module->end - module->start &&
		    module->identity == identity && module->bias == bias &&
		    atomic_load_explicit(&module->generation, memory_order_relaxed) == generation)
			return module;
	}
	return NULL;
}

bool unwind_module_find(uintptr_t address, uint64_t generation, struct unwind_module *ret_module)
{
	const struct unwind_module *fast = look_up_fast(address, generation);
	struct unwind_module module = {.told = UINT32_MAX}, *found;
	struct unwind_object object;
	const Elf64_Phdr *segment;

	if (fast) {
		*ret_module = *fast;
		return true;
	}
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

/* What of it is not there any more. */
static bool went(const struct unwind_module *module)
{
	return atomic_load_explicit(&module->state, memory_order_acquire) == MODULE_READY &&
	       !modules_may_have(module->start);
}

void unwind_modules_changed(void)
{
	uint32_t epoch = changed(), count = atomic_load(&known.count);

	for (uint32_t i = 0; i < count && i < MODULES_MAX; i++) {
		if (went(&known.modules[i]))
			gone(&known.modules[i], epoch);
	}
	tell_epoch();
}

void modules_look(void)
{
	uint32_t count = atomic_load(&known.count);

	for (uint32_t i = 0; i < count && i < MODULES_MAX; i++) {
		if (went(&known.modules[i])) {
			unwind_modules_changed();
			return;
		}
	}
}
