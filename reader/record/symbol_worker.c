#include "reader/record/symbol_worker.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "reader/record/charge.h"
#include "reader/symbol/symbol.h"
#include "reader/util/mem.h"
#include "reader/util/vec.h"

/* A batch is handed over at least this often, so that a checkpoint commits what is resolved so far
 * while a large file is still being read. */
enum { BATCH_FRAMES = 512 };

static char unknown_name[] = "[unknown]";

struct symbol_worker {
	pthread_t thread;
	void (*deliver)(void *context, struct resolved_batch *batch);
	void *context;

	pthread_mutex_t lock; /* guards the queue and `closed` */
	pthread_cond_t changed;
	VEC(struct delta *) queue;
	bool closed;

	/* The rest belongs to the symbol thread. Element 0 is id 1. */
	struct symbolizer *symbolizer;
	VEC(const struct module *) modules; /* by id; NULL where not told */
	VEC(struct frame_verdict) frames;
	VEC(struct stack_node) nodes;
	VEC(enum stack_status) stacks;
	struct module unknown;
	uint32_t wait_events;
	_Atomic uint64_t by_status[STACK_STATUSES], waits, complete_waits;
	_Atomic uint64_t allocs, complete_allocs;
};

static struct resolved_batch *batch_new(void)
{
	return mem_zalloc(sizeof(struct resolved_batch));
}

static const struct module *module_of(const struct symbol_worker *worker, module_id id)
{
	if (id.v < worker->modules.count && worker->modules.items[id.v])
		return worker->modules.items[id.v];
	return &worker->unknown;
}

static void learn_modules(struct symbol_worker *worker, const struct delta *delta)
{
	for (size_t i = 0; i < delta->module_count; i++) {
		const struct module *module = delta->modules[i];

		while (worker->modules.count <= module->id.v)
			*vec_add(&worker->modules) = NULL;
		worker->modules.items[module->id.v] = module;
	}
}

static const struct source_line *copy_lines(struct arena *arena, const struct symbol_answer *answer)
{
	struct source_line *lines = arena_alloc(arena, answer->line_count * sizeof(*lines));

	/* The strings live as long as the symbolizer, which outlives the writer's last commit only
	 * by chance: the batch keeps copies of its own. */
	for (size_t i = 0; i < answer->line_count; i++) {
		lines[i] = answer->lines[i];
		lines[i].function = arena_strdup(arena, lines[i].function);
		lines[i].file = arena_strdup(arena, lines[i].file);
		lines[i].path = arena_strdup(arena, lines[i].path);
	}
	return lines;
}

static void resolve_frames(struct symbol_worker *worker, const struct delta *delta, size_t from,
			   size_t count)
{
	struct resolved_batch *batch = batch_new();
	struct resolved_frame *resolved = arena_alloc(&batch->arena, count * sizeof(*resolved));

	for (size_t i = 0; i < count; i++) {
		const struct stack_frame *frame = &delta->frames[from + i];
		const struct module *module = module_of(worker, frame->place.module);
		struct symbol_answer answer;

		symbolizer_resolve(worker->symbolizer, module, frame->place.vaddr, &answer);
		resolved[i].id.v = delta->first_frame + (uint32_t)(from + i);
		resolved[i].quality = answer.quality;
		resolved[i].base = answer.base;
		resolved[i].lines = copy_lines(&batch->arena, &answer);
		resolved[i].line_count = answer.line_count;
		*vec_add(&worker->frames) = frame_verdict_of(answer.lines, answer.line_count,
							     answer.base, module->path);
	}
	batch->frames = resolved;
	batch->frame_count = count;
	worker->deliver(worker->context, batch);
}

static struct stack_charge charge(const struct symbol_worker *worker, stack_id id,
				  const struct stack_leaf *leaf)
{
	struct stack_charge charge = {.id = id, .status = leaf->status};
	struct frame_verdict verdicts[EVENT_FRAMES_MAX];
	size_t count = 0;

	for (node_id at = leaf->node; at.v && count < EVENT_FRAMES_MAX;) {
		const struct stack_node *node = &worker->nodes.items[at.v - 1];
		const struct frame_verdict *verdict = &worker->frames.items[node->frame.v - 1];

		verdicts[count++] = *verdict;
		if (!charge.frame.v && verdict->user_depth != CHARGE_NO_DEPTH) {
			charge.frame = node->frame;
			charge.depth = verdict->user_depth;
		}
		at = node->parent;
	}
	/* Nothing of the user's own: the leaf stands for itself. */
	if (!charge.frame.v && leaf->node.v)
		charge.frame = worker->nodes.items[leaf->node.v - 1].frame;
	charge.status = stack_verdict(leaf->status, verdicts, count);
	return charge;
}

static void charge_stacks(struct symbol_worker *worker, const struct delta *delta)
{
	struct resolved_batch *batch;
	struct stack_charge *charges;

	if (!delta->stack_count)
		return;
	batch = batch_new();
	charges = arena_alloc(&batch->arena, delta->stack_count * sizeof(*charges));
	for (size_t i = 0; i < delta->stack_count; i++) {
		stack_id id = {delta->first_stack + (uint32_t)i};

		charges[i] = charge(worker, id, &delta->stacks[i]);
		*vec_add(&worker->stacks) = charges[i].status;
	}
	batch->charges = charges;
	batch->charge_count = delta->stack_count;
	worker->deliver(worker->context, batch);
}

static void count_complete(struct symbol_worker *worker, const struct delta *delta)
{
	struct stack_share share = {0};

	for (size_t i = 0; i < delta->row_count; i++) {
		const struct delta_row *row = &delta->rows[i];
		enum stack_status status = worker->stacks.items[row->stack.v - 1];

		if (row->kind != WAIT_NONE || (worker->wait_events >> row->event_index & 1)) {
			share.waits += row->count;
			share.complete_waits += status == STACK_COMPLETE ? row->count : 0;
		} else {
			share.by_status[status] += row->count;
		}
	}
	for (size_t i = 0; i < delta->heap_row_count; i++) {
		const struct delta_heap_row *row = &delta->heap_rows[i];

		share.allocs += row->counts.allocs;
		if (worker->stacks.items[row->stack.v - 1] == STACK_COMPLETE)
			share.complete_allocs += row->counts.allocs;
	}
	/* Read for display only: they need not agree to the sample. */
	for (int status = 0; status < STACK_STATUSES; status++)
		atomic_fetch_add_explicit(&worker->by_status[status], share.by_status[status],
					  memory_order_relaxed);
	atomic_fetch_add_explicit(&worker->waits, share.waits, memory_order_relaxed);
	atomic_fetch_add_explicit(&worker->complete_waits, share.complete_waits,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&worker->allocs, share.allocs, memory_order_relaxed);
	atomic_fetch_add_explicit(&worker->complete_allocs, share.complete_allocs,
				  memory_order_relaxed);
}

static void work_on(struct symbol_worker *worker, const struct delta *delta)
{
	assert(delta->first_frame == worker->frames.count + 1);
	assert(delta->first_stack == worker->stacks.count + 1);
	learn_modules(worker, delta);
	for (size_t from = 0; from < delta->frame_count; from += BATCH_FRAMES) {
		size_t left = delta->frame_count - from;

		resolve_frames(worker, delta, from, left < BATCH_FRAMES ? left : BATCH_FRAMES);
	}
	for (size_t i = 0; i < delta->node_count; i++)
		*vec_add(&worker->nodes) = delta->nodes[i];
	charge_stacks(worker, delta);
	count_complete(worker, delta);
}

static struct delta *next_delta(struct symbol_worker *worker)
{
	struct delta *delta = NULL;

	pthread_mutex_lock(&worker->lock);
	while (!worker->queue.count && !worker->closed)
		pthread_cond_wait(&worker->changed, &worker->lock);
	if (worker->queue.count) {
		delta = worker->queue.items[0];
		worker->queue.count--;
		for (size_t i = 0; i < worker->queue.count; i++)
			worker->queue.items[i] = worker->queue.items[i + 1];
	}
	pthread_mutex_unlock(&worker->lock);
	return delta;
}

static void *run(void *argument)
{
	struct symbol_worker *worker = argument;
	struct delta *delta;

	worker->symbolizer = symbolizer_new();
	while ((delta = next_delta(worker))) {
		work_on(worker, delta);
		delta_release(delta);
	}
	symbolizer_free(worker->symbolizer);
	return NULL;
}

struct symbol_worker *
symbol_worker_start(uint32_t wait_events,
		    void (*deliver)(void *context, struct resolved_batch *batch), void *context)
{
	struct symbol_worker *worker = mem_zalloc(sizeof(*worker));

	worker->wait_events = wait_events;
	worker->deliver = deliver;
	worker->context = context;
	worker->unknown = (struct module){
		.kind = MODULE_UNKNOWN, .path = unknown_name, .name = unknown_name, .fd = -1};
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->changed, NULL);
	if (pthread_create(&worker->thread, NULL, run, worker)) {
		free(worker);
		return NULL;
	}
	return worker;
}

void symbol_worker_add(struct symbol_worker *worker, struct delta *delta)
{
	pthread_mutex_lock(&worker->lock);
	*vec_add(&worker->queue) = delta;
	pthread_cond_signal(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
}

void symbol_worker_finish(struct symbol_worker *worker, struct stack_share *ret_share)
{
	pthread_mutex_lock(&worker->lock);
	worker->closed = true;
	pthread_cond_signal(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	symbol_worker_share(worker, ret_share);
	pthread_mutex_destroy(&worker->lock);
	pthread_cond_destroy(&worker->changed);
	vec_done(&worker->queue);
	vec_done(&worker->modules);
	vec_done(&worker->frames);
	vec_done(&worker->nodes);
	vec_done(&worker->stacks);
	free(worker);
}

void symbol_worker_share(const struct symbol_worker *worker, struct stack_share *ret_share)
{
	*ret_share = (struct stack_share){
		.waits = atomic_load_explicit(&worker->waits, memory_order_relaxed),
		.complete_waits =
			atomic_load_explicit(&worker->complete_waits, memory_order_relaxed),
		.allocs = atomic_load_explicit(&worker->allocs, memory_order_relaxed),
		.complete_allocs =
			atomic_load_explicit(&worker->complete_allocs, memory_order_relaxed),
	};
	for (int status = 0; status < STACK_STATUSES; status++) {
		ret_share->by_status[status] =
			atomic_load_explicit(&worker->by_status[status], memory_order_relaxed);
		ret_share->samples += ret_share->by_status[status];
	}
	ret_share->complete = ret_share->by_status[STACK_COMPLETE];
}
