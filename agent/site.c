/* Stacks and their numbers: an index in memory of the process's own, of which forked children and
 * new sessions begin a new one; and records in the shared memory, told before anybody can count by
 * their numbers.
 *
 * The index is a few tables, each larger than the one before. A stack is in the first one that had
 * room in the line that its hash leads to; nothing is ever removed. So where a line has room and
 * not the stack, no table has. A stack through a library that has been unloaded since gives its
 * place to the one with the same addresses through what is there now. */
#include "agent/site.h"

#include <emmintrin.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "agent/agent.h"
#include "agent/modules.h"
#include "agent/unwind.h"

enum {
	LINE_SLOTS = 8, /* 64 bytes */
	LEVELS = 3,
	LAST_LINES = 64, /* that are looked at in the last table */
	PLACE_BITS = 24, /* of the largest part for records, in words */
	LOWER_HALVES = 0 | 2 << 2 | 0 << 4 | 2 << 6,
	UPPER_HALVES = 1 | 3 << 2 | 1 << 4 | 3 << 6,
	SWAPPED_HALVES = 2 | 3 << 2 | 0 << 4 | 1 << 6,
};
#define PLACE_MASK ((UINT64_C(1) << PLACE_BITS) - 1)

/* A slot: the upper 40 bits of the hash, and the place of the record, which has the number: its
 * offset in words, never 0. */
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

static inline struct memory memory_now(void)
{
	return (struct memory){agent_state.header, agent_state.sites, agent_state.stacks,
			       agent_state.stacks_bytes};
}

static inline bool is_there(const struct memory *memory)
{
	return memory->header && memory->sites && memory->stacks && sites.slots[LEVELS - 1];
}

/* What is shared may have been written to from outside. */
static const struct rsprof_shm_stack *record_at(const struct memory *memory, uint64_t offset)
{
	if (offset % 8 || offset > memory->stacks_bytes ||
	    memory->stacks_bytes - offset <
		    sizeof(struct rsprof_shm_stack) + 8 * (AGENT_FRAMES_MAX + 1))
		return NULL;
	return (const void *)(memory->stacks + offset);
}

/* 0: the addresses are those from `top` downwards. */
static inline uint64_t addresses_differ(const uint64_t *pcs, const uint64_t *top, uint32_t count)
{
	__m128i differ = _mm_setzero_si128();
	uint32_t i = 0;

	for (; i + 2 <= count; i += 2) {
		__m128i told = _mm_loadu_si128((const __m128i *)(pcs + i));
		__m128i here = _mm_loadu_si128((const __m128i *)(top - i - 1));

		differ = _mm_or_si128(differ,
				      _mm_xor_si128(told, _mm_shuffle_epi32(here, SWAPPED_HALVES)));
	}
	differ = _mm_or_si128(differ, _mm_unpackhi_epi64(differ, differ));
	return (uint64_t)_mm_cvtsi128_si64(differ) | (i < count ? pcs[i] ^ *(top - i) : 0);
}

/* 0: it is none that can be counted by. */
static uint32_t number_in(const struct memory *memory, const struct rsprof_shm_stack *record)
{
	uint32_t site = record->site;

	return site >= RSPROF_SHM_SITE_FIRST && site < AGENT_SITES_MAX &&
			       site < memory->header->site_count
		       ? site
		       : 0;
}

static bool has_addresses(const struct rsprof_shm_stack *record, const struct site_stack *stack)
{
	const uint64_t *pcs = (const void *)(record + 1);
	uint64_t differ;

	if (record->frame_count != frame_count(stack) || record->status != stack->status)
		return false;
	differ = *pcs++ ^ stack->leaf;
	for (uint32_t i = 0; i < stack->inner_count; i++)
		differ |= *pcs++ ^ stack->inner[i];
	return !(differ | addresses_differ(pcs, stack->outer_top, stack->outer_count));
}

/* Of those through it, something has been unloaded since. */
static bool is_outdated(const struct rsprof_shm_stack *record)
{
	return record->frame_count <= AGENT_FRAMES_MAX + 1 &&
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

/* The place of a new one, told. 0: no room. */
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
	if (offset % 8 || offset / 8 > PLACE_MASK)
		return 0;
	site = take_number(header);
	if (!site)
		return 0;
	write_record((void *)(memory->stacks + offset), site, stack);
	/* Pairs with the acquire of readers. */
	atomic_store_explicit(&memory->sites[site], offset, memory_order_release);
	return (uint32_t)(offset / 8);
}

/* Of a stack within a line. */
struct search {
	const struct memory *memory;
	const struct site_stack *stack;
	uint64_t hash;
	uint32_t made; /* its place; 0: it has none yet */
};

static bool has_place(struct search *search)
{
	if (!search->made)
		search->made = make(search->memory, search->stack);
	return search->made != 0;
}

static uint32_t number_made(const struct search *search)
{
	const struct rsprof_shm_stack *record =
		record_at(search->memory, 8 * (uint64_t)search->made);
	uint32_t site = record ? number_in(search->memory, record) : 0;

	return site ? site : RSPROF_SHM_SITE_FULL;
}

static bool take_slot(const struct search *search, _Atomic uint64_t *slot, uint64_t *seen)
{
	return atomic_compare_exchange_strong_explicit(slot, seen,
						       (search->hash & ~PLACE_MASK) | search->made,
						       memory_order_release, memory_order_acquire);
}

static __m128i equal(const __m128i *words, __m128i wanted, bool is_upper)
{
	__m128 first = _mm_castsi128_ps(_mm_load_si128(words)),
	       second = _mm_castsi128_ps(_mm_load_si128(words + 1));
	__m128 halves = is_upper ? _mm_shuffle_ps(first, second, UPPER_HALVES)
				 : _mm_shuffle_ps(first, second, LOWER_HALVES);

	return _mm_cmpeq_epi32(_mm_castps_si128(halves), wanted);
}

/* Slots of the line that are to be looked at, a bit each: those with half of the hash and, where
 * wanted, empty ones. What has come since is in one that was empty. */
static inline unsigned slots_of(const _Atomic uint64_t *line, uint64_t hash, bool with_empty)
{
	const __m128i *words = (const __m128i *)line;
	__m128i upper = _mm_set1_epi32((int)(hash >> 32)), none = _mm_setzero_si128();
	__m128i left = equal(words, upper, true), right = equal(words + 2, upper, true);

	if (with_empty) {
		left = _mm_or_si128(left, equal(words, none, false));
		right = _mm_or_si128(right, equal(words + 2, none, false));
	}
	return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(left, right), none));
}

/* The number, or 0: the line is full of others. */
static uint32_t look_at_line(struct search *search, _Atomic uint64_t *line)
{
	for (unsigned slots = slots_of(line, search->hash, true); slots; slots &= slots - 1) {
		unsigned i = (unsigned)__builtin_ctz(slots);
		uint64_t slot = atomic_load_explicit(&line[i], memory_order_acquire);
		const struct rsprof_shm_stack *record;
		uint32_t site;

		if (!slot) {
			if (!has_place(search))
				return RSPROF_SHM_SITE_FULL;
			if (take_slot(search, &line[i], &slot))
				return number_made(search);
		}
		record = record_at(search->memory, 8 * (slot & PLACE_MASK));
		if (((slot ^ search->hash) & ~PLACE_MASK) != 0 || !record ||
		    !has_addresses(record, search->stack))
			continue;
		site = number_in(search->memory, record);
		if (AGENT_LIKELY(site &&
				 ((slot & PLACE_MASK) == search->made || !is_outdated(record))))
			return site;
		if (!has_place(search))
			return RSPROF_SHM_SITE_FULL;
		/* Whoever was faster had the same in mind. */
		take_slot(search, &line[i], &slot);
		return number_made(search);
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

static _Atomic uint64_t *line_of(unsigned level, uint64_t hash)
{
	size_t lines = ((size_t)1 << level_bits[level]) / LINE_SLOTS;

	return sites.slots[level] + (hash & (lines - 1)) * LINE_SLOTS;
}

/* A record that may be the stack's, by the first two tables; without a branch that the processor
 * would often foresee wrongly. */
static inline const struct rsprof_shm_stack *likely_record(const struct memory *memory,
							   uint64_t hash)
{
	_Atomic uint64_t *near = line_of(0, hash), *far = line_of(1, hash);
	unsigned slots = slots_of(near, hash, false) | slots_of(far, hash, false) << LINE_SLOTS;
	unsigned i = (unsigned)__builtin_ctz(slots | 1u << (2 * LINE_SLOTS - 1));
	uint64_t slot = atomic_load_explicit((i & LINE_SLOTS ? far : near) + i % LINE_SLOTS,
					     memory_order_acquire);

	return !((slot ^ hash) & ~PLACE_MASK) ? record_at(memory, 8 * (slot & PLACE_MASK)) : NULL;
}

void site_expect(const struct site_stack *stack)
{
	uint64_t hash = finish(stack);

	for (unsigned level = 0; level < LEVELS - 1; level++)
		__builtin_prefetch((const void *)line_of(level, hash));
}

void site_expect_record(const struct site_stack *stack)
{
	enum { CACHE_LINE = 64 };
	struct memory memory = memory_now();
	const char *record;

	if (!is_there(&memory))
		return;
	record = (const char *)likely_record(&memory, finish(stack));
	if (!record)
		return;
	for (size_t i = 0; i < 8 * (size_t)frame_count(stack) + sizeof(struct rsprof_shm_stack);
	     i += CACHE_LINE)
		__builtin_prefetch(record + i);
}

uint32_t site_intern(const struct site_stack *stack)
{
	struct memory memory = memory_now();
	struct search search = {.memory = &memory, .stack = stack};
	const struct rsprof_shm_stack *record;
	uint32_t site = RSPROF_SHM_SITE_FULL;

	if (AGENT_LIKELY(is_there(&memory))) {
		search.hash = finish(stack);
		record = likely_record(&memory, search.hash);
		if (AGENT_LIKELY(record && has_addresses(record, stack) && !is_outdated(record))) {
			site = number_in(&memory, record);
			if (AGENT_LIKELY(site))
				return site;
		}
		site = find_or_make(&search);
	}
	if (site == RSPROF_SHM_SITE_FULL)
		agent_lost(RSPROF_SHM_LOST_SITES, 1);
	return site;
}

bool site_has_call(uint32_t site, uintptr_t start, uintptr_t end, uintptr_t caller)
{
	struct memory memory = memory_now();
	const struct rsprof_shm_stack *record;
	const uint64_t *pcs;

	if (!memory.header || !memory.sites || !memory.stacks || site < RSPROF_SHM_SITE_FIRST ||
	    site >= memory.header->site_count)
		return false;
	record =
		record_at(&memory, atomic_load_explicit(&memory.sites[site], memory_order_acquire));
	if (!record || record->site != site || record->frame_count > AGENT_FRAMES_MAX + 1)
		return false;
	pcs = (const void *)(record + 1);
	for (uint32_t i = 1; i + 1 < record->frame_count; i++) {
		if (pcs[i] - start < end - start && pcs[i + 1] == caller)
			return true;
	}
	return false;
}
