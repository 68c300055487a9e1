#include "reader/util/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/util/mem.h"

enum { ARENA_ALIGNMENT = 16, ARENA_CHUNK_BYTES = 64 * 1024 };

struct arena_chunk {
	struct arena_chunk *next;
	size_t size;
	_Alignas(ARENA_ALIGNMENT) char bytes[];
};

static void add_chunk(struct arena *arena, size_t at_least)
{
	size_t size = at_least > ARENA_CHUNK_BYTES ? at_least : ARENA_CHUNK_BYTES;
	struct arena_chunk *chunk = mem_alloc(sizeof(*chunk) + size);

	chunk->next = arena->chunks;
	chunk->size = size;
	arena->chunks = chunk;
	arena->used = 0;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
	void *block;

	bytes = (bytes + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
	if (!arena->chunks || arena->chunks->size - arena->used < bytes)
		add_chunk(arena, bytes);
	block = arena->chunks->bytes + arena->used;
	arena->used += bytes;
	return block;
}

void *arena_zalloc(struct arena *arena, size_t bytes)
{
	return memset(arena_alloc(arena, bytes), 0, bytes);
}

void *arena_copy(struct arena *arena, const void *from, size_t bytes)
{
	void *block = arena_alloc(arena, bytes);

	if (bytes)
		memcpy(block, from, bytes);
	return block;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return text ? arena_copy(arena, text, strlen(text) + 1) : NULL;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;
	char *text;
	int length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	text = arena_alloc(arena, (size_t)length + 1);
	va_start(args, format);
	vsnprintf(text, (size_t)length + 1, format, args);
	va_end(args);
	return text;
}

void arena_reset(struct arena *arena)
{
	struct arena_chunk *keep = arena->chunks;

	if (!keep)
		return;
	while (keep->next) {
		struct arena_chunk *next = keep->next;

		keep->next = next->next;
		free(next);
	}
	arena->used = 0;
}

void arena_done(struct arena *arena)
{
	while (arena->chunks) {
		struct arena_chunk *next = arena->chunks->next;

		free(arena->chunks);
		arena->chunks = next;
	}
	arena->used = 0;
}
