/* Memory that is freed all at once. Blocks are aligned to 16 bytes and never move. */
#ifndef RSPROF_UTIL_ARENA_H
#define RSPROF_UTIL_ARENA_H

#include <stddef.h>

struct arena_chunk;

/* Zero-initialised is empty and usable. */
struct arena {
	struct arena_chunk *chunks;
	size_t used; /* bytes handed out from the newest chunk */
};

void *arena_alloc(struct arena *arena, size_t bytes);
void *arena_zalloc(struct arena *arena, size_t bytes);
void *arena_copy(struct arena *arena, const void *from, size_t bytes);
/* NULL gives NULL. */
char *arena_strdup(struct arena *arena, const char *text);
char *arena_printf(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Forgets all blocks, keeps one chunk for reuse. */
void arena_reset(struct arena *arena);
void arena_done(struct arena *arena);

#endif
