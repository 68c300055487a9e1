/* When stacks are walked without memos, and when with them again. The walks are made up. */
#include "agent/unwind_memo.c"
#include "tests/lib/kit.h"

enum { FRAMES = 16, FIRST_SITE = 16, LEAF = 0x1234, PC = 0x400123, MANY = 200000 };

struct unwind_rules unwind_rules;

/* The stack: a word for each frame, the root's last. */
static uint64_t words[FRAMES];
static struct agent_thread thread;
static struct unwind_memos memos;
static uint32_t common; /* frames, from the root on, that all stacks have */
static uint32_t number; /* of the stack that is here */
static uint32_t walks, numbers_asked;

void unwind_walk_start(struct unwind_walk *walk, struct agent_thread *of,
		       const struct agent_frame *frame)
{
	*walk = (struct unwind_walk){.pc = frame->pc, .sp = frame->sp, .thread = of};
}

void chain_walk(struct chain *chain, struct unwind_walk *walk, struct chain_found *ret_found)
{
	bool has_chain = chain->count > 0;

	walks++;
	*ret_found = (struct chain_found){0};
	ret_found->joined = has_chain ? common : 0;
	ret_found->fresh_count = FRAMES - ret_found->joined;
}

bool chain_extend(struct chain *chain, const struct chain_found *found,
		  const struct unwind_walk *walk)
{
	chain->count = FRAMES;
	chain->high = walk->thread->stack_high;
	chain->word_count = FRAMES;
	for (int i = 0; i < FRAMES; i++) {
		chain->offsets[i] = -8 * (i + 1);
		chain->values[i] = words[FRAMES - 1 - i];
	}
	return true;
}

void site_expect(const struct site_stack *stack)
{
}

void site_expect_record(const struct site_stack *stack)
{
}

uint32_t site_intern(const struct site_stack *stack)
{
	numbers_asked++;
	return number;
}

static void open_all(uint32_t common_frames)
{
	common = common_frames;
	thread.stack_low = (uintptr_t)words;
	thread.stack_high = (uintptr_t)(words + FRAMES);
}

/* As heap_count() does. false: without memos. */
static bool take(uint32_t site)
{
	struct agent_frame frame = {.pc = PC, .sp = (uintptr_t)words};
	uint32_t found;

	number = site;
	for (uint32_t i = 0; i < FRAMES; i++)
		words[i] = i + common < FRAMES ? (uint64_t)site * FRAMES + i : i;
	found = unwind_memo_find(&memos, &thread, LEAF, frame.pc, frame.sp, frame.bp);
	if (!found)
		found = unwind_memo_walk(&memos, &thread, LEAF, &frame);
	CHECK(!found || found == site);
	return found != 0;
}

/* How many of so many stacks, no two of which are the same, memos were asked for. */
static uint32_t take_all_different(uint32_t count)
{
	static uint32_t next = FIRST_SITE;
	uint32_t with_memos = 0;

	for (uint32_t i = 0; i < count; i++)
		with_memos += take(next++);
	return with_memos;
}

TEST(stacks_that_never_come_again_are_walked_plainly)
{
	uint32_t with_memos;

	open_all(6);
	CHECK_EQ_U64(take_all_different(TRIAL), TRIAL);
	CHECK_EQ_U64(take_all_different(BYPASS_MIN), 0);
	/* Each further trial is followed by more of them. */
	with_memos = take_all_different(MANY);
	CHECK(with_memos >= TRIAL);
	CHECK(with_memos <= (MANY / (BYPASS_MAX + TRIAL) + 1) * TRIAL);
	CHECK_EQ_U64(walks, with_memos + TRIAL);
	CHECK_EQ_U64(numbers_asked, walks);
}

TEST(stacks_that_come_again_have_memos_again)
{
	uint32_t plain = 0;

	open_all(6);
	take_all_different(MANY);
	walks = 0;
	while (!take(FIRST_SITE))
		plain++;
	CHECK(plain <= BYPASS_MAX);
	for (uint32_t i = 0; i < MANY; i++)
		CHECK(take(FIRST_SITE + i % 4));
	CHECK(walks <= 5);
}

TEST(new_stacks_below_a_deep_one_that_stays_have_memos)
{
	open_all(FRAMES - 1);
	CHECK_EQ_U64(take_all_different(MANY), MANY);
}

TEST(few_hits_among_many_others_are_worth_it)
{
	uint32_t with_memos = 0;

	open_all(0);
	for (uint32_t i = 0; i < MANY; i++)
		with_memos += i % 4 ? take(FIRST_SITE) : (uint32_t)take_all_different(1);
	CHECK_EQ_U64(with_memos, MANY);
}

TEST(one_that_no_longer_stands_is_not_taken)
{
	open_all(6);
	for (uint32_t i = 0; i < MANY; i++)
		take(FIRST_SITE + i * 7919 % 13);
}

KIT_MAIN
