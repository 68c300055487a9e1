/* Searches in what the reader published. Functions of their own to the verifier, which then goes
 * through each once; and without branches on what is found, so that there are few ways through.
 * Whatever the tables hold, the answers are in bounds: a table may be replaced while it is read. */
#ifndef RSPROF_BPF_TABLES_BPF_H
#define RSPROF_BPF_TABLES_BPF_H

#include "bpf/maps.bpf.h"

/* All ones where a < b, else 0. Both are below 2^63. In assembler, since compilers make a branch of
 * whatever means the same. */
static __always_inline __u64 ones_if_below(__u64 a, __u64 b)
{
	__u64 difference = a - b;

	asm volatile("%0 s>>= 63" : "+r"(difference));
	return difference;
}

#define SEARCH_CODE(step)                                                                          \
	do {                                                                                       \
		__u64 at_ = low + (step);                                                          \
		__u64 start_ = READ_ONCE(entries[at_ & (BPF_CODE_MAX - 1)].start);                 \
                                                                                                   \
		low += (step)&ones_if_below(at_, count) & ~ones_if_below(address, start_);         \
	} while (0)

/* The entry of the list that may hold the address; -1: there is none. */
__noinline long find_code(__u32 list, __u32 count, __u64 address)
{
	__u32 zero = 0;
	struct bpf_code_lists *lists = bpf_map_lookup_elem(&code, &zero);
	struct bpf_code *entries;
	__u64 low = 0;

	if (!lists || count == 0 || address >> 63)
		return -1;
	entries = lists->list[list & 1].code;
	if (count > 1024) {
		SEARCH_CODE(8192);
		SEARCH_CODE(4096);
		SEARCH_CODE(2048);
		SEARCH_CODE(1024);
	}
	if (count > 64) {
		SEARCH_CODE(512);
		SEARCH_CODE(256);
		SEARCH_CODE(128);
		SEARCH_CODE(64);
	}
	if (count > 8) {
		SEARCH_CODE(32);
		SEARCH_CODE(16);
		SEARCH_CODE(8);
	}
	SEARCH_CODE(4);
	SEARCH_CODE(2);
	SEARCH_CODE(1);
	return low & (BPF_CODE_MAX - 1);
}

#define SEARCH_ROW(step)                                                                           \
	do {                                                                                       \
		__u64 at_ = low + (step);                                                          \
		__u64 row_ = words[(first + at_) & arena_mask] & 0xffff;                           \
                                                                                                   \
		low += (step)&ones_if_below(at_, count) & ~ones_if_below(offset, row_);            \
	} while (0)

/* The rule, as the 8 bytes that it is, at an offset of a page of the table whose index and rows
 * begin at these words of the arena. */
__noinline __u64 find_rule(__u32 index, __u32 rows, __u32 page, __u32 offset)
{
	__u32 zero = 0, first, count, row;
	__u32 *words = bpf_map_lookup_elem(&arena, &zero);
	__u64 *all = bpf_map_lookup_elem(&rules, &zero);
	__u64 low = 0;

	if (!words || !all)
		return EH_CFA_NONE;
	first = words[(index + page) & arena_mask];
	count = words[(index + page + 1) & arena_mask] - first;
	if (count == 0 || count > EH_PAGE_BYTES)
		return EH_CFA_NONE;
	first += rows;
	if (count > 64) {
		SEARCH_ROW(512);
		SEARCH_ROW(256);
		SEARCH_ROW(128);
		SEARCH_ROW(64);
	}
	if (count > 16) {
		SEARCH_ROW(32);
		SEARCH_ROW(16);
	}
	if (count > 4) {
		SEARCH_ROW(8);
		SEARCH_ROW(4);
	}
	SEARCH_ROW(2);
	SEARCH_ROW(1);
	row = words[(first + low) & arena_mask];
	return all[(row >> 16) & (BPF_RULES_MAX - 1)];
}

#endif
