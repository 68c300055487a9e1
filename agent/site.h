/* Stacks and their numbers. */
#ifndef RSPROF_AGENT_SITE_H
#define RSPROF_AGENT_SITE_H

#include <stdbool.h>
#include <stdint.h>

/* A stack: the leaf, then `inner` in their order, then the addresses below `outer_top`, downwards.
 */
struct site_stack {
	uint64_t leaf;
	const uint64_t *inner;
	const uint64_t *outer_top; /* the last one; they are written from the root on */
	uint32_t inner_count, outer_count;
	uint8_t status; /* enum rsprof_shm_status */
	uint64_t hash;	/* site_hash_step() over all but the leaf, from the root on */
};

/* Of stacks: the sum of addresses, each times a power of this by its distance from the innermost.
 * Whoever knows the hash of the outer frames has those of all stacks that end in them. */
#define SITE_HASH_FACTOR UINT64_C(0xd1342543de82ef95)

static inline uint64_t site_hash_step(uint64_t outer, uint64_t pc)
{
	return outer * SITE_HASH_FACTOR + pc;
}

bool site_begin(void);
/* The stack's number, a new one if need be. Any thread, in signal handlers, too. SITE_FULL, and
 * counted, where there is no room. */
uint32_t site_intern(const struct site_stack *stack);
/* It will be asked for, not at once: what is far in memory is fetched until then. */
void site_expect(const struct site_stack *stack);
/* The same, soon: what the first has fetched leads to more. */
void site_expect_record(const struct site_stack *stack);
/* Whether its stack has a return address in [start, end) right within one that returns to `caller`.
 */
bool site_has_call(uint32_t site, uintptr_t start, uintptr_t end, uintptr_t caller);

#endif
