#include "reader/source/perf_sample.h"

#include <linux/perf_event.h>
#include <string.h>

#include "reader/source/perf_attr.h"

/* The user part of a call chain: what follows the PERF_CONTEXT_USER marker, up to the next one. */
static const uint64_t *user_part(const uint64_t *chain, uint64_t length, uint32_t *ret_count)
{
	uint64_t at = 0, first;

	while (at < length && chain[at] != (uint64_t)PERF_CONTEXT_USER)
		at++;
	first = at < length ? at + 1 : length;
	for (at = first; at < length && chain[at] < (uint64_t)PERF_CONTEXT_MAX;)
		at++;
	*ret_count = (uint32_t)(at - first);
	return chain + first;
}

bool perf_sample_chain(const struct perf_decoder *decoder, const unsigned char *bytes, size_t size,
		       struct event *event)
{
	uint64_t length;
	uint32_t count;

	if (size < sizeof(length))
		return false;
	memcpy(&length, bytes, sizeof(length));
	if (length > (size - sizeof(length)) / sizeof(uint64_t))
		return false;
	event->sample.pcs = user_part((const uint64_t *)(bytes + sizeof(length)), length, &count);
	event->sample.pc_count = count < decoder->frames_kept ? count : decoder->frames_kept;
	event->sample.status = STACK_FRAME_POINTERS;
	if (!count)
		event->sample.status = STACK_EMPTY;
	else if (count >= decoder->frames_cut)
		event->sample.status = STACK_TRUNCATED;
	return true;
}

/* The kernel's order to DWARF's: ax, bx, cx, dx, si, di, bp, sp, ip, r8 to r15. */
static void take_registers(const unsigned char *bytes, struct event_registers *ret_registers)
{
	static const int8_t dwarf[PERF_REGISTER_COUNT] = {0, 3, 2,  1,	4,  5,	6,  7, -1,
							  8, 9, 10, 11, 12, 13, 14, 15};

	for (size_t i = 0; i < PERF_REGISTER_COUNT; i++) {
		uint64_t value;

		memcpy(&value, bytes + i * sizeof(value), sizeof(value));
		if (dwarf[i] < 0)
			ret_registers->rip = value;
		else
			ret_registers->general[dwarf[i]] = value;
	}
	ret_registers->known = UINT16_MAX;
}

bool perf_sample_stack(const unsigned char *bytes, size_t size, struct event_registers *registers,
		       struct event *event)
{
	uint64_t abi, stack_size, filled = 0;
	size_t at = sizeof(abi);

	if (size < at)
		return false;
	memcpy(&abi, bytes, sizeof(abi));
	if (abi != PERF_SAMPLE_REGS_ABI_NONE) {
		if (size - at < PERF_REGISTER_COUNT * sizeof(uint64_t))
			return false;
		take_registers(bytes + at, registers);
		at += PERF_REGISTER_COUNT * sizeof(uint64_t);
	}
	if (size - at < sizeof(stack_size))
		return false;
	memcpy(&stack_size, bytes + at, sizeof(stack_size));
	at += sizeof(stack_size);
	if (stack_size) {
		if (stack_size > size - at || size - at - stack_size < sizeof(filled))
			return false;
		memcpy(&filled, bytes + at + stack_size, sizeof(filled));
		if (filled > stack_size)
			return false;
	}
	event->sample.pcs = &registers->rip;
	event->sample.pc_count = abi != PERF_SAMPLE_REGS_ABI_NONE;
	event->sample.status = event->sample.pc_count ? STACK_BROKEN : STACK_EMPTY;
	/* Tables are of 64-bit code; a thread in 32-bit mode has its leaf alone. */
	if (abi == PERF_SAMPLE_REGS_ABI_64) {
		event->sample.registers = registers;
		event->sample.stack = bytes + at;
		event->sample.stack_bytes = (uint32_t)filled;
	}
	return true;
}
