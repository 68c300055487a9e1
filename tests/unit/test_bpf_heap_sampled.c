/* Heap programs that count a sample: what they estimate, and how far from the truth it is. */
#include <math.h>

#include "tests/unit/heap_toys.h"

enum {
	MEAN = 4096,
	/* Of each size, so that some ten thousand samples come. */
	BYTES_OF_SIZE = 12 << 20,
};

/* One place for each size. */
#define SIZED(bytes)                                                                               \
	SITE static void *alloc_##bytes(void)                                                      \
	{                                                                                          \
		void *block = toy_malloc(bytes);                                                   \
                                                                                                   \
		*(volatile char *)block = 1;                                                       \
		return block;                                                                      \
	}

SIZED(40)
SIZED(500)
SIZED(4000)
SIZED(20000)
SIZED(32768)
SIZED(100000)

static const struct sized {
	uint64_t bytes;
	void *(*alloc)(void);
} sizes[] = {
	{40, alloc_40},	      {500, alloc_500},	    {4000, alloc_4000},
	{20000, alloc_20000}, {32768, alloc_32768}, {100000, alloc_100000},
};

enum { SIZES = sizeof(sizes) / sizeof(*sizes) };

static uint64_t times_of(const struct sized *sized)
{
	return BYTES_OF_SIZE / sized->bytes + 500;
}

/* Not one size after the other: the gaps between samples go across sizes. */
static void allocate(const void *argument)
{
	uint64_t left[SIZES], most = 0;

	child_ready();
	child_await();
	for (int i = 0; i < SIZES; i++) {
		left[i] = times_of(&sizes[i]);
		most = left[i] > most ? left[i] : most;
	}
	for (uint64_t round = 0; round < most; round++) {
		for (int i = 0; i < SIZES; i++) {
			if (left[i] && round % (most / times_of(&sizes[i])) == 0) {
				toy_free(sizes[i].alloc());
				left[i]--;
			}
		}
	}
	child_ready();
	child_await();
}

/* How many samples of that many bytes a Poisson process has: what decides how far estimates are
 * from the truth. */
static double deviation_of(const struct sized *sized)
{
	double share = 1 - exp(-(double)sized->bytes / MEAN), times = (double)times_of(sized);

	return sqrt((1 - share) / share / times);
}

static uint64_t truth_of(const struct sized *sized)
{
	uint64_t times = times_of(sized), most = 0, count = 0;

	for (int i = 0; i < SIZES; i++)
		most = times_of(&sizes[i]) > most ? times_of(&sizes[i]) : most;
	for (uint64_t round = 0; round < most && count < times; round++)
		count += round % (most / times) == 0;
	return count;
}

static void estimate(enum heap_attach attach, enum bpf_heap_mode mode)
{
	struct child child = child_fork(allocate, NULL);
	struct heap_rig *heap = heap_rig_open();
	bpf_heap_thread_rows rows = {0};

	heap_rig_on(&child, heap, attach, BPF_HEAP_OFF);
	heap->rig.control->heap_mean = MEAN;
	heap->rig.control->heap_mode = mode;
	rig_let_work(&heap->rig, &child);
	for (int i = 0; i < SIZES; i++) {
		const struct sized *sized = &sizes[i];
		struct bpf_heap_site sum = heap_rig_sum(heap, (const void *)sized->alloc);
		double truth = (double)truth_of(sized), deviation = deviation_of(sized);
		double calls = (double)sum.allocs / HEAP_ONE / truth;
		double bytes = (double)sum.alloc_bytes / truth / (double)sized->bytes;

		printf("# %6" PRIu64
		       " bytes: %.4f of the calls, %.4f of the bytes, deviation %.4f\n",
		       sized->bytes, calls, bytes, deviation);
		/* Weights are rounded to 1 / HEAP_ONE. */
		CHECK_BETWEEN(calls, 1 - 5 * deviation - 0.001, 1 + 5 * deviation + 0.001);
		CHECK_BETWEEN(bytes, 1 - 5 * deviation - 0.001, 1 + 5 * deviation + 0.001);
		/* Those of 8 means are always counted. */
		CHECK_EQ_U64(sum.estimated, sized->bytes >= 8 * MEAN ? 0 : sum.allocs);
		if (sized->bytes >= 8 * MEAN)
			CHECK_EQ_U64(sum.allocs, truth_of(sized) * HEAP_ONE);
		CHECK_EQ_U64(sum.frees, mode == BPF_HEAP_SAMPLED ? sum.allocs : 0);
		CHECK_EQ_U64(sum.free_bytes, mode == BPF_HEAP_SAMPLED ? sum.alloc_bytes : 0);
		CHECK_EQ_U64(sum.temporary, mode == BPF_HEAP_SAMPLED ? sum.allocs : 0);
		CHECK_EQ_U64(sum.untracked, mode == BPF_HEAP_SAMPLED ? 0 : sum.allocs);
	}
	CHECK_EQ_U64(heap_rig_block_count(heap), 0);
	CHECK_EQ_U64(heap->rig.control->unknown_frees, 0);
	CHECK_EQ_U64(heap->rig.control->heap_stacks_lost, 0);
	bpf_read_heap_threads(&heap->loaded, &rows);
	CHECK_EQ_U64(rows.count, 1);
	if (attach == HEAP_ATTACH_SESSION && mode == BPF_HEAP_ALLOCS)
		CHECK_EQ_U64(rows.items[0].thread.return_hits, 0);
	/* Only samples return. */
	if (attach == HEAP_ATTACH_SESSION && mode == BPF_HEAP_SAMPLED)
		CHECK(rows.items[0].thread.return_hits < rows.items[0].thread.hits / 10);
	vec_done(&rows);
	child_end(&child);
	heap_rig_free(heap);
}

TEST(samples_estimate_calls_and_bytes)
{
	estimate(HEAP_ATTACH_SESSION, BPF_HEAP_SAMPLED);
}

TEST(samples_estimate_without_sessions)
{
	estimate(HEAP_ATTACH_MULTI, BPF_HEAP_SAMPLED);
}

TEST(allocations_alone_are_estimated)
{
	estimate(HEAP_ATTACH_SESSION, BPF_HEAP_ALLOCS);
}

/* ---- calls within calls, of which few are waited for */

enum { CALLS = 100000 };

SITE static void zeroed(void)
{
	toy_free(toy_calloc(8, 8));
}

SITE static void jumped(void)
{
	toy_free(toy_jump(64));
}

SITE static void within(void)
{
	toy_free(toy_within(64));
}

/* Its block lives while it grows. */
SITE static void grown(void)
{
	toy_free(toy_realloc(toy_realloc(NULL, 64), 128));
}

static void (*const inner_sites[])(void) = {zeroed, jumped, within, grown};
static const double inner_calls[] = {1, 1, 1, 2};

static void call_within(const void *argument)
{
	child_ready();
	child_await();
	for (int i = 0; i < CALLS; i++) {
		for (size_t j = 0; j < sizeof(inner_sites) / sizeof(*inner_sites); j++)
			inner_sites[j]();
	}
	child_ready();
	child_await();
}

static void count_inner(enum bpf_heap_mode mode)
{
	struct child child = child_fork(call_within, NULL);
	struct heap_rig *heap = heap_rig_open();

	heap_rig_on(&child, heap, HEAP_ATTACH_SESSION, BPF_HEAP_OFF);
	heap->rig.control->heap_mean = 1024;
	heap->rig.control->heap_mode = mode;
	rig_let_work(&heap->rig, &child);
	for (size_t i = 0; i < sizeof(inner_sites) / sizeof(*inner_sites); i++) {
		struct bpf_heap_site sum = heap_rig_sum(heap, (const void *)inner_sites[i]);
		double share = (double)sum.allocs / HEAP_ONE / CALLS;

		printf("# %.3f of a call\n", share);
		/* Some 6000 samples. */
		CHECK_BETWEEN(share, 0.93 * inner_calls[i], 1.07 * inner_calls[i]);
		CHECK_EQ_U64(sum.frees, mode == BPF_HEAP_SAMPLED ? sum.allocs : 0);
	}
	CHECK_EQ_U64(heap_rig_block_count(heap), 0);
	child_end(&child);
	heap_rig_free(heap);
}

TEST(calls_within_calls_are_sampled_once)
{
	count_inner(BPF_HEAP_SAMPLED);
	count_inner(BPF_HEAP_ALLOCS);
}

/* ---- to fewer */

static void two_halves(const void *argument)
{
	static void *blocks[CALLS / 10];

	child_ready();
	for (int half = 0; half < 2; half++) {
		child_await();
		for (int i = 0; i < CALLS / 10; i++) {
			if (half)
				toy_free(blocks[i]);
			blocks[i] = toy_malloc(100);
		}
		child_ready();
	}
	child_await();
}

TEST(blocks_that_were_counted_are_freed_as_such_by_samples)
{
	struct child child = child_fork(two_halves, NULL);
	struct heap_rig *heap = heap_rig_open();
	struct bpf_heap_site before, after;

	heap_rig_on(&child, heap, HEAP_ATTACH_SESSION, BPF_HEAP_EXACT);
	heap->rig.control->heap_mean = 1024;
	rig_let_work(&heap->rig, &child);
	before = heap_rig_sum(heap, NULL);
	CHECK_EQ_U64(before.allocs, CALLS / 10 * HEAP_ONE);
	CHECK_EQ_U64(before.frees, 0);
	heap->rig.control->heap_mode = BPF_HEAP_SAMPLED;
	rig_let_work(&heap->rig, &child);
	after = heap_rig_sum(heap, NULL);
	CHECK_EQ_U64(after.frees, before.allocs);
	CHECK_EQ_U64(after.free_bytes, before.alloc_bytes);
	CHECK_EQ_U64(after.allocs - before.allocs, after.estimated);
	CHECK_BETWEEN(after.allocs - before.allocs, 0.8 * before.allocs, 1.2 * before.allocs);
	child_end(&child);
	heap_rig_free(heap);
}

RIG_MAIN
