/* Which allocations are sampled, and how many others each of them stands for. Samples are a Poisson
 * process over the bytes that a thread allocates: an allocation of s bytes is sampled with
 * probability 1 - exp(-s / mean), and counts 1 / that often. Sizes are those of the request; one of
 * 0 bytes counts as 1 byte. */
#ifndef RSPROF_BPF_HEAP_SAMPLE_BPF_H
#define RSPROF_BPF_HEAP_SAMPLE_BPF_H

#include "bpf/heap_maps.bpf.h"

enum {
	HEAP_FRACTION_BITS = 16,
	HEAP_FRACTION_MASK = (1 << HEAP_FRACTION_BITS) - 1,
	/* ln(HEAP_TABLE_MAX), in the units of the tables. */
	HEAP_LAST_GAP = 454262,
	/* Each turn comes after the one before with a probability of 1 / HEAP_TABLE_MAX. */
	HEAP_TURNS_MAX = 4,
	/* Positions in heap_weights for each mean. */
	HEAP_WEIGHTS_PER_MEAN = HEAP_TABLE_MAX / HEAP_WEIGHT_SPAN,
};

/* Between two entries of a table, which ascend. */
static __always_inline __u64 between(const volatile __u32 *table, __u64 at, __u64 fraction)
{
	__u64 low = table[at & (HEAP_TABLE_MAX - 1)], high = table[(at & (HEAP_TABLE_MAX - 1)) + 1];

	return low + ((high - low) * fraction >> HEAP_FRACTION_BITS);
}

/* Bytes to the next sample. The last of the table's cells has no end: what comes behind its
 * beginning is distributed as all of it is. */
__noinline __u64 heap_gap(__u32 mean)
{
	__u64 gap = 0, bytes;
	__u32 random, at, i;

	for (i = 0; i < HEAP_TURNS_MAX; i++) {
		random = bpf_get_prandom_u32();
		at = random >> HEAP_FRACTION_BITS & (HEAP_TABLE_MAX - 1);
		if (at != HEAP_TABLE_MAX - 1) {
			gap += between(heap_gaps, at, random & HEAP_FRACTION_MASK);
			break;
		}
		gap += HEAP_LAST_GAP;
	}
	bytes = (gap * mean + HEAP_FRACTION_MASK) >> HEAP_FRACTION_BITS;
	return bytes ? bytes : 1;
}

/* Of a sampled block of so many bytes, 1 to HEAP_WEIGHT_SPAN means. */
__noinline __u64 heap_weight(__u64 bytes, __u32 mean)
{
	__u64 position, share, weight;

	if (!mean || !bytes || bytes >= (__u64)mean * HEAP_WEIGHT_SPAN)
		return HEAP_ONE;
	position = (bytes * HEAP_WEIGHTS_PER_MEAN << HEAP_FRACTION_BITS) / mean;
	share = between(heap_weights, position >> HEAP_FRACTION_BITS,
			position & HEAP_FRACTION_MASK);
	/* HEAP_ONE * share * mean / bytes, rounded. */
	weight = (share * mean + bytes * (65536 / HEAP_ONE / 2)) / (bytes * (65536 / HEAP_ONE));
	return weight > 0xffffffff ? 0xffffffff : weight;
}

/* The weight of an allocation by this thread; 0: it is not sampled. */
static __always_inline __u32 sample(struct bpf_heap_thread *thread, __u64 size)
{
	__u32 mean = READ_ONCE(control.heap_mean);
	__u64 bytes = size ? size : 1;
	__s64 left = thread->until_sample;

	if (!mean || bytes >= (__u64)mean * HEAP_WEIGHT_SPAN)
		return HEAP_ONE;
	if (left <= 0)
		left = heap_gap(mean);
	left -= bytes;
	if (left > 0) {
		thread->until_sample = left;
		return 0;
	}
	thread->until_sample = 0;
	return heap_weight(bytes, mean);
}

#endif
