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
#include "agent/unwind_chain.h"

enum {
	SETS = 64, /* a power of two */
	WAYS = 2,
	BLOCKS_MAX = 20, /* of a memo */

	/* After so many walks it is seen whether memos pay; where they do not, there are none for
	 * a number of stacks, and then for four times as many each time. In tenths of what it takes
	 * to walk a frame: what a frame that is noted takes in addition, and a stack. */
	TRIAL = 256,
	BYPASS_MIN = 4096,
	BYPASS_MAX = 16384,
	COST_FRAME = 4,
	COST_STACK = 40,
};

/* In as few lines of the processor's cache as it takes. */
struct memo {
	uintptr_t pc, sp, bp, leaf;
	uintptr_t high; /* of the stack; 0: no memo */
	uint32_t site;
	uint16_t block_count;
	bool needs_bp;
	struct chain_words words[BLOCKS_MAX];
} __attribute__((aligned(64)));

struct unwind_memos {
	uint64_t generation;
	uint32_t is_busy;
	uint32_t bypass, bypass_next; /* stacks without memos that are left, and of the next time */
	uint32_t hits, trial;
	uint64_t saved, walked; /* frames */
	uint8_t last_way[SETS];
	struct memo memos[SETS * WAYS];
	struct chain chain;
};

size_t unwind_memo_bytes(void)
{
	return sizeof(struct unwind_memos);
}

static inline unsigned set_of(const struct agent_frame *frame)
{
	uint64_t hash = (frame->pc ^ frame->sp << 20) * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned)(hash >> 58) & (SETS - 1);
}

static inline bool do_words_stand(const struct memo *memo)
{
	const struct chain_words *words = memo->words, *end = words + memo->block_count;
	uint64_t differ = 0;

	for (; words < end; words++)
		differ |= chain_words_differ(words, (const char *)memo->high);
	return !differ;
}

/* All words are at sp or above, and sp is on the stack still. */
static inline __attribute__((always_inline)) bool is_it(const struct memo *memo,
							const struct agent_thread *thread,
							uintptr_t leaf,
							const struct agent_frame *frame)
{
	return memo->pc == frame->pc && memo->sp == frame->sp && memo->leaf == leaf &&
	       memo->high == thread->stack_high && memo->sp >= thread->stack_low &&
	       (!memo->needs_bp || memo->bp == frame->bp) && do_words_stand(memo);
}

static __attribute__((noinline)) uint32_t
find_in_way(struct unwind_memos *memos, const struct agent_thread *thread, uintptr_t leaf,
	    const struct agent_frame *frame, unsigned set, unsigned way)
{
	const struct memo *memo = &memos->memos[set * WAYS + way];

	if (!is_it(memo, thread, leaf, frame))
		return 0;
	memos->last_way[set] = (uint8_t)way;
	memos->hits++;
	return memo->site;
}

uint32_t unwind_memo_find(struct unwind_memos *memos, const struct agent_thread *thread,
			  uintptr_t leaf, const struct agent_frame *frame)
{
	unsigned set = set_of(frame), way = memos->last_way[set];
	const struct memo *memo = &memos->memos[set * WAYS + way];

	if (AGENT_UNLIKELY(memos->bypass || memos->is_busy || !thread->stack_high ||
			   memos->generation != atomic_load_explicit(&unwind_rules.generation,
								     memory_order_relaxed)))
		return 0;
	if (AGENT_UNLIKELY(!is_it(memo, thread, leaf, frame)))
		return find_in_way(memos, thread, leaf, frame, set, way ^ 1);
	memos->hits++;
	return memo->site;
}

/* The chain, whole, as a memo. The last block is filled up with its last word. */
static void keep(struct unwind_memos *memos, uintptr_t leaf, const struct agent_frame *frame,
		 uint32_t site)
{
	const struct chain *chain = &memos->chain;
	unsigned set = set_of(frame), way = memos->last_way[set] ^ 1;
	struct memo *memo = &memos->memos[set * WAYS + way];
	uint32_t count = chain->word_count, blocks = (count + CHAIN_BLOCK - 1) / CHAIN_BLOCK;
	struct chain_words *last;

	if (blocks > BLOCKS_MAX)
		return;
	memos->last_way[set] = (uint8_t)way;
	memo->pc = frame->pc;
	memo->sp = frame->sp;
	memo->bp = frame->bp;
	memo->leaf = leaf;
	memo->high = chain->high;
	memo->site = site;
	memo->needs_bp = chain->frames[chain->count - 1].needs_bp;
	memo->block_count = (uint16_t)blocks;
	for (uint32_t i = 0; i < blocks; i++)
		memo->words[i] = chain->words[i];
	if (!(count % CHAIN_BLOCK))
		return;
	last = &memo->words[blocks - 1];
	for (uint32_t i = count % CHAIN_BLOCK; i < CHAIN_BLOCK; i++) {
		last->offsets[i] = last->offsets[i - 1];
		last->values[i] = last->values[i - 1];
	}
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

static uint32_t number_of(struct unwind_memos *memos, const struct chain_found *found,
			  struct unwind_walk *walk, uintptr_t leaf)
{
	const struct chain_frame *frames = memos->chain.frames;
	uint32_t joined = found->joined, kept = joined;
	struct site_stack stack = {
		.leaf = leaf, .inner = memos->chain.fresh_pcs, .inner_count = found->fresh_count};
	uint64_t hash = 0; /* of what is further out */

	if (joined) {
		bool has_guesses =
			walk->has_guesses || walk->is_guess || frames[joined - 1].has_guesses;

		walk->status = has_guesses ? RSPROF_SHM_USED_FRAME_POINTERS : RSPROF_SHM_COMPLETE;
		hash = frames[joined - 1].hash;
		stack.outer_top = &memos->chain.pcs[joined - 1];
	}
	/* The innermost are kept. */
	if (found->fresh_count + joined > CHAIN_ROOM) {
		kept = CHAIN_ROOM - found->fresh_count;
		hash = kept ? hash - frames[joined - kept - 1].hash * power(kept) : 0;
		walk->status = RSPROF_SHM_TRUNCATED;
	}
	stack.outer_count = kept;
	stack.status = walk->status;
	stack.hash = found->hash + found->power * hash;
	return site_intern(&stack);
}

static void judge(struct unwind_memos *memos, const struct chain_found *found)
{
	uint64_t frames, saved;

	memos->walked += found->fresh_count;
	memos->saved += found->joined;
	if (++memos->trial < TRIAL)
		return;
	frames = (memos->walked + memos->saved) / TRIAL;
	saved = memos->saved + memos->hits * frames;
	if (10 * saved < COST_FRAME * memos->walked + COST_STACK * TRIAL) {
		memos->bypass = memos->bypass_next ? memos->bypass_next : BYPASS_MIN;
		memos->bypass_next = memos->bypass < BYPASS_MAX ? 4 * memos->bypass : BYPASS_MAX;
	} else {
		memos->bypass_next = 0;
	}
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
	struct chain_found found;
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
	chain_walk(&memos->chain, &walk, &found);
	site = number_of(memos, &found, &walk, leaf);
	judge(memos, &found);
	if (may_be_kept(&walk) && walk.generation == memos->generation &&
	    chain_extend(&memos->chain, &found, &walk) && site != RSPROF_SHM_SITE_FULL)
		keep(memos, leaf, frame, site);
	atomic_signal_fence(memory_order_seq_cst);
	memos->is_busy = 0;
	return site;
}
