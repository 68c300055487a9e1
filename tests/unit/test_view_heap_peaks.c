/* Peaks of the heap: how much was held when, by which rows. */
#include "tests/unit/heap_rows.h"

TEST(peaks_count_the_first_time)
{
	struct snapshot_builder *b = heap_program();

	heap_poll_at(b, 0, 0, 0);
	for (uint32_t second = 1; second <= 4; second++) {
		uint32_t poll = heap_poll_at(b, second * 1000, 1, 1);
		struct heap_counts up = {.allocs = 1, .alloc_bytes = 700};
		struct heap_counts down = {.frees = 1, .free_bytes = 700};

		builder_heap_row(b, poll, HEAP_STACK_INSERT, second % 2 ? up : down);
	}
	builder_heap_sum(b);
	check_rows_of(b, &by_line, "Cache::insert 0/0 in 0 peak 700@1000 total 1400x2\n");
	builder_free(b);
}

static void check_peak(struct snapshot_builder *b, bool is_exact, uint64_t bytes, uint64_t ms)
{
	struct heap_view *view = heap_build(b, &by_line);

	CHECK_EQ_U64(view->is_peak_exact, is_exact);
	CHECK_EQ_U64(view->peak_bytes, bytes);
	CHECK_EQ_U64(view->peak_ns, ms * MS);
	heap_view_free(view);
}

/* heap_profile() as the trace of a recording whose meta says this of its peak. resolution_ms NULL:
 * nothing. */
static struct snapshot_builder *traced_profile(const char *ms, const char *resolution_ms)
{
	struct snapshot_builder *b = heap_profile();

	builder_meta(b, "heap_peak_bytes", "51234");
	builder_meta(b, "heap_peak_ms", ms);
	if (resolution_ms)
		builder_meta(b, "peak_resolution_ms", resolution_ms);
	return b;
}

TEST(a_trace_knows_its_peak_better_than_the_looks)
{
	struct snapshot_builder *b = traced_profile("1777", NULL);

	check_peak(b, false, 37000, 2000);
	builder_free(b);
	b = traced_profile("1777", "1000");
	check_peak(b, false, 37000, 2000);
	builder_free(b);
	b = traced_profile("1777", "0");
	check_peak(b, true, 51234, 1777);
	/* It is told of the whole alone. */
	builder_window(b, 0, 2500 * MS);
	check_peak(b, false, 37000, 2000);
	builder_free(b);
	b = traced_profile("99999999999999999999", "0");
	check_peak(b, false, 37000, 2000);
	builder_free(b);
}

static void add_change(struct snapshot_builder *b, uint32_t poll, uint32_t stack, uint64_t bytes)
{
	builder_heap_row(b, poll, stack, (struct heap_counts){.allocs = 1, .alloc_bytes = bytes});
}

TEST(a_trace_knows_peaks_between_two_looks)
{
	struct snapshot_builder *b = heap_program();
	uint32_t poll;

	heap_poll_at(b, 0, 0, 0);
	poll = heap_poll_at(b, 1000, 1, 1);
	add_change(b, poll, HEAP_STACK_BOTH, 100);
	add_change(b, poll, HEAP_STACK_INSERT, 40);
	/* The other stack of its line held 100 all the while. */
	poll = heap_poll_at(b, 2000, 1, 1);
	add_change(b, poll, HEAP_STACK_EXTEND, 10);
	builder_heap_peak(b, poll, HEAP_STACK_EXTEND, 700);
	/* Both changed: no more than one is known to have been there at a time. */
	poll = heap_poll_at(b, 3000, 1, 1);
	add_change(b, poll, HEAP_STACK_BOTH, 5);
	add_change(b, poll, HEAP_STACK_EXTEND, 5);
	builder_heap_peak(b, poll, HEAP_STACK_BOTH, 790);
	builder_heap_peak(b, poll, HEAP_STACK_EXTEND, 700);
	/* Without a change of its own, in a poll without any, and of no poll. */
	poll = heap_poll_at(b, 4000, 1, 1);
	builder_heap_peak(b, poll, HEAP_STACK_INSERT, 60);
	builder_heap_peak(b, poll + 1, HEAP_STACK_INSERT, 6000);
	builder_heap_sum(b);
	check_rows_of(b, &by_line,
		      "Buffer::extend 120/120 in 4 peak 800@2000 total 120x4\n"
		      "Cache::insert 40/145 in 1 peak 60@4000 total 40x1\n"
		      "main 0/160 in 0 peak 0@0 total 0x0\n"
		      "malloc 0/160 in 0 peak 0@0 total 0x0\n");
	builder_free(b);
}

/* Two stacks of one location that take turns: it never holds more than one of them. */
TEST(a_poll_is_looked_at_when_it_is_whole)
{
	struct snapshot_builder *b = heap_program();
	uint32_t poll;

	heap_poll_at(b, 0, 0, 0);
	poll = heap_poll_at(b, 1000, 1, 1);
	builder_heap_row(b, poll, HEAP_STACK_BOTH,
			 (struct heap_counts){.allocs = 1, .alloc_bytes = 700});
	poll = heap_poll_at(b, 2000, 1, 1);
	builder_heap_row(b, poll, HEAP_STACK_EXTEND,
			 (struct heap_counts){.allocs = 1, .alloc_bytes = 700});
	builder_heap_row(b, poll, HEAP_STACK_BOTH,
			 (struct heap_counts){.frees = 1, .free_bytes = 700});
	builder_heap_sum(b);
	check_rows_of(b, &(struct view_request){.top = 1},
		      "Buffer::extend 700/700 in 1 peak 700@1000 total 1400x2\n");
	builder_free(b);
}

/* What is kept by group and replayed has to agree with the sums of plain looks. */
TEST(peaks_agree_with_looking_at_each_poll)
{
	enum { POLLS = 60, STACKS = 5 };
	struct snapshot_builder *b = heap_program();
	uint64_t live[STACKS] = {0}, best[2] = {0}, best_ms[2] = {0};
	uint32_t random = 12345;
	struct heap_view *view;

	heap_poll_at(b, 0, 0, 0);
	for (uint32_t i = 1; i <= POLLS; i++) {
		uint32_t poll = heap_poll_at(b, i * 1000, 1, 1);
		uint64_t sums[2];

		for (uint32_t stack = 0; stack < STACKS; stack++) {
			struct heap_counts counts = {0};

			random = random * 1664525 + 1013904223;
			if (random >> 30 == 0)
				continue;
			counts.allocs = 1;
			counts.alloc_bytes = random >> 16;
			counts.frees = 1;
			counts.free_bytes =
				(live[stack] + counts.alloc_bytes) * (random >> 8 & 0xff) / 256;
			live[stack] += counts.alloc_bytes - counts.free_bytes;
			builder_heap_row(b, poll, stack, counts);
		}
		sums[0] = live[HEAP_STACK_EXTEND] + live[HEAP_STACK_BOTH] + live[HEAP_STACK_GROW];
		sums[1] = sums[0] + live[HEAP_STACK_INSERT] + live[HEAP_STACK_NONE];
		for (int j = 0; j < 2; j++) {
			if (sums[j] > best[j]) {
				best[j] = sums[j];
				best_ms[j] = i * 1000;
			}
		}
	}
	builder_heap_sum(b);
	view = heap_build(b, &(struct view_request){.group = VIEW_BY_FILE, .filter = "buffer.rs"});
	CHECK_EQ_U64(view->row_count, 1);
	CHECK_EQ_U64(view->rows[0].peak_bytes, best[0]);
	CHECK_EQ_U64(view->rows[0].peak_ns / MS, best_ms[0]);
	CHECK_EQ_U64(view->peak_bytes, best[1]);
	CHECK_EQ_U64(view->peak_ns / MS, best_ms[1]);
	CHECK_EQ_U64(view->live_bytes, view->last->state.live_bytes);
	heap_view_free(view);
	builder_free(b);
}

KIT_MAIN
