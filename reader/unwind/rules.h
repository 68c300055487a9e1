/* Rules of all tables, each kept once: rows name them by number. One thread at a time. */
#ifndef RSPROF_UNWIND_RULES_H
#define RSPROF_UNWIND_RULES_H

#include <stdint.h>

#include "shm/ehframe.h"

enum {
	/* All of rustc, LLVM included, has 1,220; the array is also that of the BPF program. */
	UNWIND_RULES_MAX = 16384,

	/* Every set has these at fixed numbers. */
	UNWIND_RULE_NONE = 0,
	UNWIND_RULE_UNSUPPORTED = 1,
	UNWIND_RULE_STOP = 2,
};

struct unwind_rules {
	struct ehframe_rule rules[UNWIND_RULES_MAX];
	uint32_t count;
	uint64_t full_count;		      /* rules not taken because the array is full */
	uint16_t slots[2 * UNWIND_RULES_MAX]; /* number + 1 by hash; 0: free */
};

struct unwind_rules *unwind_rules_new(void);
void unwind_rules_free(struct unwind_rules *rules);
/* The rule's number; UNWIND_RULE_UNSUPPORTED where the array is full. */
uint16_t unwind_rules_intern(struct unwind_rules *rules, const struct ehframe_rule *rule);

#endif
