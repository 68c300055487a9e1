/* Stacks and their numbers: an index in memory of the process's own, of which forked children and
 * new sessions begin a new one; and records in the shared memory, told before anybody can count by
 * their numbers.
 *
 * The index is a few tables, each larger than the one before. A stack is in the first one that had
 * room in the line that its hash leads to; nothing is ever removed. So where a line has room and
 * not the stack, no table has. A stack through a library that has been unloaded since gives its
 * place to the one with the same addresses through what is there now. */
#include "agent/site.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include "agent/agent.h"
#include "agent/modules.h"
#include "agent/unwind.h"

enum {
	LINE_SLOTS = 8, /* 64 bytes */
	LEVELS = 3,
	LAST_LINES = 64, /* that are looked at in the last table */
	SITE_BITS = 24,
};
#define SITE_MASK ((UINT64_C(1) << SITE_BITS) - 1)

/* A slot: the upper 40 bits of the hash, and the number. */
static const uint8_t level_bits[LEVELS] = {12, 16, 20};
static struct {
	_Atomic uint64_t *slots[LEVELS];
	uint64_t seed;
} sites;

static size_t level_bytes(unsigned level)
{
	return sizeof(uint64_t) << level_bits[level];
}

bool site_begin(void)
{
	for (unsigned i = 0; i < LEVELS; i++) {
		if (!sites.slots[i])
			sites.slots[i] = sys_map(level_bytes(i));
		else
			sys_call(SYS_madvise, (long)sites.slots[i], (long)level_bytes(i),
				 MADV_DONTNEED, 0, 0, 0);
		if (!sites.slots[i])
			return false;
	}
	sites.seed += UINT64_C(0x9e3779b97f4a7c15);
	return true;
}

static uint64_t finish(const struct site_stack *stack)
{
	uint64_t hash = stack->hash ^ stack->leaf * UINT64_C(0xff51afd7ed558ccd);

	hash += sites.seed + stack->status;
	hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
	hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return hash ^ hash >> 32;
}

static uint32_t frame_count(const struct site_stack *stack)
{
	return 1 + stack->inner_count + stack->outer_count;
}

/* Of agent_state, which a forked child loses at any time: a handler of this thread may fork. */
struct memory {
	struct rsprof_shm_header *header;
	_Atomic uint64_t *sites;
	uint8_t *stacks;
	uint64_t stacks_bytes;
};

/* What is shared may have been written to from outside. */
static const struct rsprof_shm_stack *record_of(const struct memory *memory, uint32_t site)
{
	uint64_t offset = atomic_load_explicit(&memory->sites[site], memory_order_acquire);

	if (offset % 8 || offset > memory->stacks_bytes ||
	    memory->stacks_bytes - offset <
		    sizeof(struct rsprof_shm_stack) + 8 * (AGENT_FRAMES_MAX + 1))
		return NULL;
	return (const void *)(memory->stacks + offset);
}

static bool has_addresses(const struct memory *memory, uint32_t site,
			  const struct site_stack *stack)
{
	const struct rsprof_shm_stack *record = record_of(memory, site);
	const uint64_t *pcs = (const void *)(record + 1);
	uint64_t differ;

	if (!record || record->frame_count != frame_count(stack) || record->status != stack->status)
		return false;
	differ = *pcs++ ^ stack->leaf;
	for (uint32_t i = 0; i < stack->inner_count; i++)
		differ |= *pcs++ ^ stack->inner[i];
	for (uint32_t i = 0; i < stack->outer_count; i++)
		differ |= *pcs++ ^ *(stack->outer_top - i);
	return differ == 0;
}

/* Of those through it, something has been unloaded since. */
static bool is_outdated(const struct memory *memory, uint32_t site)
{
	const struct rsprof_shm_stack *record = record_of(memory, site);

	return record && record->frame_count <= AGENT_FRAMES_MAX + 1 &&
	       AGENT_UNLIKELY(record->module_epoch != unwind_module_epoch()) &&
	       modules_went(record->module_epoch, (const void *)(record + 1), record->frame_count);
}

/* Takes `count` of what is shared, if no more than `max` are taken then. */
static bool take(uint64_t *used, uint64_t count, uint64_t max, uint64_t *ret_first)
{
	uint64_t first = __atomic_load_n(used, __ATOMIC_RELAXED);

	do {
		if (first > max || max - first < count)
			return false;
	} while (!__atomic_compare_exchange_n(used, &first, first + count, false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	*ret_first = first;
	return true;
}

static uint32_t take_number(struct rsprof_shm_header *header)
{
	uint32_t max = header->site_count,
		 site = __atomic_load_n(&header->next_site, __ATOMIC_RELAXED);

	if (max > AGENT_SITES_MAX)
		max = AGENT_SITES_MAX;
	do {
		if (site >= max || site < RSPROF_SHM_SITE_FIRST)
			return 0;
	} while (!__atomic_compare_exchange_n(&header->next_site, &site, site + 1, false,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return site;
}

static void write_record(struct rsprof_shm_stack *record, uint32_t site,
			 const struct site_stack *stack)
{
	uint64_t *pcs = (void *)(record + 1);

	*record = (struct rsprof_shm_stack){
		.site = site,
		.frame_count = (uint16_t)frame_count(stack),
		.status = stack->status,
		.module_epoch = unwind_module_epoch(),
		.module_count = unwind_module_count(),
	};
	*pcs++ = stack->leaf;
	for (uint32_t i = 0; i < stack->inner_count; i++)
		*pcs++ = stack->inner[i];
	for (uint32_t i = 0; i < stack->outer_count; i++)
		*pcs++ = *(stack->outer_top - i);
}

/* A new number, told. 0: no room. */
static uint32_t make(const struct memory *memory, const struct site_stack *stack)
{
	struct rsprof_shm_header *header = memory->header;
	uint64_t bytes = sizeof(struct rsprof_shm_stack) + 8 * (uint64_t)frame_count(stack), offset;
	/* Each record has room for the longest behind its beginning: reading needs no other check.
	 */
	uint64_t reserve = 8 * (uint64_t)(AGENT_FRAMES_MAX + 1);
	uint32_t site;

	if (__atomic_load_n(&header->next_site, __ATOMIC_RELAXED) >= header->site_count ||
	    memory->stacks_bytes < reserve ||
	    !take(&header->stacks_used, bytes, memory->stacks_bytes - reserve, &offset))
		return 0;
	/* 0 is where nothing is told. */
	if (!offset && !take(&header->stacks_used, bytes, memory->stacks_bytes - reserve, &offset))
		return 0;
	if (offset % 8)
		return 0;
	site = take_number(header);
	if (!site)
		return 0;
	write_record((void *)(memory->stacks + offset), site, stack);
	/* Pairs with the acquire of readers and of record_of(). */
	atomic_store_explicit(&memory->sites[site], offset, memory_order_release);
	return site;
}

/* Of a stack within a line. */
struct search {
	const struct memory *memory;
	const struct site_stack *stack;
	uint64_t hash;
	uint32_t made; /* 0: it has no number yet */
};

static uint32_t number_of(struct search *search)
{
	if (!search->made)
		search->made = make(search->memory, search->stack);
	return search->made;
}

static bool take_slot(const struct search *search, _Atomic uint64_t *slot, uint64_t *seen)
{
	return atomic_compare_exchange_strong_explicit(slot, seen,
						       (search->hash & ~SITE_MASK) | search->made,
						       memory_order_release, memory_order_acquire);
}

/* The number, or 0: the line is full of others. */
static uint32_t look_at_line(struct search *search, _Atomic uint64_t *line)
{
	for (unsigned i = 0; i < LINE_SLOTS; i++) {
		uint64_t slot = atomic_load_explicit(&line[i], memory_order_acquire);
		uint32_t site;

		if (!slot) {
			if (!number_of(search))
				return RSPROF_SHM_SITE_FULL;
			if (take_slot(search, &line[i], &slot))
				return search->made;
		}
		site = (uint32_t)(slot & SITE_MASK);
		if (((slot ^ search->hash) & ~SITE_MASK) != 0 ||
		    !has_addresses(search->memory, site, search->stack))
			continue;
		if (AGENT_LIKELY(site == search->made || !is_outdated(search->memory, site)))
			return site;
		if (!number_of(search))
			return RSPROF_SHM_SITE_FULL;
		/* Whoever was faster had the same in mind. */
		take_slot(search, &line[i], &slot);
		return search->made;
	}
	return 0;
}

static uint32_t find_or_make(struct search *search)
{
	uint32_t site;

	for (unsigned level = 0; level < LEVELS; level++) {
		size_t lines = ((size_t)1 << level_bits[level]) / LINE_SLOTS;
		unsigned tries = level == LEVELS - 1 ? LAST_LINES : 1;

		for (unsigned i = 0; i < tries; i++) {
			size_t line = (search->hash + i) & (lines - 1);

			site = look_at_line(search, sites.slots[level] + line * LINE_SLOTS);
			if (site)
				return site;
		}
	}
	return RSPROF_SHM_SITE_FULL;
}

void site_expect(const struct site_stack *stack)
{
	uint64_t hash = finish(stack);

	for (unsigned level = 0; level < LEVELS - 1; level++) {
		size_t lines = ((size_t)1 << level_bits[level]) / LINE_SLOTS;

		__builtin_prefetch(sites.slots[level] + (hash & (lines - 1)) * LINE_SLOTS);
	}
}

uint32_t site_intern(const struct site_stack *stack)
{
	struct memory memory = {agent_state.header, agent_state.sites, agent_state.stacks,
				agent_state.stacks_bytes};
	struct search search = {.memory = &memory, .stack = stack};
	uint32_t site = RSPROF_SHM_SITE_FULL;

	if (memory.header && memory.sites && memory.stacks && sites.slots[LEVELS - 1]) {
		search.hash = finish(stack);
		site = find_or_make(&search);
	}
	if (site == RSPROF_SHM_SITE_FULL)
		agent_lost(RSPROF_SHM_LOST_SITES, 1);
	return site;
}

bool site_has_call(uint32_t site, uintptr_t start, uintptr_t end, uintptr_t caller)
{
	struct memory memory = {agent_state.header, agent_state.sites, agent_state.stacks,
				agent_state.stacks_bytes};
	const struct rsprof_shm_stack *record;
	const uint64_t *pcs;

	if (!memory.header || !memory.sites || !memory.stacks || site < RSPROF_SHM_SITE_FIRST ||
	    site >= memory.header->site_count)
		return false;
	record = record_of(&memory, site);
	if (!record || record->site != site || record->frame_count > AGENT_FRAMES_MAX + 1)
		return false;
	pcs = (const void *)(record + 1);
	for (uint32_t i = 1; i + 1 < record->frame_count; i++) {
		if (pcs[i] - start < end - start && pcs[i + 1] == caller)
			return true;
	}
	return false;
}
