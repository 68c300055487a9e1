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

#include <emmintrin.h>

enum {
	SET_BITS = 5,
	SETS = 1 << SET_BITS,
	WAYS = 8,
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

/* What a memo has read last, in most that do not stand the first to differ. Close to each other:
 * what is told apart by them is not read. */
struct memo_mark {
	int32_t offset; /* 0: it has read nothing */
	uint32_t value; /* the lower half */
};

struct unwind_memos {
	uint64_t generation;
	uint32_t is_busy;
	uint32_t bypass, bypass_next; /* stacks without memos that are left, and of the next time */
	uint32_t hits, trial;
	uint64_t saved, walked; /* frames */
	uint8_t last_way[SETS];
	uint8_t used[SETS]; /* ways that a stack was found in since they were all marked, a bit each
			     */
	uint16_t tags[SETS][WAYS] __attribute__((aligned(16))); /* of a start; 0: no memo */
	struct memo_mark marks[SETS][WAYS] __attribute__((aligned(64)));
	struct memo memos[SETS * WAYS];
	struct chain chain;
};

size_t unwind_memo_bytes(void)
{
	return sizeof(struct unwind_memos);
}

static inline uint64_t hash_of(uintptr_t pc, uintptr_t sp)
{
	return (pc ^ sp << 20) * UINT64_C(0x9e3779b97f4a7c15);
}

static inline unsigned set_of(uint64_t hash)
{
	return (unsigned)(hash >> (64 - SET_BITS));
}

static inline uint16_t tag_of(uint64_t hash)
{
	return (uint16_t)(hash >> (48 - SET_BITS)) | 1;
}

static inline bool do_words_stand(const struct memo *memo)
{
	const struct chain_words *words = memo->words, *end = words + memo->block_count;
	uint64_t differ = 0;

	for (; words < end; words++)
		differ |=
			chain_words_differ(words->offsets, words->values, (const char *)memo->high);
	return !differ;
}

/* The same, of one that more often does not: the innermost words are the first to differ. */
static inline bool do_words_stand_yet(const struct memo *memo)
{
	const struct chain_words *words = memo->words + memo->block_count;

	while (words > memo->words) {
		words--;
		if (chain_words_differ(words->offsets, words->values, (const char *)memo->high))
			return false;
	}
	return true;
}

/* All words are at sp or above, and sp is on the stack still. */
static inline __attribute__((always_inline)) bool may_be(const struct memo *memo,
							 const struct agent_thread *thread,
							 uintptr_t leaf, uintptr_t pc, uintptr_t sp,
							 uintptr_t bp)
{
	return memo->pc == pc && memo->sp == sp && memo->leaf == leaf &&
	       memo->high == thread->stack_high && sp >= thread->stack_low &&
	       (!memo->needs_bp || memo->bp == bp);
}

/* Whatever stack the memo is of: read is from sp up to the end of the thread's, where sp is on it.
 */
static inline bool is_marked(const struct memo_mark *mark, const struct agent_thread *thread,
			     uintptr_t sp)
{
	if (!mark->offset)
		return true;
	return mark->offset >= (intptr_t)(sp - thread->stack_high) && sp >= thread->stack_low &&
	       *(const uint32_t *)(thread->stack_high + (uintptr_t)(intptr_t)mark->offset) ==
		       mark->value;
}

static __attribute__((noinline)) uint32_t find_in_set(struct unwind_memos *memos,
						      const struct agent_thread *thread,
						      uintptr_t leaf, uintptr_t pc, uintptr_t sp,
						      uintptr_t bp)
{
	uint64_t hash = hash_of(pc, sp);
	unsigned set = set_of(hash);
	__m128i tags = _mm_load_si128((const __m128i *)memos->tags[set]);
	__m128i wanted = _mm_set1_epi16((short)tag_of(hash));
	/* Two bits for each way. */
	unsigned ways = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi16(tags, wanted));

	for (ways &= 0x5555; ways; ways &= ways - 1) {
		unsigned way = (unsigned)__builtin_ctz(ways) / 2;
		const struct memo *memo = &memos->memos[set * WAYS + way];

		if (way == memos->last_way[set] ||
		    !is_marked(&memos->marks[set][way], thread, sp) ||
		    !may_be(memo, thread, leaf, pc, sp, bp) || !do_words_stand_yet(memo))
			continue;
		memos->last_way[set] = (uint8_t)way;
		memos->used[set] |= (uint8_t)(1 << way);
		memos->hits++;
		return memo->site;
	}
	return 0;
}

uint32_t unwind_memo_find(struct unwind_memos *memos, const struct agent_thread *thread,
			  uintptr_t leaf, uintptr_t pc, uintptr_t sp, uintptr_t bp)
{
	unsigned set = set_of(hash_of(pc, sp)), way = memos->last_way[set];
	const struct memo *memo = &memos->memos[set * WAYS + way];

	if (AGENT_UNLIKELY(memos->bypass || memos->is_busy || !thread->stack_high ||
			   memos->generation != atomic_load_explicit(&unwind_rules.generation,
								     memory_order_relaxed)))
		return 0;
	if (AGENT_UNLIKELY(!is_marked(&memos->marks[set][way], thread, sp) ||
			   !may_be(memo, thread, leaf, pc, sp, bp) || !do_words_stand(memo)))
		return find_in_set(memos, thread, leaf, pc, sp, bp);
	memos->hits++;
	return memo->site;
}

/* The way for a new one: an empty one, or one that no stack was found in for long. */
static unsigned way_for_new(struct unwind_memos *memos, unsigned set)
{
	unsigned kept = memos->used[set] | 1u << memos->last_way[set];

	if (kept == (1 << WAYS) - 1) {
		memos->used[set] = 0;
		kept = 1u << memos->last_way[set];
	}
	return (unsigned)__builtin_ctz(~kept);
}

static inline struct memo_mark mark_of(const struct chain *chain)
{
	uint32_t count = chain->word_count;

	if (!count)
		return (struct memo_mark){0};
	return (struct memo_mark){chain->offsets[count - 1], (uint32_t)chain->values[count - 1]};
}

/* The chain, whole, as a memo that has no site yet and stands for nothing. The last block is filled
 * up with its last word, as the chain is. NULL: it is too long. */
static struct memo *keep(struct unwind_memos *memos, uintptr_t leaf,
			 const struct agent_frame *frame)
{
	const struct chain *chain = &memos->chain;
	uint64_t hash = hash_of(frame->pc, frame->sp);
	unsigned set = set_of(hash), way;
	uint32_t count = chain->word_count, blocks = (count + CHAIN_BLOCK - 1) / CHAIN_BLOCK;
	struct memo *memo;

	if (blocks > BLOCKS_MAX)
		return NULL;
	way = way_for_new(memos, set);
	memos->last_way[set] = (uint8_t)way;
	memos->used[set] |= (uint8_t)(1 << way);
	memos->tags[set][way] = tag_of(hash);
	memos->marks[set][way] = mark_of(chain);
	memo = &memos->memos[set * WAYS + way];
	memo->high = 0;
	memo->pc = frame->pc;
	memo->sp = frame->sp;
	memo->bp = frame->bp;
	memo->leaf = leaf;
	memo->needs_bp = chain->frames[chain->count - 1].needs_bp;
	memo->block_count = (uint16_t)blocks;
	for (uint32_t i = 0; i < blocks; i++) {
		struct chain_words *words = &memo->words[i];

		__builtin_memcpy(words->offsets, chain->offsets + (size_t)i * CHAIN_BLOCK,
				 sizeof(words->offsets));
		__builtin_memcpy(words->values, chain->values + (size_t)i * CHAIN_BLOCK,
				 sizeof(words->values));
	}
	return memo;
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

static struct site_stack stack_of(const struct unwind_memos *memos, const struct chain_found *found,
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
	for (uint32_t i = found->fresh_count; i-- > 0;)
		hash = site_hash_step(hash, memos->chain.fresh_pcs[i]);
	stack.hash = hash;
	return stack;
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
		if (!memos->tags[i / WAYS][i % WAYS])
			continue;
		memos->tags[i / WAYS][i % WAYS] = 0;
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
	struct memo *memo = NULL;
	struct chain_found found;
	struct unwind_walk walk;
	struct site_stack stack;
	uint32_t site;
	bool is_kept;

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
	stack = stack_of(memos, &found, &walk, leaf);
	site_expect(&stack);
	judge(memos, &found);
	/* What the stack is made of stays where it is. */
	is_kept = may_be_kept(&walk) && walk.generation == memos->generation &&
		  chain_extend(&memos->chain, &found, &walk);
	site_expect_record(&stack);
	if (is_kept)
		memo = keep(memos, leaf, frame);
	site = site_intern(&stack);
	if (memo && site != RSPROF_SHM_SITE_FULL) {
		memo->site = site;
		memo->high = memos->chain.high;
	}
	atomic_signal_fence(memory_order_seq_cst);
	memos->is_busy = 0;
	return site;
}
