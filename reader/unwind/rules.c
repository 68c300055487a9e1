#include "reader/unwind/rules.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/hash.h"
#include "reader/util/mem.h"

uint16_t unwind_rules_intern(struct unwind_rules *rules, const struct ehframe_rule *rule)
{
	const size_t mask = sizeof(rules->slots) / sizeof(rules->slots[0]) - 1;
	uint64_t bits;
	size_t slot;

	memcpy(&bits, rule, sizeof(bits));
	/* Half of the slots are free at all times: the search ends. */
	for (slot = hash_u64(bits) & mask; rules->slots[slot]; slot = (slot + 1) & mask) {
		uint16_t number = (uint16_t)(rules->slots[slot] - 1);

		if (memcmp(&rules->rules[number], rule, sizeof(*rule)) == 0)
			return number;
	}
	if (rules->count == UNWIND_RULES_MAX) {
		rules->full_count++;
		return UNWIND_RULE_UNSUPPORTED;
	}
	rules->rules[rules->count] = *rule;
	rules->slots[slot] = (uint16_t)(rules->count + 1);
	return (uint16_t)rules->count++;
}

struct unwind_rules *unwind_rules_new(void)
{
	static const uint8_t fixed[] = {EH_CFA_NONE, EH_CFA_UNSUPPORTED, EH_CFA_STOP};
	struct unwind_rules *rules = mem_zalloc(sizeof(*rules));

	for (size_t i = 0; i < sizeof(fixed); i++) {
		struct ehframe_rule rule = {.cfa_type = fixed[i]};

		unwind_rules_intern(rules, &rule);
	}
	return rules;
}

void unwind_rules_free(struct unwind_rules *rules)
{
	free(rules);
}
