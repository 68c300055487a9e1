/* Where unwind tables lie in the arena that BPF programs read (bpf/shared.h): a file's index and
 * its rows, one after the other. Nothing here knows of BPF: the arena is memory. */
#ifndef RSPROF_SOURCE_BPF_ARENA_H
#define RSPROF_SOURCE_BPF_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/unwind/table.h"
#include "reader/util/hash.h"
#include "reader/util/vec.h"

struct bpf_placed {
	const struct unwind_table *table;
	uint32_t index; /* word where its index begins */
	uint32_t rows;	/* word of its row 0 */
	bool is_wanted; /* by the code that is being published */
};

struct bpf_arena {
	uint32_t *words;
	uint32_t word_count;
	uint32_t used;	 /* words, from the start */
	uint32_t wanted; /* of these, in tables that are wanted */
	VEC(struct bpf_placed) placed;
	struct u64_map by_table; /* pointer → index of placed */
	struct u64_map refused;	 /* pointers of tables that found no room: each is told once */
	uint64_t refused_count;
};

void bpf_arena_init(struct bpf_arena *arena, uint32_t *words, uint32_t word_count);
void bpf_arena_done(struct bpf_arena *arena);

/* No table is wanted, until bpf_arena_place asks for it. */
void bpf_arena_begin(struct bpf_arena *arena);
/* Where the table lies; it is put there where there is room. NULL: there is none. The result is
 * valid until the next call. */
const struct bpf_placed *bpf_arena_place(struct bpf_arena *arena, const struct unwind_table *table);
/* Room that tables take which nobody has asked for since bpf_arena_begin. */
bool bpf_arena_has_unwanted(const struct bpf_arena *arena);
/* Forgets all places: only while nobody looks at them. */
void bpf_arena_reset(struct bpf_arena *arena);
/* The table is in the code but not in the arena. True for the first time. */
bool bpf_arena_refuse(struct bpf_arena *arena, const struct unwind_table *table);

#endif
