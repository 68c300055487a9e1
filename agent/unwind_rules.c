/* From an address to the rule of its frame: caches of the whole process's, filled as code is met.
 * An entry is two words that are written without a lock; whoever reads words of two writers sees
 * that they do not go together, and looks the rule up. */
#include "agent/modules.h"
#include "agent/unwind.h"

#include <errno.h>

struct unwind_rules unwind_rules;

bool unwind_rules_begin(void)
{
	if (!unwind_rules.more)
		unwind_rules.more =
			sys_map(sizeof(struct unwind_rule_slot) << UNWIND_RULES_MORE_BITS);
	if (!unwind_rules.slots && unwind_rules.more)
		unwind_rules.slots = sys_map(sizeof(struct unwind_rule_slot) << UNWIND_RULES_BITS);
	/* No key is 0 for long: a zeroed slot is one of an address that nobody looks for. */
	atomic_fetch_add_explicit(&unwind_rules.generation, UINT64_C(0x9e3779b97f4a7c15) << 1 | 1,
				  memory_order_release);
	return unwind_rules.slots != NULL;
}

static uint64_t rule_bits(struct ehframe_rule rule)
{
	uint64_t bits;

	__builtin_memcpy(&bits, &rule, sizeof(bits));
	return bits;
}

static uint64_t rule_of_module(const struct unwind_module *module, uintptr_t address, bool is_exact)
{
	struct ehframe_rule rule = {.cfa_type = EH_CFA_NONE};
	struct ehframe_cie cie = {0};
	struct ehframe_fde fde;
	int ret = -ENOENT;

	if (module->has_table)
		ret = ehframe_index_find(&module->index, &module->section, address, &cie, &fde);
	if (!ret)
		rule = ehframe_rule_at(&module->section, &cie, &fde, address);
	else if (ret != -ENOENT)
		rule.cfa_type = EH_CFA_UNSUPPORTED;
	/* A return to the first instruction of a function, with nobody's code before it, was put
	 * there without a call: makecontext() does that. */
	else if (!is_exact && module->has_table &&
		 !ehframe_index_find(&module->index, &module->section, address + 1, &cie, &fde) &&
		 fde.start == address + 1)
		rule.cfa_type = EH_CFA_STOP;
	return rule_bits(rule);
}

/* Whether a call ends before `at + 8`. */
static bool is_call(const uint8_t *at)
{
	enum { CALL = 0xe8, INDIRECT = 0xff, KIND = 0x38, KIND_CALL = 0x10 };

	return at[3] == CALL || (at[6] == INDIRECT && (at[7] & KIND) == KIND_CALL) ||
	       (at[5] == INDIRECT && (at[6] & KIND) == KIND_CALL) ||
	       (at[4] == INDIRECT && (at[5] & KIND) == KIND_CALL) ||
	       (at[2] == INDIRECT && (at[3] & KIND) == KIND_CALL) ||
	       (at[1] == INDIRECT && (at[2] & KIND) == KIND_CALL);
}

/* Code that no object brought, as compilers make at run time. What calls return to is behind one.
 */
static bool is_code(uintptr_t address, bool is_exact)
{
	enum { BYTES = 8, PAGE = 4096 };
	uint8_t bytes[BYTES] = {0};
	size_t here = (address & (PAGE - 1)) + 1;

	if (is_exact)
		return sys_peek(address, bytes, 1) == 1;
	if (sys_peek(address + 1 - BYTES, bytes, BYTES) == BYTES)
		return is_call(bytes);
	/* There may be nothing before the page. */
	if (here >= BYTES)
		return false;
	__builtin_memset(bytes, 0, sizeof(bytes));
	return sys_peek(address + 1 - here, bytes + BYTES - here, here) == (long)here &&
	       is_call(bytes);
}

static void put(struct unwind_rule_slot *slot, uintptr_t address, uint64_t rule,
		uint64_t generation)
{
	atomic_store_explicit(&slot->rule, rule, memory_order_relaxed);
	atomic_store_explicit(&slot->key, unwind_rule_key(address, rule, generation),
			      memory_order_relaxed);
}

/* Neighbours in the code are neighbours here: few pages are touched. */
static struct unwind_rule_slot *slot_of_more(uintptr_t address)
{
	size_t mask = ((size_t)1 << UNWIND_RULES_MORE_BITS) - 1;

	return &unwind_rules.more[((address >> 2) ^ (address >> 18)) & mask];
}

static void keep(uintptr_t address, uint64_t generation, uint64_t rule)
{
	put(&unwind_rules.slots[unwind_rule_index(address)], address, rule, generation);
	put(slot_of_more(address), address, rule, generation);
}

uint64_t unwind_rule_find(uintptr_t address, uint64_t generation, bool is_exact)
{
	struct unwind_rule_slot *slot = &unwind_rules.slots[unwind_rule_index(address)];
	struct unwind_rule_slot *more = slot_of_more(address);
	struct unwind_module module;
	uint64_t rule;

	if (unwind_rule_has(more, address, generation, &rule)) {
		put(slot, address, rule, generation);
		return rule;
	}
	if (unwind_module_find(address, generation, &module))
		rule = rule_of_module(&module, address, is_exact);
	else if (is_code(address, is_exact))
		rule = rule_bits((struct ehframe_rule){.cfa_type = EH_CFA_NONE});
	else
		/* Code may come there. */
		return UNWIND_CFA_UNMAPPED;
	keep(address, generation, rule);
	return rule;
}

uint64_t unwind_rule_doubtful(uintptr_t address, uint64_t generation)
{
	uint64_t rule;

	if (unwind_rule_has(&unwind_rules.slots[unwind_rule_index(address)], address, generation,
			    &rule) ||
	    unwind_rule_has(slot_of_more(address), address, generation, &rule))
		return rule;
	if (modules_may_have(address) || !is_code(address, false))
		return UNWIND_CFA_UNMAPPED;
	rule = rule_bits((struct ehframe_rule){.cfa_type = EH_CFA_NONE});
	keep(address, generation, rule);
	return rule;
}
