/* Heap programs and calls in the midst of others: in signal handlers, or left by a jump. */
#include <pthread.h>
#include <setjmp.h>

#include "tests/unit/heap_sites.h"
#include "tests/unit/heap_toys.h"

/* ---- calls in the midst of others */

enum { STACK_BYTES = 1 << 18 };

static sigjmp_buf out_of_handler;

SITE static void handle(int signal)
{
	toy_during = NULL;
	toy_free(toy_malloc(33));
	CHECK(toy_malloc(34));
}

static void handle_and_leave(int signal)
{
	toy_during = NULL;
	siglongjmp(out_of_handler, 1);
}

static void interrupt(void)
{
	raise(SIGUSR1);
}

SITE static void interrupted(void)
{
	toy_during = interrupt;
	toy_free(toy_malloc(55));
}

SITE static void left(void)
{
	if (sigsetjmp(out_of_handler, 1) == 0)
		CHECK(toy_malloc(66));
}

static void on_signal(void (*handler)(int), void *stack)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = stack ? SA_ONSTACK : 0};
	stack_t other = {.ss_sp = stack, .ss_size = STACK_BYTES};

	if (stack)
		sigaltstack(&other, NULL);
	sigaction(SIGUSR1, &action, NULL);
}

static void in_signal_handlers(const void *argument)
{
	static uint8_t other[STACK_BYTES];
	const bool *has_stack = argument;

	on_signal(handle, *has_stack ? other : NULL);
	child_ready();
	child_await();
	for (int i = 0; i < TIMES; i++)
		interrupted();
	child_ready();
	child_await();
}

static void count_in_handlers(enum heap_attach attach, bool has_stack)
{
	struct child child = child_fork(in_signal_handlers, &has_stack);
	struct heap_rig *heap = heap_rig_on(&child, heap_rig_open(), attach, BPF_HEAP_EXACT);

	rig_let_work(&heap->rig, &child);
	/* All of them lie on the stack of `interrupted`. */
	CHECK_SITE(handle, .allocs = 2, .alloc_bytes = 67, .frees = 1, .free_bytes = 33,
		   .temporary = 1);
	CHECK_SITE(interrupted, .allocs = 3, .alloc_bytes = 55 + 67, .frees = 2,
		   .free_bytes = 55 + 33, .temporary = 2);
	CHECK_EQ_U64(heap->rig.control->unknown_frees, 0);
	heap_check_stacks(heap);
	child_end(&child);
	heap_rig_free(heap);
}

TEST(allocations_in_a_handler_during_another_are_calls)
{
	count_in_handlers(HEAP_ATTACH_SESSION, false);
}

TEST(allocations_in_a_handler_on_its_own_stack_are_calls)
{
	count_in_handlers(HEAP_ATTACH_SESSION, true);
}

TEST(allocations_in_a_handler_are_calls_without_sessions_too)
{
	count_in_handlers(HEAP_ATTACH_MULTI, false);
	count_in_handlers(HEAP_ATTACH_PERF, false);
}

static void *interrupted_thread(void *other)
{
	on_signal(handle, other);
	for (int i = 0; i < TIMES; i++)
		interrupted();
	return NULL;
}

/* The handler's stack is above the one that it interrupts. */
static void above(const void *argument)
{
	char *memory = mmap(NULL, 2 * STACK_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_attr_t attr;
	pthread_t thread;

	child_ready();
	child_await();
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, memory, STACK_BYTES);
	pthread_create(&thread, &attr, interrupted_thread, memory + STACK_BYTES);
	pthread_join(thread, NULL);
	child_ready();
	child_await();
}

/* A return probe would end the process. */
TEST(a_call_above_one_that_is_not_over_is_missed)
{
	struct child child = child_fork(above, NULL);
	struct heap_rig *heap =
		heap_rig_on(&child, heap_rig_open(), HEAP_ATTACH_SESSION, BPF_HEAP_EXACT);

	rig_let_work(&heap->rig, &child);
	CHECK_SITE(interrupted, .allocs = 1, .alloc_bytes = 55, .frees = 1, .free_bytes = 55,
		   .temporary = 1);
	CHECK_EQ_U64(heap->rig.control->heap_calls_missed, 2 * TIMES);
	CHECK_EQ_U64(heap->rig.control->unknown_frees, TIMES);
	child_end(&child);
	heap_rig_free(heap);
}

SITE static void churn(void)
{
	toy_free(toy_malloc(24));
}

static void leave_calls(const void *argument)
{
	on_signal(handle_and_leave, NULL);
	child_ready();
	child_await();
	for (int i = 0; i < TIMES; i++) {
		toy_during = interrupt;
		left();
		churn();
	}
	child_ready();
	child_await();
}

TEST(a_call_that_is_left_is_no_call)
{
	for (int attach = HEAP_ATTACH_SESSION; attach <= HEAP_ATTACH_PERF; attach++) {
		struct child child = child_fork(leave_calls, NULL);
		struct heap_rig *heap =
			heap_rig_on(&child, heap_rig_open(), attach, BPF_HEAP_EXACT);

		rig_let_work(&heap->rig, &child);
		CHECK_SITE(left, .allocs = 0);
		CHECK_SITE(churn, .allocs = 1, .alloc_bytes = 24, .frees = 1, .free_bytes = 24,
			   .temporary = 1);
		CHECK_EQ_U64(heap->rig.control->heap_calls_missed, 0);
		child_end(&child);
		heap_rig_free(heap);
	}
}

RIG_MAIN
