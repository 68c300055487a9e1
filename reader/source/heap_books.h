/* The books of the heap: counters of programs become events, each the difference to the last time;
 * of one stack whose calls are counted in parts of HEAP_ONE, whole calls.
 *
 * Programs go on adding while a counter is read, so that one look may hold a free whose allocation
 * it does not hold. What would make a stack free more than it allocated waits for a later look; in
 * the end all that was counted is told, and nothing twice. */
#ifndef RSPROF_SOURCE_HEAP_BOOKS_H
#define RSPROF_SOURCE_HEAP_BOOKS_H

#include "bpf/shared.h"
#include "reader/source/heap_told.h"
#include "reader/source/source.h"
#include "reader/util/hash.h"
#include "reader/util/vec.h"

struct heap_book_site {
	uint64_t key;
	bool is_told; /* its stack was */
	struct bpf_heap_site seen;
	struct heap_told told; /* of seen */
};

struct heap_books {
	uint32_t target_pid;
	VEC(struct heap_book_site) sites;
	struct u64_map by_key;
};

void heap_books_done(struct heap_books *books);

/* A record with the stack of a site has been handed over. */
void heap_books_stack_told(struct heap_books *books, uint64_t key);
/* What a look into the map found. A site whose stack was not told yet waits for the next look
 * (is_last: it does not). */
void heap_books_site(struct heap_books *books, uint64_t key, const struct bpf_heap_site *site,
		     uint64_t time_ns, bool is_last, source_sink sink, void *context);
/* The program was replaced: what is live by these books is told as untracked. */
void heap_books_exec(struct heap_books *books, uint64_t time_ns, source_sink sink, void *context);

#endif
