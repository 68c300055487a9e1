#include "reader/source/bpf_heap_parts.h"

#include <string.h>

#include "reader/util/clock.h"
#include "reader/util/own.h"

/* New code is looked through once its unwind tables are published: that takes its time, and walks
 * need those. While a large program begins it takes 20 ms at a time, and waits until nothing more
 * was mapped for a while. */
#define CODE_BYTES_LARGE (UINT64_C(8) << 20)
#define SOON_NS (2 * NS_PER_MS)
#define QUIET_NS (200 * NS_PER_MS)
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

/* ---- modes */

bool bpf_heap_is_foreign(const struct bpf_heap *heap)
{
	return heap->config.start_on_exec && !heap->has_begun;
}

enum heap_mode bpf_heap_mode(const struct bpf_heap *heap)
{
	return heap && (heap->was_counted || bpf_heap_is_foreign(heap)) ? heap->pace.mode
									: HEAP_MODE_OFF;
}

static const char *mode_text(struct bpf_heap *heap)
{
	enum heap_mode mode = bpf_heap_mode(heap);

	if (mode == HEAP_MODE_OFF)
		return heap_mode_names[mode];
	return arena_printf(&heap->arena, "%s, %s", source_bpf.name, heap_mode_names[mode]);
}

void bpf_heap_add_step(struct bpf_heap *heap, uint64_t time_ns, const char *reason)
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

void bpf_heap_enter_mode(struct bpf_heap *heap)
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

bool bpf_heap_is_replaced(const struct bpf_heap *heap)
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
		bpf_heap_add_step(heap, clock_now_ns(), str_text(&text));
}

void bpf_heap_place_probes(struct bpf_heap *heap)
{
	heap->due_ns = 0;
	if (heap->is_stopped || heap->pace.mode == HEAP_MODE_OFF ||
	    heap_layers_update(&heap->layers))
		return;
	heap->was_counted |= heap_layers_give_blocks(&heap->layers);
	tell_update(heap);
}

void bpf_heap_probe_new(struct bpf_heap *heap)
{
	if (heap->is_stopped || heap->pace.mode == HEAP_MODE_OFF ||
	    !heap_layers_read_code(&heap->layers))
		return;
	if (!heap->is_open)
		bpf_heap_place_probes(heap);
	else
		heap->due_ns = clock_now_ns() +
			       (heap->layers.code_bytes > CODE_BYTES_LARGE ? QUIET_NS : SOON_NS);
}

void bpf_heap_update(struct bpf_heap *heap)
{
	/* After an exec the next look begins anew. */
	if (!heap || bpf_heap_is_replaced(heap) || bpf_heap_is_foreign(heap))
		return;
	bpf_heap_probe_new(heap);
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

	if (bpf_heap_is_foreign(heap))
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

void bpf_heap_stop(struct bpf_heap *heap)
{
	if (!heap || heap->is_stopped)
		return;
	heap_layers_drop(&heap->layers);
	heap->is_stopped = true;
}

bool bpf_heap_next_step(struct bpf_heap *heap, struct delta_step *ret_step)
{
	if (!heap || heap->steps_told == heap->steps.count)
		return false;
	*ret_step = heap->steps.items[heap->steps_told++];
	return true;
}
