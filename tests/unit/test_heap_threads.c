/* What probes cost threads: counters that only grow become loads of each second. */
#include "reader/source/heap_threads.h"
#include "tests/lib/kit.h"

static const struct heap_prices prices = {
	.call_ns = 600, .stepped_ns = 19000, .return_ns = 300, .sees_other_threads = true};

static struct heap_threads threads;

static void see(uint32_t tid, uint64_t start_time, uint64_t hits, uint64_t frees)
{
	struct bpf_heap_thread thread = {
		.start_time = start_time,
		.hits = hits,
		.return_hits = hits - frees,
		.free_hits = frees,
		.spent_ns = hits * 100,
	};

	heap_threads_see(&threads, tid, &thread);
}

TEST(the_busiest_is_found_by_what_is_new)
{
	struct heap_load busiest;

	see(1, 10, 1000, 400);
	see(2, 11, 10, 5);
	busiest = heap_threads_busiest(&threads, &prices);
	CHECK_EQ_U64(busiest.hits, 1000);
	CHECK_EQ_U64(busiest.free_hits, 400);
	CHECK_EQ_U64(busiest.return_hits, 600);
	CHECK_EQ_U64(busiest.spent_ns, 100000);
	see(1, 10, 1001, 400);
	see(2, 11, 60, 15);
	busiest = heap_threads_busiest(&threads, &prices);
	CHECK_EQ_U64(busiest.hits, 50);
	CHECK_EQ_U64(busiest.free_hits, 10);
	busiest = heap_threads_busiest(&threads, &prices);
	CHECK_EQ_U64(busiest.hits, 0);
	CHECK_EQ_U64(threads.total.hits, 1061);
	CHECK_EQ_U64(threads.total.free_hits, 415);
	heap_threads_done(&threads);
}

/* Seen at its end and once more before the look. */
TEST(a_thread_that_is_seen_twice_is_counted_once)
{
	see(1, 10, 500, 0);
	see(1, 10, 700, 0);
	CHECK_EQ_U64(heap_threads_busiest(&threads, &prices).hits, 700);
	CHECK_EQ_U64(threads.total.hits, 700);
	heap_threads_done(&threads);
}

TEST(another_thread_of_the_same_number_begins_at_nothing)
{
	see(1, 10, 500, 0);
	heap_threads_busiest(&threads, &prices);
	see(1, 99, 20, 0);
	CHECK_EQ_U64(heap_threads_busiest(&threads, &prices).hits, 20);
	CHECK_EQ_U64(threads.total.hits, 520);
	heap_threads_done(&threads);
}

TEST(a_counter_that_goes_back_counts_nothing)
{
	see(1, 10, 500, 0);
	see(1, 10, 400, 0);
	see(1, 10, 510, 0);
	CHECK_EQ_U64(threads.total.hits, 510);
	heap_threads_done(&threads);
}

/* The dearest, not the one with the most hits. */
TEST(single_steps_weigh_what_they_cost)
{
	struct bpf_heap_thread dear = {.start_time = 1, .stepped_hits = 100};

	see(1, 10, 1000, 0);
	heap_threads_see(&threads, 2, &dear);
	CHECK_EQ_U64(heap_threads_busiest(&threads, &prices).stepped_hits, 100);
	heap_threads_done(&threads);
}

TEST(threads_that_are_gone_are_forgotten)
{
	for (uint32_t tid = 1; tid <= 1000; tid++)
		see(tid, tid, tid, 0);
	for (int i = 0; i < 5; i++) {
		see(7, 7, 100, 0);
		heap_threads_busiest(&threads, &prices);
	}
	CHECK_EQ_U64(threads.list.count, 1);
	CHECK_EQ_U64(threads.total.hits, 1000 * 1001 / 2 + 93);
	heap_threads_done(&threads);
}

KIT_MAIN
