/* Heap programs where a map or the ring is full. */
#include "tests/unit/heap_toys.h"

/* ---- bounds */

enum { MANY = 2000 };

APART static void *descend(uint32_t path, int depth)
{
	void *block;

	if (!depth)
		return toy_malloc(16);
	if (path & 1) {
		block = descend(path >> 1, depth - 1);
		/* Else the compiler makes one call of both. */
		asm volatile("nop");
	} else {
		block = descend(path >> 1, depth - 1);
	}
	*(volatile char *)block = 1;
	return block;
}

static void many_stacks(const void *argument)
{
	static void *blocks[MANY];

	child_ready();
	child_await();
	for (uint32_t i = 0; i < MANY; i++)
		blocks[i] = descend(i, 11);
	for (uint32_t i = 0; i < MANY; i++)
		toy_free(blocks[i]);
	child_ready();
	child_await();
}

static struct bpf_heap_site site_of(struct heap_rig *heap, uint64_t key)
{
	struct bpf_heap_site site;

	CHECK(bpf_map_lookup_elem(heap->loaded.heap_sites_fd, &key, &site) == 0);
	return site;
}

TEST(blocks_beyond_the_map_are_untracked)
{
	enum { BLOCKS = 100 };
	struct child child = child_fork(many_stacks, NULL);
	struct heap_rig *heap = heap_rig_open();
	struct bpf_heap_site sum;

	heap->config.heap_blocks_max = BLOCKS;
	heap_rig_on(&child, heap, HEAP_ATTACH_SESSION, BPF_HEAP_EXACT);
	rig_let_work(&heap->rig, &child);
	sum = heap_rig_sum(heap, NULL);
	CHECK_EQ_U64(sum.allocs, MANY * HEAP_ONE);
	CHECK_EQ_U64(sum.untracked, (MANY - BLOCKS) * HEAP_ONE);
	CHECK_EQ_U64(sum.untracked_bytes, (MANY - BLOCKS) * 16);
	CHECK_EQ_U64(sum.frees, BLOCKS * HEAP_ONE);
	CHECK_EQ_U64(heap->rig.control->heap_blocks_full, MANY - BLOCKS);
	CHECK_EQ_U64(heap->rig.control->unknown_frees, MANY - BLOCKS);
	child_end(&child);
	heap_rig_free(heap);
}

TEST(stacks_beyond_the_map_are_one_site)
{
	enum { STACKS = 50 };
	struct child child = child_fork(many_stacks, NULL);
	struct heap_rig *heap = heap_rig_open();
	struct bpf_heap_site full;

	heap->config.heap_stacks_max = STACKS;
	heap_rig_on(&child, heap, HEAP_ATTACH_SESSION, BPF_HEAP_EXACT);
	rig_let_work(&heap->rig, &child);
	full = site_of(heap, HEAP_SITE_FULL);
	CHECK_EQ_U64(heap_rig_sum(heap, NULL).allocs, MANY * HEAP_ONE);
	CHECK_EQ_U64(full.allocs, (MANY - STACKS) * HEAP_ONE);
	CHECK_EQ_U64(full.frees, full.allocs);
	CHECK_EQ_U64(full.free_bytes, (MANY - STACKS) * 16);
	CHECK_EQ_U64(heap->rig.control->heap_sites_full, MANY - STACKS);
	child_end(&child);
	heap_rig_free(heap);
}

TEST(stacks_that_find_no_room_in_the_ring_are_one_site)
{
	struct child child = child_fork(many_stacks, NULL);
	struct heap_rig *heap = heap_rig_open();
	struct bpf_heap_site untold;

	heap->config.buffer_bytes = BPF_RING_BYTES_MIN;
	heap_rig_on(&child, heap, HEAP_ATTACH_SESSION, BPF_HEAP_EXACT);
	child_tell(&child, 'g');
	child_hear(&child);
	untold = site_of(heap, HEAP_SITE_UNTOLD);
	rig_drain(&heap->rig);
	CHECK_BETWEEN(untold.allocs, HEAP_ONE, (MANY - 100) * HEAP_ONE);
	CHECK_EQ_U64(untold.allocs, heap->rig.control->heap_stacks_lost * HEAP_ONE);
	CHECK_EQ_U64(rig_count(&heap->rig, BPF_RECORD_HEAP_STACK) * HEAP_ONE + untold.allocs,
		     MANY * HEAP_ONE);
	CHECK_EQ_U64(heap_rig_sum(heap, NULL).allocs, MANY * HEAP_ONE);
	child_end(&child);
	heap_rig_free(heap);
}

RIG_MAIN
