#include <sys/mman.h>
#include <sys/syscall.h>

#include "agent/shadow.h"

enum { PAGE = 4096 };

uint64_t *_Atomic *shadow_leaves;

/* On a page before each leaf: they are found without reading all of shadow_leaves. */
struct leaf_head {
	struct leaf_head *next;
};
static struct leaf_head *_Atomic first_leaf;

static void *map(size_t bytes)
{
	void *memory = sys_map(bytes);

	/* A huge page each 4 MiB of heap would be touched by a program with a block there. */
	if (memory)
		sys_call(SYS_madvise, (long)memory, (long)bytes, MADV_NOHUGEPAGE, 0, 0, 0);
	return memory;
}

static size_t leaf_bytes(void)
{
	return (size_t)8 << (SHADOW_LEAF_BITS - agent_process.granule_bits);
}

bool shadow_begin(void)
{
	if (!shadow_leaves)
		shadow_leaves = map(SHADOW_LEAVES * sizeof(*shadow_leaves));
	return shadow_leaves != NULL;
}

uint64_t *shadow_leaf_new(uintptr_t block)
{
	uintptr_t i = block >> SHADOW_LEAF_BITS;
	uint64_t *leaf, *there = NULL;
	struct leaf_head *head;

	if (i >= SHADOW_LEAVES)
		return NULL;
	head = map(PAGE + leaf_bytes());
	if (!head)
		return NULL;
	leaf = (uint64_t *)((char *)head + PAGE);
	if (!atomic_compare_exchange_strong_explicit(&shadow_leaves[i], &there, leaf,
						     memory_order_acq_rel, memory_order_acquire)) {
		sys_call(SYS_munmap, (long)head, (long)(PAGE + leaf_bytes()), 0, 0, 0, 0);
		return there;
	}
	head->next = atomic_load_explicit(&first_leaf, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&first_leaf, &head->next, head,
						      memory_order_release, memory_order_relaxed))
		;
	return leaf;
}

void shadow_clear(void)
{
	struct leaf_head *head = atomic_load_explicit(&first_leaf, memory_order_acquire);

	for (; head; head = head->next)
		sys_call(SYS_madvise, (long)head + PAGE, (long)leaf_bytes(), MADV_DONTNEED, 0, 0,
			 0);
}
