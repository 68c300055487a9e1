/* Stacks that were walked before. A walk depends on where it begins, on the words that it reads,
 * and on rules; where all of them are as they were, so is the stack. To compare words costs a
 * fraction of reading them one after the other.
 *
 * A lane has a table of whole stacks (memos), found by where they begin; and its last walk as a
 * chain of frames, the root first: a new walk ends where it comes to a frame of the chain whose
 * outer frames still stand.
 *
 * rbp belongs to the state of a frame only where it, or a frame further out, needs it.
 *
 * A handler may leave by longjmp from within: is_busy then stays, and all is forgotten. */
#include <emmintrin.h>

#include "agent/unwind.h"

enum {
	ROOM = AGENT_FRAMES_MAX - 1, /* beside the leaf */
	SETS = 64,		     /* a power of two */
	WAYS = 2,
	WORDS_MAX = 256, /* of a memo */
	CHAIN_MAX = 256,
	CHAIN_PAIRS = CHAIN_MAX,
	CHAIN_SINGLES = 2 * CHAIN_MAX,
	STEP = 4, /* words that are compared at once */

	/* After so many walks it is seen whether memos pay; where they do not, there are none for
	 * that many stacks. In tenths of what it takes to walk a frame: what a frame that is noted
	 * takes in addition, and a stack. */
	TRIAL = 256,
	BYPASS = 4096,
	COST_FRAME = 4,
	COST_STACK = 40,
};

/* Where a word is: below the stack's end. */
typedef int32_t offset_t;

struct memo {
	uintptr_t pc, sp, bp, leaf;
	uintptr_t high; /* of the stack; 0: no memo */
	uint32_t site;
	uint16_t pair_count, single_count; /* both multiples of STEP */
	uint16_t frame_count;
	bool needs_bp;
	/* Pairs are two words side by side. First come the pairs. */
	offset_t offsets[WORDS_MAX] __attribute__((aligned(64)));
	uint64_t values[WORDS_MAX];
};

struct frame {
	uintptr_t sp, bp;
	uint64_t hash;			   /* of it and all further out */
	uint16_t pair_count, single_count; /* of the words that it and all further out have read */
	bool needs_bp;
	bool is_guess;	  /* found along rbp */
	bool has_guesses; /* one further out was */
};

/* A frame that was just walked, and the rule by which it was left. */
struct fresh {
	uintptr_t sp, bp;
	uint64_t rule;
};

/* In a rule: the frame was found along rbp. */
#define IS_GUESS UINT64_C(0x80)

struct chain {
	uintptr_t high;
	uint32_t count;
	bool is_cut; /* its first frame is not the root */
	uint32_t pair_count, single_count;
	struct frame frames[CHAIN_MAX];
	uint64_t pcs[CHAIN_MAX];
	offset_t pair_offsets[CHAIN_PAIRS + STEP];
	uint64_t pair_values[2 * (CHAIN_PAIRS + STEP)];
	offset_t single_offsets[CHAIN_SINGLES + STEP];
	uint64_t single_values[CHAIN_SINGLES + STEP];
};

struct unwind_memos {
	uint64_t generation;
	uint32_t is_busy;
	uint32_t bypass; /* stacks without memos that are left */
	uint32_t hits, trial;
	uint64_t saved, walked; /* frames */
	uint8_t last_way[SETS];
	struct chain chain;
	struct fresh fresh[ROOM];
	uint64_t fresh_pcs[ROOM];
	struct memo memos[SETS * WAYS];
};

size_t unwind_memo_bytes(void)
{
	return sizeof(struct unwind_memos);
}

static unsigned set_of(const struct agent_frame *frame)
{
	uint64_t hash = (frame->pc ^ frame->sp << 20) * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned)(hash >> 58) & (SETS - 1);
}

/* ---- whole stacks */

static inline __m128i load_pair(const void *at)
{
	return _mm_loadu_si128(at);
}

static inline bool do_words_stand(const struct memo *memo)
{
	const char *high = (const char *)memo->high;
	const offset_t *offset = memo->offsets;
	const uint64_t *value = memo->values;
	__m128i differ = _mm_setzero_si128();

	for (const offset_t *end = offset + memo->pair_count; offset < end; offset += STEP) {
		__m128i a = _mm_xor_si128(load_pair(high + offset[0]), load_pair(value));
		__m128i b = _mm_xor_si128(load_pair(high + offset[1]), load_pair(value + 2));
		__m128i c = _mm_xor_si128(load_pair(high + offset[2]), load_pair(value + 4));
		__m128i d = _mm_xor_si128(load_pair(high + offset[3]), load_pair(value + 6));

		differ = _mm_or_si128(differ, _mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d)));
		value += 2 * STEP;
	}
	if (memo->pair_count &&
	    _mm_movemask_epi8(_mm_cmpeq_epi8(differ, _mm_setzero_si128())) != 0xffff)
		return false;
	for (const offset_t *end = offset + memo->single_count; offset < end; offset += STEP) {
		uint64_t a = *(const uint64_t *)(high + offset[0]) ^ value[0];
		uint64_t b = *(const uint64_t *)(high + offset[1]) ^ value[1];
		uint64_t c = *(const uint64_t *)(high + offset[2]) ^ value[2];
		uint64_t d = *(const uint64_t *)(high + offset[3]) ^ value[3];

		if (a | b | c | d)
			return false;
		value += STEP;
	}
	return true;
}

/* All words are at sp or above, and sp is on the stack still. */
static inline bool is_it(const struct memo *memo, const struct agent_thread *thread, uintptr_t leaf,
			 const struct agent_frame *frame)
{
	return memo->pc == frame->pc && memo->sp == frame->sp && memo->leaf == leaf &&
	       memo->high == thread->stack_high && memo->sp >= thread->stack_low &&
	       (!memo->needs_bp || memo->bp == frame->bp) && do_words_stand(memo);
}

uint32_t unwind_memo_find(struct unwind_memos *memos, const struct agent_thread *thread,
			  uintptr_t leaf, const struct agent_frame *frame)
{
	unsigned set = set_of(frame), way = memos->last_way[set];
	const struct memo *memo = &memos->memos[set * WAYS];

	if (AGENT_UNLIKELY(memos->bypass || memos->is_busy || !thread->stack_high ||
			   memos->generation != atomic_load_explicit(&unwind_rules.generation,
								     memory_order_relaxed)))
		return 0;
	if (AGENT_LIKELY(is_it(&memo[way], thread, leaf, frame))) {
		memos->hits++;
		return memo[way].site;
	}
	way ^= 1;
	if (is_it(&memo[way], thread, leaf, frame)) {
		memos->last_way[set] = (uint8_t)way;
		memos->hits++;
		return memo[way].site;
	}
	return 0;
}

/* Fills up with the last one, so that words are compared in steps. */
static uint32_t put_words(struct memo *memo, uint32_t at, uint32_t value_at, uint32_t width,
			  const offset_t *offsets, const uint64_t *values, uint32_t count)
{
	uint32_t padded = (count + STEP - 1) / STEP * STEP;

	__builtin_memcpy(memo->offsets + at, offsets, count * sizeof(*offsets));
	__builtin_memcpy(memo->values + value_at, values, count * width * sizeof(*values));
	for (uint32_t i = count; i < padded; i++) {
		memo->offsets[at + i] = offsets[count - 1];
		for (uint32_t j = 0; j < width; j++)
			memo->values[value_at + i * width + j] = values[(count - 1) * width + j];
	}
	return padded;
}

/* The chain, whole, as a memo. */
static void keep(struct unwind_memos *memos, uintptr_t leaf, const struct agent_frame *frame,
		 uint32_t site)
{
	const struct chain *chain = &memos->chain;
	const struct frame *top = &chain->frames[chain->count - 1];
	unsigned set = set_of(frame), way = memos->last_way[set] ^ 1;
	struct memo *memo = &memos->memos[set * WAYS + way];
	uint32_t padded;

	if (2 * chain->pair_count + chain->single_count + 3 * STEP > WORDS_MAX)
		return;
	memos->last_way[set] = (uint8_t)way;
	memo->pc = frame->pc;
	memo->sp = frame->sp;
	memo->bp = frame->bp;
	memo->leaf = leaf;
	memo->high = chain->high;
	memo->site = site;
	memo->needs_bp = top->needs_bp;
	memo->frame_count = (uint16_t)chain->count;
	padded = put_words(memo, 0, 0, 2, chain->pair_offsets, chain->pair_values,
			   chain->pair_count);
	memo->pair_count = (uint16_t)padded;
	memo->single_count = (uint16_t)put_words(memo, padded, 2 * padded, 1, chain->single_offsets,
						 chain->single_values, chain->single_count);
}

/* ---- the chain */

/* How many frames, from the root on, stand as they did. Words below sp are of frames that are gone.
 */
static uint32_t standing(const struct chain *chain, const struct agent_thread *thread, uintptr_t sp)
{
	const char *high = (const char *)chain->high;
	uint32_t pairs = 0, singles = 0, count;
	offset_t lowest;

	if (chain->high != thread->stack_high || chain->is_cut || !chain->count)
		return 0;
	lowest = (offset_t)(intptr_t)(sp - chain->high);
	while (pairs < chain->pair_count && chain->pair_offsets[pairs] >= lowest) {
		const uint64_t *word = (const void *)(high + chain->pair_offsets[pairs]);

		if ((word[0] ^ chain->pair_values[2 * pairs]) |
		    (word[1] ^ chain->pair_values[2 * pairs + 1]))
			break;
		pairs++;
	}
	while (singles < chain->single_count && chain->single_offsets[singles] >= lowest &&
	       *(const uint64_t *)(high + chain->single_offsets[singles]) ==
		       chain->single_values[singles])
		singles++;
	count = chain->count;
	while (count && (chain->frames[count - 1].pair_count > pairs ||
			 chain->frames[count - 1].single_count > singles ||
			 chain->frames[count - 1].sp < sp))
		count--;
	return count;
}

static void add_single(struct chain *chain, uintptr_t slot, uint64_t value)
{
	chain->single_offsets[chain->single_count] = (offset_t)(intptr_t)(slot - chain->high);
	chain->single_values[chain->single_count++] = value;
}

/* Frames are added from the root on: what the one before needs is known then. */
struct caller {
	uintptr_t pc, sp, bp;
	bool needs_bp;
};

/* What was read for this frame to be left. Where the words were follows from the rule and from what
 * came out. Returns whether rbp belongs to the frame's state. */
static bool add_words(struct chain *chain, const struct fresh *fresh, const struct caller *caller)
{
	unsigned cfa_type = fresh->rule & 0x7f, rbp_type = (fresh->rule >> 8) & 0xff;
	int32_t cfa_off = (int32_t)UNWIND_CFA_OFF(fresh->rule);
	uintptr_t ra_slot = caller->sp - 8, bp_slot = caller->sp;
	bool needs = cfa_type == EH_CFA_RBP || cfa_type == EH_CFA_RBP_DEREF;

	if (cfa_type == EH_CFA_RSP_DEREF || cfa_type == EH_CFA_RBP_DEREF)
		add_single(chain,
			   (cfa_type == EH_CFA_RBP_DEREF ? fresh->bp : fresh->sp) +
				   (uintptr_t)(intptr_t)ehframe_low(cfa_off),
			   caller->sp - (uintptr_t)(intptr_t)ehframe_high(cfa_off));
	if (!caller->needs_bp || rbp_type == EH_RBP_SAME) {
		add_single(chain, ra_slot, caller->pc);
		return needs || caller->needs_bp;
	}
	if (rbp_type == EH_RBP_RBP) {
		bp_slot = fresh->bp;
		needs = true;
	}
	bp_slot += (uintptr_t)UNWIND_RBP_OFF(fresh->rule);
	if (bp_slot == ra_slot - 8) {
		uint64_t *values = &chain->pair_values[2 * chain->pair_count];

		chain->pair_offsets[chain->pair_count++] =
			(offset_t)(intptr_t)(bp_slot - chain->high);
		values[0] = caller->bp;
		values[1] = caller->pc;
		return needs;
	}
	add_single(chain, bp_slot, caller->bp);
	add_single(chain, ra_slot, caller->pc);
	return needs;
}

/* caller: NULL where the frame has read nothing. */
static inline void add_frame(struct chain *chain, const struct fresh *fresh, uint64_t pc,
			     const struct caller *caller)
{
	struct frame *frame = &chain->frames[chain->count];

	frame->needs_bp = caller && add_words(chain, fresh, caller);
	frame->sp = fresh->sp;
	frame->bp = fresh->bp;
	frame->hash = site_hash_step(chain->count ? frame[-1].hash : 0, pc);
	frame->pair_count = (uint16_t)chain->pair_count;
	frame->single_count = (uint16_t)chain->single_count;
	frame->is_guess = fresh->rule & IS_GUESS;
	frame->has_guesses = chain->count && (frame[-1].is_guess || frame[-1].has_guesses);
	chain->pcs[chain->count++] = pc;
}

/* What a walk has found: fresh frames, then those of the chain from `joined` on outwards. */
struct found {
	uint32_t fresh_count;
	uint32_t joined;      /* frames of the chain */
	bool is_last_root;    /* the last fresh one has read nothing */
	uint64_t hash, power; /* of the fresh ones; the factor for what is further out */
};

/* false: they are too many. */
static bool extend(struct unwind_memos *memos, const struct found *found,
		   const struct unwind_walk *walk)
{
	struct chain *chain = &memos->chain;
	struct caller caller = {walk->pc, walk->sp, walk->bp, false};
	bool has_caller = !found->is_last_root;

	chain->count = found->joined;
	chain->pair_count = chain->single_count = 0;
	if (found->joined) {
		struct frame *outer = &chain->frames[found->joined - 1];

		outer->is_guess = walk->is_guess;
		caller = (struct caller){chain->pcs[found->joined - 1], outer->sp, outer->bp,
					 outer->needs_bp};
		chain->pair_count = outer->pair_count;
		chain->single_count = outer->single_count;
	}
	chain->high = walk->thread->stack_high;
	chain->is_cut = walk->status == RSPROF_SHM_TRUNCATED && !found->joined;
	if (found->joined + found->fresh_count > CHAIN_MAX) {
		chain->count = 0;
		return false;
	}
	for (uint32_t i = found->fresh_count; i-- > 0;) {
		const struct fresh *fresh = &memos->fresh[i];

		add_frame(chain, fresh, memos->fresh_pcs[i], has_caller ? &caller : NULL);
		caller = (struct caller){memos->fresh_pcs[i], fresh->sp, fresh->bp,
					 chain->frames[chain->count - 1].needs_bp};
		has_caller = true;
	}
	return true;
}

/* ---- a walk that ends in the chain */

/* Goes on in the chain to the frame that begins at sp, if there is one; `left` frames are not yet
 * passed. */
static bool is_in_chain(const struct chain *chain, uint32_t *left, const struct unwind_cursor *at)
{
	const struct frame *frame;

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

static inline void note(struct unwind_memos *memos, struct found *found,
			const struct unwind_cursor *at, uint64_t rule)
{
	struct fresh *fresh = &memos->fresh[found->fresh_count];

	memos->fresh_pcs[found->fresh_count++] = at->pc;
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
static bool walk_fast(struct unwind_memos *memos, struct unwind_walk *walk, struct found *ret_found)
{
	const struct unwind_rule_slot *slots = unwind_rules.slots;
	struct unwind_cursor at = cursor_of(walk);
	struct found found = *ret_found;
	uint64_t generation = walk->generation;
	uintptr_t low = walk->low, high = walk->high;
	uintptr_t next = chain_sp(&memos->chain, found.joined);
	bool is_joined = false;

	while (at.pc) {
		struct unwind_cursor before = at;
		uint64_t rule;

		if (at.sp >= next) {
			is_joined = is_in_chain(&memos->chain, &found.joined, &at);
			next = chain_sp(&memos->chain, found.joined);
			if (is_joined)
				break;
		}
		if (found.fresh_count == ROOM)
			break;
		rule = unwind_rule(slots, at.pc - 1, generation, false);
		if (AGENT_UNLIKELY(!unwind_cursor_step(&at, rule, low, high)))
			break;
		note(memos, &found, &before, rule);
	}
	*ret_found = found;
	walk->pc = at.pc;
	walk->sp = at.sp;
	walk->bp = at.bp;
	walk->is_bp_known = at.is_bp_known;
	return is_joined;
}

/* Frames that are seldom. */
static enum unwind_frame_kind walk_slow(struct unwind_memos *memos, struct unwind_walk *walk,
					struct found *found)
{
	struct unwind_cursor at = cursor_of(walk);
	uint64_t rule, guess = walk->is_guess ? IS_GUESS : 0;
	enum unwind_frame_kind kind;

	kind = unwind_walk_step(walk, found->fresh_count < ROOM, &rule);
	if (kind == UNWIND_FRAME_NONE)
		return kind;
	if ((rule & 0xff) == EH_CFA_NONE)
		rule = UNWIND_RULE_FRAME_POINTER;
	note(memos, found, &at, rule | guess);
	return kind;
}

static void walk_to_chain(struct unwind_memos *memos, struct unwind_walk *walk, struct found *found)
{
	enum unwind_frame_kind kind = UNWIND_FRAME_LEFT;
	struct unwind_cursor at;

	found->power = 1;
	found->joined = standing(&memos->chain, walk->thread, walk->sp);
	while (kind == UNWIND_FRAME_LEFT) {
		if (!walk->is_exact && !walk->is_guess && walk->low < walk->high &&
		    walk_fast(memos, walk, found))
			return;
		at = cursor_of(walk);
		if (walk->is_guess && !walk->is_special &&
		    is_in_chain(&memos->chain, &found->joined, &at))
			return;
		kind = walk_slow(memos, walk, found);
	}
	found->joined = 0;
	found->is_last_root = kind == UNWIND_FRAME_LAST;
}

/* ---- numbers */

static uint64_t power(uint32_t exponent)
{
	uint64_t result = 1, factor = SITE_HASH_FACTOR;

	for (; exponent; exponent >>= 1, factor *= factor) {
		if (exponent & 1)
			result *= factor;
	}
	return result;
}

static uint32_t number_of(struct unwind_memos *memos, const struct found *found,
			  struct unwind_walk *walk, uintptr_t leaf)
{
	const struct frame *frames = memos->chain.frames;
	uint32_t joined = found->joined, kept = joined;
	struct site_stack stack = {
		.leaf = leaf, .inner = memos->fresh_pcs, .inner_count = found->fresh_count};
	uint64_t hash = 0; /* of what is further out */

	if (joined) {
		bool has_guesses =
			walk->has_guesses || walk->is_guess || frames[joined - 1].has_guesses;

		walk->status = has_guesses ? RSPROF_SHM_USED_FRAME_POINTERS : RSPROF_SHM_COMPLETE;
		hash = frames[joined - 1].hash;
		stack.outer_top = &memos->chain.pcs[joined - 1];
	}
	/* The innermost are kept. */
	if (found->fresh_count + joined > ROOM) {
		kept = ROOM - found->fresh_count;
		hash = kept ? hash - frames[joined - kept - 1].hash * power(kept) : 0;
		walk->status = RSPROF_SHM_TRUNCATED;
	}
	stack.outer_count = kept;
	stack.status = walk->status;
	stack.hash = found->hash + found->power * hash;
	return site_intern(&stack);
}

static void judge(struct unwind_memos *memos, const struct found *found)
{
	uint64_t frames, saved;

	memos->walked += found->fresh_count;
	memos->saved += found->joined;
	if (++memos->trial < TRIAL)
		return;
	frames = (memos->walked + memos->saved) / TRIAL;
	saved = memos->saved + memos->hits * frames;
	if (10 * saved < COST_FRAME * memos->walked + COST_STACK * TRIAL)
		memos->bypass = BYPASS;
	memos->trial = memos->hits = 0;
	memos->walked = memos->saved = 0;
}

static void forget(struct unwind_memos *memos)
{
	memos->chain.count = 0;
	for (unsigned i = 0; i < SETS * WAYS; i++) {
		if (memos->memos[i].high)
			memos->memos[i].high = 0;
	}
	memos->generation = atomic_load_explicit(&unwind_rules.generation, memory_order_relaxed);
}

static bool may_be_kept(const struct unwind_walk *walk)
{
	return !walk->is_special && (walk->status == RSPROF_SHM_COMPLETE ||
				     walk->status == RSPROF_SHM_USED_FRAME_POINTERS ||
				     walk->status == RSPROF_SHM_TRUNCATED);
}

uint32_t unwind_memo_walk(struct unwind_memos *memos, struct agent_thread *thread, uintptr_t leaf,
			  const struct agent_frame *frame)
{
	struct found found = {0};
	struct unwind_walk walk;
	uint32_t site;

	if (memos->bypass) {
		memos->bypass--;
		return 0;
	}
	if (thread->stack_high - frame->sp > INT32_MAX)
		return 0;
	if (memos->is_busy || memos->generation != atomic_load_explicit(&unwind_rules.generation,
									memory_order_relaxed))
		forget(memos);
	memos->is_busy = 1;
	atomic_signal_fence(memory_order_seq_cst);
	unwind_walk_start(&walk, thread, frame);
	walk_to_chain(memos, &walk, &found);
	site = number_of(memos, &found, &walk, leaf);
	judge(memos, &found);
	if (may_be_kept(&walk) && walk.generation == memos->generation &&
	    extend(memos, &found, &walk) && site != RSPROF_SHM_SITE_FULL)
		keep(memos, leaf, frame, site);
	atomic_signal_fence(memory_order_seq_cst);
	memos->is_busy = 0;
	return site;
}
