#include "reader/target/jump_scan.h"

#include <stdlib.h>
#include <string.h>

#include "reader/target/elf_headers.h"
#include "reader/target/x86_insn.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"

enum {
	CHUNK_BYTES = 1 << 18,
	/* The longest jump of 32 bits that is looked for: 0f 8x and the distance. */
	JUMP_BYTES_MAX = 6,
	/* How far a jump of 8 bits leads from its end, and its own length. */
	NEAR_BYTES = 128 + 2,
	SLOT_SHIFT = 6, /* of 64 bytes: a window touches two of them at most */
	SLOTS = 4096 * 64,
};

static int by_start(const void *a, const void *b)
{
	uint64_t x = ((const struct jump_window *)a)->start;
	uint64_t y = ((const struct jump_window *)b)->start;

	return x < y ? -1 : x > y;
}

void jump_windows_init(struct jump_windows *windows, struct jump_window *items, size_t count)
{
	memset(windows, 0, sizeof(*windows));
	windows->items = items;
	windows->count = count;
	qsort(items, count, sizeof(*items), by_start);
	for (size_t i = 0; i < count; i++)
		for (uint64_t slot = items[i].start >> SLOT_SHIFT;
		     slot <= items[i].end >> SLOT_SHIFT; slot++)
			windows->maybe[slot % SLOTS / 64] |= 1ull << slot % 64;
}

static inline bool may_be_in_one(const struct jump_windows *windows, uint64_t vaddr)
{
	uint64_t slot = vaddr >> SLOT_SHIFT;

	return windows->maybe[slot % SLOTS / 64] >> slot % 64 & 1;
}

void jump_windows_mark(struct jump_windows *windows, uint64_t vaddr)
{
	size_t low = 0, high = windows->count;

	if (!may_be_in_one(windows, vaddr))
		return;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (windows->items[middle].start < vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	/* Those that begin before; two of them may overlap. */
	while (low-- > 0 && vaddr - windows->items[low].start <= JUMP_WINDOW_BYTES_MAX)
		if (vaddr <= windows->items[low].end)
			windows->items[low].is_reached = true;
}

static inline uint64_t far_target(const uint8_t *at, uint64_t vaddr, unsigned opcode_bytes)
{
	int32_t distance;

	memcpy(&distance, at + opcode_bytes, sizeof(distance));
	return vaddr + opcode_bytes + sizeof(distance) + (uint64_t)(int64_t)distance;
}

/* bytes[] holds JUMP_BYTES_MAX - 1 more than count. */
static void scan_far(const uint8_t *bytes, size_t count, uint64_t vaddr,
		     struct jump_windows *windows)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t target;

		if ((bytes[i] & 0xfe) == 0xe8)
			target = far_target(bytes + i, vaddr + i, 1);
		else if (bytes[i] == 0x0f && (bytes[i + 1] & 0xf0) == 0x80)
			target = far_target(bytes + i, vaddr + i, 2);
		else
			continue;
		if (may_be_in_one(windows, target))
			jump_windows_mark(windows, target);
	}
}

static int scan_text(int fd, const struct jump_text *text, struct jump_windows *windows)
{
	OWN(own_free) uint8_t *bytes = mem_zalloc(CHUNK_BYTES + JUMP_BYTES_MAX);

	for (uint64_t at = 0; at < text->size; at += CHUNK_BYTES) {
		uint64_t left = text->size - at, count = left < CHUNK_BYTES ? left : CHUNK_BYTES;
		uint64_t more =
			left - count < JUMP_BYTES_MAX - 1 ? left - count : JUMP_BYTES_MAX - 1;
		int ret = elf_read_bytes(fd, bytes, count + more, text->offset + at);

		if (ret < 0)
			return ret;
		/* A jump that the text does not hold whole is none. */
		memset(bytes + count + more, 0, JUMP_BYTES_MAX - 1 - more);
		scan_far(bytes, count, text->vaddr + at, windows);
	}
	return 0;
}

static bool is_near_jump(uint8_t opcode)
{
	return opcode == 0xeb || (opcode & 0xf0) == 0x70 || (opcode & 0xfc) == 0xe0;
}

/* From start on, where do instructions begin? As far as they can be decoded. */
static size_t mark_beginnings(const uint8_t *bytes, size_t start, size_t count, bool *is_beginning)
{
	struct x86_insn insn;

	memset(is_beginning, 0, count);
	while (start < count && x86_insn_decode(bytes + start, count - start, &insn)) {
		is_beginning[start] = true;
		start += insn.length;
	}
	return start;
}

/* Of the function's own bytes, only those where an instruction begins can be a jump. */
static int scan_near(int fd, const struct jump_text *text, struct jump_window *window)
{
	uint8_t bytes[2 * NEAR_BYTES + JUMP_WINDOW_BYTES_MAX + X86_INSN_BYTES_MAX];
	bool is_beginning[sizeof(bytes)];
	uint64_t start = window->start - text->vaddr, end = window->end - text->vaddr;
	uint64_t from = start > NEAR_BYTES ? start - NEAR_BYTES : 0;
	uint64_t to = end + NEAR_BYTES + X86_INSN_BYTES_MAX;
	size_t count = (to < text->size ? to : text->size) - from, decoded;
	int ret = elf_read_bytes(fd, bytes, count, text->offset + from);

	if (ret < 0)
		return ret;
	decoded = mark_beginnings(bytes, start - from, count, is_beginning);
	for (size_t i = 0; i + 1 < count; i++) {
		uint64_t at = text->vaddr + from + i;
		uint64_t target = at + 2 + (uint64_t)(int64_t)(int8_t)bytes[i + 1];

		if (!is_near_jump(bytes[i]) || target <= window->start || target > window->end)
			continue;
		if (at >= window->start && at < window->start + decoded && !is_beginning[i])
			continue;
		window->is_reached = true;
	}
	return 0;
}

int jump_scan(int fd, const struct jump_text *texts, size_t text_count,
	      struct jump_windows *windows)
{
	int ret = 0;

	for (size_t i = 0; i < text_count && ret == 0; i++)
		ret = scan_text(fd, &texts[i], windows);
	for (size_t i = 0; i < windows->count && ret == 0; i++) {
		struct jump_window *window = &windows->items[i];

		for (size_t k = 0; k < text_count && ret == 0; k++)
			if (window->start - texts[k].vaddr < texts[k].size &&
			    window->end - texts[k].vaddr < texts[k].size)
				ret = scan_near(fd, &texts[k], window);
	}
	return ret;
}
