/* A walk from frame to frame, without memory of others. */
#include "agent/unwind.h"

void unwind_walk_start(struct unwind_walk *walk, struct agent_thread *thread,
		       const struct agent_frame *frame)
{
	walk->pc = frame->pc;
	walk->sp = frame->sp;
	walk->bp = frame->bp;
	walk->is_bp_known = true;
	walk->is_exact = walk->is_guess = walk->has_guesses = walk->is_special = false;
	walk->status = RSPROF_SHM_COMPLETE;
	walk->signal_count = 0;
	walk->low = walk->high = 0;
	if (unwind_stack_has(thread, frame->sp)) {
		walk->low = frame->sp;
		walk->high = thread->stack_high;
	}
	walk->thread = thread;
	walk->generation = atomic_load_explicit(&unwind_rules.generation, memory_order_relaxed);
	walk->peek_bytes = 0;
}

static enum unwind_frame_kind end(struct unwind_walk *walk, enum unwind_frame_kind kind,
				  uint8_t status)
{
	if (status == RSPROF_SHM_COMPLETE && walk->has_guesses)
		status = RSPROF_SHM_USED_FRAME_POINTERS;
	walk->status = status;
	return kind;
}

enum unwind_frame_kind unwind_walk_step(struct unwind_walk *walk, bool has_room, uint64_t *ret_rule)
{
	uintptr_t address = walk->is_exact ? walk->pc : walk->pc - 1;
	bool is_root;
	uint64_t rule;
	uint8_t status;

	if (walk->pc == 0)
		return end(walk, UNWIND_FRAME_NONE,
			   walk->is_guess ? RSPROF_SHM_NO_TABLE : RSPROF_SHM_COMPLETE);
	if ((walk->is_guess || walk->has_guesses) && !unwind_object_lasts(address))
		rule = unwind_rule_doubtful(address, walk->generation);
	else
		rule = unwind_rule(unwind_rules.slots, address, walk->generation, walk->is_exact);
	/* A guess that leads nowhere is no frame. */
	if (walk->is_guess && rule == UNWIND_CFA_UNMAPPED)
		return end(walk, UNWIND_FRAME_NONE, RSPROF_SHM_NO_TABLE);
	if (!has_room)
		return end(walk, UNWIND_FRAME_NONE, RSPROF_SHM_TRUNCATED);
	walk->has_guesses |= walk->is_guess;
	*ret_rule = rule;
	if (rule == UNWIND_CFA_UNMAPPED)
		return end(walk, UNWIND_FRAME_LAST, RSPROF_SHM_NO_MAPPING);
	status = unwind_step(walk, rule, &is_root);
	if (status != RSPROF_SHM_COMPLETE || is_root)
		return end(walk, UNWIND_FRAME_LAST, status);
	return UNWIND_FRAME_LEFT;
}

/* Sums up addresses in their order. */
struct sum {
	uint64_t hash, power;
};

static inline void add(struct sum *sum, uint64_t pc)
{
	sum->hash += pc * sum->power;
	sum->power *= SITE_HASH_FACTOR;
}

/* As long as frames are like most. */
static uint32_t walk_fast(struct unwind_walk *walk, uint64_t *pcs, uint32_t count, uint32_t room,
			  struct sum *total)
{
	struct unwind_cursor at = {
		.pc = walk->pc, .sp = walk->sp, .bp = walk->bp, .is_bp_known = walk->is_bp_known};
	const struct unwind_rule_slot *slots = unwind_rules.slots;
	uint64_t generation = walk->generation;
	uintptr_t low = walk->low, high = walk->high;
	struct sum sum = *total;

	while (count < room && at.pc) {
		uintptr_t pc = at.pc;
		uint64_t rule = unwind_rule(slots, pc - 1, generation, false);

		if (AGENT_UNLIKELY(!unwind_cursor_step(&at, rule, low, high)))
			break;
		pcs[count++] = pc;
		add(&sum, pc);
	}
	walk->pc = at.pc;
	walk->sp = at.sp;
	walk->bp = at.bp;
	walk->is_bp_known = at.is_bp_known;
	*total = sum;
	return count;
}

uint32_t unwind_walk(struct unwind_walk *walk, uint64_t *pcs, uint32_t room, uint64_t *ret_hash)
{
	struct sum sum = {0, 1};
	enum unwind_frame_kind kind;
	uint32_t count = 0;
	uintptr_t pc;
	uint64_t rule;

	do {
		if (!walk->is_exact && !walk->is_guess && !walk->has_guesses &&
		    walk->low < walk->high)
			count = walk_fast(walk, pcs, count, room, &sum);
		pc = walk->pc;
		kind = unwind_walk_step(walk, count < room, &rule);
		if (kind != UNWIND_FRAME_NONE) {
			pcs[count++] = pc;
			add(&sum, pc);
		}
	} while (kind == UNWIND_FRAME_LEFT);
	*ret_hash = sum.hash;
	return count;
}
