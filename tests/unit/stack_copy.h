/* A copy of the test's own registers and stack, as a source ships them for the pump to walk. */
#ifndef RSPROF_TESTS_UNIT_STACK_COPY_H
#define RSPROF_TESTS_UNIT_STACK_COPY_H

#include <pthread.h>
#include <stdint.h>
#include <ucontext.h>

#include "reader/core/event.h"
#include "tests/lib/kit.h"

enum { STACK_BYTES = 16384 };

static struct {
	struct event_registers registers;
	uint8_t stack[2 * STACK_BYTES];
	size_t bytes; /* of stack: to the end of the test's own */
} copy;

static inline uint64_t own_stack_end(void)
{
	pthread_attr_t attributes;
	size_t size = 0;
	void *start = NULL;

	CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0);
	pthread_attr_getstack(&attributes, &start, &size);
	pthread_attr_destroy(&attributes);
	return (uint64_t)start + size;
}

__attribute__((noinline, no_sanitize("address"))) static void capture(void)
{
	static const int order[EVENT_REGISTERS] = {
		REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
		REG_R8,	 REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
	ucontext_t context;
	uint64_t from;

	getcontext(&context);
	for (int i = 0; i < EVENT_REGISTERS; i++)
		copy.registers.general[i] = (uint64_t)context.uc_mcontext.gregs[order[i]];
	copy.registers.rip = (uint64_t)context.uc_mcontext.gregs[REG_RIP];
	copy.registers.known = 1u << EVENT_REGISTER_RSP | 1u << 6 | 1u << 3;
	from = copy.registers.general[EVENT_REGISTER_RSP];
	copy.bytes = own_stack_end() - from;
	if (copy.bytes > sizeof(copy.stack))
		copy.bytes = sizeof(copy.stack);
	/* Byte by byte: memcpy is checked by sanitizers, which know of redzones. */
	for (size_t i = 0; i < copy.bytes; i++)
		copy.stack[i] = ((volatile const uint8_t *)from)[i];
}

/* More stack than is copied, all of it below the test's own frames. */
__attribute__((noinline, optimize("no-optimize-sibling-calls"))) static int deep(int depth)
{
	volatile char room[256];

	room[0] = (char)depth;
	if (depth)
		return deep(depth - 1) + room[0];
	capture();
	return room[0];
}

#endif
