#include <sys/mman.h>
#include <sys/syscall.h>

#include "agent/shadow.h"

enum {
	HEAD_BYTES = 4096,
	REPORTED_GRANULE_BITS = 3,
	/* In the word of a large block, below its size: where in the stretch it begins. */
	PLACE_BITS = 13,
	STRETCHES = 1 << (SHADOW_LEAF_BITS - SHADOW_STRETCH_BITS),
};

uint32_t *_Atomic *shadow_leaves;
static uint64_t *_Atomic *_Atomic reported_leaves;

/* On a page before each leaf: they are found without reading all of shadow_leaves. */
struct leaf_head {
	struct leaf_head *next;
	size_t bytes; /* of the leaf */
};
static struct leaf_head *_Atomic first_leaf;

static void *map(size_t bytes)
{
	void *memory = sys_map(bytes);

	/* A huge page for each few MiB of heap would be touched by a program with a block there. */
	if (memory)
		sys_call(SYS_madvise, (long)memory, (long)bytes, MADV_NOHUGEPAGE, 0, 0, 0);
	return memory;
}

static size_t cells_bytes(void)
{
	return sizeof(uint32_t) << (SHADOW_LEAF_BITS - agent_process.granule_bits);
}

static void *new_leaf(size_t bytes)
{
	struct leaf_head *head = map(HEAD_BYTES + bytes);

	if (!head)
		return NULL;
	head->bytes = bytes;
	return (char *)head + HEAD_BYTES;
}

static struct leaf_head *head_of(void *leaf)
{
	return (struct leaf_head *)((char *)leaf - HEAD_BYTES);
}

static void drop_leaf(void *leaf)
{
	struct leaf_head *head = head_of(leaf);

	sys_unmap(head, HEAD_BYTES + head->bytes);
}

static void add_leaf(void *leaf)
{
	struct leaf_head *head = head_of(leaf);

	head->next = atomic_load_explicit(&first_leaf, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&first_leaf, &head->next, head,
						      memory_order_release, memory_order_relaxed))
		;
}

bool shadow_begin(void)
{
	if (!shadow_leaves)
		shadow_leaves = map(SHADOW_LEAVES * sizeof(*shadow_leaves));
	return shadow_leaves != NULL;
}

uint32_t *shadow_leaf_new(uintptr_t block)
{
	uintptr_t i = block >> SHADOW_LEAF_BITS;
	uint32_t *leaf, *there = NULL;

	if (i >= SHADOW_LEAVES)
		return NULL;
	leaf = new_leaf(cells_bytes() + STRETCHES * sizeof(uint64_t));
	if (!leaf)
		return NULL;
	if (!atomic_compare_exchange_strong_explicit(&shadow_leaves[i], &there, leaf,
						     memory_order_acq_rel, memory_order_acquire)) {
		drop_leaf(leaf);
		return there;
	}
	add_leaf(leaf);
	return leaf;
}

void shadow_clear(void)
{
	struct leaf_head *head = atomic_load_explicit(&first_leaf, memory_order_acquire);

	for (; head; head = head->next)
		sys_call(SYS_madvise, (long)head + HEAD_BYTES, (long)head->bytes, MADV_DONTNEED, 0,
			 0, 0);
}

/* ---- large blocks: size, and where the block begins */

static uint64_t *word_of(uintptr_t block)
{
	char *leaf = (char *)atomic_load_explicit(&shadow_leaves[block >> SHADOW_LEAF_BITS],
						  memory_order_acquire);

	return (uint64_t *)(leaf + cells_bytes()) +
	       ((block & ((1 << SHADOW_LEAF_BITS) - 1)) >> SHADOW_STRETCH_BITS);
}

static uint64_t place_in_stretch(uintptr_t block)
{
	return (block & ((1 << SHADOW_STRETCH_BITS) - 1)) >> agent_process.granule_bits;
}

__attribute__((noinline)) uint64_t shadow_get_large(uint32_t cell, uintptr_t block)
{
	uint64_t word = *word_of(block);

	/* The block went without a word, and another one came over it. */
	if ((word & ((1 << PLACE_BITS) - 1)) != place_in_stretch(block))
		return 0;
	return shadow_slot(word >> PLACE_BITS, shadow_cell_site(cell));
}

__attribute__((noinline)) void shadow_set_large(uint32_t *place, uintptr_t block, uint64_t size,
						uint32_t site)
{
	*word_of(block) = size << PLACE_BITS | place_in_stretch(block);
	*place = (uint32_t)SHADOW_LARGE << SHADOW_CELL_SITE_BITS | site;
}

/* ---- reported ones: whole slots, at any multiple of 8 */

static uint64_t *reported_place(uintptr_t block, bool may_make)
{
	uint64_t *_Atomic *leaves = atomic_load_explicit(&reported_leaves, memory_order_acquire);
	uint64_t *_Atomic *new_leaves = NULL;
	uint64_t *leaf, *there = NULL;
	uintptr_t i = block >> SHADOW_LEAF_BITS;

	if (i >= SHADOW_LEAVES || (!leaves && !may_make))
		return NULL;
	if (!leaves) {
		new_leaves = map(SHADOW_LEAVES * sizeof(*new_leaves));
		if (!new_leaves)
			return NULL;
		if (atomic_compare_exchange_strong(&reported_leaves, &leaves, new_leaves))
			leaves = new_leaves;
		else
			sys_unmap(new_leaves, SHADOW_LEAVES * sizeof(*new_leaves));
	}
	leaf = atomic_load_explicit(&leaves[i], memory_order_acquire);
	if (!leaf && may_make) {
		leaf = new_leaf(sizeof(*leaf) << (SHADOW_LEAF_BITS - REPORTED_GRANULE_BITS));
		if (leaf && atomic_compare_exchange_strong(&leaves[i], &there, leaf)) {
			add_leaf(leaf);
		} else if (leaf) {
			drop_leaf(leaf);
			leaf = there;
		}
	}
	if (!leaf)
		return NULL;
	return leaf + ((block & ((1 << SHADOW_LEAF_BITS) - 1)) >> REPORTED_GRANULE_BITS);
}

uint64_t shadow_reported(uintptr_t block)
{
	const uint64_t *place = reported_place(block, false);

	return place ? *place : 0;
}

uint64_t shadow_take_reported(uintptr_t block)
{
	uint64_t *place = reported_place(block, false), slot;

	if (!place)
		return 0;
	slot = *place;
	*place = 0;
	return slot;
}

bool shadow_put_reported(uintptr_t block, uint64_t slot)
{
	uint64_t *place = reported_place(block, true);

	if (place)
		*place = slot;
	return place != NULL;
}
