/* From a frame to its caller, by any rule. */
#include "agent/unwind.h"

/* Copies of what is not read directly; a whole stretch, since the frames that follow are behind it.
 */
static bool peek_word(struct unwind_walk *walk, uintptr_t address, uint64_t *ret_word)
{
	uintptr_t offset = address - walk->peek_start;
	long got;

	walk->is_special = true;
	if (offset >= walk->peek_bytes || walk->peek_bytes - offset < 8) {
		got = sys_peek(address, walk->peek, sizeof(walk->peek));
		walk->peek_start = address;
		walk->peek_bytes = got > 0 ? (uint32_t)got : 0;
		offset = 0;
	}
	if (walk->peek_bytes < offset + 8)
		return false;
	__builtin_memcpy(ret_word, (const char *)walk->peek + offset, 8);
	return true;
}

static bool read_word(struct unwind_walk *walk, uintptr_t address, uint64_t *ret_word)
{
	if (address >= walk->low && address < walk->high && walk->high - address >= 8) {
		__builtin_memcpy(ret_word, (const void *)address, 8);
		return true;
	}
	return peek_word(walk, address, ret_word);
}

static bool get_register(struct unwind_walk *walk, unsigned number, uint64_t *ret_value)
{
	if (number == EH_REGISTER_RSP) {
		*ret_value = walk->sp;
		return true;
	}
	if (number == EH_REGISTER_RBP) {
		*ret_value = walk->bp;
		return walk->is_bp_known;
	}
	if (!walk->is_exact || number >= EH_REGISTERS)
		return false;
	walk->is_special = true;
	*ret_value = walk->registers[number];
	return true;
}

static uint8_t cfa_of(struct unwind_walk *walk, uint64_t rule, uint64_t *ret_cfa)
{
	unsigned type = rule & 0xff, number = EH_REGISTER_RSP;
	int32_t offset = (int32_t)UNWIND_CFA_OFF(rule);
	uint64_t base, word;

	if (type == EH_CFA_RBP || type == EH_CFA_RBP_DEREF)
		number = EH_REGISTER_RBP;
	else if (type >= EH_CFA_REGISTER)
		number = type - EH_CFA_REGISTER;
	if (!get_register(walk, number, &base))
		return RSPROF_SHM_BROKEN;
	switch (type) {
	case EH_CFA_PLT:
		*ret_cfa = base + (uint64_t)(int64_t)ehframe_low(offset);
		if ((int32_t)(walk->pc & 15) >= ehframe_high(offset))
			*ret_cfa += 8;
		return RSPROF_SHM_COMPLETE;
	case EH_CFA_RSP_DEREF:
	case EH_CFA_RBP_DEREF:
		base += (uint64_t)(int64_t)ehframe_low(offset);
		if (!read_word(walk, base, &word))
			return RSPROF_SHM_READ_ERROR;
		*ret_cfa = word + (uint64_t)(int64_t)ehframe_high(offset);
		return RSPROF_SHM_COMPLETE;
	default:
		*ret_cfa = base + (uint64_t)(int64_t)offset;
		return RSPROF_SHM_COMPLETE;
	}
}

/* One that cannot be read is lost: many stacks never need it. */
static void set_bp(struct unwind_walk *walk, uint64_t rule, uint64_t cfa)
{
	uint64_t address = cfa;

	switch ((rule >> 8) & 0xff) {
	case EH_RBP_CFA:
		break;
	case EH_RBP_RBP:
		if (!walk->is_bp_known)
			return;
		address = walk->bp;
		break;
	case EH_RBP_UNKNOWN:
		walk->is_bp_known = false;
		return;
	default:
		return;
	}
	address += (uint64_t)UNWIND_RBP_OFF(rule);
	walk->is_bp_known = read_word(walk, address, &walk->bp);
}

static uint8_t step_by_rule(struct unwind_walk *walk, uint64_t rule)
{
	unsigned rbp_type = (rule >> 8) & 0xff;
	bool is_ra_in_register = rbp_type >= EH_RBP_RA_REGISTER;
	uint64_t cfa, pc;
	uint8_t status = cfa_of(walk, rule, &cfa);

	if (status != RSPROF_SHM_COMPLETE)
		return status;
	/* Without a return address on the stack, the caller's frame may begin where this one does.
	 */
	if (cfa < walk->sp || (cfa == walk->sp && !is_ra_in_register))
		return RSPROF_SHM_BROKEN;
	if (is_ra_in_register) {
		if (!get_register(walk, rbp_type - EH_RBP_RA_REGISTER, &pc))
			return RSPROF_SHM_BROKEN;
	} else if (!read_word(walk, cfa - 8, &pc)) {
		return RSPROF_SHM_READ_ERROR;
	}
	set_bp(walk, rule, cfa);
	walk->pc = pc;
	walk->sp = cfa;
	walk->is_exact = false;
	walk->is_guess = false;
	return RSPROF_SHM_COMPLETE;
}

static uint8_t step_signal(struct unwind_walk *walk)
{
	uintptr_t sp = walk->sp;
	uint64_t pc, word;

	walk->is_special = true;
	/* The interrupted stack may lie anywhere, but no signal frame comes twice. */
	for (unsigned i = 0; i < walk->signal_count; i++) {
		if (walk->signal_sp[i] == sp)
			return RSPROF_SHM_BROKEN;
	}
	if (walk->signal_count == UNWIND_SIGNALS_MAX)
		return RSPROF_SHM_BROKEN;
	walk->signal_sp[walk->signal_count++] = sp;
	/* r8 to r15 lie lowest: what is copied from there on holds all. */
	for (unsigned i = 0; i < EH_REGISTERS; i++) {
		unsigned number = i ^ EH_REGISTER_R8;

		if (!read_word(walk, sp + ehframe_signal_offset(number), &walk->registers[number]))
			return RSPROF_SHM_READ_ERROR;
	}
	if (!read_word(walk, sp + EH_SIGNAL_RIP, &pc))
		return RSPROF_SHM_READ_ERROR;
	walk->pc = pc;
	walk->sp = walk->registers[EH_REGISTER_RSP];
	walk->bp = walk->registers[EH_REGISTER_RBP];
	walk->is_bp_known = true;
	walk->is_exact = true;
	walk->is_guess = false;
	/* From a stack for signals back to the thread's own. */
	walk->low = walk->high = 0;
	/* A frame that is none may name an address where the stack has not been yet. */
	if (unwind_stack_has(walk->thread, walk->sp) && sys_peek(walk->sp, &word, 8) == 8) {
		walk->low = walk->sp;
		walk->high = walk->thread->stack_high;
	}
	return RSPROF_SHM_COMPLETE;
}

static uint8_t step_by_frame_pointer(struct unwind_walk *walk)
{
	/* Where it fails, rbp held something else: what is missing is the table. */
	if (step_by_rule(walk, UNWIND_RULE_FRAME_POINTER) != RSPROF_SHM_COMPLETE)
		return RSPROF_SHM_NO_TABLE;
	walk->is_guess = true;
	return RSPROF_SHM_COMPLETE;
}

uint8_t unwind_step(struct unwind_walk *walk, uint64_t rule, bool *ret_is_root)
{
	*ret_is_root = false;
	switch (rule & 0xff) {
	case EH_CFA_NONE:
		return step_by_frame_pointer(walk);
	case EH_CFA_UNSUPPORTED:
		return RSPROF_SHM_BROKEN;
	case EH_CFA_STOP:
		*ret_is_root = true;
		return RSPROF_SHM_COMPLETE;
	case EH_CFA_SIGNAL:
		return step_signal(walk);
	default:
		return step_by_rule(walk, rule);
	}
}
