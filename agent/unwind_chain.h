/* What a lane remembers of its stacks: words that were read, in the order of their frames, the root
 * first. */
#ifndef RSPROF_AGENT_UNWIND_CHAIN_H
#define RSPROF_AGENT_UNWIND_CHAIN_H

#include "agent/unwind.h"

enum {
	CHAIN_ROOM = AGENT_FRAMES_MAX - 1, /* of a walk, beside the leaf */
	CHAIN_FRAMES = 256,
	CHAIN_FRAME_WORDS = 3, /* of one, at most */
	CHAIN_WORDS = CHAIN_FRAMES * CHAIN_FRAME_WORDS,
	CHAIN_BLOCK = 8, /* words */

	CHAIN_RULES_BITS = 14,
	/* A rule in the upper bits: kind, cfa_off / 8, -rbp_off / 8; below it what of the address
	 * its slot does not tell. */
	CHAIN_ADDRESS_BITS = 47,
	CHAIN_TAG_BITS = CHAIN_ADDRESS_BITS - CHAIN_RULES_BITS,
	CHAIN_RBP_BITS = 9,
	CHAIN_CFA_BITS = 64 - 2 - CHAIN_RBP_BITS - CHAIN_TAG_BITS,
};

/* A block of them, as memos have them. Offsets are from the stack's end. */
struct chain_words {
	int32_t offsets[CHAIN_BLOCK];
	uint64_t values[CHAIN_BLOCK];
};

struct chain_frame {
	uintptr_t sp, bp;
	uint64_t hash;	     /* of it and all further out */
	uint16_t word_count; /* that it and all further out have read */
	bool needs_bp;
	bool is_guess;	  /* found along rbp */
	bool has_guesses; /* one further out was */
};

/* A frame that was just walked, and the rule by which it was left. */
struct chain_fresh {
	uintptr_t sp, bp;
	uint64_t rule;
};

/* The last walk, but for what has no memory. */
struct chain {
	uintptr_t high; /* of its stack */
	uint32_t count;
	bool is_cut; /* its first frame is not the root */
	uint32_t word_count;
	struct chain_frame frames[CHAIN_FRAMES];
	uint64_t pcs[CHAIN_FRAMES];
	/* Behind the last word there is a block of the same. */
	int32_t offsets[CHAIN_WORDS + CHAIN_BLOCK];
	uint64_t values[CHAIN_WORDS + CHAIN_BLOCK];
	struct chain_fresh fresh[CHAIN_ROOM];
	uint64_t fresh_pcs[CHAIN_ROOM];
	/* Rules of most frames, a word each; 0: none. The lane's own, so that no other writer's and
	 * no other generation's are among them. */
	uint64_t rules_generation;
	bool has_rules;
	uint64_t rules[1 << CHAIN_RULES_BITS];
};

/* What a walk has found: fresh frames, then those of the chain from `joined` on outwards. */
struct chain_found {
	uint32_t fresh_count;
	uint32_t joined;   /* frames of the chain */
	bool is_last_root; /* the last fresh one has read nothing */
	bool is_plain;	   /* unwind_cursor_step() has left all fresh ones */
};

/* 0: all are as they were. */
static inline uint64_t chain_words_differ(const int32_t *offset, const uint64_t *value,
					  const char *high)
{
	uint64_t differ = 0;

	_Pragma("GCC unroll 8") for (unsigned i = 0; i < CHAIN_BLOCK; i++) differ |=
		*(const uint64_t *)(high + offset[i]) ^ value[i];
	return differ;
}

/* A walk from a return address to its end, or to a frame of the chain that stands as it did. */
void chain_walk(struct chain *chain, struct unwind_walk *walk, struct chain_found *ret_found);
/* The chain is this walk from now on. false: it cannot be, and there is none. */
bool chain_extend(struct chain *chain, const struct chain_found *found,
		  const struct unwind_walk *walk);

#endif
