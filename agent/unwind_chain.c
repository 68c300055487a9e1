/* The frames of the last walk, and walks that end in them. */
#include "agent/unwind_chain.h"

/* In a rule: the frame was found along rbp. */
#define IS_GUESS UINT64_C(0x80)

static uint32_t words_standing(const struct chain *chain, uint32_t count)
{
	const char *high = (const char *)chain->high;
	const struct chain_words *words = chain->words;
	uint32_t i = 0;

	for (; i + CHAIN_BLOCK <= count && !chain_words_differ(words, high); words++)
		i += CHAIN_BLOCK;
	for (uint32_t at = 0; i < count && at < CHAIN_BLOCK; at++, i++) {
		if (*(const uint64_t *)(high + words->offsets[at]) != words->values[at])
			break;
	}
	return i;
}

/* How many frames, from the root on, stand as they did. Those that began below sp are gone. */
static uint32_t standing(const struct chain *chain, const struct agent_thread *thread, uintptr_t sp)
{
	uint32_t count = chain->count, words;

	if (chain->high != thread->stack_high || chain->is_cut)
		return 0;
	while (count && chain->frames[count - 1].sp < sp)
		count--;
	if (!count)
		return 0;
	words = words_standing(chain, chain->frames[count - 1].word_count);
	while (count && chain->frames[count - 1].word_count > words)
		count--;
	return count;
}

static inline void add_word(struct chain *chain, uintptr_t sp, uintptr_t slot, uint64_t value)
{
	uint32_t at = chain->word_count++;
	struct chain_words *words = &chain->words[at / CHAIN_BLOCK];

	chain->is_odd |= slot < sp || slot > chain->high - 8;
	words->offsets[at % CHAIN_BLOCK] = (int32_t)(intptr_t)(slot - chain->high);
	words->values[at % CHAIN_BLOCK] = value;
}

/* Frames are added from the root on: what the one before needs is known then. */
struct caller {
	uintptr_t pc, sp, bp;
	bool needs_bp;
};

/* What was read for this frame to be left. Where the words were follows from the rule and from what
 * came out. Returns whether rbp belongs to the frame's state. */
static inline bool add_words(struct chain *chain, const struct chain_fresh *fresh,
			     const struct caller *caller)
{
	unsigned cfa_type = fresh->rule & 0x7f, rbp_type = (fresh->rule >> 8) & 0xff;
	int32_t cfa_off = (int32_t)UNWIND_CFA_OFF(fresh->rule);
	uintptr_t bp_slot = caller->sp;
	bool needs = cfa_type == EH_CFA_RBP || cfa_type == EH_CFA_RBP_DEREF;

	if (AGENT_UNLIKELY(cfa_type == EH_CFA_RSP_DEREF || cfa_type == EH_CFA_RBP_DEREF))
		add_word(chain, fresh->sp,
			 (cfa_type == EH_CFA_RBP_DEREF ? fresh->bp : fresh->sp) +
				 (uintptr_t)(intptr_t)ehframe_low(cfa_off),
			 caller->sp - (uintptr_t)(intptr_t)ehframe_high(cfa_off));
	add_word(chain, fresh->sp, caller->sp - 8, caller->pc);
	if (!caller->needs_bp)
		return needs;
	if (rbp_type == EH_RBP_SAME)
		return true;
	if (rbp_type == EH_RBP_RBP) {
		bp_slot = fresh->bp;
		needs = true;
	}
	add_word(chain, fresh->sp, bp_slot + (uintptr_t)UNWIND_RBP_OFF(fresh->rule), caller->bp);
	return needs;
}

/* caller: NULL where the frame has read nothing. */
static inline void add_frame(struct chain *chain, const struct chain_fresh *fresh, uint64_t pc,
			     const struct caller *caller)
{
	struct chain_frame *frame = &chain->frames[chain->count];

	frame->needs_bp = caller && add_words(chain, fresh, caller);
	frame->sp = fresh->sp;
	frame->bp = fresh->bp;
	frame->hash = site_hash_step(chain->count ? frame[-1].hash : 0, pc);
	frame->word_count = (uint16_t)chain->word_count;
	frame->is_guess = fresh->rule & IS_GUESS;
	frame->has_guesses = chain->count && (frame[-1].is_guess || frame[-1].has_guesses);
	chain->pcs[chain->count++] = pc;
}

bool chain_extend(struct chain *chain, const struct chain_found *found,
		  const struct unwind_walk *walk)
{
	struct caller caller = {walk->pc, walk->sp, walk->bp, false};
	bool has_caller = !found->is_last_root;

	chain->count = found->joined;
	chain->word_count = 0;
	chain->is_odd = false;
	if (found->joined) {
		struct chain_frame *outer = &chain->frames[found->joined - 1];

		outer->is_guess = walk->is_guess;
		caller = (struct caller){chain->pcs[found->joined - 1], outer->sp, outer->bp,
					 outer->needs_bp};
		chain->word_count = outer->word_count;
	}
	chain->high = walk->thread->stack_high;
	chain->is_cut = walk->status == RSPROF_SHM_TRUNCATED && !found->joined;
	if (found->joined + found->fresh_count > CHAIN_FRAMES) {
		chain->count = 0;
		return false;
	}
	for (uint32_t i = found->fresh_count; i-- > 0;) {
		const struct chain_fresh *fresh = &chain->fresh[i];

		add_frame(chain, fresh, chain->fresh_pcs[i], has_caller ? &caller : NULL);
		caller = (struct caller){chain->fresh_pcs[i], fresh->sp, fresh->bp,
					 chain->frames[chain->count - 1].needs_bp};
		has_caller = true;
	}
	if (chain->is_odd)
		chain->count = 0;
	return !chain->is_odd;
}

/* ---- a walk that ends in the chain */

/* Goes on in the chain to the frame that begins at sp, if there is one; `left` frames are not yet
 * passed. */
static bool is_in_chain(const struct chain *chain, uint32_t *left, const struct unwind_cursor *at)
{
	const struct chain_frame *frame;

	while (*left && chain->frames[*left - 1].sp < at->sp)
		--*left;
	if (!*left)
		return false;
	frame = &chain->frames[*left - 1];
	return frame->sp == at->sp && chain->pcs[*left - 1] == at->pc &&
	       (!frame->needs_bp || (at->is_bp_known && frame->bp == at->bp));
}

/* Where the next frame of the chain begins that the walk may come to. */
static inline uintptr_t chain_sp(const struct chain *chain, uint32_t left)
{
	return left ? chain->frames[left - 1].sp : UINTPTR_MAX;
}

static inline void note(struct chain *chain, struct chain_found *found,
			const struct unwind_cursor *at, uint64_t rule)
{
	struct chain_fresh *fresh = &chain->fresh[found->fresh_count];

	chain->fresh_pcs[found->fresh_count++] = at->pc;
	fresh->sp = at->sp;
	fresh->bp = at->bp;
	fresh->rule = rule;
	found->hash += at->pc * found->power;
	found->power *= SITE_HASH_FACTOR;
}

static struct unwind_cursor cursor_of(const struct unwind_walk *walk)
{
	return (struct unwind_cursor){walk->pc, walk->sp, walk->bp, walk->is_bp_known};
}

/* As long as frames are like most. true: the walk is at a frame of the chain. */
static bool walk_fast(struct chain *chain, struct unwind_walk *walk, struct chain_found *ret_found)
{
	const struct unwind_rule_slot *slots = unwind_rules.slots;
	struct unwind_cursor at = cursor_of(walk);
	struct chain_found found = *ret_found;
	uint64_t generation = walk->generation;
	uintptr_t low = walk->low, high = walk->high;
	uintptr_t next = chain_sp(chain, found.joined);
	bool is_joined = false;

	while (at.pc) {
		struct unwind_cursor before = at;
		uint64_t rule;

		if (at.sp >= next) {
			is_joined = is_in_chain(chain, &found.joined, &at);
			next = chain_sp(chain, found.joined);
			if (is_joined)
				break;
		}
		if (found.fresh_count == CHAIN_ROOM)
			break;
		rule = unwind_rule(slots, at.pc - 1, generation, false);
		if (AGENT_UNLIKELY(!unwind_cursor_step(&at, rule, low, high)))
			break;
		note(chain, &found, &before, rule);
	}
	*ret_found = found;
	walk->pc = at.pc;
	walk->sp = at.sp;
	walk->bp = at.bp;
	walk->is_bp_known = at.is_bp_known;
	return is_joined;
}

/* Frames that are seldom. */
static enum unwind_frame_kind walk_slow(struct chain *chain, struct unwind_walk *walk,
					struct chain_found *found)
{
	struct unwind_cursor at = cursor_of(walk);
	uint64_t rule, guess = walk->is_guess ? IS_GUESS : 0;
	enum unwind_frame_kind kind;

	kind = unwind_walk_step(walk, found->fresh_count < CHAIN_ROOM, &rule);
	if (kind == UNWIND_FRAME_NONE)
		return kind;
	if ((rule & 0xff) == EH_CFA_NONE)
		rule = UNWIND_RULE_FRAME_POINTER;
	note(chain, found, &at, rule | guess);
	return kind;
}

void chain_walk(struct chain *chain, struct unwind_walk *walk, struct chain_found *found)
{
	enum unwind_frame_kind kind = UNWIND_FRAME_LEFT;
	struct unwind_cursor at;

	*found = (struct chain_found){.power = 1};
	found->joined = standing(chain, walk->thread, walk->sp);
	while (kind == UNWIND_FRAME_LEFT) {
		if (!walk->is_exact && !walk->is_guess && !walk->has_guesses &&
		    walk->low < walk->high && walk_fast(chain, walk, found))
			return;
		at = cursor_of(walk);
		if (walk->is_guess && !walk->is_special && is_in_chain(chain, &found->joined, &at))
			return;
		kind = walk_slow(chain, walk, found);
	}
	found->joined = 0;
	found->is_last_root = kind == UNWIND_FRAME_LAST;
}
