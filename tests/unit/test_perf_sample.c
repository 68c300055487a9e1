/* Samples that hold registers and a copy of the stack. */
#include <linux/perf_event.h>
#include <stdlib.h>

#include "reader/source/perf_attr.h"
#include "reader/source/perf_sample.h"
#include "tests/lib/kit.h"

enum { TAIL_MAX = 4096, COPY = 64 };

struct tail {
	unsigned char bytes[TAIL_MAX];
	size_t size;
};

static void add(struct tail *tail, uint64_t value)
{
	memcpy(tail->bytes + tail->size, &value, sizeof(value));
	tail->size += sizeof(value);
}

/* Register i of the kernel's order holds 100 + i. */
static struct tail new_tail(uint64_t abi, uint64_t copied, uint64_t filled)
{
	struct tail tail = {.size = 0};

	add(&tail, abi);
	for (uint64_t i = 0; abi && i < PERF_REGISTER_COUNT; i++)
		add(&tail, 100 + i);
	add(&tail, copied);
	for (uint64_t i = 0; i < copied; i++)
		tail.bytes[tail.size++] = (unsigned char)i;
	if (copied)
		add(&tail, filled);
	return tail;
}

/* From memory of just this size, so that the sanitizer sees each byte too far. */
static bool decode(const struct tail *tail, struct event_registers *registers, struct event *event)
{
	unsigned char *exact = malloc(tail->size ? tail->size : 1);
	bool is_good;

	memcpy(exact, tail->bytes, tail->size);
	*event = (struct event){.type = EVENT_SAMPLE};
	is_good = perf_sample_stack(exact, tail->size, registers, event);
	if (is_good && event->sample.registers) {
		CHECK(event->sample.stack >= exact);
		CHECK(event->sample.stack + event->sample.stack_bytes <= exact + tail->size);
		for (uint32_t i = 0; i < event->sample.stack_bytes; i++)
			CHECK_EQ_U64(event->sample.stack[i], i % 256);
	}
	free(exact);
	return is_good;
}

TEST(registers_come_in_dwarfs_order)
{
	struct tail tail = new_tail(PERF_SAMPLE_REGS_ABI_64, COPY, 40);
	/* ax dx cx bx si di bp sp r8..r15 */
	static const uint64_t want[] = {100, 103, 102, 101, 104, 105, 106, 107,
					109, 110, 111, 112, 113, 114, 115, 116};
	struct event_registers registers;
	struct event event;

	CHECK(decode(&tail, &registers, &event));
	CHECK_EQ_U64(registers.rip, 108);
	for (size_t i = 0; i < EVENT_REGISTERS; i++)
		CHECK_EQ_U64(registers.general[i], want[i]);
	CHECK(event.sample.registers == &registers);
	CHECK_EQ_U64(event.sample.stack_bytes, 40);
	CHECK_EQ_U64(event.sample.pc_count, 1);
	CHECK_EQ_U64(event.sample.pcs[0], 108);
}

TEST(a_task_without_user_mode_has_no_stack)
{
	struct tail tail = new_tail(PERF_SAMPLE_REGS_ABI_NONE, 0, 0);
	struct event_registers registers;
	struct event event;

	CHECK(decode(&tail, &registers, &event));
	CHECK(!event.sample.registers);
	CHECK_EQ_U64(event.sample.pc_count, 0);
	CHECK_EQ_I64(event.sample.status, STACK_EMPTY);
}

TEST(a_thread_in_32_bit_mode_has_its_leaf)
{
	struct tail tail = new_tail(PERF_SAMPLE_REGS_ABI_32, COPY, COPY);
	struct event_registers registers;
	struct event event;

	CHECK(decode(&tail, &registers, &event));
	CHECK(!event.sample.registers);
	CHECK_EQ_U64(event.sample.pc_count, 1);
	CHECK_EQ_I64(event.sample.status, STACK_BROKEN);
}

TEST(a_copy_that_cannot_be_is_refused)
{
	struct event_registers registers;
	struct event event;
	struct tail tail = new_tail(PERF_SAMPLE_REGS_ABI_64, COPY, COPY + 1);

	CHECK(!decode(&tail, &registers, &event));
	/* Cut short at every byte. */
	tail = new_tail(PERF_SAMPLE_REGS_ABI_64, COPY, COPY);
	CHECK(decode(&tail, &registers, &event));
	for (size_t size = tail.size; size-- > 0;) {
		tail.size = size;
		CHECK(!decode(&tail, &registers, &event));
	}
	/* A size far beyond the record. */
	tail = new_tail(PERF_SAMPLE_REGS_ABI_64, COPY, COPY);
	memset(tail.bytes + 8 + PERF_REGISTER_COUNT * 8, 0xff, 8);
	CHECK(!decode(&tail, &registers, &event));
}

KIT_MAIN
