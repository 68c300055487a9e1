#include "reader/record/merge.h"
#include "tests/lib/kit.h"

enum { SEEN_MAX = 200000 };

struct seen {
	uint64_t times[SEEN_MAX];
	uint32_t tids[SEEN_MAX];
	uint64_t first_pc[SEEN_MAX];
	size_t count;
};

static struct seen seen;

static void see(void *context, const struct event *event)
{
	struct seen *into = context;

	into->times[into->count] = event->time_ns;
	into->tids[into->count] = event->tid;
	into->first_pc[into->count] =
		event->type == EVENT_SAMPLE && event->sample.pc_count ? event->sample.pcs[0] : 0;
	into->count++;
}

static void add(struct merge *merge, uint64_t time_ns, uint32_t tid)
{
	uint64_t pc = time_ns * 3 + tid;
	struct event event = {.time_ns = time_ns, .type = EVENT_SAMPLE, .tid = tid};

	event.sample.pcs = &pc;
	event.sample.pc_count = 1;
	merge_add(merge, &event);
}

TEST(two_rings_come_out_in_the_order_of_time)
{
	struct merge *merge = merge_new();

	for (uint64_t time = 10; time <= 100; time += 10)
		add(merge, time, 1);
	for (uint64_t time = 5; time <= 95; time += 10)
		add(merge, time, 2);
	merge_flush(merge, 50, see, &seen);
	CHECK_EQ_U64(seen.count, 10);
	for (size_t i = 0; i < 10; i++) {
		CHECK_EQ_U64(seen.times[i], 5 * (i + 1));
		CHECK_EQ_U64(seen.first_pc[i], seen.times[i] * 3 + seen.tids[i]);
	}
	CHECK_EQ_U64(merge_held(merge), 10);
	add(merge, 52, 3);
	merge_flush(merge, UINT64_MAX, see, &seen);
	CHECK_EQ_U64(seen.count, 21);
	CHECK_EQ_U64(seen.times[10], 52);
	for (size_t i = 1; i < seen.count; i++)
		CHECK(seen.times[i] >= seen.times[i - 1]);
	CHECK_EQ_U64(merge_late(merge), 0);
	merge_free(merge);
}

TEST(equal_times_keep_their_order)
{
	struct merge *merge = merge_new();

	for (uint32_t tid = 0; tid < 50; tid++)
		add(merge, 7, tid);
	add(merge, 6, 99);
	merge_flush(merge, 7, see, &seen);
	CHECK_EQ_U64(seen.count, 51);
	CHECK_EQ_U64(seen.tids[0], 99);
	for (uint32_t i = 0; i < 50; i++)
		CHECK_EQ_U64(seen.tids[i + 1], i);
	merge_free(merge);
}

TEST(a_late_event_is_handed_over_and_counted)
{
	struct merge *merge = merge_new();

	add(merge, 100, 1);
	merge_flush(merge, 100, see, &seen);
	add(merge, 40, 2);
	merge_flush(merge, 100, see, &seen);
	CHECK_EQ_U64(seen.count, 2);
	CHECK_EQ_U64(seen.times[1], 40);
	CHECK_EQ_U64(merge_late(merge), 1);
	merge_free(merge);
}

TEST(events_survive_many_partial_flushes)
{
	struct merge *merge = merge_new();

	/* Each flush leaves some behind, which moves them from one arena to the other. */
	for (uint64_t time = 1; time <= 20000; time++) {
		add(merge, time, 1);
		if (time % 7 == 0)
			merge_flush(merge, time - 5, see, &seen);
	}
	merge_flush(merge, UINT64_MAX, see, &seen);
	CHECK_EQ_U64(seen.count, 20000);
	for (size_t i = 0; i < seen.count; i++) {
		CHECK_EQ_U64(seen.times[i], i + 1);
		CHECK_EQ_U64(seen.first_pc[i], (i + 1) * 3 + 1);
	}
	merge_free(merge);
}

TEST(what_is_held_back_is_bounded)
{
	struct merge *merge = merge_new();

	for (uint64_t i = 0; i < MERGE_HELD_MAX + 1000; i++)
		add(merge, 1000 + i, 1);
	merge_flush(merge, 0, see, &seen);
	CHECK_EQ_U64(merge_held(merge), MERGE_HELD_MAX);
	CHECK_EQ_U64(seen.count, 1000);
	merge_free(merge);
}

TEST(strings_are_copied)
{
	struct merge *merge = merge_new();
	char path[] = "/usr/lib/libx.so", comm[] = "worker";
	struct event map = {.time_ns = 1, .type = EVENT_MMAP};
	struct event name = {.time_ns = 2, .type = EVENT_COMM};

	map.mmap.path = path;
	name.comm.comm = comm;
	merge_add(merge, &map);
	merge_add(merge, &name);
	path[0] = comm[0] = 'X';
	merge_flush(merge, 0, see, &seen);
	CHECK_EQ_U64(seen.count, 0);
	merge_flush(merge, 2, see, &seen);
	CHECK_EQ_U64(seen.count, 2);
	merge_free(merge);
}

static struct event kept;
static uint64_t kept_pcs[2];
static uint8_t kept_stack[8];

static void keep_stack(void *context, const struct event *event)
{
	kept = *event;
	memcpy(kept_pcs, event->heap_stack.pcs, sizeof(kept_pcs));
	if (!event->heap_stack.registers)
		return;
	CHECK_EQ_U64(event->heap_stack.registers->rip, 0x1234);
	memcpy(kept_stack, event->heap_stack.stack, sizeof(kept_stack));
}

TEST(stacks_of_the_heap_are_copied)
{
	uint64_t pcs[] = {0x10, 0x20};
	uint8_t stack[] = "on stack";
	struct event_registers registers = {.rip = 0x1234};
	struct event event = {.time_ns = 5, .type = EVENT_HEAP_STACK};

	event.heap_stack.site = 77;
	event.heap_stack.pcs = pcs;
	event.heap_stack.pc_count = 2;
	for (int has_registers = 0; has_registers < 2; has_registers++) {
		struct merge *merge = merge_new();

		pcs[1] = 0x20;
		if (has_registers) {
			event.heap_stack.registers = &registers;
			event.heap_stack.stack = stack;
			event.heap_stack.stack_bytes = 8;
		}
		merge_add(merge, &event);
		/* To the other arena, which is what a flush of others does. */
		add(merge, 1, 1);
		merge_flush(merge, 1, see, &seen);
		pcs[1] = 0;
		stack[0] = 'X';
		registers.rip = 0;
		merge_flush(merge, 5, keep_stack, NULL);
		CHECK_EQ_U64(kept.heap_stack.site, 77);
		CHECK_EQ_U64(kept.heap_stack.pc_count, 2);
		CHECK_EQ_U64(kept_pcs[1], 0x20);
		CHECK_EQ_U64(!!kept.heap_stack.registers, has_registers);
		if (has_registers)
			CHECK(!memcmp(kept_stack, "on stack", 8));
		stack[0] = 'o';
		registers.rip = 0x1234;
		merge_free(merge);
	}
}

KIT_MAIN
