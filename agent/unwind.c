/* A stack's way to its number. */
#include "agent/unwind.h"

#include <ucontext.h>

bool unwind_begin(void)
{
	return unwind_rules_begin() && unwind_modules_begin() && unwind_stack_begin() &&
	       site_begin();
}

/* Without memos. The leaf is not among what the walk finds. */
static uint32_t walk_site(struct unwind_walk *walk, uintptr_t leaf)
{
	uint64_t pcs[AGENT_FRAMES_MAX - 1];
	struct site_stack stack = {.leaf = leaf, .inner = pcs};

	stack.inner_count = unwind_walk(walk, pcs, AGENT_FRAMES_MAX - 1, &stack.hash);
	stack.status = walk->status;
	return site_intern(&stack);
}

static __attribute__((noinline)) uint32_t plain_site(struct agent_thread *thread, uintptr_t leaf,
						     const struct agent_frame *frame)
{
	struct unwind_walk walk;

	unwind_walk_start(&walk, thread, frame);
	return walk_site(&walk, leaf);
}

__attribute__((noinline)) uint32_t unwind_new_site(struct agent_thread *thread,
						   struct agent_lane *lane, uintptr_t leaf,
						   const struct agent_frame *frame)
{
	uint32_t site = 0;

	if (!unwind_rules.slots)
		return RSPROF_SHM_SITE_FULL;
	if (UNWIND_HAS_MEMOS && lane->memos && !lane->is_shared &&
	    unwind_stack_has(thread, frame->sp))
		site = unwind_memo_walk(lane->memos, thread, leaf, frame);
	return site ? site : plain_site(thread, leaf, frame);
}

uint32_t unwind_site(struct agent_thread *thread, struct agent_lane *lane, uintptr_t leaf,
		     const struct agent_frame *frame)
{
	uint32_t site = 0;

	if (AGENT_LIKELY(UNWIND_HAS_MEMOS && lane->memos && !lane->is_shared))
		site = unwind_memo_find(lane->memos, thread, leaf, frame->pc, frame->sp, frame->bp);
	return AGENT_LIKELY(site) ? site : unwind_new_site(thread, lane, leaf, frame);
}

uint32_t unwind_context_site(struct agent_thread *thread, const void *context)
{
	static const uint8_t order[EH_REGISTERS] = {
		REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
		REG_R8,	 REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
	const ucontext_t *interrupted = context;
	const greg_t *registers = interrupted->uc_mcontext.gregs;
	struct agent_frame frame = {(uintptr_t)registers[REG_RIP], (uintptr_t)registers[REG_RSP],
				    (uintptr_t)registers[REG_RBP]};
	uint64_t pcs[AGENT_FRAMES_MAX];
	struct site_stack stack = {.leaf = frame.pc, .inner = pcs + 1};
	struct unwind_walk walk;
	uint32_t count;

	if (!unwind_rules.slots)
		return RSPROF_SHM_SITE_FULL;
	unwind_walk_start(&walk, thread, &frame);
	walk.is_exact = true;
	for (unsigned i = 0; i < EH_REGISTERS; i++)
		walk.registers[i] = (uint64_t)registers[order[i]];
	count = unwind_walk(&walk, pcs, AGENT_FRAMES_MAX, &stack.hash);
	if (count) {
		/* The leaf is no part of the hash. */
		stack.inner_count = count - 1;
		stack.hash -= pcs[0];
	} else {
		walk.status = RSPROF_SHM_NO_MAPPING;
	}
	stack.status = walk.status;
	return site_intern(&stack);
}
