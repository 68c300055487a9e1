/* The heap in the bpf source: its looks at the counters, one a second, and what they tell. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "reader/source/bpf_heap_parts.h"
#include "reader/source/heap_look.h"
#include "reader/util/clock.h"

void bpf_heap_start(struct bpf_heap *heap, uint64_t now_ns)
{
	if (!heap)
		return;
	heap->start_ns = heap->look_ns = now_ns;
	heap->next_look_ns = heap_look_next_ns(heap->start_ns, now_ns);
}

int bpf_heap_wait_ms(const struct bpf_heap *heap, int timeout_ms)
{
	uint64_t now = clock_now_ns(), rest_ms = 0, next_ns;

	if (!heap || !heap->next_look_ns || heap->told_end)
		return timeout_ms;
	next_ns = heap->next_look_ns;
	if (heap->due_ns && heap->due_ns < next_ns)
		next_ns = heap->due_ns;
	if (next_ns > now)
		rest_ms = (next_ns - now + NS_PER_MS - 1) / NS_PER_MS;
	return timeout_ms < 0 || rest_ms < (uint64_t)timeout_ms ? (int)rest_ms : timeout_ms;
}

static void read_sites(struct bpf_heap *heap, uint64_t time_ns, bool is_last, source_sink sink,
		       void *context)
{
	vec_clear(&heap->sites);
	bpf_read_heap_sites(heap->loaded, &heap->sites);
	for (size_t i = 0; i < heap->sites.count; i++)
		heap_books_site(&heap->books, heap->sites.items[i].key, &heap->sites.items[i].site,
				time_ns, is_last, sink, context);
}

static bool is_there(const struct bpf_heap *heap, uint32_t tid)
{
	char path[32];

	snprintf(path, sizeof(path), "task/%u", tid);
	return faccessat(heap->config.target->proc_fd, path, F_OK, 0) == 0;
}

/* What has ended is counted, and leaves the map; but not while there is a thread of that number: it
 * is about to go, or the entry is another one's by now. */
static void read_threads(struct bpf_heap *heap)
{
	size_t kept = 0;

	vec_clear(&heap->rows);
	bpf_read_heap_threads(heap->loaded, &heap->rows);
	for (size_t i = 0; i < heap->rows.count; i++)
		heap_threads_see(&heap->threads, heap->rows.items[i].tid,
				 &heap->rows.items[i].thread);
	for (size_t i = 0; i < heap->ended.count; i++) {
		uint32_t tid = heap->ended.items[i];

		if (is_there(heap, tid))
			heap->ended.items[kept++] = tid;
		else
			bpf_remove_heap_thread(heap->loaded, tid);
	}
	heap->ended.count = kept;
}

void bpf_heap_on_thread_exit(struct bpf_heap *heap, uint32_t tid)
{
	if (heap)
		*vec_add(&heap->ended) = tid;
}

/* Of a program that was exec'ed: its libraries are mapped by now. */
static void tell_missing(struct bpf_heap *heap, uint64_t now, bool is_last)
{
	/* A program that was shorter than the search. */
	if (is_last && !heap->was_counted && !heap->layers.missing && heap->config.start_on_exec &&
	    !heap->told_missing) {
		heap->has_begun = true;
		bpf_heap_add_step(
			heap, heap->start_ns,
			"The program ended before its allocator was watched: nothing of its heap "
			"was counted.");
		heap->told_missing = true;
	}
	if (heap->was_counted || !heap->has_begun || heap->told_missing || !heap->layers.missing)
		return;
	bpf_heap_add_step(heap, now, heap->layers.missing);
	heap->told_missing = true;
}

static bool keep_pace(struct bpf_heap *heap, uint64_t now)
{
	char reason[HEAP_REASON_MAX];
	struct heap_load busiest;

	busiest = heap_threads_busiest(&heap->threads, &heap->pace.prices);
	if (heap->config.heap_is_forced || heap->is_stopped || !heap->was_counted ||
	    !heap_pace_step(&heap->pace, &busiest, now - heap->look_ns,
			    heap->config.overhead_max_pct, reason))
		return false;
	bpf_heap_enter_mode(heap);
	bpf_heap_add_step(heap, now, reason);
	return true;
}

/* Somebody ended the child that holds the probes, and they are gone with it. */
static void look_at_keeper(struct bpf_heap *heap, uint64_t now)
{
	if (heap->is_stopped || heap->pace.mode == HEAP_MODE_OFF ||
	    !heap_keeper_is_gone(&heap->keeper))
		return;
	heap->pace.mode = HEAP_MODE_OFF;
	bpf_heap_enter_mode(heap);
	bpf_heap_add_step(heap, now, "The process of rsprof that holds the probes was ended.");
}

static void tell_state(struct bpf_heap *heap, uint64_t time_ns, source_sink sink, void *context)
{
	const struct bpf_control *control = heap->control;
	struct event event = {
		.time_ns = time_ns,
		.type = EVENT_HEAP_STATE,
		.pid = heap->books.target_pid,
		.tid = heap->books.target_pid,
	};
	struct heap_state *state = &event.heap_state;

	if (!heap->was_counted)
		return;
	state->is_counted = true;
	state->unknown_frees = __atomic_load_n(&control->unknown_frees, __ATOMIC_RELAXED);
	state->mmap_count = __atomic_load_n(&control->mmap_count, __ATOMIC_RELAXED);
	state->mmap_bytes = __atomic_load_n(&control->mmap_bytes, __ATOMIC_RELAXED);
	state->munmap_count = __atomic_load_n(&control->munmap_count, __ATOMIC_RELAXED);
	state->munmap_bytes = __atomic_load_n(&control->munmap_bytes, __ATOMIC_RELAXED);
	state->brk_count = __atomic_load_n(&control->brk_count, __ATOMIC_RELAXED);
	state->brk_bytes = __atomic_load_n(&control->brk_bytes, __ATOMIC_RELAXED);
	state->hits = heap->threads.total.hits + heap->threads.total.stepped_hits +
		      heap->threads.total.return_hits;
	state->cost_ns = heap_cost_ns(&heap->pace.prices, &heap->threads.total);
	sink(context, &event);
}

/* All threads but one are gone, and that one may have had another number. */
static void end_threads(struct bpf_heap *heap)
{
	vec_clear(&heap->ended);
	vec_clear(&heap->rows);
	bpf_read_heap_threads(heap->loaded, &heap->rows);
	for (size_t i = 0; i < heap->rows.count; i++)
		*vec_add(&heap->ended) = heap->rows.items[i].tid;
}

static void end_program(struct bpf_heap *heap, source_sink sink, void *context)
{
	uint64_t now;

	heap_layers_drop(&heap->layers);
	/* No program runs any more: what it told is in the ring. */
	bpf_read_ring(heap->loaded);
	now = clock_now_ns();
	end_threads(heap);
	read_threads(heap);
	read_sites(heap, now, false, sink, context);
	heap_books_exec(&heap->books, now, sink, context);
	bpf_clear_heap_blocks(heap->loaded);
}

static void begin_anew(struct bpf_heap *heap, source_sink sink, void *context)
{
	uint64_t exec_count = __atomic_load_n(&heap->control->exec_count, __ATOMIC_ACQUIRE);

	/* Of rsprof's own child nothing was counted; the walks of the new program wait. */
	if (!bpf_heap_is_foreign(heap))
		end_program(heap, sink, context);
	heap->exec_count = exec_count;
	heap->has_begun = true;
	bpf_heap_probe_new(heap);
}

void bpf_heap_look(struct bpf_heap *heap, bool is_last, source_sink sink, void *context)
{
	uint64_t now;

	if (!heap || heap->told_end)
		return;
	if (bpf_heap_is_replaced(heap))
		begin_anew(heap, sink, context);
	now = clock_now_ns();
	if (heap->due_ns && now >= heap->due_ns)
		bpf_heap_place_probes(heap);
	if (!is_last && now < heap->next_look_ns)
		return;
	read_threads(heap);
	read_sites(heap, now, is_last, sink, context);
	look_at_keeper(heap, now);
	if (keep_pace(heap, now))
		read_sites(heap, now, is_last, sink, context);
	tell_missing(heap, now, is_last);
	tell_state(heap, now, sink, context);
	heap->look_ns = now;
	heap->next_look_ns = heap_look_next_ns(heap->start_ns, now);
	heap->told_end = is_last;
}
