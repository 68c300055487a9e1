/* Whose stacks the agent's memos are. */
#include <ucontext.h>

#include "tests/unit/agent_rig.h"

#define APART                                                                                      \
	__attribute__((noinline, no_sanitize("address,undefined,thread"),                          \
		       optimize("omit-frame-pointer", "no-optimize-sibling-calls")))

static struct agent_lane lane;

/* One stack ends within the other: frames may begin at the same address in both. */
enum { WHOLE = 256 << 10, BEYOND = 64 << 10, ROOM = 64 };

static char *memory;
static ucontext_t outside, inside;
static uint32_t taken;
static uintptr_t taken_sp;

APART static void arrive(void)
{
	taken_sp = (uintptr_t)__builtin_frame_address(0);
	taken = rig_site(&lane);
	__asm__ volatile("");
}

APART static void small_frame(void)
{
	volatile char room[ROOM];

	room[0] = 1;
	arrive();
	__asm__ volatile("" ::"r"(room));
}

/* As large as to end where small_frame() does on the shorter stack. */
APART static void large_frame(void)
{
	volatile char room[ROOM + BEYOND];

	room[0] = 1;
	arrive();
	__asm__ volatile("" ::"r"(room));
}

static void run_on(size_t bytes, void (*run)(void))
{
	uintptr_t low = agent_thread.stack_low, high = agent_thread.stack_high;

	CHECK(getcontext(&inside) == 0);
	inside.uc_stack.ss_sp = memory;
	inside.uc_stack.ss_size = bytes;
	inside.uc_link = &outside;
	makecontext(&inside, run, 0);
	unwind_set_stack(&agent_thread, (uintptr_t)memory, (uintptr_t)memory + bytes);
	CHECK(swapcontext(&outside, &inside) == 0);
	unwind_set_stack(&agent_thread, low, high);
}

static void check_caller(void (*caller)(void))
{
	const struct rsprof_shm_stack *stack = rig_stack(taken);
	uint64_t pc;

	CHECK(stack->frame_count >= 3);
	CHECK_EQ_U64(stack->status, RSPROF_SHM_COMPLETE);
	pc = rig_pcs(stack)[2];
	CHECK(pc > (uintptr_t)caller && pc < (uintptr_t)caller + 128);
}

static void open_all(void)
{
	rig_open();
	lane = rig_new_lane();
	memory = rig_map(WHOLE);
}

static void check_both(int protection)
{
	uintptr_t sp;
	uint32_t first;

	for (unsigned round = 0; round < 3; round++) {
		CHECK(mprotect(memory, WHOLE, PROT_READ | PROT_WRITE) == 0);
		run_on(WHOLE, large_frame);
		check_caller(large_frame);
		first = taken;
		sp = taken_sp;
		run_on(WHOLE, large_frame);
		CHECK_EQ_U64(taken, first);
		CHECK(mprotect(memory + WHOLE - BEYOND, BEYOND, protection) == 0);
		run_on(WHOLE - BEYOND, small_frame);
		CHECK_EQ_U64(taken_sp, sp);
		check_caller(small_frame);
		CHECK(taken != first);
	}
}

TEST(another_stack_has_none_of_the_memos)
{
	open_all();
	check_both(PROT_READ | PROT_WRITE);
}

TEST(nothing_is_read_beyond_a_shorter_stack)
{
	open_all();
	check_both(PROT_NONE);
}

KIT_MAIN
