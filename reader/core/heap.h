/* What is counted of the heap, and how exactly. */
#ifndef RSPROF_CORE_HEAP_H
#define RSPROF_CORE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

/* The numbers are stored. A recording only ever steps down: from exact to allocations only, to off.
 */
enum heap_mode {
	HEAP_MODE_OFF = 0,
	HEAP_MODE_EXACT = 1,   /* every call */
	HEAP_MODE_SAMPLED = 2, /* Poisson by bytes: estimates */
	HEAP_MODE_ALLOCS = 3,  /* the same, without frees: who allocates, not who holds */
	HEAP_MODE_TRACE = 4, /* every call, each with its time: what peaked is known to the byte */
	HEAP_MODES
};

/* "off", "exact", "sampled", "allocations only", "trace": words for people and for the table steps.
 */
extern const char *const heap_mode_names[HEAP_MODES];
/* The mode of that name, or HEAP_MODES. */
enum heap_mode heap_mode_by_name(const char *name);
/* Likewise of what a step says, where a source may stand before it: "bpf, sampled". */
enum heap_mode heap_mode_by_step(const char *words);
/* Frees are seen, so that it is known what is live. */
bool heap_mode_sees_frees(enum heap_mode mode);

/* Of one stack, during some time; calls and bytes. Bytes are those that were asked for. A realloc
 * is a free of the old block and an allocation of the new one. */
struct heap_counts {
	uint64_t allocs, alloc_bytes;
	uint64_t frees, free_bytes; /* of blocks that this stack allocated */
	/* Of these allocations: their free will not be seen, so that they do not count as live. No
	 * room to track them, frees are not watched, or the program was replaced by exec. */
	uint64_t untracked, untracked_bytes;
	uint64_t temporary;		 /* of frees: before the same thread allocated again */
	uint64_t reallocs, growth_bytes; /* of allocs: by realloc; how much larger they became */
	uint64_t estimated;		 /* of allocs: not counted but estimated from a sample */
};

void heap_counts_add(struct heap_counts *counts, const struct heap_counts *more);

/* Of allocations minus frees; 0 where a damaged file says less. */
uint64_t heap_live_bytes(const struct heap_counts *counts);
uint64_t heap_live_blocks(const struct heap_counts *counts);

/* Of the whole target since the recording began. */
struct heap_state {
	bool is_counted; /* a source counts blocks; else all of the rest is 0 */
	uint64_t live_bytes, live_blocks;
	uint64_t unknown_frees; /* of blocks from before, or that were not tracked */
	uint64_t mmap_count, mmap_bytes, munmap_count, munmap_bytes; /* anonymous memory */
	uint64_t brk_count;
	int64_t brk_bytes;
	uint64_t hits;	  /* of probes */
	uint64_t cost_ns; /* that they cost the target: an estimate */
	/* Of a trace, where no event is missing: the most that was ever live, to the byte. In an
	 * event on CLOCK_MONOTONIC, in a delta since the recording began. */
	bool is_peak_exact;
	uint64_t peak_bytes, peak_ns;
};

#endif
