#include "reader/unwind/walk.h"

#include <string.h>

/* The frame at work. */
struct frame {
	struct unwind_registers registers;
	bool is_exact; /* rip is where it stopped, not where a call returns to */
	bool is_guess; /* found along rbp: it counts once its code is found */
};

struct progress {
	const struct unwind_walk *walk;
	const struct unwind_copy *copy;
	struct unwind_stack *stack;
	uint64_t signal_sp[UNWIND_SIGNALS_MAX];
};

static bool read_word(const struct unwind_copy *copy, uint64_t address, uint64_t *ret_word)
{
	uint64_t offset = address - copy->address;

	if (address < copy->address || offset > copy->size || copy->size - offset < 8)
		return false;
	memcpy(ret_word, copy->bytes + offset, 8);
	return true;
}

static bool get(const struct unwind_registers *registers, unsigned number, uint64_t *ret_value)
{
	if (number >= EH_REGISTERS || !(registers->known & (1u << number)))
		return false;
	*ret_value = registers->general[number];
	return true;
}

static void set(struct unwind_registers *registers, unsigned number, uint64_t value)
{
	registers->general[number] = value;
	registers->known |= 1u << number;
}

/* The steps return STACK_COMPLETE where there is a caller, which is then *frame. */

static enum stack_status cfa_of(const struct progress *progress, const struct frame *frame,
				const struct ehframe_rule *rule, uint64_t *ret_cfa)
{
	const struct unwind_registers *registers = &frame->registers;
	unsigned number = EH_REGISTER_RSP;
	uint64_t base, word;

	if (rule->cfa_type == EH_CFA_RBP || rule->cfa_type == EH_CFA_RBP_DEREF)
		number = EH_REGISTER_RBP;
	else if (rule->cfa_type >= EH_CFA_REGISTER)
		number = rule->cfa_type - EH_CFA_REGISTER;
	if (!get(registers, number, &base))
		return STACK_BROKEN;
	switch (rule->cfa_type) {
	case EH_CFA_PLT:
		*ret_cfa = base + (uint64_t)(int64_t)ehframe_low(rule->cfa_off);
		if ((registers->rip & 15) >= (uint64_t)ehframe_high(rule->cfa_off))
			*ret_cfa += 8;
		return STACK_COMPLETE;
	case EH_CFA_RSP_DEREF:
	case EH_CFA_RBP_DEREF:
		base += (uint64_t)(int64_t)ehframe_low(rule->cfa_off);
		if (!read_word(progress->copy, base, &word))
			return STACK_READ_ERROR;
		*ret_cfa = word + (uint64_t)(int64_t)ehframe_high(rule->cfa_off);
		return STACK_COMPLETE;
	default:
		*ret_cfa = base + (uint64_t)(int64_t)rule->cfa_off;
		return STACK_COMPLETE;
	}
}

/* Sets the caller's rbp in *caller, which holds the frame's own still. One that cannot be read is
 * lost: many stacks never need it. */
static void set_rbp(const struct progress *progress, const struct ehframe_rule *rule, uint64_t cfa,
		    struct unwind_registers *caller)
{
	uint64_t address = cfa, word;

	switch (rule->rbp_type) {
	case EH_RBP_CFA:
		break;
	case EH_RBP_RBP:
		if (!get(caller, EH_REGISTER_RBP, &address))
			return;
		break;
	case EH_RBP_UNKNOWN:
		caller->known &= ~(1u << EH_REGISTER_RBP);
		return;
	default:
		return;
	}
	if (read_word(progress->copy, address + (uint64_t)(int64_t)rule->rbp_off, &word))
		set(caller, EH_REGISTER_RBP, word);
	else
		caller->known &= ~(1u << EH_REGISTER_RBP);
}

static enum stack_status step_by_rule(const struct progress *progress, struct frame *frame,
				      const struct ehframe_rule *rule)
{
	struct unwind_registers caller = frame->registers;
	uint64_t sp = frame->registers.general[EH_REGISTER_RSP], cfa, pc;
	bool is_ra_in_register = rule->rbp_type >= EH_RBP_RA_REGISTER;
	enum stack_status status = cfa_of(progress, frame, rule, &cfa);

	if (status != STACK_COMPLETE)
		return status;
	/* Without a return address on the stack, the caller's frame may begin where this one does.
	 */
	if (cfa < sp || (cfa == sp && !is_ra_in_register))
		return STACK_BROKEN;
	if (is_ra_in_register) {
		if (!get(&caller, rule->rbp_type - EH_RBP_RA_REGISTER, &pc))
			return STACK_BROKEN;
	} else if (!read_word(progress->copy, cfa - 8, &pc)) {
		return STACK_READ_ERROR;
	}
	set_rbp(progress, rule, cfa, &caller);
	caller.rip = pc;
	/* What the other registers held in the caller is not followed. */
	caller.known &= 1u << EH_REGISTER_RBP;
	set(&caller, EH_REGISTER_RSP, cfa);
	*frame = (struct frame){.registers = caller};
	return STACK_COMPLETE;
}

static enum stack_status step_signal(struct progress *progress, struct frame *frame)
{
	struct unwind_stack *stack = progress->stack;
	struct frame caller = {.is_exact = true};
	uint64_t sp = frame->registers.general[EH_REGISTER_RSP], word;

	for (unsigned i = 0; i < EH_REGISTERS; i++) {
		if (!read_word(progress->copy, sp + ehframe_signal_offset(i), &word))
			return STACK_READ_ERROR;
		set(&caller.registers, i, word);
	}
	if (!read_word(progress->copy, sp + EH_SIGNAL_RIP, &caller.registers.rip))
		return STACK_READ_ERROR;
	/* The interrupted stack may lie anywhere, but no signal frame comes twice. */
	for (uint32_t i = 0; i < stack->signal_count; i++) {
		if (progress->signal_sp[i] == sp)
			return STACK_BROKEN;
	}
	if (stack->signal_count == UNWIND_SIGNALS_MAX)
		return STACK_BROKEN;
	progress->signal_sp[stack->signal_count++] = sp;
	*frame = caller;
	return STACK_COMPLETE;
}

static enum stack_status step_by_frame_pointer(const struct progress *progress, struct frame *frame)
{
	static const struct ehframe_rule rule = {
		.cfa_type = EH_CFA_RBP,
		.rbp_type = EH_RBP_CFA,
		.rbp_off = -16,
		.cfa_off = 16,
	};

	if (!progress->walk->may_use_frame_pointers)
		return STACK_NO_TABLE;
	/* Where it fails, rbp held something else: what is missing is the table. */
	if (step_by_rule(progress, frame, &rule) != STACK_COMPLETE)
		return STACK_NO_TABLE;
	frame->is_guess = true;
	return STACK_COMPLETE;
}

static enum stack_status step(struct progress *progress, struct frame *frame,
			      const struct unwind_place *place, uint64_t address, bool *ret_is_root)
{
	const struct ehframe_rule *rule = &progress->walk->rules->rules[UNWIND_RULE_NONE];

	*ret_is_root = false;
	if (place->table)
		rule = &progress->walk->rules
				->rules[unwind_table_find(place->table, address - place->bias)];
	switch (rule->cfa_type) {
	case EH_CFA_NONE:
		return step_by_frame_pointer(progress, frame);
	case EH_CFA_UNSUPPORTED:
		return STACK_BROKEN;
	case EH_CFA_STOP:
		*ret_is_root = true;
		return STACK_COMPLETE;
	case EH_CFA_SIGNAL:
		return step_signal(progress, frame);
	default:
		return step_by_rule(progress, frame, rule);
	}
}

void unwind_walk(const struct unwind_walk *walk, const struct unwind_registers *registers,
		 const struct unwind_copy *copy, struct unwind_stack *stack)
{
	struct progress progress = {.walk = walk, .copy = copy, .stack = stack};
	struct frame frame = {.registers = *registers, .is_exact = true};

	stack->pc_count = 0;
	stack->frame_pointer_count = 0;
	stack->signal_count = 0;
	for (;;) {
		uint64_t pc = frame.registers.rip, address = frame.is_exact ? pc : pc - 1;
		struct unwind_place place = {0};
		bool is_mapped = pc != 0 && walk->find(walk->context, address, &place), is_root;

		/* A guess that leads nowhere is no frame, and 0 is no address. */
		if (!is_mapped && frame.is_guess) {
			stack->status = STACK_NO_TABLE;
			return;
		}
		if (pc == 0) {
			stack->status = STACK_NO_MAPPING;
			return;
		}
		if (stack->pc_count == stack->pc_max) {
			stack->status = STACK_TRUNCATED;
			return;
		}
		stack->pcs[stack->pc_count++] = pc;
		stack->frame_pointer_count += frame.is_guess;
		if (!is_mapped) {
			stack->status = STACK_NO_MAPPING;
			return;
		}
		stack->status = step(&progress, &frame, &place, address, &is_root);
		if (stack->status != STACK_COMPLETE || is_root)
			return;
	}
}
