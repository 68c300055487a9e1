/* Records of BPF programs: what they become, and those that cannot be. */
#include <stdlib.h>

#include "reader/source/bpf_records.h"
#include "tests/lib/kit.h"

enum { PID = 100, TID = 101, EVENTS = 2, WAIT_EVENT = 1 };

static struct {
	struct bpf_decoder decoder;
	struct bpf_waits waits;
	struct heap_books heap;
	struct event event; /* the last */
	struct event_registers registers;
	uint64_t pcs[BPF_FRAMES_MAX];
	uint8_t stack[BPF_COPY_BYTES];
	int count;
} got;

static void take(void *context, const struct event *event)
{
	got.event = *event;
	got.count++;
	if (event->type == EVENT_HEAP_STACK) {
		memcpy(got.pcs, event->heap_stack.pcs,
		       event->heap_stack.pc_count * sizeof(*got.pcs));
		if (event->heap_stack.registers)
			got.registers = *event->heap_stack.registers;
		if (event->heap_stack.stack_bytes)
			memcpy(got.stack, event->heap_stack.stack, event->heap_stack.stack_bytes);
		return;
	}
	if (event->sample.pc_count)
		memcpy(got.pcs, event->sample.pcs, event->sample.pc_count * sizeof(*got.pcs));
	if (event->sample.registers)
		got.registers = *event->sample.registers;
	if (event->sample.stack_bytes)
		memcpy(got.stack, event->sample.stack, event->sample.stack_bytes);
}

static void begin(void)
{
	bpf_waits_init(&got.waits, PID, WAIT_EVENT);
	got.decoder = (struct bpf_decoder){
		.target_pid = PID, .event_count = EVENTS, .waits = &got.waits, .sink = take};
	got.decoder.heap = &got.heap;
}

static void end(void)
{
	bpf_waits_done(&got.waits);
	heap_books_done(&got.heap);
}

/* From memory of just that size, so that a sanitizer sees what is read beyond. */
static void decode(const void *record, size_t size)
{
	void *exact = mem_alloc(size ? size : 1);

	memcpy(exact, record, size);
	CHECK_EQ_I64(bpf_record_decode(&got.decoder, exact, size), 0);
	free(exact);
}

static struct sample_record {
	struct bpf_sample sample;
	uint64_t pcs[BPF_FRAMES_MAX + 1];
} sample;

static size_t make_sample(uint32_t type, uint32_t pc_count)
{
	memset(&sample, 0, sizeof(sample));
	sample.sample = (struct bpf_sample){
		.record = {.type = type, .tid = TID, .time_ns = 5000},
		.value = 3,
		.pc_count = pc_count,
	};
	for (uint32_t i = 0; i < pc_count; i++)
		sample.pcs[i] = 0x1000 + i;
	return sizeof(sample.sample) + pc_count * sizeof(*sample.pcs);
}

TEST(a_sample_is_an_event_with_its_stack)
{
	size_t size = make_sample(BPF_RECORD_SAMPLE, 4);

	begin();
	sample.sample.event = 1;
	sample.sample.flags = WALK_IN_KERNEL;
	decode(&sample, size);
	CHECK_EQ_I64(got.count, 1);
	CHECK_EQ_I64(got.event.type, EVENT_SAMPLE);
	CHECK_EQ_U64(got.event.time_ns, 5000);
	CHECK_EQ_U64(got.event.pid, PID);
	CHECK_EQ_U64(got.event.tid, TID);
	CHECK_EQ_U64(got.event.sample.event_index, 1);
	CHECK_EQ_U64(got.event.sample.value, 3);
	CHECK_EQ_U64(got.event.sample.pc_count, 4);
	CHECK_EQ_U64(got.pcs[3], 0x1003);
	CHECK_EQ_I64(got.event.sample.status, STACK_COMPLETE);
	CHECK_EQ_I64(got.event.sample.wait_kind, WAIT_NONE);
	CHECK(got.event.sample.in_kernel && !got.event.sample.registers);
	CHECK_EQ_U64(got.decoder.bad_count, 0);
	end();
}

TEST(the_end_of_a_walk_is_the_status_of_its_stack)
{
	static const struct {
		uint32_t end, flags;
		enum stack_status status;
	} cases[] = {
		{WALK_COMPLETE, 0, STACK_COMPLETE},
		{WALK_COMPLETE, WALK_USED_FRAME_POINTERS, STACK_USED_FRAME_POINTERS},
		{WALK_COMPLETE, WALK_PASSED_SIGNAL | WALK_IN_KERNEL, STACK_COMPLETE},
		{WALK_TRUNCATED, 0, STACK_TRUNCATED},
		{WALK_TRUNCATED, WALK_USED_FRAME_POINTERS, STACK_TRUNCATED},
		{WALK_NO_MAPPING, 0, STACK_NO_MAPPING},
		{WALK_NO_TABLE, 0, STACK_NO_TABLE},
		{WALK_READ_ERROR, 0, STACK_READ_ERROR},
		{WALK_UNSUPPORTED, 0, STACK_BROKEN},
		{WALK_EMPTY, 0, STACK_EMPTY},
		{WALK_STALE, 0, STACK_NO_TABLE},
		{WALK_STALE + 1, 0, STACK_STATUSES},
		{255, 0, STACK_STATUSES},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_EQ_I64(bpf_stack_status(cases[i].end, cases[i].flags), cases[i].status);
}

static struct bpf_copy copy;

static size_t make_copy(uint32_t size, uint64_t stack)
{
	copy = (struct bpf_copy){
		.record = {.type = BPF_RECORD_COPY, .tid = TID, .time_ns = 6000},
		.value = 1,
		.stack = stack,
		.end = WALK_NO_TABLE,
		.size = size,
		.rip = 0xabc,
	};
	for (int i = 0; i < BPF_REGISTERS; i++)
		copy.general[i] = 0x100 + (uint64_t)i;
	for (uint32_t i = 0; i < size; i++)
		copy.bytes[i] = (uint8_t)(i * 7);
	return offsetof(struct bpf_copy, bytes) + size;
}

TEST(a_copy_is_an_event_with_registers_and_memory)
{
	size_t size = make_copy(1000, 0);

	begin();
	decode(&copy, size);
	CHECK_EQ_I64(got.count, 1);
	CHECK_EQ_U64(got.event.sample.stack_bytes, 1000);
	CHECK_EQ_U64(got.registers.rip, 0xabc);
	CHECK_EQ_U64(got.registers.general[15], 0x10f);
	CHECK_EQ_U64(got.registers.known, 0xffff);
	CHECK_EQ_U64(got.event.sample.pc_count, 1);
	CHECK_EQ_U64(got.pcs[0], 0xabc);
	CHECK(!memcmp(got.stack, copy.bytes, 1000));
	end();
}

TEST(records_that_cannot_be_are_counted)
{
	struct bpf_wait wait = {.record = {.type = BPF_RECORD_WAIT}, .kind = WAIT_KINDS};
	uint64_t bad = 0;
	size_t size;

	begin();
	size = make_sample(BPF_RECORD_SAMPLE, 4);
	for (size_t cut = 0; cut < size; cut++, bad++)
		decode(&sample, cut);
	CHECK_EQ_U64(got.decoder.bad_count, bad);
	size = make_copy(100, 0);
	for (size_t cut = 0; cut < size; cut++, bad++)
		decode(&copy, cut);
	CHECK_EQ_U64(got.decoder.bad_count, bad);
	for (size_t cut = 0; cut <= sizeof(wait); cut++, bad++)
		decode(&wait, cut);
	CHECK_EQ_U64(got.decoder.bad_count, bad);

	size = make_sample(BPF_RECORD_SAMPLE, BPF_FRAMES_MAX + 1);
	decode(&sample, size);
	size = make_sample(BPF_RECORD_SAMPLE, 1);
	sample.sample.pc_count = UINT32_MAX;
	decode(&sample, size);
	size = make_sample(BPF_RECORD_SAMPLE, 1);
	sample.sample.event = EVENTS;
	decode(&sample, size);
	size = make_sample(BPF_RECORD_SAMPLE, 1);
	sample.sample.end = 99;
	decode(&sample, size);
	size = make_sample(BPF_RECORD_STACK, 1); /* without a hash */
	decode(&sample, size);
	size = make_sample(0, 1);
	decode(&sample, size);
	size = make_sample(BPF_RECORD_HEAP_COPY + 1, 1);
	decode(&sample, size);
	size = make_sample(BPF_RECORD_HEAP_STACK, 1);
	sample.sample.stack = HEAP_SITE_FULL; /* no hash */
	decode(&sample, size);
	size = make_sample(BPF_RECORD_HEAP_STACK, 2);
	sample.sample.stack = 77;
	decode(&sample, size - 1);
	size = make_copy(100, HEAP_SITES_FIRST - 1);
	copy.record.type = BPF_RECORD_HEAP_COPY;
	decode(&copy, size);
	size = make_copy(100, 77);
	copy.record.type = BPF_RECORD_HEAP_COPY;
	decode(&copy, size - 1);
	size = make_copy(100, 0);
	copy.size = UINT32_MAX;
	decode(&copy, size);
	copy.size = BPF_COPY_BYTES + 1;
	decode(&copy, sizeof(copy));
	CHECK_EQ_U64(got.decoder.bad_count, bad + 13);
	CHECK_EQ_U64(got.heap.sites.count, 0);
	CHECK_EQ_I64(got.count, 0);
	end();
}

TEST(waits_where_none_are_recorded_cannot_be)
{
	struct bpf_wait wait = {.record = {.type = BPF_RECORD_WAIT, .time_ns = 9}, .kind = 1};

	begin();
	got.decoder.waits = NULL;
	decode(&wait, sizeof(wait));
	decode(&sample, make_sample(BPF_RECORD_STACK, 3));
	decode(&copy, make_copy(8, 77));
	CHECK_EQ_U64(got.decoder.bad_count, 3);
	end();
}

TEST(a_stack_that_allocates_is_told_with_its_number)
{
	size_t size = make_sample(BPF_RECORD_HEAP_STACK, 4);

	begin();
	sample.sample.stack = 77;
	sample.sample.end = WALK_TRUNCATED;
	sample.sample.event = 99; /* means nothing */
	decode(&sample, size);
	CHECK_EQ_I64(got.count, 1);
	CHECK_EQ_I64(got.event.type, EVENT_HEAP_STACK);
	CHECK_EQ_U64(got.event.time_ns, 5000);
	CHECK_EQ_U64(got.event.pid, PID);
	CHECK_EQ_U64(got.event.tid, TID);
	CHECK_EQ_U64(got.event.heap_stack.site, 77);
	CHECK_EQ_U64(got.event.heap_stack.pc_count, 4);
	CHECK_EQ_U64(got.pcs[3], 0x1003);
	CHECK_EQ_I64(got.event.heap_stack.status, STACK_TRUNCATED);
	CHECK(!got.event.heap_stack.registers);
	CHECK_EQ_U64(got.heap.sites.count, 1);
	CHECK(got.heap.sites.items[0].key == 77 && got.heap.sites.items[0].is_told);

	size = make_copy(1000, 78);
	copy.record.type = BPF_RECORD_HEAP_COPY;
	decode(&copy, size);
	CHECK_EQ_I64(got.count, 2);
	CHECK_EQ_I64(got.event.type, EVENT_HEAP_STACK);
	CHECK_EQ_U64(got.event.heap_stack.site, 78);
	CHECK_EQ_U64(got.event.heap_stack.pc_count, 1);
	CHECK_EQ_U64(got.event.heap_stack.stack_bytes, 1000);
	CHECK_EQ_U64(got.registers.rip, 0xabc);
	CHECK(!memcmp(got.stack, copy.bytes, 1000));
	CHECK(got.heap.sites.items[1].key == 78 && got.heap.sites.items[1].is_told);
	CHECK_EQ_U64(got.decoder.bad_count, 0);
	end();
}

TEST(stacks_that_allocate_cannot_be_where_the_heap_is_not_counted)
{
	size_t size = make_sample(BPF_RECORD_HEAP_STACK, 3);

	begin();
	got.decoder.heap = NULL;
	sample.sample.stack = 77;
	decode(&sample, size);
	size = make_copy(8, 77);
	copy.record.type = BPF_RECORD_HEAP_COPY;
	decode(&copy, size);
	CHECK_EQ_U64(got.decoder.bad_count, 2);
	CHECK_EQ_I64(got.count, 0);
	end();
}

/* Whatever bytes come: nothing is read outside of the record, and each is an event, a wait, a stack
 * or bad. */
TEST(random_bytes_are_survived)
{
	uint64_t state = 1;

	begin();
	for (int round = 0; round < 20000; round++) {
		uint64_t words[40];
		size_t size;

		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			words[i] = state >> 20;
		}
		words[0] = words[0] % 8;
		if (round % 2)
			words[4] = words[5] % 8 << 32;
		size = words[39] % (sizeof(words) + 1);
		decode(words, size);
	}
	CHECK(got.count > 10 && got.decoder.bad_count > 1000);
	got.waits.start_ns = 0;
	bpf_waits_flush(&got.waits, take, NULL);
	end();
}

/* ---- stacks that are remembered */

static struct bpf_wait wait_in(uint64_t stack, uint64_t since_ns, uint64_t until_ns)
{
	return (struct bpf_wait){
		.record = {.type = BPF_RECORD_WAIT, .tid = TID, .time_ns = until_ns},
		.since_ns = since_ns,
		.stack = stack,
		.kind = BPF_WAIT_LOCK,
	};
}

TEST(waits_have_the_stack_that_was_told_once)
{
	struct bpf_wait wait = wait_in(77, 1000, 1500);
	size_t size = make_sample(BPF_RECORD_STACK, 3);

	begin();
	sample.sample.stack = 77;
	sample.sample.end = WALK_TRUNCATED;
	decode(&sample, size);
	CHECK_EQ_I64(got.count, 0);
	for (int i = 0; i < 3; i++) {
		decode(&wait, sizeof(wait));
		bpf_waits_flush(&got.waits, take, NULL);
		CHECK_EQ_I64(got.count, i + 1);
		CHECK_EQ_U64(got.event.sample.pc_count, 3);
		CHECK_EQ_U64(got.pcs[2], 0x1002);
		CHECK_EQ_I64(got.event.sample.status, STACK_TRUNCATED);
		CHECK_EQ_U64(got.event.sample.event_index, WAIT_EVENT);
		CHECK_EQ_I64(got.event.sample.wait_kind, WAIT_LOCK);
		CHECK_EQ_U64(got.event.sample.value, 500);
		CHECK_EQ_U64(got.event.sample.waits, 1);
	}
	CHECK_EQ_U64(got.waits.stackless, 0);
	end();
}

TEST(a_copied_stack_stays_with_its_waits)
{
	struct bpf_wait wait = wait_in(78, 1000, 1500);

	begin();
	decode(&copy, make_copy(2000, 78));
	CHECK_EQ_I64(got.count, 0);
	for (int i = 0; i < 2; i++) {
		decode(&wait, sizeof(wait));
		bpf_waits_flush(&got.waits, take, NULL);
		CHECK_EQ_U64(got.event.sample.stack_bytes, 2000);
		CHECK_EQ_U64(got.registers.rip, 0xabc);
		CHECK(!memcmp(got.stack, copy.bytes, 2000));
		memset(got.stack, 0, sizeof(got.stack));
	}
	end();
}

TEST(a_later_stack_of_the_same_hash_replaces_the_first)
{
	struct bpf_wait wait = wait_in(78, 1000, 1500);

	begin();
	decode(&copy, make_copy(2000, 78));
	make_sample(BPF_RECORD_STACK, 5);
	sample.sample.stack = 78;
	decode(&sample, sizeof(sample.sample) + 5 * 8);
	decode(&wait, sizeof(wait));
	bpf_waits_flush(&got.waits, take, NULL);
	CHECK_EQ_U64(got.event.sample.pc_count, 5);
	CHECK(!got.event.sample.registers);
	CHECK_EQ_U64(got.decoder.stacks_told, 2);
	end();
}

TEST(a_wait_in_a_stack_that_never_came_is_told_without_it_and_counted)
{
	struct bpf_wait wait = wait_in(79, 1000, 1500), unwalked = wait_in(0, 2000, 2100);

	begin();
	decode(&wait, sizeof(wait));
	bpf_waits_flush(&got.waits, take, NULL);
	CHECK_EQ_U64(got.event.sample.value, 500);
	CHECK_EQ_I64(got.event.sample.status, STACK_NOT_WALKED);
	CHECK_EQ_U64(got.event.sample.pc_count, 0);
	CHECK_EQ_U64(got.waits.stackless, 1);
	decode(&unwalked, sizeof(unwalked));
	bpf_waits_flush(&got.waits, take, NULL);
	CHECK_EQ_U64(got.event.sample.value, 100);
	CHECK_EQ_I64(got.event.sample.status, STACK_NOT_WALKED);
	CHECK_EQ_U64(got.waits.stackless, 1);
	end();
}

TEST(stacks_are_bounded_and_what_has_no_room_is_unknown)
{
	struct bpf_stacks stacks;
	uint64_t pcs[100] = {0}, known = 0;

	bpf_stacks_init(&stacks, 100000);
	for (uint64_t hash = 1; hash <= 1000; hash++)
		bpf_stacks_put_pcs(&stacks, hash, STACK_COMPLETE, pcs, 100);
	for (uint64_t hash = 1; hash <= 1000; hash++)
		known += bpf_stacks_find(&stacks, hash) != NULL;
	CHECK_BETWEEN(known, 90, 125);
	CHECK(stacks.bytes <= 100000);
	/* One that is there may be replaced by one of its size, and not by one that is larger than
	 * what is free. */
	CHECK_EQ_I64(bpf_stacks_put_pcs(&stacks, 1, STACK_BROKEN, pcs, 100), 0);
	CHECK_EQ_I64(bpf_stacks_find(&stacks, 1)->status, STACK_BROKEN);
	CHECK(bpf_stacks_put_copy(&stacks, 1, &(struct event_registers){0}, (const uint8_t *)&copy,
				  16000) < 0);
	CHECK(!bpf_stacks_find(&stacks, 1));
	CHECK_EQ_I64(bpf_stacks_put_pcs(&stacks, 1, STACK_COMPLETE, pcs, 1), 0);
	CHECK(bpf_stacks_find(&stacks, 1));
	bpf_stacks_done(&stacks);
}

TEST(stacks_of_old_code_are_forgotten_when_nobody_names_them)
{
	struct bpf_stacks stacks;
	uint64_t pcs[2] = {1, 2};

	bpf_stacks_init(&stacks, 100000);
	bpf_stacks_put_pcs(&stacks, 1, STACK_COMPLETE, pcs, 2);
	bpf_stacks_put_pcs(&stacks, 2, STACK_COMPLETE, pcs, 2);
	/* While the code is the same they stay. */
	for (int i = 0; i < 10; i++)
		bpf_stacks_round(&stacks);
	bpf_stacks_new_generation(&stacks);
	bpf_stacks_put_pcs(&stacks, 3, STACK_COMPLETE, pcs, 2);
	for (int i = 0; i < 10; i++) {
		CHECK(bpf_stacks_find(&stacks, 2));
		bpf_stacks_round(&stacks);
	}
	CHECK(!bpf_stacks_find(&stacks, 1));
	CHECK(bpf_stacks_find(&stacks, 2) && bpf_stacks_find(&stacks, 3));
	CHECK_EQ_U64(stacks.list.count, 2);
	/* One that was named a moment ago stays for another round. */
	bpf_stacks_round(&stacks);
	CHECK_EQ_U64(stacks.list.count, 2);
	for (int i = 0; i < 3; i++)
		bpf_stacks_round(&stacks);
	CHECK_EQ_U64(stacks.list.count, 1);
	bpf_stacks_done(&stacks);
}

KIT_MAIN
