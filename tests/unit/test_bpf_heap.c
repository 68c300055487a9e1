/* Heap programs count to the unit what a child does that knows what it does. */
#include <pthread.h>

#include "tests/unit/heap_sites.h"
#include "tests/unit/heap_toys.h"

enum {
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
	heap_check_stacks(heap);
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
