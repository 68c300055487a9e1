/* Counters by stack, and blocks that live. */
#ifndef RSPROF_BPF_HEAP_BOOKS_BPF_H
#define RSPROF_BPF_HEAP_BOOKS_BPF_H

#include "bpf/heap_maps.bpf.h"
#include "bpf/tell.bpf.h"

static const struct bpf_heap_site heap_no_site;

/* heap_sites was full. The reader may delete: it is tried again now and then. */
static volatile __u32 is_heap_full;

enum { HEAP_FULL_MASK = 1023 };

static __always_inline void count(__u64 *counter, __u64 more)
{
	__sync_fetch_and_add(counter, more);
}

/* What a block of a size and weight counts in bytes. A weight other than HEAP_ONE is of less than
 * HEAP_WEIGHT_SPAN means. */
static __always_inline __u64 heap_bytes(__u64 size, __u32 weight)
{
	return weight == HEAP_ONE ? size : size * weight / HEAP_ONE;
}

/* ---- stacks */

static __always_inline struct heap_room *take_room(void)
{
	__u32 first = bpf_get_smp_processor_id() * HEAP_ROOMS_PER_CPU, i;

	for (i = 0; i < HEAP_ROOMS_PER_CPU; i++) {
		__u32 number = first + i;
		struct heap_room *room = bpf_map_lookup_elem(&heap_rooms, &number);

		if (room && __sync_val_compare_and_swap(&room->is_taken, 0, 1) == 0)
			return room;
	}
	return NULL;
}

static __always_inline void leave_room(struct heap_room *room)
{
	asm volatile("" ::: "memory");
	*(volatile __u64 *)&room->is_taken = 0;
}

static __always_inline void leaf_of_call(struct scratch *scratch, const struct pt_regs *from)
{
	TAKE_LEAF(scratch, *from);
	asm volatile("" ::: "memory");
}

/* The key of the stack in the scratch, which heap_sites has from now on. */
static __always_inline __u64 site_of_walk(struct scratch *scratch, __u32 tid)
{
	struct subject subject = {.type = BPF_RECORD_HEAP_STACK, .tid = tid};
	struct walk *walk = &scratch->walk;
	long failed;

	subject.time_ns = bpf_ktime_get_ns();
	if (walk->needs_reader) {
		walk->hash = mix(walk->hash, scratch->leaf.general[EH_REGISTER_RSP]);
		/* A walk that saw nothing but its leaf does not tell stacks apart. */
		if (walk->pc_count <= 1)
			walk->hash = mix(walk->hash, subject.time_ns);
	}
	subject.stack = walk->hash;
	if (subject.stack < HEAP_SITES_FIRST)
		subject.stack += HEAP_SITES_FIRST;
	if (bpf_map_lookup_elem(&heap_sites, &subject.stack))
		return subject.stack;
	if (is_heap_full && bpf_get_prandom_u32() & HEAP_FULL_MASK)
		return HEAP_SITE_FULL;
	if (!tell_stack(scratch, &subject))
		return HEAP_SITE_UNTOLD;
	failed = bpf_map_update_elem(&heap_sites, &subject.stack, &heap_no_site, BPF_NOEXIST);
	is_heap_full = failed == -KERNEL_E2BIG;
	return failed && failed != -KERNEL_EEXIST ? HEAP_SITE_FULL : subject.stack;
}

/* The key of the stack that calls, in heap_sites. */
static __always_inline __u64 site_of_call(const struct pt_regs *context, __u32 tid)
{
	struct heap_room *room = take_room();
	__u64 site;

	if (!room)
		return HEAP_SITE_UNTOLD;
	leaf_of_call(&room->scratch, context);
	unwind(&room->scratch, 0, false, &control.code_generation);
	site = site_of_walk(&room->scratch, tid);
	leave_room(room);
	return site;
}

/* ---- counters */

/* An allocation, or a part of it. */
struct heap_charge {
	__u64 site, size, growth;
	__u32 weight;
	bool is_realloc;
	bool is_untracked;
};

static __always_inline void charge_alloc(const struct heap_charge *charge)
{
	__u64 site = charge->site, bytes = heap_bytes(charge->size, charge->weight);
	struct bpf_heap_site *counts = bpf_map_lookup_elem(&heap_sites, &site);

	if (site == HEAP_SITE_UNTOLD)
		count(&control.heap_stacks_lost, 1);
	if (site == HEAP_SITE_FULL)
		count(&control.heap_sites_full, 1);
	if (!counts)
		return;
	count(&counts->allocs, charge->weight);
	count(&counts->alloc_bytes, bytes);
	if (charge->weight != HEAP_ONE)
		count(&counts->estimated, charge->weight);
	if (charge->is_realloc) {
		count(&counts->reallocs, charge->weight);
		count(&counts->growth_bytes, heap_bytes(charge->growth, charge->weight));
	}
	if (charge->is_untracked) {
		count(&counts->untracked, charge->weight);
		count(&counts->untracked_bytes, bytes);
	}
}

static __always_inline void charge_untracked(__u64 site, __u64 size, __u32 weight)
{
	struct bpf_heap_site *counts = bpf_map_lookup_elem(&heap_sites, &site);

	if (!counts)
		return;
	count(&counts->untracked, weight);
	count(&counts->untracked_bytes, heap_bytes(size, weight));
}

static __always_inline void charge_free(const struct bpf_heap_block *block, bool is_temporary)
{
	__u64 site = block->site;
	struct bpf_heap_site *counts = bpf_map_lookup_elem(&heap_sites, &site);

	if (!counts)
		return;
	count(&counts->frees, block->weight);
	count(&counts->free_bytes, heap_bytes(block->size, block->weight));
	if (is_temporary)
		count(&counts->temporary, block->weight);
}

/* ---- blocks */

/* Of this program, not of one that was replaced. */
static __always_inline bool is_of_program(const struct bpf_heap_block *block)
{
	return block->exec_count == READ_ONCE(control.exec_count);
}

/* false: not known. It is not tracked any more. */
static __always_inline bool take_block(__u64 address, struct bpf_heap_block *ret_block)
{
	struct bpf_heap_block *block = bpf_map_lookup_elem(&heap_blocks, &address);

	if (!block)
		return false;
	*ret_block = *block;
	return bpf_map_delete_elem(&heap_blocks, &address) == 0 && is_of_program(ret_block);
}

static __always_inline void add_block(__u64 address, const struct bpf_heap_block *block)
{
	long failed = bpf_map_update_elem(&heap_blocks, &address, block, BPF_NOEXIST);
	struct bpf_heap_block *old;

	if (failed == -KERNEL_EEXIST) {
		/* Its free was not seen: probes are placed one after another. */
		old = bpf_map_lookup_elem(&heap_blocks, &address);
		if (old && is_of_program(old))
			charge_free(old, false);
		failed = bpf_map_update_elem(&heap_blocks, &address, block, BPF_ANY);
	}
	if (!failed)
		return;
	count(&control.heap_blocks_full, 1);
	charge_untracked(block->site, block->size, block->weight);
}

#endif
