/* Threads known from their beginning: where their stack is, and their CPU timer.
 *
 * The new thread begins in a function of ours, which goes on to the program's by a jump and leaves
 * no frame. What it has to know waits in a slot that is free again before the program's function is
 * called. Where anything fails, the program's call goes through as it is. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <threads.h>

#include "agent/agent.h"
#include "agent/cpu.h"
#include "agent/symbols.h"

enum {
	BLOCK_SLOTS = 1024, /* threads that have been created and have not begun */
	BLOCKS = 64,
	WORD_SLOTS = 64,
	BLOCK_WORDS = BLOCK_SLOTS / WORD_SLOTS,
	PAGE = 4096,
};

struct start {
	union {
		void *(*posix)(void *);
		int (*c11)(void *);
	} routine;
	void *argument;
	/* The stack that the program gave it; 0: one of libc's, of that size. */
	uintptr_t stack_low;
	size_t stack_bytes;
	_Atomic uint64_t *used; /* the word of the slot's bit */
	uint64_t bit;
};

/* In the agent's own memory: malloc's would be the program's. */
struct block {
	_Atomic uint64_t used[BLOCK_WORDS];
	struct start slots[BLOCK_SLOTS];
};

static struct block first_block;
static struct block *_Atomic blocks[BLOCKS] = {&first_block};

typedef int create_function(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
typedef int c11_create_function(thrd_t *, thrd_start_t, void *);

static create_function *_Atomic real_create;
static c11_create_function *_Atomic real_c11_create;

static create_function *find_create(void)
{
	create_function *real = atomic_load_explicit(&real_create, memory_order_relaxed);

	if (AGENT_LIKELY(real != NULL))
		return real;
	agent_thread.internal_depth++;
	real = (create_function *)dlsym(RTLD_NEXT, "pthread_create");
	agent_thread.internal_depth--;
	atomic_store_explicit(&real_create, real, memory_order_relaxed);
	return real;
}

static c11_create_function *find_c11_create(void)
{
	c11_create_function *real = atomic_load_explicit(&real_c11_create, memory_order_relaxed);

	if (AGENT_LIKELY(real != NULL))
		return real;
	agent_thread.internal_depth++;
	if (symbols_have(0, "thrd_create")) /* glibc 2.28 */
		real = (c11_create_function *)dlsym(RTLD_NEXT, "thrd_create");
	agent_thread.internal_depth--;
	atomic_store_explicit(&real_c11_create, real, memory_order_relaxed);
	return real;
}

__attribute__((constructor)) static void find_reals(void)
{
	int error = errno;

	find_create();
	find_c11_create();
	errno = error;
}

/* ---- slots */

static struct start *block_take(struct block *block)
{
	for (int word = 0; word < BLOCK_WORDS; word++) {
		_Atomic uint64_t *used = &block->used[word];
		uint64_t seen = atomic_load_explicit(used, memory_order_relaxed);

		while (~seen) {
			int index = __builtin_ctzll(~seen);
			struct start *start = &block->slots[word * WORD_SLOTS + index];

			/* Acquire: what the last owner read of it is read. */
			if (!atomic_compare_exchange_weak_explicit(
				    used, &seen, seen | UINT64_C(1) << index, memory_order_acquire,
				    memory_order_relaxed))
				continue;
			start->used = used;
			start->bit = UINT64_C(1) << index;
			return start;
		}
	}
	return NULL;
}

static struct block *block_make(_Atomic(struct block *) *place)
{
	struct block *block = sys_map(sizeof(*block)), *none = NULL;

	if (!block || atomic_compare_exchange_strong(place, &none, block))
		return block;
	sys_unmap(block, sizeof(*block));
	return none;
}

static struct start *start_take(void)
{
	for (int i = 0; i < BLOCKS; i++) {
		struct block *block = atomic_load_explicit(&blocks[i], memory_order_acquire);
		struct start *start;

		if (!block)
			block = block_make(&blocks[i]);
		if (!block)
			return NULL;
		start = block_take(block);
		if (start)
			return start;
	}
	return NULL;
}

static void start_release(const struct start *start)
{
	/* With the acquire in block_take. */
	atomic_fetch_and_explicit(start->used, ~start->bit, memory_order_release);
}

/* ---- the new thread */

/* libc's thread control block is at the top of the stack, in its last page where libc made the
 * stack. */
static void tell_stack(struct agent_thread *thread, const struct start *start)
{
	uintptr_t top = (uintptr_t)pthread_self(), here = (uintptr_t)__builtin_frame_address(0);
	uintptr_t low = start->stack_low;

	if (!low)
		low = ((top + PAGE - 1) & ~(uintptr_t)(PAGE - 1)) - start->stack_bytes;
	if (start->stack_bytes && low < here && here < top)
		unwind_set_stack(thread, low, top);
}

/* Bytes of routine and argument, which come back in registers. */
struct call {
	void *routine, *argument;
};

__attribute__((noinline)) static struct call begin(struct start *start, const uintptr_t *ours)
{
	struct agent_thread *thread = &agent_thread;
	struct call call = {.routine = (void *)start->routine.posix, .argument = start->argument};
	/* A frame pointer's place, and the return address above it. */
	struct agent_frame frame = {.pc = ours[1], .sp = (uintptr_t)(ours + 2), .bp = ours[0]};

	tell_stack(thread, start);
	start_release(start);
	cpu_thread_starts(thread, (uintptr_t)call.routine, &frame);
	return call;
}

static void *begin_posix(void *argument)
{
	struct call call = begin(argument, __builtin_frame_address(0));

	return ((void *(*)(void *))call.routine)(call.argument);
}

static int begin_c11(void *argument)
{
	struct call call = begin(argument, __builtin_frame_address(0));

	return ((int (*)(void *))call.routine)(call.argument);
}

/* ---- hooks */

/* In a forked child this may be the first that is asked of the agent; its timers are there already.
 */
static bool is_wanted(void)
{
	if (AGENT_UNLIKELY(atomic_load_explicit(&agent_state.phase, memory_order_relaxed) ==
			   AGENT_FRESH))
		agent_begin();
	return !agent_config.is_off && agent_state.phase != AGENT_FAILED;
}

static void note_stack(struct start *start, const pthread_attr_t *attributes)
{
	pthread_attr_t defaults;
	void *low = NULL;
	size_t bytes = 0;

	start->stack_low = 0;
	start->stack_bytes = 0;
	/* Of attributes without a size, libc tells what threads get by default. */
	if (!attributes) {
		if (pthread_attr_init(&defaults))
			return;
		attributes = &defaults;
	}
	if (pthread_attr_getstack(attributes, &low, &bytes) == 0 && (uintptr_t)low + bytes != 0) {
		start->stack_low = (uintptr_t)low;
		start->stack_bytes = bytes;
	} else if (pthread_attr_getstacksize(attributes, &bytes) == 0) {
		start->stack_bytes = bytes;
	}
	if (attributes == &defaults)
		pthread_attr_destroy(&defaults);
}

AGENT_EXPORT int pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
				void *(*routine)(void *), void *argument)
{
	create_function *real = find_create();
	struct start *start;
	int result;

	if (!real)
		return EAGAIN;
	start = is_wanted() ? start_take() : NULL;
	if (!start)
		return real(ret_thread, attributes, routine, argument);
	start->routine.posix = routine;
	start->argument = argument;
	note_stack(start, attributes);
	result = real(ret_thread, attributes, begin_posix, start);
	if (result)
		start_release(start);
	return result;
}

/* libc's calls its pthread_create past our hook. */
AGENT_EXPORT int thrd_create(thrd_t *ret_thread, thrd_start_t routine, void *argument)
{
	c11_create_function *real = find_c11_create();
	struct start *start;
	int result;

	if (!real)
		return thrd_error;
	start = is_wanted() ? start_take() : NULL;
	if (!start)
		return real(ret_thread, routine, argument);
	start->routine.c11 = routine;
	start->argument = argument;
	note_stack(start, NULL);
	result = real(ret_thread, begin_c11, start);
	if (result != thrd_success)
		start_release(start);
	return result;
}
