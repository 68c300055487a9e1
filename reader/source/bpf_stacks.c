#include "reader/source/bpf_stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ABSENT = UINT32_MAX };

static uint64_t bytes_of(const struct bpf_stack *stack)
{
	return sizeof(*stack) + stack->pc_count * sizeof(*stack->pcs) +
	       (stack->registers ? sizeof(*stack->registers) + stack->copy_bytes : 0);
}

/* Its slot stays, and means nothing. */
static void forget(struct bpf_stacks *stacks, struct bpf_stack *stack)
{
	if (!stack->hash)
		return;
	stacks->bytes -= bytes_of(stack);
	free(stack->pcs);
	free(stack->registers);
	free(stack->copy);
	*stack = (struct bpf_stack){0};
}

void bpf_stacks_init(struct bpf_stacks *stacks, uint64_t bytes_max)
{
	*stacks = (struct bpf_stacks){.bytes_max = bytes_max};
}

void bpf_stacks_done(struct bpf_stacks *stacks)
{
	for (size_t i = 0; i < stacks->list.count; i++)
		forget(stacks, &stacks->list.items[i]);
	vec_done(&stacks->list);
	u64_map_done(&stacks->by_hash);
}

/* A slot for a stack of that size; NULL where there is no room. */
static struct bpf_stack *take_slot(struct bpf_stacks *stacks, const struct bpf_stack *stack)
{
	uint32_t at = u64_map_get(&stacks->by_hash, stack->hash);

	if (at != ABSENT)
		forget(stacks, &stacks->list.items[at]);
	if (stacks->bytes + bytes_of(stack) > stacks->bytes_max)
		return NULL;
	stacks->bytes += bytes_of(stack);
	if (at != ABSENT)
		return &stacks->list.items[at];
	u64_map_put(&stacks->by_hash, stack->hash, (uint32_t)stacks->list.count);
	return vec_add(&stacks->list);
}

int bpf_stacks_put_pcs(struct bpf_stacks *stacks, uint64_t hash, enum stack_status status,
		       const uint64_t *pcs, uint32_t pc_count)
{
	struct bpf_stack stack = {
		.hash = hash,
		.generation = stacks->generation,
		.last_round = stacks->round,
		.status = status,
		.pc_count = pc_count,
	};
	struct bpf_stack *slot = take_slot(stacks, &stack);

	if (!slot)
		return -ENOSPC;
	if (pc_count)
		stack.pcs = mem_copy(pcs, pc_count * sizeof(*pcs));
	*slot = stack;
	return 0;
}

int bpf_stacks_put_copy(struct bpf_stacks *stacks, uint64_t hash,
			const struct event_registers *registers, const uint8_t *bytes,
			uint32_t size)
{
	struct event_registers *own = mem_copy(registers, sizeof(*registers));
	struct bpf_stack stack = {
		.hash = hash,
		.generation = stacks->generation,
		.last_round = stacks->round,
		.status = STACK_NO_TABLE,
		.registers = own,
		.copy_bytes = size,
	};
	struct bpf_stack *slot = take_slot(stacks, &stack);

	if (!slot) {
		free(own);
		return -ENOSPC;
	}
	if (size)
		stack.copy = mem_copy(bytes, size);
	*slot = stack;
	return 0;
}

const struct bpf_stack *bpf_stacks_find(struct bpf_stacks *stacks, uint64_t hash)
{
	uint32_t at = u64_map_get(&stacks->by_hash, hash);

	if (at == ABSENT || !stacks->list.items[at].hash)
		return NULL;
	stacks->list.items[at].last_round = stacks->round;
	return &stacks->list.items[at];
}

void bpf_stacks_new_generation(struct bpf_stacks *stacks)
{
	stacks->generation++;
}

void bpf_stacks_round(struct bpf_stacks *stacks)
{
	size_t kept = 0;

	for (size_t i = 0; i < stacks->list.count; i++) {
		struct bpf_stack *stack = &stacks->list.items[i];
		bool is_old = stack->generation != stacks->generation &&
			      stacks->round - stack->last_round >= BPF_STACKS_ROUNDS_KEPT;

		if (is_old)
			forget(stacks, stack);
		if (stack->hash)
			stacks->list.items[kept++] = *stack;
	}
	stacks->round++;
	if (kept == stacks->list.count)
		return;
	stacks->list.count = kept;
	u64_map_clear(&stacks->by_hash);
	for (size_t i = 0; i < kept; i++)
		u64_map_put(&stacks->by_hash, stacks->list.items[i].hash, (uint32_t)i);
}
