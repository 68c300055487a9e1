/* Walks a stack of the target: the same steps as reader/unwind/walk.c, over the stack itself. */
#ifndef RSPROF_BPF_UNWIND_BPF_H
#define RSPROF_BPF_UNWIND_BPF_H

#include "bpf/tables.bpf.h"
#include "bpf/uprobe.bpf.h"

static __always_inline __u64 mix(__u64 hash, __u64 value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
	return hash ^ (hash >> 32);
}

static __always_inline bool read_word(__u64 address, __u64 *ret_word)
{
	return bpf_probe_read_user(ret_word, sizeof(*ret_word), (void *)address) == 0;
}

/* What rules say. */
struct rule {
	__u8 cfa_type, rbp_type;
	__s64 rbp_off, cfa_off;
};

static __always_inline struct rule rule_of(__u64 bytes)
{
	return (struct rule){
		.cfa_type = bytes,
		.rbp_type = bytes >> 8,
		.rbp_off = (__s16)(bytes >> 16),
		.cfa_off = (__s32)(bytes >> 32),
	};
}

static __always_inline bool get_register(struct scratch *scratch, __u32 number, __u64 *ret_value)
{
	struct walk *walk = &scratch->walk;
	if (number == EH_REGISTER_RSP) {
		*ret_value = walk->rsp;
		return true;
	}
	if (number == EH_REGISTER_RBP) {
		*ret_value = walk->rbp;
		return walk->is_rbp_known;
	}
	if (!walk->is_exact || number >= EH_REGISTERS)
		return false;
	if (walk->signal_count > 0)
		*ret_value = scratch->interrupted.general[number & (EH_REGISTERS - 1)];
	else
		*ret_value = scratch->leaf.general[number & (EH_REGISTERS - 1)];
	return true;
}

/* The steps return WALK_COMPLETE where there is a caller, which the walk is at then. */

static __always_inline __u32 cfa_of(struct scratch *scratch, const struct rule *rule,
				    __u64 *ret_cfa)
{
	struct walk *walk = &scratch->walk;
	__u32 number = EH_REGISTER_RSP;
	__u64 base, word;

	if (rule->cfa_type == EH_CFA_RBP || rule->cfa_type == EH_CFA_RBP_DEREF)
		number = EH_REGISTER_RBP;
	else if (rule->cfa_type >= EH_CFA_REGISTER)
		number = rule->cfa_type - EH_CFA_REGISTER;
	if (!get_register(scratch, number, &base))
		return WALK_UNSUPPORTED;
	if (rule->cfa_type == EH_CFA_PLT) {
		*ret_cfa = base + (__s64)ehframe_low(rule->cfa_off);
		if ((walk->rip & 15) >= (__u64)(__s64)ehframe_high(rule->cfa_off))
			*ret_cfa += 8;
	} else if (rule->cfa_type == EH_CFA_RSP_DEREF || rule->cfa_type == EH_CFA_RBP_DEREF) {
		if (!read_word(base + (__s64)ehframe_low(rule->cfa_off), &word))
			return WALK_READ_ERROR;
		*ret_cfa = word + (__s64)ehframe_high(rule->cfa_off);
	} else {
		*ret_cfa = base + rule->cfa_off;
	}
	return WALK_COMPLETE;
}

/* The caller's rbp; one that cannot be read is lost: many stacks never need it. Below the CFA it is
 * in the words that were read already, if they could be. */
static __always_inline void set_rbp(struct scratch *scratch, const struct rule *rule, __u64 cfa,
				    bool has_words)
{
	struct walk *walk = &scratch->walk;
	__u64 address = cfa, below;

	if (rule->rbp_type == EH_RBP_UNKNOWN) {
		walk->is_rbp_known = false;
		return;
	}
	if (rule->rbp_type == EH_RBP_RBP) {
		if (!walk->is_rbp_known)
			return;
		address = walk->rbp;
	} else if (rule->rbp_type != EH_RBP_CFA) {
		return;
	}
	address += rule->rbp_off;
	below = address - (cfa - CFA_BYTES);
	if (has_words && below < CFA_BYTES && (below & 7) == 0) {
		walk->rbp = scratch->words[(below >> 3) & (CFA_WORDS - 1)];
		walk->is_rbp_known = true;
		return;
	}
	walk->is_rbp_known = read_word(address, &below);
	walk->rbp = below;
}

static __always_inline __u32 step_by_rule(struct scratch *scratch, const struct rule *rule)
{
	struct walk *walk = &scratch->walk;
	bool is_ra_in_register = rule->rbp_type >= EH_RBP_RA_REGISTER, has_words = false;
	__u64 cfa = 0, pc = 0;
	__u32 end = cfa_of(scratch, rule, &cfa);

	if (end != WALK_COMPLETE)
		return end;
	/* Without a return address on the stack, the caller's frame may begin where this one does.
	 */
	if (cfa < walk->rsp || (cfa == walk->rsp && !is_ra_in_register))
		return WALK_UNSUPPORTED;
	if (is_ra_in_register) {
		if (!get_register(scratch, rule->rbp_type - EH_RBP_RA_REGISTER, &pc))
			return WALK_UNSUPPORTED;
	} else {
		has_words = bpf_probe_read_user(scratch->words, sizeof(scratch->words),
						(void *)(cfa - CFA_BYTES)) == 0;
		/* The page below may be none of the stack's. */
		if (has_words)
			pc = scratch->words[CFA_WORDS - 1];
		else if (!read_word(cfa - 8, &pc))
			return WALK_READ_ERROR;
	}
	set_rbp(scratch, rule, cfa, has_words);
	walk->rip = pc;
	walk->rsp = cfa;
	walk->is_exact = false;
	walk->is_guess = false;
	return WALK_COMPLETE;
}

#define SIGNAL_WORD(offset) (scratch->signal[((offset)-EH_SIGNAL_R8) / 8])

static __always_inline __u32 step_signal(struct scratch *scratch)
{
	struct walk *walk = &scratch->walk;
	__u64 sp = walk->rsp, *to = scratch->interrupted.general;
	__u32 count = walk->signal_count, i;

	if (bpf_probe_read_user(scratch->signal, sizeof(scratch->signal),
				(void *)(sp + EH_SIGNAL_R8)))
		return WALK_READ_ERROR;
	/* The interrupted stack may lie anywhere, but no signal frame comes twice. */
	for (i = 0; i < SIGNALS_MAX; i++) {
		if (i < count && scratch->signal_sp[i] == sp)
			return WALK_UNSUPPORTED;
	}
	if (count >= SIGNALS_MAX)
		return WALK_UNSUPPORTED;
	scratch->signal_sp[count & (SIGNALS_MAX - 1)] = sp;
	walk->signal_count = count + 1;
	to[EH_REGISTER_RAX] = SIGNAL_WORD(EH_SIGNAL_RAX);
	to[EH_REGISTER_RDX] = SIGNAL_WORD(EH_SIGNAL_RDX);
	to[EH_REGISTER_RCX] = SIGNAL_WORD(EH_SIGNAL_RCX);
	to[EH_REGISTER_RBX] = SIGNAL_WORD(EH_SIGNAL_RBX);
	to[EH_REGISTER_RSI] = SIGNAL_WORD(EH_SIGNAL_RSI);
	to[EH_REGISTER_RDI] = SIGNAL_WORD(EH_SIGNAL_RDI);
	for (i = EH_REGISTER_R8; i <= EH_REGISTER_R15; i++)
		to[i] = scratch->signal[i - EH_REGISTER_R8];
	walk->rbp = SIGNAL_WORD(EH_SIGNAL_RBP);
	walk->rsp = SIGNAL_WORD(EH_SIGNAL_RSP);
	walk->rip = SIGNAL_WORD(EH_SIGNAL_RIP);
	walk->is_rbp_known = true;
	walk->is_exact = true;
	walk->is_guess = false;
	walk->flags |= WALK_PASSED_SIGNAL;
	return WALK_COMPLETE;
}

/* Code without unwind information. Its rbp may be a frame pointer, unless the reader has a table
 * for it: then the reader walks. */
static __always_inline __u32 step_without_table(struct scratch *scratch)
{
	struct walk *walk = &scratch->walk;
	struct rule rule = {
		.cfa_type = EH_CFA_RBP, .rbp_type = EH_RBP_CFA, .rbp_off = -16, .cfa_off = 16};

	if (walk->code.page_count == 0 && (walk->code.flags & CODE_IS_ELSEWHERE) &&
	    walk->may_copy) {
		walk->needs_reader = true;
		return WALK_NO_TABLE;
	}
	/* Where it fails, rbp held something else: what is missing is the table. */
	if (step_by_rule(scratch, &rule) != WALK_COMPLETE)
		return WALK_NO_TABLE;
	walk->is_guess = true;
	return WALK_COMPLETE;
}

static __always_inline __u64 rule_at(const struct bpf_code *at, __u64 address)
{
	__u64 offset = address - at->bias - at->base;

	if (offset >> EH_PAGE_BITS >= at->page_count)
		return EH_CFA_NONE;
	return find_rule(at->index, at->rows, offset >> EH_PAGE_BITS, offset & (EH_PAGE_BYTES - 1));
}

/* Whether walk->code holds the address; looks it up where it did not already. */
static __always_inline bool find_place(struct scratch *scratch, __u64 address)
{
	struct walk *walk = &scratch->walk;
	struct bpf_code_lists *lists;
	struct bpf_code *found;
	__u32 zero = 0;
	long at;

	if (address - walk->code.start < walk->code.end - walk->code.start)
		return true;
	at = find_code(walk->list, walk->code_count, address);
	lists = bpf_map_lookup_elem(&code, &zero);
	if (at < 0 || !lists)
		return false;
	found = &lists->list[walk->list & 1].code[at & (BPF_CODE_MAX - 1)];
	walk->code = *found;
	return walk->code.start <= address && address < walk->code.end;
}

/* Where the walk is at an address that uprobes put there: to the one that it stands for. */
static __always_inline bool repair(struct scratch *scratch)
{
	struct walk *walk = &scratch->walk;
	__u64 page = uprobes_page(), pc, slot;

	if (!page || walk->rip - page >= KERNEL_PAGE_BYTES)
		return false;
	if (!walk->is_exact) {
		pc = original_return(walk->rsp - 8);
		if (!pc)
			pc = noted_redirection(walk->rsp - 8);
		if (pc)
			walk->rip = pc;
		return pc != 0;
	}
	pc = stepped_address(walk->rip);
	if (!pc) {
		slot = trampoline_slot(page, walk->rip - page, walk->rsp);
		if (!slot)
			return false;
		pc = original_return(slot);
		/* The system call begins with taking back what was pushed. */
		if (!pc && walk->rip - page == TRAMPOLINE_AFTER_CALL) {
			pc = original_return(walk->rsp - 8);
			if (pc)
				slot = walk->rsp - 8;
		}
		if (!pc && walk->rip - page >= TRAMPOLINE_AFTER_CALL) {
			pc = finished_return(slot);
			if (!pc && !read_word(slot, &pc))
				return false;
		}
		if (!pc)
			return false;
		walk->rsp = slot + 8;
	}
	walk->rip = pc;
	/* Copies begin there, too. */
	if (walk->pc_count == 0) {
		scratch->leaf.rip = pc;
		scratch->leaf.general[EH_REGISTER_RSP] = walk->rsp;
	}
	return true;
}

/* One frame. A callback of bpf_loop: 1 ends the walk. */
static long step(__u32 number, struct scratch **context)
{
	struct scratch *scratch = *context;
	struct walk *walk = &scratch->walk;
	__u64 pc = walk->rip, address = walk->is_exact ? pc : pc - 1;
	bool is_mapped = pc != 0 && find_place(scratch, address);
	__u64 count = walk->pc_count;
	__u32 end;
	struct rule rule;

	/* The page may be published as code that has no table. */
	if (pc != 0 && (!is_mapped || walk->code.page_count == 0) && repair(scratch)) {
		pc = walk->rip;
		address = walk->is_exact ? pc : pc - 1;
		is_mapped = find_place(scratch, address);
	}
	/* A guess that leads nowhere is no frame, and 0 is no address. */
	if (!is_mapped && walk->is_guess) {
		walk->end = WALK_NO_TABLE;
		return 1;
	}
	if (pc == 0) {
		walk->end = WALK_NO_MAPPING;
		return 1;
	}
	if (count >= frames_max || count >= BPF_FRAMES_MAX) {
		walk->end = WALK_TRUNCATED;
		return 1;
	}
	scratch->room.sample.pcs[count & (PCS_ROOM - 1)] = pc;
	walk->pc_count = count + 1;
	walk->hash = mix(walk->hash, pc);
	if (walk->is_guess)
		walk->flags |= WALK_USED_FRAME_POINTERS;
	if (!is_mapped) {
		walk->end = WALK_NO_MAPPING;
		walk->needs_reader = true;
		return 1;
	}
	rule = rule_of(rule_at(&walk->code, address));
	switch (rule.cfa_type) {
	case EH_CFA_NONE:
		end = step_without_table(scratch);
		break;
	case EH_CFA_UNSUPPORTED:
		end = WALK_UNSUPPORTED;
		break;
	case EH_CFA_STOP:
		walk->end = WALK_COMPLETE;
		return 1;
	case EH_CFA_SIGNAL:
		end = step_signal(scratch);
		break;
	default:
		end = step_by_rule(scratch, &rule);
	}
	walk->end = end;
	return end != WALK_COMPLETE;
}

/* Whether a call ends at this address. What is pushed may be the address of a function, too. */
static __always_inline bool is_behind_call(__u64 address)
{
	__u8 bytes[8] = {};

	if (bpf_probe_read_user(bytes, sizeof(bytes), (void *)(address - sizeof(bytes))))
		return false;
	return bytes[3] == OPCODE_CALL || /* of 5 bytes; those below are indirect: 2, 3, 6, 7 */
	       (bytes[6] == OPCODE_INDIRECT && (bytes[7] & 0x38) == INDIRECT_CALL) ||
	       (bytes[5] == OPCODE_INDIRECT && (bytes[6] & 0x38) == INDIRECT_CALL) ||
	       (bytes[2] == OPCODE_INDIRECT && (bytes[3] & 0x38) == INDIRECT_CALL) ||
	       (bytes[1] == OPCODE_INDIRECT && (bytes[2] & 0x38) == INDIRECT_CALL);
}

/* A thread that has run into a probe is behind its int3 and has not executed what the probe stands
 * on. Afterwards it is there, too, if that was a push of one byte; then it is not a return address
 * that is on top of the stack. Interrupts come in the midst of it, since the kernel has let none
 * in. */
static __always_inline bool is_at_probe(struct scratch *scratch)
{
	__u64 address = scratch->walk.rip - 1, word = 0;
	bool is_in_layer = false;
	__u8 byte = 0;
	__u32 i;

	for (i = 0; i < HEAP_LAYERS_MAX; i++)
		is_in_layer |= address >= READ_ONCE(control.heap_layers[i].start) &&
			       address < READ_ONCE(control.heap_layers[i].end);
	if (!is_in_layer || bpf_probe_read_user(&byte, sizeof(byte), (void *)address) ||
	    byte != OPCODE_INT3)
		return false;
	return read_word(scratch->walk.rsp, &word) && is_behind_call(word) &&
	       find_place(scratch, word - 1);
}

/* Walks from scratch->leaf, where there is one. Sets all of scratch->walk; the frames are in the
 * scratch. generation: what the hash begins with, NULL: the version. */
static __always_inline void unwind(struct scratch *scratch, __u8 flags, bool is_empty,
				   const __u64 *generation)
{
	struct walk *walk = &scratch->walk;
	struct bpf_code_lists *lists;
	__u32 zero = 0;

	__builtin_memset(walk, 0, sizeof(*walk));
	walk->flags = flags;
	if (is_empty) {
		walk->end = WALK_EMPTY;
		return;
	}
	walk->may_copy = copy_bytes != 0;
	walk->rip = scratch->leaf.rip;
	walk->rsp = scratch->leaf.general[EH_REGISTER_RSP];
	walk->rbp = scratch->leaf.general[EH_REGISTER_RBP];
	walk->is_rbp_known = true;
	walk->is_exact = true;
	walk->version = READ_ONCE(control.version);
	walk->hash = mix(0, generation ? READ_ONCE(*generation) : walk->version);
	walk->list = walk->version & 1;
	lists = bpf_map_lookup_elem(&code, &zero);
	/* The mappings of a program that is gone say nothing. */
	if (lists &&
	    READ_ONCE(lists->list[walk->list & 1].exec_count) == READ_ONCE(control.exec_count))
		walk->code_count = READ_ONCE(lists->list[walk->list & 1].count);
	if (flags & WALK_IN_KERNEL && READ_ONCE(control.heap_mode) != BPF_HEAP_OFF &&
	    is_at_probe(scratch)) {
		walk->rip--;
		scratch->leaf.rip = walk->rip;
	}
	/* One more than there is room for: the last one finds out that there are more. */
	walk->end = WALK_TRUNCATED;
	bpf_loop(frames_max + 1, step, &scratch, 0);
	if (READ_ONCE(control.version) != walk->version) {
		walk->end = WALK_STALE;
		walk->needs_reader = true;
	}
	/* An address reached along a frame pointer may be none at all. */
	if (walk->flags & WALK_USED_FRAME_POINTERS)
		walk->needs_reader = false;
	walk->hash = mix(walk->hash, walk->end | (__u64)walk->flags << 8);
}

/* The registers of a program's context, a struct pt_regs of the public headers. No function: a
 * pointer into a context may not be passed on. */
#define TAKE_LEAF(scratch, registers)                                                              \
	do {                                                                                       \
		(scratch)->leaf.rip = (registers).rip;                                             \
		(scratch)->leaf.general[EH_REGISTER_RAX] = (registers).rax;                        \
		(scratch)->leaf.general[EH_REGISTER_RDX] = (registers).rdx;                        \
		(scratch)->leaf.general[EH_REGISTER_RCX] = (registers).rcx;                        \
		(scratch)->leaf.general[EH_REGISTER_RBX] = (registers).rbx;                        \
		(scratch)->leaf.general[EH_REGISTER_RSI] = (registers).rsi;                        \
		(scratch)->leaf.general[EH_REGISTER_RDI] = (registers).rdi;                        \
		(scratch)->leaf.general[EH_REGISTER_RBP] = (registers).rbp;                        \
		(scratch)->leaf.general[EH_REGISTER_RSP] = (registers).rsp;                        \
		(scratch)->leaf.general[EH_REGISTER_R8] = (registers).r8;                          \
		(scratch)->leaf.general[EH_REGISTER_R8 + 1] = (registers).r9;                      \
		(scratch)->leaf.general[EH_REGISTER_R10] = (registers).r10;                        \
		(scratch)->leaf.general[EH_REGISTER_R10 + 1] = (registers).r11;                    \
		(scratch)->leaf.general[EH_REGISTER_R15 - 3] = (registers).r12;                    \
		(scratch)->leaf.general[EH_REGISTER_R15 - 2] = (registers).r13;                    \
		(scratch)->leaf.general[EH_REGISTER_R15 - 1] = (registers).r14;                    \
		(scratch)->leaf.general[EH_REGISTER_R15] = (registers).r15;                        \
	} while (0)

/* The registers that the thread brought into the kernel. */
static __always_inline void leaf_of_task(struct scratch *scratch, struct task_struct *task)
{
	struct pt_regs___kernel *from = user_registers_of(task);
	__u64 *to = scratch->leaf.general;

	scratch->leaf.rip = from->ip;
	to[EH_REGISTER_RAX] = from->ax;
	to[EH_REGISTER_RDX] = from->dx;
	to[EH_REGISTER_RCX] = from->cx;
	to[EH_REGISTER_RBX] = from->bx;
	to[EH_REGISTER_RSI] = from->si;
	to[EH_REGISTER_RDI] = from->di;
	to[EH_REGISTER_RBP] = from->bp;
	to[EH_REGISTER_RSP] = from->sp;
	to[EH_REGISTER_R8] = from->r8;
	to[EH_REGISTER_R8 + 1] = from->r9;
	to[EH_REGISTER_R10] = from->r10;
	to[EH_REGISTER_R10 + 1] = from->r11;
	to[EH_REGISTER_R15 - 3] = from->r12;
	to[EH_REGISTER_R15 - 2] = from->r13;
	to[EH_REGISTER_R15 - 1] = from->r14;
	to[EH_REGISTER_R15] = from->r15;
}

#endif
