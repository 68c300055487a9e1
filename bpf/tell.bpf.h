/* Records into the ring. */
#ifndef RSPROF_BPF_TELL_BPF_H
#define RSPROF_BPF_TELL_BPF_H

#include "bpf/unwind.bpf.h"

/* Whether the reader was woken because the ring is half full. CPUs may race for it: then it is
 * woken twice. */
static volatile __u32 is_ring_half_full;

static __always_inline bool ring_is_half_full(void)
{
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >
	       bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE) / 2;
}

/* false: no room. */
static __always_inline bool tell(void *record, __u64 size)
{
	__u64 flags = BPF_RB_NO_WAKEUP;

	if (!ring_is_half_full()) {
		if (is_ring_half_full)
			is_ring_half_full = 0;
	} else if (!is_ring_half_full) {
		is_ring_half_full = 1;
		flags = BPF_RB_FORCE_WAKEUP;
	}
	return bpf_ringbuf_output(&ring, record, size, flags) == 0;
}

/* What a record with a stack is about. */
struct subject {
	__u32 type; /* BPF_RECORD_SAMPLE, _STACK or _HEAP_STACK */
	__u32 tid;
	__u64 time_ns;
	__u64 value;
	__u64 stack;
	__u32 event;
};

static __always_inline bool tell_walk(struct scratch *scratch, const struct subject *subject)
{
	const struct walk *walk = &scratch->walk;
	struct bpf_sample *sample = &scratch->room.sample;
	__u64 count = walk->pc_count;

	if (count > BPF_FRAMES_MAX)
		count = BPF_FRAMES_MAX;
	*sample = (struct bpf_sample){
		.record = {subject->type, subject->tid, subject->time_ns},
		.value = subject->value,
		.stack = subject->stack,
		.event = subject->event,
		.end = walk->end,
		.flags = walk->flags,
		.pc_count = count,
	};
	return tell(sample, sizeof(*sample) + count * sizeof(__u64));
}

/* Return addresses that return probes have redirected: the reader cannot know what they were. */
static __always_inline void restore_returns(struct bpf_copy *copy, __u64 from, __u64 size)
{
	struct return_instance *instance = first_return();
	__u64 offset;
	__u32 i;

	for (i = 0; i < KERNEL_RETURNS_MAX && instance; i++) {
		offset = BPF_CORE_READ(instance, stack) - from;
		if (offset < size && size - offset >= sizeof(__u64))
			BPF_CORE_READ_INTO((__u64 *)&copy->bytes[offset & (BPF_COPY_BYTES - 1)],
					   instance, orig_ret_vaddr);
		instance = BPF_CORE_READ(instance, next);
	}
}

/* Registers and stack of the thread that runs, for the reader to walk. The stack is read page by
 * page up to the first one that cannot be read. */
static __always_inline bool tell_copy(struct scratch *scratch, const struct subject *subject)
{
	const struct walk *walk = &scratch->walk;
	struct bpf_copy *copy = &scratch->room.copy.copy;
	__u64 from = scratch->leaf.general[EH_REGISTER_RSP];
	__u64 size = 0, part, limit = copy_bytes;
	__u32 i;

	if (limit > BPF_COPY_BYTES)
		limit = BPF_COPY_BYTES;
	for (i = 0; i <= BPF_COPY_BYTES / KERNEL_PAGE_BYTES && size < limit; i++) {
		part = KERNEL_PAGE_BYTES - ((from + size) & (KERNEL_PAGE_BYTES - 1));
		if (part > limit - size)
			part = limit - size;
		/* Holds always. The verifier has to see it said of the very register. */
		asm volatile("" : "+r"(part));
		if (part > KERNEL_PAGE_BYTES)
			break;
		if (bpf_probe_read_user(&copy->bytes[size & (BPF_COPY_BYTES - 1)], part,
					(void *)(from + size)))
			break;
		size += part;
	}
	asm volatile("" : "+r"(size));
	if (size > BPF_COPY_BYTES)
		size = BPF_COPY_BYTES;
	restore_returns(copy, from, size);
	copy->record = (struct bpf_record){
		subject->type == BPF_RECORD_HEAP_STACK ? BPF_RECORD_HEAP_COPY : BPF_RECORD_COPY,
		subject->tid, subject->time_ns};
	copy->value = subject->value;
	copy->stack = subject->stack;
	copy->event = subject->event;
	copy->end = walk->end;
	copy->flags = walk->flags;
	copy->unused = 0;
	copy->size = size;
	copy->rip = scratch->leaf.rip;
	__builtin_memcpy(copy->general, scratch->leaf.general, sizeof(copy->general));
	return tell(copy, offsetof(struct bpf_copy, bytes) + size);
}

/* The walk, or what the reader needs to do it better. */
static __always_inline bool tell_stack(struct scratch *scratch, const struct subject *subject)
{
	if (scratch->walk.needs_reader && scratch->walk.may_copy && !ring_is_half_full())
		return tell_copy(scratch, subject);
	return tell_walk(scratch, subject);
}

#endif
