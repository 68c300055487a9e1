/* Poisson sampling by bytes. A block is sampled with probability p = 1 - exp(-size / mean) and
 * stands for k blocks of its size, where k is 1 / p rounded up or down at random so that its mean
 * is 1 / p.
 *
 * Frees must be told apart fast: a table has, for each hash of an address, how many sampled blocks
 * are live there. */
#ifndef RSPROF_AGENT_SAMPLE_H
#define RSPROF_AGENT_SAMPLE_H

#include "agent/agent.h"

enum { SAMPLE_FILTER_BITS = 16 };
extern uint8_t sample_filter[1 << SAMPLE_FILTER_BITS] __attribute__((visibility("hidden")));

static inline uint32_t sample_hash(uintptr_t block)
{
	return (uint32_t)((block >> 3) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - SAMPLE_FILTER_BITS));
}

/* false: the block was not sampled. */
static inline bool sample_may_have(uintptr_t block)
{
	return __atomic_load_n(&sample_filter[sample_hash(block)], __ATOMIC_RELAXED) != 0;
}

void sample_add(uintptr_t block);
void sample_remove(uintptr_t block);
/* Bytes to the next sample: exponential. */
int64_t sample_gap(uint64_t *random, uint64_t mean);
/* What a sampled block stands for; `random` has 32 bits that matter. */
uint64_t sample_weight(uint64_t size, uint64_t mean, uint32_t random);
uint64_t sample_random(uint64_t *random);

#endif
