/* The agent's stacks over real ones of this process, beside libc's own backtrace(). */
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>

#include "tests/unit/agent_rig.h"

#define APART __attribute__((noinline, optimize("omit-frame-pointer", "no-optimize-sibling-calls")))
/* Its frame is found by rbp, as is that of code which aligns its stack. */
#define FRAMED                                                                                     \
	__attribute__((noinline, optimize("no-omit-frame-pointer", "no-optimize-sibling-calls")))

static struct agent_lane lane, plain = {.is_shared = true};
static struct rig_both both;

static void open_all(void)
{
	rig_open();
	lane = rig_new_lane();
}

APART static int deep(int depth)
{
	volatile int here = depth;

	if (depth)
		here += deep(depth - 1);
	else
		rig_capture(&lane, &both);
	return here;
}

TEST(deep_recursion_is_like_backtrace)
{
	uint32_t first;

	open_all();
	for (int depth = 0; depth < 200; depth += 7) {
		deep(depth);
		rig_check_same(&both);
	}
	for (int depth = 200; depth-- > 0;) {
		deep(depth);
		rig_check_same(&both);
		first = both.site;
		deep(depth);
		rig_check_same(&both);
		/* The call is another one, where it is not cut off. */
		CHECK(both.site != first || rig_stack(first)->status == RSPROF_SHM_TRUNCATED);
	}
}

/* ---- random paths: each step goes through one of four kinds of frames */

enum { STEPS = 10, ROUNDS = 300000 };

static uint32_t taken; /* the number that the path got */
static bool is_compared;

static void go(unsigned depth, unsigned path);

APART static void small_frame(unsigned depth, unsigned path)
{
	go(depth, path);
	__asm__ volatile("");
}

/* As large as the other: only the return address tells them apart. */
APART static void same_frame(unsigned depth, unsigned path)
{
	go(depth, path);
	__asm__ volatile("nop");
}

FRAMED static void framed(unsigned depth, unsigned path)
{
	volatile char *room = __builtin_alloca(16 + 16 * (path & 3));

	room[0] = 1;
	go(depth, path);
}

FRAMED static void aligned(unsigned depth, unsigned path)
{
	volatile char room[64] __attribute__((aligned(64)));

	__asm__ volatile("" ::"r"(room));
	go(depth, path);
	__asm__ volatile("" ::"r"(room));
}

APART static void arrive(void)
{
	uint32_t site;

	rig_capture(&lane, &both);
	if (is_compared) {
		taken = both.site;
		return;
	}
	taken = both.site;
	site = rig_site(&lane);
	/* The same without memos. */
	CHECK_EQ_U64(rig_stack(site)->frame_count, rig_stack(taken)->frame_count);
}

APART static void go(unsigned depth, unsigned path)
{
	static void (*const ways[4])(unsigned, unsigned) = {small_frame, same_frame, framed,
							    aligned};

	if (!depth)
		arrive();
	else
		ways[(path & 1) + (depth % 2 ? 0 : 2)](depth - 1, path >> 1);
	__asm__ volatile("");
}

TEST(random_paths_are_right_each_time)
{
	static uint32_t of_path[1 << STEPS];
	uint32_t random = 1;

	open_all();
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned path;

		random = random * 1664525u + 1013904223u;
		/* In turns quite at random, and near to the one before. */
		path = round & 4096 ? random >> 22 : (random >> 22) & 7;
		is_compared = of_path[path] != 0;
		go(STEPS, path);
		if (!of_path[path] || round % 64 == 0)
			rig_check_same(&both);
		if (!of_path[path])
			of_path[path] = taken;
		CHECK_EQ_U64(taken, of_path[path]);
	}
	CHECK_EQ_U64(rig_lost[RSPROF_SHM_LOST_SITES], 0);
}

/* Through the same calls with a lane that has memos and with one that has none. */
static struct agent_lane *lane_of_path;

APART static void descend(unsigned depth, uint32_t *ret_site)
{
	if (depth)
		descend(depth - 1, ret_site);
	else
		*ret_site = rig_site(lane_of_path);
	__asm__ volatile("");
}

TEST(memos_and_walks_find_the_same_number)
{
	uint32_t sites[2];

	open_all();
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned depth = 0; depth < 150; depth++) {
			for (volatile unsigned i = 0; i < 2; i++) {
				lane_of_path = i ? &plain : &lane;
				descend(depth, &sites[i]);
			}
			CHECK_EQ_U64(sites[0], sites[1]);
		}
	}
}

/* ---- rbp */

/* Both calls leave the same frame but for the return address, beside which rbp is kept. */
FRAMED static void two_calls(unsigned depth, unsigned path)
{
	if (!depth) {
		rig_capture(&lane, &both);
	} else if (path & 1) {
		two_calls(depth - 1, path >> 1);
		__asm__ volatile("nop");
	} else {
		two_calls(depth - 1, path >> 1);
		__asm__ volatile("nop; nop");
	}
	__asm__ volatile("");
}

TEST(return_addresses_beside_a_kept_rbp_are_compared)
{
	open_all();
	for (unsigned round = 0; round < 2000; round++) {
		two_calls(4, round * 7 % 16);
		rig_check_same(&both);
	}
}

/* sp and pc are the same each time, and what is left of the other frames is where they were: rbp
 * alone tells. */
enum { ROOM_OF_BOTH = 1024 };

APART static void arrive_by_rbp(void)
{
	rig_capture(&lane, &both);
	__asm__ volatile("");
}

FRAMED static void lower(size_t bytes)
{
	__asm__ volatile("" ::"r"(__builtin_alloca(bytes)));
	arrive_by_rbp();
	__asm__ volatile("");
}

FRAMED static void upper_one(size_t bytes)
{
	__asm__ volatile("" ::"r"(__builtin_alloca(bytes)));
	lower(ROOM_OF_BOTH - bytes);
	__asm__ volatile("");
}

FRAMED static void upper_two(size_t bytes)
{
	__asm__ volatile("nop" ::"r"(__builtin_alloca(bytes)));
	lower(ROOM_OF_BOTH - bytes);
	__asm__ volatile("");
}

TEST(frames_that_only_rbp_tells_apart_are)
{
	open_all();
	for (volatile unsigned round = 0; round < 100; round++) {
		(round & 1 ? upper_one : upper_two)(round & 1 ? 512 : 256);
		rig_check_same(&both);
	}
}

/* ---- what changes under a memo */

/* The word on the stack above `from` that holds the value. */
static volatile uint64_t *find_word(uint64_t from, uint64_t value)
{
	volatile uint64_t *word = (volatile uint64_t *)(from & ~UINT64_C(7));

	for (unsigned i = 0; i < 4096; i++) {
		if (word[i] == value)
			return word + i;
	}
	FAIL("the return address is not on the stack");
}

APART static void change_a_return(unsigned frame)
{
	uint64_t here = (uint64_t)__builtin_frame_address(0), was, other;
	volatile uint64_t *slot;
	uint32_t first = 0, second, again;

	for (unsigned i = 0; i < 3; i++) {
		second = rig_site(&lane);
		CHECK(!first || first == second);
		first = second;
	}
	/* Above the capture's own frame, so this loop's calls are out of the way. */
	was = rig_pcs(rig_stack(first))[frame];
	other = rig_pcs(rig_stack(first))[frame + 1];
	slot = find_word(here, was);
	for (unsigned i = 0; i < 3; i++) {
		second = rig_site(&lane);
		*slot = other;
		again = rig_site(&lane);
		*slot = was;
		CHECK(second != again);
		CHECK(rig_pcs(rig_stack(second))[frame] == was);
		CHECK(rig_pcs(rig_stack(again))[frame] == other);
	}
}

APART static void below(unsigned depth, unsigned frame)
{
	if (depth)
		below(depth - 1, frame);
	else
		change_a_return(frame);
	__asm__ volatile("");
}

APART static void change_below(unsigned frame)
{
	below(3, frame);
	__asm__ volatile("");
}

TEST(a_changed_return_address_is_another_stack)
{
	open_all();
	/* Into below(), and into change_below(). */
	change_below(2);
	change_below(6);
}

/* ---- longjmp, threads, libc's frames */

static jmp_buf back;

APART static void leave(int depth)
{
	if (depth)
		leave(depth - 1);
	else
		rig_capture(&lane, &both);
	if (!depth)
		longjmp(back, 1);
}

TEST(stacks_after_longjmp_are_right)
{
	open_all();
	for (volatile int depth = 0; depth < 60; depth++) {
		if (!setjmp(back))
			leave(depth * 7 % 31);
		rig_check_same(&both);
		deep(depth * 5 % 17);
		rig_check_same(&both);
	}
}

static int compare(const void *left, const void *right)
{
	rig_capture(&lane, &both);
	return *(const int *)left - *(const int *)right;
}

TEST(frames_of_libc_are_passed)
{
	int numbers[] = {3, 1, 2};

	open_all();
	qsort(numbers, 3, sizeof(*numbers), compare);
	rig_check_same(&both);
}

/* A lane goes from thread to thread, each on a stack of its own. */
static void *run_thread(void *context)
{
	for (int depth = 0; depth < 20; depth++) {
		deep(depth);
		rig_check_same(&both);
	}
	CHECK(agent_thread.stack_high > (uintptr_t)&context);
	return NULL;
}

TEST(stacks_of_threads_are_found)
{
	pthread_t thread;

	open_all();
	for (unsigned i = 0; i < 20; i++) {
		CHECK(pthread_create(&thread, NULL, run_thread, NULL) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
		deep(3);
		rig_check_same(&both);
	}
}

KIT_MAIN
