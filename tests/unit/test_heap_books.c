/* The books of the heap: whatever is read of counters, and when, in the end all of it is told once,
 * and no stack ever frees more than it allocated. */
#include "reader/source/heap_books.h"
#include "tests/lib/kit.h"

enum { PID = 100, TOLD_SITES = 8 };

static struct {
	struct heap_books books;
	uint64_t sites[TOLD_SITES];
	struct heap_counts counts[TOLD_SITES]; /* all that was told of each */
	size_t site_count;
	struct event event; /* the last */
	uint64_t events;
} got;

static struct heap_counts *told_of(uint64_t site)
{
	size_t at = 0;

	while (at < got.site_count && got.sites[at] != site)
		at++;
	if (at == got.site_count) {
		CHECK(at < TOLD_SITES);
		got.sites[got.site_count++] = site;
	}
	return &got.counts[at];
}

/* Differences that are negative would be huge. */
static void check_sound(const struct heap_counts *counts)
{
	CHECK(counts->frees + counts->untracked <= counts->allocs);
	CHECK(counts->free_bytes + counts->untracked_bytes <= counts->alloc_bytes);
	CHECK(counts->temporary <= counts->frees);
	CHECK(counts->reallocs <= counts->allocs);
	CHECK(counts->estimated <= counts->allocs);
	CHECK(counts->growth_bytes <= counts->alloc_bytes);
	CHECK(counts->alloc_bytes < UINT64_C(1) << 62);
}

static void take(void *context, const struct event *event)
{
	struct heap_counts *counts;

	CHECK_EQ_I64(event->type, EVENT_HEAP_COUNTS);
	CHECK_EQ_U64(event->pid, PID);
	counts = told_of(event->heap_counts.site);
	heap_counts_add(counts, &event->heap_counts.counts);
	check_sound(counts);
	got.event = *event;
	got.events++;
}

static void begin(void)
{
	got.books.target_pid = PID;
}

static void end(void)
{
	heap_books_done(&got.books);
}

static void look(uint64_t key, const struct bpf_heap_site *site, bool is_last)
{
	heap_books_site(&got.books, key, site, 5000, is_last, take, NULL);
}

static struct bpf_heap_site exact(uint64_t allocs, uint64_t frees, uint64_t size)
{
	return (struct bpf_heap_site){
		.allocs = allocs * HEAP_ONE,
		.alloc_bytes = allocs * size,
		.frees = frees * HEAP_ONE,
		.free_bytes = frees * size,
	};
}

TEST(each_look_tells_the_difference_to_the_last)
{
	struct bpf_heap_site site = exact(10, 4, 100);

	begin();
	site.temporary = 3 * HEAP_ONE;
	site.reallocs = 2 * HEAP_ONE;
	site.growth_bytes = 50;
	heap_books_stack_told(&got.books, 77);
	look(77, &site, false);
	CHECK_EQ_U64(got.event.time_ns, 5000);
	CHECK_EQ_U64(got.event.heap_counts.site, 77);
	CHECK_EQ_U64(got.event.heap_counts.counts.allocs, 10);
	CHECK_EQ_U64(got.event.heap_counts.counts.alloc_bytes, 1000);
	CHECK_EQ_U64(got.event.heap_counts.counts.frees, 4);
	CHECK_EQ_U64(got.event.heap_counts.counts.free_bytes, 400);
	CHECK_EQ_U64(got.event.heap_counts.counts.temporary, 3);
	CHECK_EQ_U64(got.event.heap_counts.counts.reallocs, 2);
	CHECK_EQ_U64(got.event.heap_counts.counts.growth_bytes, 50);
	CHECK_EQ_U64(got.event.heap_counts.counts.estimated, 0);
	look(77, &site, false);
	CHECK_EQ_U64(got.events, 1); /* nothing new */
	site.allocs += 5 * HEAP_ONE;
	site.alloc_bytes += 35;
	look(77, &site, false);
	CHECK_EQ_U64(got.events, 2);
	CHECK_EQ_U64(got.event.heap_counts.counts.allocs, 5);
	CHECK_EQ_U64(got.event.heap_counts.counts.alloc_bytes, 35);
	CHECK_EQ_U64(got.event.heap_counts.counts.frees, 0);
	end();
}

TEST(a_site_waits_for_its_stack_and_is_told_without_it_at_the_end)
{
	struct bpf_heap_site site = exact(10, 4, 100);

	begin();
	look(77, &site, false);
	look(78, &site, false);
	CHECK_EQ_U64(got.events, 0);
	heap_books_stack_told(&got.books, 77);
	look(77, &site, false);
	CHECK_EQ_U64(got.events, 1);
	CHECK_EQ_U64(told_of(77)->allocs, 10);
	look(78, &site, true);
	CHECK_EQ_U64(told_of(78)->allocs, 10);
	end();
}

/* Keys that no stack has. */
TEST(what_has_no_stack_is_told_at_once)
{
	struct bpf_heap_site site = exact(3, 1, 8);

	begin();
	look(HEAP_SITE_UNTOLD, &site, false);
	look(HEAP_SITE_FULL, &site, false);
	CHECK_EQ_U64(told_of(HEAP_SITE_UNTOLD)->allocs, 3);
	CHECK_EQ_U64(told_of(HEAP_SITE_FULL)->frees, 1);
	end();
}

TEST(parts_of_calls_are_told_when_they_are_whole)
{
	struct bpf_heap_site site = {0};
	uint64_t weight = HEAP_ONE * 7 / 3, all = 0;

	begin();
	heap_books_stack_told(&got.books, 77);
	for (int i = 0; i < 1000; i++) {
		site.allocs += weight;
		site.alloc_bytes += 40;
		site.estimated += weight;
		all += weight;
		look(77, &site, false);
		CHECK_EQ_U64(told_of(77)->allocs, all / HEAP_ONE);
		CHECK_EQ_U64(told_of(77)->estimated, all / HEAP_ONE);
	}
	CHECK_EQ_U64(told_of(77)->alloc_bytes, 40000);
	end();
}

/* Half of it is freed, half becomes untracked, in parts that are no whole calls. */
TEST(what_has_gone_leaves_nothing_alive_however_it_is_rounded)
{
	struct bpf_heap_site site = {0};
	uint64_t weight = HEAP_ONE * 3 / 2 + 11;

	begin();
	heap_books_stack_told(&got.books, 77);
	for (int i = 0; i < 301; i++) {
		site.allocs += weight;
		site.alloc_bytes += 64;
		look(77, &site, false);
		if (i % 2) {
			site.frees += weight;
			site.free_bytes += 64;
		} else {
			site.untracked += weight;
			site.untracked_bytes += 64;
		}
		look(77, &site, false);
	}
	look(77, &site, true);
	CHECK_EQ_U64(told_of(77)->allocs, 301 * weight / HEAP_ONE);
	CHECK_EQ_U64(heap_live_blocks(told_of(77)), 0);
	CHECK_EQ_U64(heap_live_bytes(told_of(77)), 0);
	end();
}

TEST(a_free_that_is_seen_before_its_allocation_waits)
{
	struct bpf_heap_site torn = exact(10, 10, 100), later = exact(12, 11, 100);

	begin();
	heap_books_stack_told(&got.books, 77);
	torn.frees += HEAP_ONE;
	torn.free_bytes += 100;
	torn.temporary = 11 * HEAP_ONE;
	look(77, &torn, false);
	CHECK_EQ_U64(told_of(77)->frees, 10);
	CHECK_EQ_U64(told_of(77)->free_bytes, 1000);
	CHECK_EQ_U64(told_of(77)->temporary, 10);
	later.temporary = 11 * HEAP_ONE;
	look(77, &later, false);
	CHECK_EQ_U64(told_of(77)->allocs, 12);
	CHECK_EQ_U64(told_of(77)->frees, 11);
	CHECK_EQ_U64(told_of(77)->free_bytes, 1100);
	CHECK_EQ_U64(told_of(77)->temporary, 11);
	end();
}

TEST(a_counter_that_goes_back_is_ignored_until_it_passes)
{
	struct bpf_heap_site high = exact(10, 4, 100), low = exact(2, 0, 100);
	struct bpf_heap_site higher = exact(11, 4, 100);

	begin();
	heap_books_stack_told(&got.books, 77);
	look(77, &high, false);
	look(77, &low, false);
	CHECK_EQ_U64(got.events, 1);
	look(77, &higher, false);
	CHECK_EQ_U64(told_of(77)->allocs, 11);
	CHECK_EQ_U64(told_of(77)->alloc_bytes, 1100);
	end();
}

TEST(at_an_exec_what_lives_becomes_untracked)
{
	struct bpf_heap_site site = exact(10, 4, 100), other = exact(5, 5, 8);

	begin();
	heap_books_stack_told(&got.books, 77);
	heap_books_stack_told(&got.books, 78);
	look(77, &site, false);
	look(78, &other, false);
	heap_books_exec(&got.books, 6000, take, NULL);
	CHECK_EQ_U64(got.events, 3); /* nothing of 78 */
	CHECK_EQ_U64(got.event.time_ns, 6000);
	CHECK_EQ_U64(got.event.heap_counts.counts.untracked, 6);
	CHECK_EQ_U64(got.event.heap_counts.counts.untracked_bytes, 600);
	CHECK_EQ_U64(heap_live_blocks(told_of(77)), 0);
	heap_books_exec(&got.books, 7000, take, NULL);
	look(77, &site, false);
	CHECK_EQ_U64(got.events, 3);
	/* The new program allocates in the same place. */
	site.allocs += 3 * HEAP_ONE;
	site.alloc_bytes += 300;
	look(77, &site, false);
	CHECK_EQ_U64(heap_live_blocks(told_of(77)), 3);
	CHECK_EQ_U64(heap_live_bytes(told_of(77)), 300);
	site.frees += 2 * HEAP_ONE;
	site.free_bytes += 200;
	look(77, &site, false);
	CHECK_EQ_U64(heap_live_blocks(told_of(77)), 1);
	/* A free that should not be: nothing goes below zero, and nothing is freed twice. */
	site.frees += 4 * HEAP_ONE;
	site.free_bytes += 400;
	look(77, &site, false);
	CHECK_EQ_U64(heap_live_blocks(told_of(77)), 0);
	CHECK_EQ_U64(told_of(77)->untracked, 6);
	end();
}

TEST(a_site_without_a_stack_is_told_at_an_exec)
{
	struct bpf_heap_site site = exact(10, 4, 100);

	begin();
	look(77, &site, false);
	CHECK_EQ_U64(got.events, 0);
	heap_books_exec(&got.books, 6000, take, NULL);
	CHECK_EQ_U64(told_of(77)->allocs, 10);
	CHECK_EQ_U64(told_of(77)->untracked, 6);
	end();
}

static uint64_t random_state = 1;

static uint64_t below(uint64_t limit)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (random_state >> 33) % limit;
}

/* Programs at work, read field by field in between: fields of one look are of different moments. */
TEST(torn_looks_at_random_end_in_the_right_sums)
{
	for (int round = 0; round < 200; round++) {
		struct bpf_heap_site truth = {0}, torn;
		uint64_t live = 0, live_bytes = 0;

		memset(&got, 0, sizeof(got));
		begin();
		heap_books_stack_told(&got.books, 77);
		for (int step = 0; step < 200; step++) {
			uint64_t weight = round % 2 ? HEAP_ONE : HEAP_ONE + below(5000);

			torn = truth;
			truth.allocs += weight;
			truth.alloc_bytes += 16;
			live += weight;
			live_bytes += 16;
			if (below(3) == 0) {
				truth.frees += live;
				truth.free_bytes += live_bytes;
				truth.temporary += weight;
				live = live_bytes = 0;
			} else if (below(5) == 0) {
				truth.untracked += live;
				truth.untracked_bytes += live_bytes;
				live = live_bytes = 0;
			}
			for (size_t i = 0; i < sizeof(torn) / sizeof(__u64); i++) {
				if (below(2))
					((__u64 *)&torn)[i] = ((const __u64 *)&truth)[i];
			}
			look(77, &torn, false);
			if (below(50) == 0) {
				uint64_t freed = told_of(77)->frees;

				look(77, &truth, false);
				heap_books_exec(&got.books, 6000, take, NULL);
				CHECK(told_of(77)->frees >= freed);
				live = live_bytes = 0;
			}
		}
		truth.frees += live;
		truth.free_bytes += live_bytes;
		look(77, &truth, true);
		CHECK_EQ_U64(told_of(77)->allocs, truth.allocs / HEAP_ONE);
		CHECK_EQ_U64(told_of(77)->alloc_bytes, truth.alloc_bytes);
		CHECK_EQ_U64(heap_live_bytes(told_of(77)), 0);
		CHECK_BETWEEN(heap_live_blocks(told_of(77)), 0, 1);
		end();
	}
}

KIT_MAIN
