/* From a block to its size and its site: size << 24 | site, 8 bytes for each granule of the address
 * space, in leaves of 64 MiB that are mapped when first needed. A slot belongs to whoever owns the
 * block, so plain loads and stores do. Private to the process; a forked child has its parent's. */
#ifndef RSPROF_AGENT_SHADOW_H
#define RSPROF_AGENT_SHADOW_H

#include "agent/agent.h"

enum {
	SHADOW_LEAF_BITS = 26,
	SHADOW_LEAVES = 1 << 21, /* up to 2^47 */
	SHADOW_SITE_BITS = 24,
};
#define SHADOW_SIZE_MAX ((UINT64_C(1) << 40) - 1)

extern uint64_t *_Atomic *shadow_leaves __attribute__((visibility("hidden")));

/* Idempotent; false: no memory. */
bool shadow_begin(void);
/* All blocks are unknown from now on. */
void shadow_clear(void);
/* Maps the leaf of a block; NULL: there is no memory, or the address is beyond the map. */
uint64_t *shadow_leaf_new(uintptr_t block);

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

static inline uint64_t *shadow_in_leaf(uint64_t *leaf, uintptr_t block)
{
	return leaf + ((block & ((1 << SHADOW_LEAF_BITS) - 1)) >> agent_process.granule_bits);
}

/* NULL: no leaf. */
static inline uint64_t *shadow_find(uintptr_t block)
{
	uintptr_t i = block >> SHADOW_LEAF_BITS;
	uint64_t *leaf;

	if (AGENT_UNLIKELY(i >= SHADOW_LEAVES))
		return NULL;
	/* Pairs with shadow_leaf_new()'s exchange; a leaf is never given back. */
	leaf = atomic_load_explicit(&shadow_leaves[i], memory_order_acquire);
	return AGENT_LIKELY(leaf != NULL) ? shadow_in_leaf(leaf, block) : NULL;
}

/* What is known of a block that is given back now; 0: nothing. */
static inline uint64_t shadow_take(uintptr_t block)
{
	uint64_t *place = shadow_find(block), slot;

	if (AGENT_UNLIKELY(!place))
		return 0;
	slot = *place;
	*place = 0;
	return slot;
}

/* false: there is no memory to know the block by. */
static inline bool shadow_put(uintptr_t block, uint64_t slot)
{
	uint64_t *place = shadow_find(block), *leaf;

	if (AGENT_UNLIKELY(!place)) {
		leaf = shadow_leaf_new(block);
		if (!leaf)
			return false;
		place = shadow_in_leaf(leaf, block);
	}
	*place = slot;
	return true;
}

#endif
