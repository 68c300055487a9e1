/* What probes cost the target's threads: their counters become loads, of each thread since the last
 * look and of all of them since the beginning. */
#ifndef RSPROF_SOURCE_HEAP_THREADS_H
#define RSPROF_SOURCE_HEAP_THREADS_H

#include "bpf/shared.h"
#include "reader/source/heap_pace.h"
#include "reader/util/hash.h"
#include "reader/util/vec.h"

struct heap_thread {
	uint32_t tid;
	uint32_t round; /* in which it was seen */
	uint64_t start_time;
	struct heap_load seen; /* of it so far */
	struct heap_load new;  /* since the last look */
};

struct heap_threads {
	VEC(struct heap_thread) list;
	struct u64_map by_tid;
	uint32_t round;
	struct heap_load total;
};

void heap_threads_done(struct heap_threads *threads);

/* As it is in the map. */
void heap_threads_see(struct heap_threads *threads, uint32_t tid,
		      const struct bpf_heap_thread *thread);
/* The load of the thread that cost most since the last look; begins the next one. */
struct heap_load heap_threads_busiest(struct heap_threads *threads,
				      const struct heap_prices *prices);

#endif
