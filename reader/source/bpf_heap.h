/* The heap in the bpf source: finds the target's allocators whenever its code changes, probes them,
 * looks at the counters each second, steps down where it costs too much, and tells what was lost.
 *
 * An exec is found out by the programs' count of them. The recording of the heap then begins anew:
 * all probes go, what is alive by the books is written off, and what serves the new program is
 * probed. What the new program has allocated by then counts as from before. */
#ifndef RSPROF_SOURCE_BPF_HEAP_H
#define RSPROF_SOURCE_BPF_HEAP_H

#include "reader/core/delta.h"
#include "reader/source/bpf_load.h"
#include "reader/source/heap_books.h"
#include "reader/source/heap_pace.h"
#include "reader/source/heap_probes.h"
#include "reader/source/source.h"

struct bpf_heap;

/* bpf_load, in the best way, from loaded->heap_attach down, that probes can be attached and were
 * found to work; *ret_prices is what they cost. Where the heap was asked for and cannot be counted
 * at all, the rest is loaded without it, and *ret_missing (in arena) is a sentence that says why;
 * else NULL. */
int bpf_heap_load(struct bpf_loaded *loaded, const struct source_config *config,
		  struct heap_prices *ret_prices, struct arena *arena, const char **ret_missing,
		  struct err *err);

/* Looks for allocators and probes them; *ret_reason (in arena) says what is watched, or why nothing
 * is. Nothing is counted before programs are on. */
struct bpf_heap *bpf_heap_open(const struct source_config *config, struct bpf_loaded *loaded,
			       const struct heap_prices *prices, struct arena *arena,
			       const char **ret_reason);
void bpf_heap_close(struct bpf_heap *heap); /* NULL allowed; takes all probes away */

/* All with heap NULL do nothing. */

/* Programs are on. */
void bpf_heap_start(struct bpf_heap *heap, uint64_t now_ns);
/* No longer than until the next look is due; timeout_ms with heap NULL. */
int bpf_heap_wait_ms(const struct bpf_heap *heap, int timeout_ms);
/* The target's code has changed: probes what is new of it. */
void bpf_heap_update(struct bpf_heap *heap);
/* NULL with heap NULL. */
struct heap_books *bpf_heap_books(struct bpf_heap *heap);
void bpf_heap_on_thread_exit(struct bpf_heap *heap, uint32_t tid);
/* After the ring was read. Tells and steps once a second, at an exec, and where is_last. */
void bpf_heap_look(struct bpf_heap *heap, bool is_last, source_sink sink, void *context);
/* A step since the last call; false: none. Its strings live until the heap is closed. */
bool bpf_heap_next_step(struct bpf_heap *heap, struct delta_step *ret_step);
/* No more hits: called when the source stops. */
void bpf_heap_stop(struct bpf_heap *heap);
/* OFF where no allocator is watched; of a child that is to exec, as it will be. */
enum heap_mode bpf_heap_mode(const struct bpf_heap *heap);

#endif
