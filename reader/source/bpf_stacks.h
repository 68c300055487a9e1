/* Stacks that threads wait in, remembered by the hash that BPF programs gave them: each is told
 * once and named many times (bpf/shared.h). A stack is a list of addresses, or what the pump needs
 * to walk it: registers and a copy of its memory. */
#ifndef RSPROF_SOURCE_BPF_STACKS_H
#define RSPROF_SOURCE_BPF_STACKS_H

#include <stddef.h>
#include <stdint.h>

#include "reader/core/event.h"
#include "reader/util/hash.h"
#include "reader/util/vec.h"

/* All of them together. 65,536 stacks of 127 frames take a quarter of it; copies are 16 KiB each,
 * and come only from code that has no table yet. */
#define BPF_STACKS_BYTES_MAX (UINT64_C(256) << 20)

enum {
	/* Rounds (bpf_stacks_round) that a stack from before the last change of the code stays
	 * without being named: a wait may be in the ring while its thread waits no more. */
	BPF_STACKS_ROUNDS_KEPT = 2,
};

struct bpf_stack {
	uint64_t hash;
	uint32_t generation, last_round;
	enum stack_status status;
	uint32_t pc_count;
	uint64_t *pcs;			   /* NULL for a copy */
	struct event_registers *registers; /* of a copy */
	uint8_t *copy;
	uint32_t copy_bytes;
};

struct bpf_stacks {
	VEC(struct bpf_stack) list;
	struct u64_map by_hash;
	uint64_t bytes, bytes_max;
	uint32_t generation, round;
};

void bpf_stacks_init(struct bpf_stacks *stacks, uint64_t bytes_max);
void bpf_stacks_done(struct bpf_stacks *stacks);

/* What is already known under the hash is replaced. -ENOSPC: there is no room left, and the hash is
 * unknown from now on. */
int bpf_stacks_put_pcs(struct bpf_stacks *stacks, uint64_t hash, enum stack_status status,
		       const uint64_t *pcs, uint32_t pc_count);
int bpf_stacks_put_copy(struct bpf_stacks *stacks, uint64_t hash,
			const struct event_registers *registers, const uint8_t *bytes,
			uint32_t size);
/* NULL: unknown. Valid until the next put or round. */
const struct bpf_stack *bpf_stacks_find(struct bpf_stacks *stacks, uint64_t hash);

/* The code has changed: programs hash differently from here on, and old stacks are not met again
 * once nobody waits in them. */
void bpf_stacks_new_generation(struct bpf_stacks *stacks);
/* A round: the caller has named, by bpf_stacks_find, all stacks that threads wait in now. */
void bpf_stacks_round(struct bpf_stacks *stacks);

#endif
