/* The frames of the last walk, and walks that end in them. */
#include "agent/unwind_chain.h"

#include <emmintrin.h>

/* In a rule: the frame was found along rbp. */
#define IS_GUESS UINT64_C(0x80)

static uint32_t words_standing(const struct chain *chain, uint32_t count)
{
	const char *high = (const char *)chain->high;
	uint32_t i = 0;

	while (i + CHAIN_BLOCK <= count &&
	       !chain_words_differ(chain->offsets + i, chain->values + i, high))
		i += CHAIN_BLOCK;
	for (uint32_t end = i + CHAIN_BLOCK; i < count && i < end; i++) {
		if (*(const uint64_t *)(high + chain->offsets[i]) != chain->values[i])
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

/* Where a chain grows. Frames are added from the root on: what the one before needs is known then.
 */
struct growth {
	struct chain *chain;
	uintptr_t high;
	uint32_t count, word_count;
	bool is_odd; /* a frame has read what is not above it on its stack */
	/* The last one. */
	uintptr_t pc, sp, bp;
	uint64_t hash;
	bool needs_bp, has_guesses; /* has_guesses: or is one */
};

static inline void add_word(struct growth *growth, uintptr_t sp, uintptr_t slot, uint64_t value)
{
	uint32_t at = growth->word_count++;

	growth->is_odd |= slot < sp || slot > growth->high - 8;
	growth->chain->offsets[at] = (int32_t)(intptr_t)(slot - growth->high);
	growth->chain->values[at] = value;
}

/* What was read for this frame to be left. Where the words were follows from the rule and from what
 * came out. Returns whether rbp belongs to the frame's state. */
static inline bool add_words(struct growth *growth, const struct chain_fresh *fresh)
{
	unsigned cfa_type = fresh->rule & 0x7f, rbp_type = (fresh->rule >> 8) & 0xff;
	int32_t cfa_off = (int32_t)UNWIND_CFA_OFF(fresh->rule);
	uintptr_t bp_slot = growth->sp;
	bool needs = cfa_type == EH_CFA_RBP || cfa_type == EH_CFA_RBP_DEREF;

	if (AGENT_UNLIKELY(cfa_type == EH_CFA_RSP_DEREF || cfa_type == EH_CFA_RBP_DEREF))
		add_word(growth, fresh->sp,
			 (cfa_type == EH_CFA_RBP_DEREF ? fresh->bp : fresh->sp) +
				 (uintptr_t)(intptr_t)ehframe_low(cfa_off),
			 growth->sp - (uintptr_t)(intptr_t)ehframe_high(cfa_off));
	add_word(growth, fresh->sp, growth->sp - 8, growth->pc);
	if (!growth->needs_bp)
		return needs;
	if (rbp_type == EH_RBP_SAME)
		return true;
	if (AGENT_UNLIKELY(rbp_type == EH_RBP_RBP)) {
		bp_slot = fresh->bp;
		needs = true;
	}
	add_word(growth, fresh->sp, bp_slot + (uintptr_t)UNWIND_RBP_OFF(fresh->rule), growth->bp);
	return needs;
}

/* has_read: it was left by reading words. */
static void add_frame(struct growth *growth, const struct chain_fresh *fresh, uint64_t pc,
		      bool has_read)
{
	struct chain *chain = growth->chain;
	struct chain_frame *frame = &chain->frames[growth->count];
	bool is_guess = fresh->rule & IS_GUESS;

	growth->needs_bp = AGENT_LIKELY(has_read) && add_words(growth, fresh);
	growth->pc = pc;
	growth->sp = fresh->sp;
	growth->bp = fresh->bp;
	growth->hash = site_hash_step(growth->hash, pc);
	frame->sp = fresh->sp;
	frame->bp = fresh->bp;
	frame->hash = growth->hash;
	frame->word_count = (uint16_t)growth->word_count;
	frame->needs_bp = growth->needs_bp;
	frame->is_guess = is_guess;
	frame->has_guesses = growth->has_guesses;
	growth->has_guesses |= is_guess;
	chain->pcs[growth->count++] = pc;
}

static bool add_frames(struct chain *chain, const struct chain_found *found,
		       const struct unwind_walk *walk)
{
	struct growth growth = {
		.chain = chain,
		.high = chain->high,
		.count = found->joined,
		.pc = walk->pc,
		.sp = walk->sp,
		.bp = walk->bp,
	};
	bool has_read = !found->is_last_root;

	if (found->joined) {
		struct chain_frame *outer = &chain->frames[found->joined - 1];

		outer->is_guess = walk->is_guess;
		growth.pc = chain->pcs[found->joined - 1];
		growth.sp = outer->sp;
		growth.bp = outer->bp;
		growth.needs_bp = outer->needs_bp;
		growth.hash = outer->hash;
		growth.has_guesses = outer->is_guess || outer->has_guesses;
		growth.word_count = outer->word_count;
	}
	for (uint32_t i = found->fresh_count; i-- > 0; has_read = true)
		add_frame(&growth, &chain->fresh[i], chain->fresh_pcs[i], has_read);
	chain->word_count = growth.word_count;
	return !growth.is_odd;
}

/* The same, of plain ones: each has read its return address, and its caller's rbp if that was
 * saved, within the stack. */
static bool add_plain_frames(struct chain *chain, const struct chain_found *found)
{
	uintptr_t high = chain->high, bottom = found->joined - 1;
	struct chain_frame *frame = &chain->frames[bottom];
	uint64_t *pcs = &chain->pcs[bottom], *values = &chain->values[frame->word_count];
	int32_t *offsets = &chain->offsets[frame->word_count];
	bool needs_bp = frame->needs_bp, is_odd = false;
	const bool has_guesses = frame->has_guesses;

	frame->is_guess = false;
	for (uint32_t i = found->fresh_count; i-- > 0;) {
		const struct chain_fresh *fresh = &chain->fresh[i];
		const struct chain_frame *caller = frame++;
		uint64_t rule = fresh->rule, pc = chain->fresh_pcs[i];
		bool is_by_bp = (rule & 0xff) == EH_CFA_RBP;

		*offsets++ = (int32_t)(intptr_t)(caller->sp - 8 - high);
		*values++ = *pcs++;
		if (needs_bp && ((rule >> 8) & 0xff) != EH_RBP_SAME) {
			uintptr_t slot = caller->sp + (uintptr_t)UNWIND_RBP_OFF(rule);

			*offsets++ = (int32_t)(intptr_t)(slot - high);
			*values++ = caller->bp;
			is_odd |= slot < fresh->sp;
			needs_bp = false;
		}
		needs_bp |= is_by_bp;
		*pcs = pc;
		frame->sp = fresh->sp;
		frame->bp = fresh->bp;
		frame->hash = site_hash_step(caller->hash, pc);
		frame->word_count = (uint16_t)(offsets - chain->offsets);
		frame->needs_bp = needs_bp;
		frame->is_guess = false;
		frame->has_guesses = has_guesses;
	}
	chain->word_count = (uint32_t)(offsets - chain->offsets);
	return !is_odd;
}

static inline void fill_up(struct chain *chain)
{
	enum { AT_ONCE = sizeof(__m128i) / sizeof(uint64_t) };
	uint32_t end = chain->word_count;
	__m128i offset, value;

	if (!end)
		return;
	offset = _mm_set1_epi32(chain->offsets[end - 1]);
	value = _mm_set1_epi64x((long long)chain->values[end - 1]);
	for (uint32_t i = end; i < end + CHAIN_BLOCK; i += 2 * AT_ONCE) {
		_mm_storeu_si128((__m128i *)&chain->offsets[i], offset);
		_mm_storeu_si128((__m128i *)&chain->values[i], value);
		_mm_storeu_si128((__m128i *)&chain->values[i + AT_ONCE], value);
	}
}

bool chain_extend(struct chain *chain, const struct chain_found *found,
		  const struct unwind_walk *walk)
{
	uint32_t count = found->joined + found->fresh_count;

	chain->count = 0;
	if (count > CHAIN_FRAMES)
		return false;
	chain->high = walk->thread->stack_high;
	chain->is_cut = walk->status == RSPROF_SHM_TRUNCATED && !found->joined;
	if (AGENT_LIKELY(found->is_plain) ? !add_plain_frames(chain, found)
					  : !add_frames(chain, found, walk))
		return false;
	chain->count = count;
	fill_up(chain);
	return true;
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
}

static struct unwind_cursor cursor_of(const struct unwind_walk *walk)
{
	return (struct unwind_cursor){walk->pc, walk->sp, walk->bp, walk->is_bp_known};
}

/* Of unwind_cursor_step(). */
static const uint16_t kinds[] = {0, UNWIND_KIND(EH_CFA_RSP, EH_RBP_SAME),
				 UNWIND_KIND(EH_CFA_RSP, EH_RBP_CFA),
				 UNWIND_KIND(EH_CFA_RBP, EH_RBP_CFA)};

/* Of addresses below 1 << CHAIN_ADDRESS_BITS no two have the same. */
static inline uint64_t spread(uintptr_t address)
{
	return address * UINT64_C(0x9e3779b97f4a7c15) & ((UINT64_C(1) << CHAIN_ADDRESS_BITS) - 1);
}

/* As unwind_rules.c has it. */
static inline uint64_t unpacked(uint64_t packed)
{
	uint64_t cfa = packed >> CHAIN_TAG_BITS & ((UINT64_C(1) << CHAIN_CFA_BITS) - 1);
	uint64_t rbp = packed >> (CHAIN_TAG_BITS + CHAIN_CFA_BITS) & ((1 << CHAIN_RBP_BITS) - 1);

	return cfa << (32 + 3) | (-rbp << 3 & 0xffff) << 16 | kinds[packed >> 62];
}

/* What is not there yet, and is from now on, if it can be. */
static __attribute__((noinline)) uint64_t rule_of(struct chain *chain, uintptr_t address,
						  uint64_t generation)
{
	uint64_t rule = unwind_rule(unwind_rules.slots, address, generation, false);
	uint64_t cfa = (uint64_t)UNWIND_CFA_OFF(rule), rbp = (uint64_t)-UNWIND_RBP_OFF(rule);
	uint64_t place = spread(address), packed;

	if (address >> CHAIN_ADDRESS_BITS)
		return rule;
	for (uint64_t kind = 1; kind < 4; kind++) {
		packed = kind << 62 | (rbp >> 3) << (CHAIN_TAG_BITS + CHAIN_CFA_BITS) |
			 (cfa >> 3) << CHAIN_TAG_BITS |
			 (place & ((UINT64_C(1) << CHAIN_TAG_BITS) - 1));
		if (UNWIND_KIND_OF(rule) == kinds[kind] && cfa >> 3 < 1 << CHAIN_CFA_BITS &&
		    rbp >> 3 < 1 << CHAIN_RBP_BITS && unpacked(packed) == rule) {
			chain->has_rules = true;
			chain->rules[place >> CHAIN_TAG_BITS] = packed;
		}
	}
	return rule;
}

/* Pages that nothing was written to stay so. A handler may leave from within. */
static __attribute__((noinline)) void forget_rules(struct chain *chain, uint64_t generation)
{
	chain->rules_generation = 0;
	atomic_signal_fence(memory_order_seq_cst);
	for (size_t i = 0; chain->has_rules && i < 1 << CHAIN_RULES_BITS; i++)
		chain->rules[i] = 0;
	atomic_signal_fence(memory_order_seq_cst);
	chain->has_rules = false;
	chain->rules_generation = generation;
}

/* As unwind_rule(). */
static inline uint64_t chain_rule(struct chain *chain, uintptr_t address, uint64_t generation)
{
	uint64_t place = spread(address), packed = chain->rules[place >> CHAIN_TAG_BITS];

	if (AGENT_LIKELY(!((packed ^ place) & ((UINT64_C(1) << CHAIN_TAG_BITS) - 1)) &&
			 packed >> 62 && !(address >> CHAIN_ADDRESS_BITS)))
		return unpacked(packed);
	return rule_of(chain, address, generation);
}

/* As long as frames are like most. true: the walk is at a frame of the chain. */
static bool walk_fast(struct chain *chain, struct unwind_walk *walk, struct chain_found *ret_found)
{
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
		rule = chain_rule(chain, at.pc - 1, generation);
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
	bool is_first = true;

	*found = (struct chain_found){0};
	if (AGENT_UNLIKELY(chain->rules_generation != walk->generation))
		forget_rules(chain, walk->generation);
	found->joined = standing(chain, walk->thread, walk->sp);
	while (kind == UNWIND_FRAME_LEFT) {
		if (!walk->is_exact && !walk->is_guess && !walk->has_guesses &&
		    walk->low < walk->high && walk_fast(chain, walk, found)) {
			found->is_plain = is_first;
			return;
		}
		is_first = false;
		at = cursor_of(walk);
		if (walk->is_guess && !walk->is_special && is_in_chain(chain, &found->joined, &at))
			return;
		kind = walk_slow(chain, walk, found);
	}
	found->joined = 0;
	found->is_last_root = kind == UNWIND_FRAME_LAST;
}
