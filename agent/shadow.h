/* From a block to its size and its site: 4 bytes for each granule of the address space, in leaves
 * of 64 MiB that are mapped when first needed. They are many and lie apart from all else, so what
 * they cost is the processor's cache: sizes that have no room in them are beside them, where few
 * are. A cell belongs to whoever owns the block, so plain loads and stores do. Private to the
 * process; a forked child has its parent's.
 *
 * What the program reports of its own has a map for itself, since it may be anywhere.
 *
 * What is known of a block is told as a slot, size << 24 | site; 0: nothing. */
#ifndef RSPROF_AGENT_SHADOW_H
#define RSPROF_AGENT_SHADOW_H

#include "agent/agent.h"

enum {
	SHADOW_LEAF_BITS = 26,
	SHADOW_LEAVES = 1 << 21, /* up to 2^47 */
	SHADOW_SITE_BITS = 24,
	/* A cell: size and site. Blocks from that size on begin in other stretches of so many bits
	 * each: there is a word for each of these. */
	SHADOW_CELL_SITE_BITS = 18,
	SHADOW_LARGE = (1 << 14) - 1,
	SHADOW_STRETCH_BITS = 13,
};
#define SHADOW_SIZE_MAX ((UINT64_C(1) << 40) - 1)
_Static_assert(AGENT_SITES_MAX <= 1 << SHADOW_CELL_SITE_BITS, "a cell has room for all sites");
_Static_assert(SHADOW_LARGE >= 1 << SHADOW_STRETCH_BITS, "two large blocks share no stretch");

extern uint32_t *_Atomic *shadow_leaves __attribute__((visibility("hidden")));

/* Idempotent; false: no memory. */
bool shadow_begin(void);
/* All blocks are unknown from now on. */
void shadow_clear(void);
/* Maps the leaf of a block; NULL: there is no memory, or the address is beyond the map. */
uint32_t *shadow_leaf_new(uintptr_t block);
/* What is in a cell, of a block that is large; and to write both. */
uint64_t shadow_get_large(uint32_t cell, uintptr_t block);
void shadow_set_large(uint32_t *place, uintptr_t block, uint64_t size, uint32_t site);
/* Of reported blocks. */
uint64_t shadow_reported(uintptr_t block);
uint64_t shadow_take_reported(uintptr_t block);
bool shadow_put_reported(uintptr_t block, uint64_t slot);

static inline uint64_t shadow_slot(uint64_t size, uint32_t site)
{
	return (size < SHADOW_SIZE_MAX ? size : SHADOW_SIZE_MAX) << SHADOW_SITE_BITS | site;
}

static inline uint64_t shadow_size(uint64_t slot)
{
	return slot >> SHADOW_SITE_BITS;
}

static inline uint32_t shadow_site(uint64_t slot)
{
	return slot & ((1 << SHADOW_SITE_BITS) - 1);
}

static inline uint32_t shadow_cell_size(uint32_t cell)
{
	return cell >> SHADOW_CELL_SITE_BITS;
}

static inline uint32_t shadow_cell_site(uint32_t cell)
{
	return cell & ((1 << SHADOW_CELL_SITE_BITS) - 1);
}

static inline uint32_t *shadow_in_leaf(uint32_t *leaf, uintptr_t block)
{
	return leaf + ((block & ((1 << SHADOW_LEAF_BITS) - 1)) >> agent_process.granule_bits);
}

/* The cell of a block. NULL: no leaf. */
static inline uint32_t *shadow_find(uintptr_t block)
{
	uintptr_t i = block >> SHADOW_LEAF_BITS;
	uint32_t *leaf;

	if (AGENT_UNLIKELY(i >= SHADOW_LEAVES))
		return NULL;
	/* Pairs with shadow_leaf_new()'s exchange; a leaf is never given back. */
	leaf = atomic_load_explicit(&shadow_leaves[i], memory_order_acquire);
	return AGENT_LIKELY(leaf != NULL) ? shadow_in_leaf(leaf, block) : NULL;
}

/* Of a cell that is about to be written. To read a page that is not there yet is a fault of its
 * own, before that of the write: so it is read as if to write it. */
static inline bool shadow_is_empty(uint32_t *place)
{
	bool is_empty;

	__asm__("orl $0, %0" : "+m"(*place), "=@ccz"(is_empty));
	return is_empty;
}

static inline uint64_t shadow_get(uint32_t cell, uintptr_t block)
{
	if (AGENT_UNLIKELY(shadow_cell_size(cell) == SHADOW_LARGE))
		return shadow_get_large(cell, block);
	return (uint64_t)shadow_cell_size(cell) << SHADOW_SITE_BITS | shadow_cell_site(cell);
}

static inline void shadow_set(uint32_t *place, uintptr_t block, uint64_t size, uint32_t site)
{
	if (AGENT_UNLIKELY(size >= SHADOW_LARGE))
		shadow_set_large(place, block, size, site);
	else
		*place = (uint32_t)size << SHADOW_CELL_SITE_BITS | site;
}

/* What is known of a block that is given back now. */
static inline uint64_t shadow_take(uintptr_t block)
{
	uint32_t *place = shadow_find(block);
	uint64_t slot;

	if (AGENT_UNLIKELY(!place || !*place))
		return 0;
	slot = shadow_get(*place, block);
	*place = 0;
	return slot;
}

/* shadow_find() that maps the leaf. NULL: there is no memory to know the block by. */
static inline uint32_t *shadow_cell(uintptr_t block)
{
	uint32_t *place = shadow_find(block), *leaf;

	if (AGENT_LIKELY(place != NULL))
		return place;
	leaf = shadow_leaf_new(block);
	return leaf ? shadow_in_leaf(leaf, block) : NULL;
}

static inline bool shadow_put(uintptr_t block, uint64_t slot)
{
	uint32_t *place = shadow_cell(block);

	if (place)
		shadow_set(place, block, shadow_size(slot), shadow_site(slot));
	return place != NULL;
}

#endif
