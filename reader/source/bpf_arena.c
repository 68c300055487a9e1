#include "reader/source/bpf_arena.h"

#include <string.h>

enum { ABSENT = UINT32_MAX };

static uint64_t key_of(const struct unwind_table *table)
{
	return (uint64_t)(uintptr_t)table;
}

static uint64_t words_of(const struct unwind_table *table)
{
	return (uint64_t)table->page_count + 1 + table->row_count;
}

void bpf_arena_init(struct bpf_arena *arena, uint32_t *words, uint32_t word_count)
{
	*arena = (struct bpf_arena){.words = words, .word_count = word_count};
}

void bpf_arena_done(struct bpf_arena *arena)
{
	vec_done(&arena->placed);
	u64_map_done(&arena->by_table);
	u64_map_done(&arena->refused);
}

void bpf_arena_begin(struct bpf_arena *arena)
{
	for (size_t i = 0; i < arena->placed.count; i++)
		arena->placed.items[i].is_wanted = false;
	arena->wanted = 0;
}

static struct bpf_placed *put(struct bpf_arena *arena, const struct unwind_table *table)
{
	uint64_t words = words_of(table);
	uint32_t *at = arena->words + arena->used;
	struct bpf_placed *placed;

	if (words > arena->word_count - arena->used)
		return NULL;
	memcpy(at, table->index, ((size_t)table->page_count + 1) * sizeof(*at));
	/* A row is a word; a table without one has no memory for it either. */
	if (table->row_count)
		memcpy(at + table->page_count + 1, table->rows,
		       (size_t)table->row_count * sizeof(*at));
	u64_map_put(&arena->by_table, key_of(table), (uint32_t)arena->placed.count);
	placed = vec_add(&arena->placed);
	*placed = (struct bpf_placed){
		.table = table,
		.index = arena->used,
		.rows = arena->used + table->page_count + 1,
	};
	arena->used += (uint32_t)words;
	return placed;
}

const struct bpf_placed *bpf_arena_place(struct bpf_arena *arena, const struct unwind_table *table)
{
	uint32_t at = u64_map_get(&arena->by_table, key_of(table));
	struct bpf_placed *placed = at == ABSENT ? put(arena, table) : &arena->placed.items[at];

	if (placed && !placed->is_wanted) {
		placed->is_wanted = true;
		arena->wanted += (uint32_t)words_of(table);
	}
	return placed;
}

bool bpf_arena_has_unwanted(const struct bpf_arena *arena)
{
	return arena->used > arena->wanted;
}

void bpf_arena_reset(struct bpf_arena *arena)
{
	vec_clear(&arena->placed);
	u64_map_clear(&arena->by_table);
	arena->used = 0;
	arena->wanted = 0;
}

bool bpf_arena_refuse(struct bpf_arena *arena, const struct unwind_table *table)
{
	if (u64_map_get(&arena->refused, key_of(table)) != ABSENT)
		return false;
	u64_map_put(&arena->refused, key_of(table), 1);
	arena->refused_count++;
	return true;
}
