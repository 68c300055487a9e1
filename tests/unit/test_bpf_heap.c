/* Heap programs count to the unit what a child does that knows what it does. */
#include <pthread.h>
#include <setjmp.h>

#include "tests/unit/heap_toys.h"

enum {
	TIMES = 100,
	VERIFIED_MAX = 300000,
	HUGE_SIZE = TOY_SIZE_MAX + 1,
};

/* ---- what children do; each site TIMES times */

SITE static void leak(void)
{
	CHECK(toy_malloc(10));
}

SITE static void churn(void)
{
	toy_free(toy_malloc(24));
}

SITE static void zeroed(void)
{
	void *block = toy_calloc(3, 7), *other = toy_calloc(1, 1);

	/* The second one is a temporary, the first one is not. */
	toy_free(block);
	toy_free(other);
}

SITE static void grown(void)
{
	void *block = toy_realloc(NULL, 8);

	block = toy_realloc(block, 9);
	block = toy_realloc(block, 200000);
	block = toy_realloc(block, 50);
	block = toy_reallocarray(block, 10, 6);
	toy_free(block);
}

SITE static void failed(void)
{
	void *block = toy_malloc(40), *out;

	CHECK(!toy_malloc(HUGE_SIZE));
	CHECK(!toy_calloc(HUGE_SIZE, 2));
	CHECK(!toy_calloc(SIZE_MAX / 2, 3));
	CHECK(!toy_realloc(block, HUGE_SIZE));
	CHECK(!toy_reallocarray(block, SIZE_MAX / 2, 3));
	CHECK(toy_memalign(&out, 64, HUGE_SIZE) != 0);
	/* It was the last one all the time. */
	toy_free(block);
}

SITE static void to_zero(void)
{
	CHECK(!toy_realloc(toy_malloc(60), 0));
}

SITE static void aligned(void)
{
	void *block = NULL;

	CHECK(toy_memalign(&block, 128, 300) == 0);
	toy_free(block);
}

SITE static void unknown(void)
{
	void *grown = toy_realloc(malloc(5), 70);

	toy_free(NULL);
	toy_free(malloc(5));
	toy_free(grown);
}

SITE static void inner(void)
{
	void *jumped = toy_jump(11), *within = toy_within(12);

	toy_free(within);
	toy_free(jumped);
}

SITE static void nothing_asked(void)
{
	toy_free(toy_malloc(0));
}

static void *free_it(void *block)
{
	toy_free(block);
	return NULL;
}

SITE static void across(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, free_it, toy_malloc(80));
	pthread_join(thread, NULL);
}

static void map(void)
{
	void *memory = toy_mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	toy_munmap(memory, 8192);
	toy_sbrk(0);
	toy_sbrk(5000);
	toy_sbrk(-1000);
}

static void (*const sites[])(void) = {
	leak,	 churn,	  zeroed, grown,	 failed, to_zero,
	aligned, unknown, inner,  nothing_asked, across, map,
};

static void all_sites(const void *argument)
{
	child_ready();
	child_await();
	for (size_t i = 0; i < sizeof(sites) / sizeof(*sites); i++) {
		for (int j = 0; j < TIMES; j++)
			sites[i]();
	}
	child_ready();
	child_await();
}

/* ---- what is counted */

/* Counts of one time, in calls and bytes. */
static void check_site(struct heap_rig *heap, const char *name, const void *site,
		       const struct bpf_heap_site *once)
{
	static const char *const fields[] = {
		"allocs",	   "alloc_bytes", "frees",    "free_bytes",   "untracked",
		"untracked_bytes", "temporary",	  "reallocs", "growth_bytes", "estimated"};
	static const bool is_calls[] = {1, 0, 1, 0, 1, 0, 1, 1, 0, 1};
	struct bpf_heap_site sum = heap_rig_sum(heap, site);
	const __u64 *got = (const __u64 *)&sum, *want = (const __u64 *)once;

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		uint64_t wanted = want[i] * TIMES * (is_calls[i] ? HEAP_ONE : 1);

		if (got[i] != wanted)
			FAIL("%s of %s is %" PRIu64 ", not %" PRIu64, fields[i], name,
			     (uint64_t)got[i], wanted);
	}
}

#define CHECK_SITE(site, ...)                                                                      \
	check_site(heap, #site, (const void *)site, &(const struct bpf_heap_site){__VA_ARGS__})

static void check_stacks(struct heap_rig *heap)
{
	bpf_heap_site_rows rows = {0};

	bpf_read_heap_sites(&heap->loaded, &rows);
	for (size_t i = 0; i < rows.count; i++) {
		const struct bpf_sample *stack;

		if (rows.items[i].key < HEAP_SITES_FIRST) {
			CHECK_EQ_U64(rows.items[i].site.allocs, 0);
			continue;
		}
		stack = heap_rig_stack(&heap->rig, rows.items[i].key);
		CHECK(stack);
		CHECK_EQ_U64(stack->end, WALK_COMPLETE);
		rig_check_rooted(stack->pcs, stack->pc_count);
	}
	vec_done(&rows);
	CHECK_EQ_U64(heap->rig.control->heap_stacks_lost, 0);
	CHECK_EQ_U64(heap->rig.control->heap_sites_full, 0);
	CHECK_EQ_U64(heap->rig.control->heap_blocks_full, 0);
	CHECK_EQ_U64(heap->rig.control->heap_calls_missed, 0);
}

static void count_all(enum heap_attach attach)
{
	struct child child = child_fork(all_sites, NULL);
	struct heap_rig *heap = heap_rig_on(&child, heap_rig_open(), attach, BPF_HEAP_EXACT);
	const struct bpf_control *control = heap->rig.control;

	rig_let_work(&heap->rig, &child);
	CHECK_SITE(leak, .allocs = 1, .alloc_bytes = 10);
	CHECK_SITE(churn, .allocs = 1, .alloc_bytes = 24, .frees = 1, .free_bytes = 24,
		   .temporary = 1);
	CHECK_SITE(zeroed, .allocs = 2, .alloc_bytes = 22, .frees = 2, .free_bytes = 22,
		   .temporary = 1);
	CHECK_SITE(grown, .allocs = 5, .alloc_bytes = 8 + 9 + 200000 + 50 + 60, .frees = 5,
		   .free_bytes = 8 + 9 + 200000 + 50 + 60, .temporary = 1, .reallocs = 4,
		   .growth_bytes = 1 + 199991 + 10);
	CHECK_SITE(failed, .allocs = 1, .alloc_bytes = 40, .frees = 1, .free_bytes = 40,
		   .temporary = 1);
	CHECK_SITE(to_zero, .allocs = 1, .alloc_bytes = 60, .frees = 1, .free_bytes = 60,
		   .temporary = 1);
	CHECK_SITE(aligned, .allocs = 1, .alloc_bytes = 300, .frees = 1, .free_bytes = 300,
		   .temporary = 1);
	CHECK_SITE(unknown, .allocs = 1, .alloc_bytes = 70, .frees = 1, .free_bytes = 70,
		   .temporary = 1, .reallocs = 1);
	CHECK_SITE(inner, .allocs = 2, .alloc_bytes = 23, .frees = 2, .free_bytes = 23,
		   .temporary = 1);
	CHECK_SITE(nothing_asked, .allocs = 1, .frees = 1, .temporary = 1);
	CHECK_SITE(across, .allocs = 1, .alloc_bytes = 80, .frees = 1, .free_bytes = 80);
	CHECK_EQ_U64(control->unknown_frees, 2 * TIMES);
	CHECK_EQ_U64(control->mmap_count, TIMES);
	CHECK_EQ_U64(control->mmap_bytes, 8192 * TIMES);
	CHECK_EQ_U64(control->munmap_count, TIMES);
	CHECK_EQ_U64(control->munmap_bytes, 8192 * TIMES);
	CHECK_EQ_U64(control->brk_count, 2 * TIMES);
	CHECK_EQ_I64(control->brk_bytes, 4000 * TIMES);
	CHECK_EQ_U64(heap_rig_block_count(heap), TIMES);
	check_stacks(heap);
	child_end(&child);
	heap_rig_free(heap);
}

TEST(every_call_is_counted_by_sessions)
{
	count_all(HEAP_ATTACH_SESSION);
}

TEST(every_call_is_counted_by_links_of_many)
{
	count_all(HEAP_ATTACH_MULTI);
}

TEST(every_call_is_counted_by_perf_events)
{
	count_all(HEAP_ATTACH_PERF);
}

/* ---- hits and the programs themselves */

static void some_calls(const void *argument)
{
	child_ready();
	child_await();
	for (int i = 0; i < TIMES; i++) {
		toy_free(toy_malloc(1));
		toy_free(toy_calloc(1, 1));
	}
	child_ready();
	child_await();
}

TEST(hits_are_counted_by_kind)
{
	struct child child = child_fork(some_calls, NULL);
	struct heap_rig *heap =
		heap_rig_on(&child, heap_rig_open(), HEAP_ATTACH_SESSION, BPF_HEAP_EXACT);
	bpf_heap_thread_rows rows = {0};

	rig_let_work(&heap->rig, &child);
	bpf_read_heap_threads(&heap->loaded, &rows);
	CHECK_EQ_U64(rows.count, 1);
	CHECK_EQ_U64(rows.items[0].tid, (uint64_t)child.pid);
	/* The calloc calls malloc. */
	CHECK_EQ_U64(rows.items[0].thread.hits, 5 * TIMES);
	CHECK_EQ_U64(rows.items[0].thread.stepped_hits, 0);
	CHECK_EQ_U64(rows.items[0].thread.free_hits, 2 * TIMES);
	CHECK_EQ_U64(rows.items[0].thread.return_hits, 2 * TIMES);
	CHECK(rows.items[0].thread.spent_ns > 0);
	bpf_remove_heap_thread(&heap->loaded, (uint32_t)child.pid);
	vec_clear(&rows);
	bpf_read_heap_threads(&heap->loaded, &rows);
	CHECK_EQ_U64(rows.count, 0);
	vec_done(&rows);
	child_end(&child);
	heap_rig_free(heap);
}

TEST(few_instructions_to_verify)
{
	struct child child = child_start(child_idle, NULL);

	for (int attach = HEAP_ATTACH_SESSION; attach <= HEAP_ATTACH_PERF; attach++) {
		struct heap_rig *heap = heap_rig_open();
		uint64_t start = rig_cpu_ns();
		struct bpf_program *program;

		heap_rig_load(heap, child.pid, attach);
		printf("# loading took %.0f ms of CPU\n", (double)(rig_cpu_ns() - start) / 1e6);
		bpf_object__for_each_program(program, heap->rig.skel->obj)
		{
			struct bpf_prog_info info = {0};
			uint32_t size = sizeof(info);

			if (!bpf_program__autoload(program))
				continue;
			CHECK(bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0);
			printf("# %s: %u instructions, %u verified\n", bpf_program__name(program),
			       info.xlated_prog_len / 8, info.verified_insns);
			CHECK_BETWEEN(info.verified_insns, 1, VERIFIED_MAX - 1);
		}
		heap_rig_free(heap);
	}
	child_end(&child);
}

TEST(without_heap_nothing_of_it_is_loaded)
{
	struct child child = child_start(child_idle, NULL);
	struct heap_rig *heap = heap_rig_open();
	const struct profile_bpf *skel;

	heap->config.heap = HEAP_MODE_OFF;
	heap_rig_load(heap, child.pid, HEAP_ATTACH_SESSION);
	skel = heap->loaded.skeleton;
	CHECK(!heap->loaded.has_heap);
	CHECK(bpf_program__fd(skel->progs.on_heap_call) < 0);
	CHECK(bpf_program__fd(skel->progs.on_heap_return) < 0);
	CHECK(bpf_program__fd(skel->progs.on_heap_session) < 0);
	CHECK(bpf_map__fd(skel->maps.heap_threads) < 0);
	CHECK(bpf_map__fd(skel->maps.heap_sites) < 0);
	CHECK(bpf_map__fd(skel->maps.heap_blocks) < 0);
	CHECK(bpf_map__fd(skel->maps.heap_rooms) < 0);
	heap_rig_free(heap);
	child_end(&child);
}

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
	check_stacks(heap);
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

/* ---- bounds */

enum { MANY = 2000 };

APART static void *descend(uint32_t path, int depth)
{
	void *block;

	if (!depth)
		return toy_malloc(16);
	if (path & 1) {
		block = descend(path >> 1, depth - 1);
		/* Else the compiler makes one call of both. */
		asm volatile("nop");
	} else {
		block = descend(path >> 1, depth - 1);
	}
	*(volatile char *)block = 1;
	return block;
}

static void many_stacks(const void *argument)
{
	static void *blocks[MANY];

	child_ready();
	child_await();
	for (uint32_t i = 0; i < MANY; i++)
		blocks[i] = descend(i, 11);
	for (uint32_t i = 0; i < MANY; i++)
		toy_free(blocks[i]);
	child_ready();
	child_await();
}

static struct bpf_heap_site site_of(struct heap_rig *heap, uint64_t key)
{
	struct bpf_heap_site site;

	CHECK(bpf_map_lookup_elem(heap->loaded.heap_sites_fd, &key, &site) == 0);
	return site;
}

TEST(blocks_beyond_the_map_are_untracked)
{
	enum { BLOCKS = 100 };
	struct child child = child_fork(many_stacks, NULL);
	struct heap_rig *heap = heap_rig_open();
	struct bpf_heap_site sum;

	heap->config.heap_blocks_max = BLOCKS;
	heap_rig_on(&child, heap, HEAP_ATTACH_SESSION, BPF_HEAP_EXACT);
	rig_let_work(&heap->rig, &child);
	sum = heap_rig_sum(heap, NULL);
	CHECK_EQ_U64(sum.allocs, MANY * HEAP_ONE);
	CHECK_EQ_U64(sum.untracked, (MANY - BLOCKS) * HEAP_ONE);
	CHECK_EQ_U64(sum.untracked_bytes, (MANY - BLOCKS) * 16);
	CHECK_EQ_U64(sum.frees, BLOCKS * HEAP_ONE);
	CHECK_EQ_U64(heap->rig.control->heap_blocks_full, MANY - BLOCKS);
	CHECK_EQ_U64(heap->rig.control->unknown_frees, MANY - BLOCKS);
	child_end(&child);
	heap_rig_free(heap);
}

TEST(stacks_beyond_the_map_are_one_site)
{
	enum { STACKS = 50 };
	struct child child = child_fork(many_stacks, NULL);
	struct heap_rig *heap = heap_rig_open();
	struct bpf_heap_site full;

	heap->config.heap_stacks_max = STACKS;
	heap_rig_on(&child, heap, HEAP_ATTACH_SESSION, BPF_HEAP_EXACT);
	rig_let_work(&heap->rig, &child);
	full = site_of(heap, HEAP_SITE_FULL);
	CHECK_EQ_U64(heap_rig_sum(heap, NULL).allocs, MANY * HEAP_ONE);
	CHECK_EQ_U64(full.allocs, (MANY - STACKS) * HEAP_ONE);
	CHECK_EQ_U64(full.frees, full.allocs);
	CHECK_EQ_U64(full.free_bytes, (MANY - STACKS) * 16);
	CHECK_EQ_U64(heap->rig.control->heap_sites_full, MANY - STACKS);
	child_end(&child);
	heap_rig_free(heap);
}

TEST(stacks_that_find_no_room_in_the_ring_are_one_site)
{
	struct child child = child_fork(many_stacks, NULL);
	struct heap_rig *heap = heap_rig_open();
	struct bpf_heap_site untold;

	heap->config.buffer_bytes = BPF_RING_BYTES_MIN;
	heap_rig_on(&child, heap, HEAP_ATTACH_SESSION, BPF_HEAP_EXACT);
	child_tell(&child, 'g');
	child_hear(&child);
	untold = site_of(heap, HEAP_SITE_UNTOLD);
	rig_drain(&heap->rig);
	CHECK_BETWEEN(untold.allocs, HEAP_ONE, (MANY - 100) * HEAP_ONE);
	CHECK_EQ_U64(untold.allocs, heap->rig.control->heap_stacks_lost * HEAP_ONE);
	CHECK_EQ_U64(rig_count(&heap->rig, BPF_RECORD_HEAP_STACK) * HEAP_ONE + untold.allocs,
		     MANY * HEAP_ONE);
	CHECK_EQ_U64(heap_rig_sum(heap, NULL).allocs, MANY * HEAP_ONE);
	child_end(&child);
	heap_rig_free(heap);
}

TEST(cleared_blocks_are_unknown)
{
	struct child child = child_fork(all_sites, NULL);
	struct heap_rig *heap =
		heap_rig_on(&child, heap_rig_open(), HEAP_ATTACH_SESSION, BPF_HEAP_EXACT);

	rig_let_work(&heap->rig, &child);
	CHECK_EQ_U64(heap_rig_block_count(heap), TIMES);
	bpf_clear_heap_blocks(&heap->loaded);
	CHECK_EQ_U64(heap_rig_block_count(heap), 0);
	child_end(&child);
	heap_rig_free(heap);
}

/* ---- threads */

enum { THREADS = 4, ROUNDS = 20000, SHARED = 64 };

static void *shared[SHARED];

/* Each takes what another has put there, and frees it. */
static void *exchange(void *argument)
{
	uint32_t random = (uint32_t)(uintptr_t)argument;

	for (int i = 0; i < ROUNDS; i++) {
		random = random * 1664525 + 1013904223;
		toy_free(__atomic_exchange_n(&shared[random >> 16 & (SHARED - 1)],
					     toy_realloc(toy_malloc(10), 30), __ATOMIC_SEQ_CST));
	}
	return NULL;
}

static void exchangers(const void *argument)
{
	pthread_t threads[THREADS];

	child_ready();
	child_await();
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, exchange, (void *)(i + 1));
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < SHARED; i++)
		toy_free(shared[i]);
	child_ready();
	child_await();
}

TEST(threads_that_free_each_others_blocks_are_counted_to_the_unit)
{
	struct child child = child_fork(exchangers, NULL);
	struct heap_rig *heap =
		heap_rig_on(&child, heap_rig_open(), HEAP_ATTACH_SESSION, BPF_HEAP_EXACT);
	const uint64_t rounds = THREADS * ROUNDS;
	struct bpf_heap_site sum;

	rig_let_work(&heap->rig, &child);
	sum = heap_rig_sum(heap, NULL);
	CHECK_EQ_U64(sum.allocs, 2 * rounds * HEAP_ONE);
	CHECK_EQ_U64(sum.alloc_bytes, 40 * rounds);
	CHECK_EQ_U64(sum.frees, sum.allocs);
	CHECK_EQ_U64(sum.free_bytes, sum.alloc_bytes);
	CHECK_EQ_U64(sum.reallocs, rounds * HEAP_ONE);
	CHECK_EQ_U64(sum.untracked, 0);
	CHECK_EQ_U64(heap->rig.control->unknown_frees, 0);
	CHECK_EQ_U64(heap->rig.control->heap_calls_missed, 0);
	CHECK_EQ_U64(heap->rig.control->heap_stacks_lost, 0);
	CHECK_EQ_U64(heap_rig_block_count(heap), 0);
	child_end(&child);
	heap_rig_free(heap);
}

RIG_MAIN
