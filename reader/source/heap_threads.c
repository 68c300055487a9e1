#include "reader/source/heap_threads.h"

enum {
	ABSENT = UINT32_MAX,
	/* Looks after which a thread that is no longer in the map is forgotten. */
	ROUNDS_KEPT = 2,
};

void heap_threads_done(struct heap_threads *threads)
{
	vec_done(&threads->list);
	u64_map_done(&threads->by_tid);
}

static struct heap_thread *thread_of(struct heap_threads *threads, uint32_t tid)
{
	uint32_t at = u64_map_get(&threads->by_tid, tid);

	if (at == ABSENT) {
		at = (uint32_t)threads->list.count;
		u64_map_put(&threads->by_tid, tid, at);
		*vec_add(&threads->list) = (struct heap_thread){.tid = tid};
	}
	return &threads->list.items[at];
}

/* What the counter has grown by; one that went back says nothing. */
static uint64_t advance(uint64_t *seen, uint64_t now)
{
	uint64_t more = now > *seen ? now - *seen : 0;

	*seen += more;
	return more;
}

static void add(struct heap_load *load, const struct heap_load *more)
{
	load->hits += more->hits;
	load->stepped_hits += more->stepped_hits;
	load->return_hits += more->return_hits;
	load->free_hits += more->free_hits;
	load->spent_ns += more->spent_ns;
}

void heap_threads_see(struct heap_threads *threads, uint32_t tid, const struct bpf_heap_thread *now)
{
	struct heap_thread *thread = thread_of(threads, tid);
	struct heap_load more;

	/* Another thread of that number. */
	if (thread->start_time != now->start_time)
		thread->seen = (struct heap_load){0};
	thread->start_time = now->start_time;
	thread->round = threads->round;
	more = (struct heap_load){
		.hits = advance(&thread->seen.hits, now->hits),
		.stepped_hits = advance(&thread->seen.stepped_hits, now->stepped_hits),
		.return_hits = advance(&thread->seen.return_hits, now->return_hits),
		.free_hits = advance(&thread->seen.free_hits, now->free_hits),
		.spent_ns = advance(&thread->seen.spent_ns, now->spent_ns),
	};
	add(&thread->new, &more);
	add(&threads->total, &more);
}

static void forget_old(struct heap_threads *threads)
{
	size_t kept = 0;

	for (size_t i = 0; i < threads->list.count; i++) {
		if (threads->round - threads->list.items[i].round < ROUNDS_KEPT)
			threads->list.items[kept++] = threads->list.items[i];
	}
	threads->round++;
	if (kept == threads->list.count)
		return;
	threads->list.count = kept;
	u64_map_clear(&threads->by_tid);
	for (size_t i = 0; i < kept; i++)
		u64_map_put(&threads->by_tid, threads->list.items[i].tid, (uint32_t)i);
}

struct heap_load heap_threads_busiest(struct heap_threads *threads,
				      const struct heap_prices *prices)
{
	struct heap_load busiest = {0};
	uint64_t most_ns = 0;

	for (size_t i = 0; i < threads->list.count; i++) {
		struct heap_thread *thread = &threads->list.items[i];
		uint64_t ns = heap_cost_ns(prices, &thread->new);

		if (ns > most_ns) {
			most_ns = ns;
			busiest = thread->new;
		}
		thread->new = (struct heap_load){0};
	}
	forget_old(threads);
	return busiest;
}
