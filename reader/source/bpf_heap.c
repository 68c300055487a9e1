#include "reader/source/bpf_heap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reader/source/heap_keeper.h"
#include "reader/source/heap_layers.h"
#include "reader/source/heap_threads.h"
#include "reader/util/clock.h"
#include "reader/util/own.h"

#define LOOK_NS NS_PER_S
/* New code is looked through once its unwind tables are published: that takes its time, and walks
 * need those. While a large program begins it takes 20 ms at a time, and waits until nothing more
 * was mapped for a while. */
#define CODE_BYTES_LARGE (UINT64_C(8) << 20)
#define SOON_NS (2 * NS_PER_MS)
#define QUIET_NS (200 * NS_PER_MS)
/* Looks come so long before a full second since the recording began: a checkpoint that ends there
 * holds what was counted until then. */
#define LOOK_LEAD_NS (20 * NS_PER_MS)

enum {
	/* control.heap_mean */
	MEAN_MIN = 1 << 10,
	MEAN_MAX = 4 << 20,
	MEAN_DEFAULT = 512 << 10,
};

_Static_assert((int)HEAP_MODE_OFF == (int)BPF_HEAP_OFF &&
		       (int)HEAP_MODE_EXACT == (int)BPF_HEAP_EXACT &&
		       (int)HEAP_MODE_SAMPLED == (int)BPF_HEAP_SAMPLED &&
		       (int)HEAP_MODE_ALLOCS == (int)BPF_HEAP_ALLOCS,
	       "modes have the same numbers");

struct bpf_heap {
	struct source_config config;
	struct bpf_loaded *loaded;
	struct bpf_control *control;
	struct heap_programs programs;
	struct heap_keeper keeper;
	struct heap_layers layers;
	struct heap_books books;
	struct heap_threads threads;
	struct heap_pace pace;
	struct arena arena; /* of what steps say */
	VEC(struct delta_step) steps;
	size_t steps_told;
	bpf_heap_thread_rows rows;
	bpf_heap_site_rows sites;
	VEC(uint32_t) ended; /* threads, since the last look */
	uint64_t exec_count; /* of the program that the layers are of */
	uint64_t start_ns;
	uint64_t look_ns, next_look_ns; /* of the last look, and when the next is due */
	const char *last_missing;	/* what layers had to say before */
	uint64_t due_ns;		/* when probes are to be placed; 0: they are */
	bool was_counted;		/* functions that allocate have been probed */
	bool was_watched;		/* any have been */
	bool has_begun;			/* there was an exec */
	bool is_open, is_stopped, told_missing, told_end;
};

/* ---- modes */

/* Of a child that is to exec nothing is looked at before. */
static bool is_foreign(const struct bpf_heap *heap)
{
	return heap->config.start_on_exec && !heap->has_begun;
}

enum heap_mode bpf_heap_mode(const struct bpf_heap *heap)
{
	return heap && (heap->was_counted || is_foreign(heap)) ? heap->pace.mode : HEAP_MODE_OFF;
}

static const char *mode_text(struct bpf_heap *heap)
{
	enum heap_mode mode = bpf_heap_mode(heap);

	if (mode == HEAP_MODE_OFF)
		return heap_mode_names[mode];
	return arena_printf(&heap->arena, "%s, %s", source_bpf.name, heap_mode_names[mode]);
}

static void add_step(struct bpf_heap *heap, uint64_t time_ns, const char *reason)
{
	*vec_add(&heap->steps) = (struct delta_step){
		.time_ns = time_ns,
		.signal = "heap",
		.mode = mode_text(heap),
		.reason = arena_strdup(&heap->arena, reason),
	};
}

static uint32_t mean_of(const struct source_config *config)
{
	uint32_t mean = config->heap_sample_bytes ? config->heap_sample_bytes : MEAN_DEFAULT;

	if (mean < MEAN_MIN)
		return MEAN_MIN;
	return mean > MEAN_MAX ? MEAN_MAX : mean;
}

/* Without sessions every call's return is probed, and a kernel kills the target where a handler on
 * an alternate signal stack allocates in the midst of an allocation: it takes the return that is
 * outstanding for one that was jumped over. Only who asks for it by name gets that. */
static bool is_without_returns(const struct bpf_heap *heap)
{
	return !heap->pace.has_sessions && !heap->config.heap_is_asked;
}

static enum heap_mode first_mode(const struct bpf_heap *heap)
{
	if (is_without_returns(heap))
		return HEAP_MODE_ALLOCS;
	return heap->config.heap == HEAP_MODE_SAMPLED ? HEAP_MODE_SAMPLED : HEAP_MODE_EXACT;
}

static void tell_mode(struct bpf_heap *heap)
{
	__atomic_store_n(&heap->control->heap_mode, (uint32_t)heap->pace.mode, __ATOMIC_SEQ_CST);
}

static void enter_mode(struct bpf_heap *heap)
{
	tell_mode(heap);
	/* What the kernel knows of blocks stays there, unused: to forget ten million takes seconds.
	 */
	if (heap->pace.mode == HEAP_MODE_ALLOCS)
		heap_layers_drop_frees(&heap->layers);
	else if (heap->pace.mode == HEAP_MODE_OFF)
		heap_layers_drop(&heap->layers);
}

/* ---- the target's code */

static bool is_replaced(const struct bpf_heap *heap)
{
	return __atomic_load_n(&heap->control->exec_count, __ATOMIC_ACQUIRE) != heap->exec_count;
}

static bool is_new_missing(struct bpf_heap *heap)
{
	const char *missing = heap->layers.missing, *last = heap->last_missing;

	heap->last_missing = missing;
	return missing && (!last || strcmp(missing, last));
}

static void tell_update(struct bpf_heap *heap)
{
	OWN(str_done) struct str text = {0};

	if (heap->layers.joined.length)
		str_addf(&text, "Watched from here on: %s.", str_text(&heap->layers.joined));
	/* Probes are placed in what is mapped: a program that was just begun goes on meanwhile. */
	if (heap->layers.joined.length && heap->config.start_on_exec && !heap->was_watched)
		str_add(&text, " What it allocated before is not counted.");
	heap->was_watched |= heap->layers.joined.length > 0;
	if (heap->layers.left.length)
		str_addf(&text, "%sNo longer there: %s.", text.length ? " " : "",
			 str_text(&heap->layers.left));
	if (heap->layers.refused.length)
		str_addf(&text, "%s%s", text.length ? " " : "", str_text(&heap->layers.refused));
	if (heap->was_counted && is_new_missing(heap))
		str_addf(&text, "%s%s", text.length ? " " : "", heap->layers.missing);
	if (text.length && heap->is_open)
		add_step(heap, clock_now_ns(), str_text(&text));
}

static void place_probes(struct bpf_heap *heap)
{
	heap->due_ns = 0;
	if (heap->is_stopped || heap->pace.mode == HEAP_MODE_OFF ||
	    heap_layers_update(&heap->layers))
		return;
	heap->was_counted |= heap_layers_give_blocks(&heap->layers);
	tell_update(heap);
}

static void probe_new(struct bpf_heap *heap)
{
	if (heap->is_stopped || heap->pace.mode == HEAP_MODE_OFF ||
	    !heap_layers_read_code(&heap->layers))
		return;
	if (!heap->is_open)
		place_probes(heap);
	else
		heap->due_ns = clock_now_ns() +
			       (heap->layers.code_bytes > CODE_BYTES_LARGE ? QUIET_NS : SOON_NS);
}

void bpf_heap_update(struct bpf_heap *heap)
{
	/* After an exec the next look begins anew. */
	if (!heap || is_replaced(heap) || is_foreign(heap))
		return;
	probe_new(heap);
}

/* ---- loading */

static int try_load(struct bpf_loaded *loaded, const struct source_config *config,
		    enum heap_attach attach, struct heap_prices *prices, struct err *err)
{
	int failed;

	loaded->heap_attach = attach;
	failed = bpf_load(loaded, config, err);
	if (failed)
		return failed;
	failed = heap_calibrate(&loaded->heap_programs, prices);
	if (failed)
		return err_set(err, ERR_GENERAL, failed, "No probe can be placed here: %s.",
			       strerror(-failed));
	if (!prices->sees_other_threads)
		return err_set(err, ERR_GENERAL, -EOPNOTSUPP,
			       "This kernel places probes for a single thread only.");
	return 0;
}

int bpf_heap_load(struct bpf_loaded *loaded, const struct source_config *config,
		  struct heap_prices *ret_prices, struct arena *arena, const char **ret_missing,
		  struct err *err)
{
	/* As bpf_load begins its sentences. */
	static const char cannot[] = "The bpf source cannot start: ";
	struct source_config without = *config;
	struct err refusal = {0};

	*ret_missing = NULL;
	for (int attach = (int)loaded->heap_attach; config->heap && attach <= HEAP_ATTACH_PERF;
	     attach++) {
		if (!try_load(loaded, config, (enum heap_attach)attach, ret_prices, &refusal))
			return 0;
		/* The loader may have passed over some by itself. */
		if ((int)loaded->heap_programs.attach > attach)
			attach = (int)loaded->heap_programs.attach;
		bpf_unload(loaded);
	}
	if (config->heap)
		*ret_missing = arena_printf(arena, "Its programs cannot start: %s",
					    refusal.sentence + (str_starts(refusal.sentence, cannot)
									? strlen(cannot)
									: 0));
	without.heap = HEAP_MODE_OFF;
	return bpf_load(loaded, &without, err);
}

/* ---- opening */

static struct bpf_heap *heap_new(const struct source_config *config, struct bpf_loaded *loaded,
				 const struct heap_prices *prices)
{
	struct bpf_heap *heap = mem_zalloc(sizeof(*heap));

	heap->config = *config;
	heap->loaded = loaded;
	heap->control = loaded->control;
	heap->books.target_pid = (uint32_t)config->target->pid;
	heap->exec_count = __atomic_load_n(&loaded->control->exec_count, __ATOMIC_ACQUIRE);
	heap->pace = (struct heap_pace){
		.prices = *prices,
		.has_sessions = loaded->heap_programs.attach == HEAP_ATTACH_SESSION,
	};
	heap->pace.mode = first_mode(heap);
	heap->programs = loaded->heap_programs;
	/* Else probes are placed from here: then kill -9 in that very moment may leave some. */
	if (!heap_keeper_start(&heap->keeper, &heap->programs))
		heap->programs.keeper = &heap->keeper;
	heap_layers_init(&heap->layers, config->target, loaded->control, &heap->programs);
	heap->layers.without_frees = heap->layers.without_returns = is_without_returns(heap);
	/* What programs need for a mode is there before they are in it. */
	loaded->control->heap_mean = mean_of(config);
	tell_mode(heap);
	return heap;
}

static const char *reason_of(const struct bpf_heap *heap, struct arena *arena)
{
	OWN(str_done) struct str text = {0};

	if (is_foreign(heap))
		return "The allocator is looked for when the program begins.";
	heap_layers_describe(&heap->layers, &heap->pace.prices, &text);
	if (heap->layers.refused.length)
		str_addf(&text, "%s%s", text.length ? " " : "", str_text(&heap->layers.refused));
	if (heap->layers.missing)
		str_addf(&text, "%s%s", text.length ? " " : "", heap->layers.missing);
	if (text.length && is_without_returns(heap))
		str_add(&text,
			" Before Linux 6.13 probes on returns can harm a target that allocates "
			"in signal handlers, so frees and what is live are not counted; "
			"--heap exact counts them all the same.");
	return text.length ? arena_strdup(arena, str_text(&text)) : "No allocator was found.";
}

struct bpf_heap *bpf_heap_open(const struct source_config *config, struct bpf_loaded *loaded,
			       const struct heap_prices *prices, struct arena *arena,
			       const char **ret_reason)
{
	struct bpf_heap *heap;

	heap = heap_new(config, loaded, prices);
	bpf_heap_update(heap);
	heap->is_open = true;
	*ret_reason = reason_of(heap, arena);
	return heap;
}

void bpf_heap_close(struct bpf_heap *heap)
{
	if (!heap)
		return;
	heap_layers_done(&heap->layers);
	heap_keeper_end(&heap->keeper);
	heap_books_done(&heap->books);
	heap_threads_done(&heap->threads);
	vec_done(&heap->steps);
	vec_done(&heap->rows);
	vec_done(&heap->ended);
	vec_done(&heap->sites);
	arena_done(&heap->arena);
	free(heap);
}

struct heap_books *bpf_heap_books(struct bpf_heap *heap)
{
	return heap ? &heap->books : NULL;
}

static uint64_t next_look_ns(const struct bpf_heap *heap, uint64_t now_ns)
{
	uint64_t looks = (now_ns + LOOK_LEAD_NS - heap->start_ns) / LOOK_NS;

	return heap->start_ns + (looks + 1) * LOOK_NS - LOOK_LEAD_NS;
}

void bpf_heap_start(struct bpf_heap *heap, uint64_t now_ns)
{
	if (!heap)
		return;
	heap->start_ns = heap->look_ns = now_ns;
	heap->next_look_ns = next_look_ns(heap, now_ns);
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

void bpf_heap_stop(struct bpf_heap *heap)
{
	if (!heap || heap->is_stopped)
		return;
	heap_layers_drop(&heap->layers);
	heap->is_stopped = true;
}

/* ---- looking */

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
		add_step(heap, heap->start_ns,
			 "The program ended before its allocator was watched: nothing of its heap "
			 "was counted.");
		heap->told_missing = true;
	}
	if (heap->was_counted || !heap->has_begun || heap->told_missing || !heap->layers.missing)
		return;
	add_step(heap, now, heap->layers.missing);
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
	enter_mode(heap);
	add_step(heap, now, reason);
	return true;
}

/* Somebody ended the child that holds the probes, and they are gone with it. */
static void look_at_keeper(struct bpf_heap *heap, uint64_t now)
{
	if (heap->is_stopped || heap->pace.mode == HEAP_MODE_OFF ||
	    !heap_keeper_is_gone(&heap->keeper))
		return;
	heap->pace.mode = HEAP_MODE_OFF;
	enter_mode(heap);
	add_step(heap, now, "The process of rsprof that holds the probes was ended.");
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
	if (!is_foreign(heap))
		end_program(heap, sink, context);
	heap->exec_count = exec_count;
	heap->has_begun = true;
	probe_new(heap);
}

void bpf_heap_look(struct bpf_heap *heap, bool is_last, source_sink sink, void *context)
{
	uint64_t now;

	if (!heap || heap->told_end)
		return;
	if (is_replaced(heap))
		begin_anew(heap, sink, context);
	now = clock_now_ns();
	if (heap->due_ns && now >= heap->due_ns)
		place_probes(heap);
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
	heap->next_look_ns = next_look_ns(heap, now);
	heap->told_end = is_last;
}

bool bpf_heap_next_step(struct bpf_heap *heap, struct delta_step *ret_step)
{
	if (!heap || heap->steps_told == heap->steps.count)
		return false;
	*ret_step = heap->steps.items[heap->steps_told++];
	return true;
}
