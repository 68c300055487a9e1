#include "reader/record/merge.h"

#include <string.h>

#include "reader/util/arena.h"
#include "reader/util/vec.h"

struct held {
	uint64_t time_ns;
	uint64_t sequence; /* keeps the order of a ring where times are equal */
	struct event *event;
};

struct merge {
	VEC(struct held) held;
	/* Events live in one arena; what a flush leaves behind moves to the other, which bounds
	 * memory without a free list. */
	struct arena arenas[2];
	unsigned current;
	uint64_t sequence, flushed_ns, late;
	bool is_sorted;
};

struct merge *merge_new(void)
{
	struct merge *merge = mem_zalloc(sizeof(*merge));

	merge->is_sorted = true;
	return merge;
}

void merge_free(struct merge *merge)
{
	if (!merge)
		return;
	vec_done(&merge->held);
	arena_done(&merge->arenas[0]);
	arena_done(&merge->arenas[1]);
	free(merge);
}

/* What is still to be unwound. */
static void copy_stack(struct arena *arena, const struct event_registers **registers,
		       const uint8_t **stack, uint32_t stack_bytes)
{
	if (!*registers)
		return;
	*registers = arena_copy(arena, *registers, sizeof(**registers));
	*stack = arena_copy(arena, *stack, stack_bytes);
}

static struct event *copy_event(struct arena *arena, const struct event *event)
{
	struct event *copy = arena_copy(arena, event, sizeof(*event));

	switch (event->type) {
	case EVENT_SAMPLE:
		copy->sample.pcs = arena_copy(arena, event->sample.pcs,
					      event->sample.pc_count * sizeof(uint64_t));
		copy_stack(arena, &copy->sample.registers, &copy->sample.stack,
			   event->sample.stack_bytes);
		break;
	case EVENT_HEAP_STACK:
		copy->heap_stack.pcs = arena_copy(arena, event->heap_stack.pcs,
						  event->heap_stack.pc_count * sizeof(uint64_t));
		copy_stack(arena, &copy->heap_stack.registers, &copy->heap_stack.stack,
			   event->heap_stack.stack_bytes);
		break;
	case EVENT_MMAP:
		copy->mmap.path = arena_strdup(arena, event->mmap.path);
		break;
	case EVENT_COMM:
		copy->comm.comm = arena_strdup(arena, event->comm.comm);
		break;
	case EVENT_FORK:
	case EVENT_EXIT:
	case EVENT_LOST:
	case EVENT_HEAP_COUNTS:
	case EVENT_HEAP_STATE:
	case EVENT_TYPES:
		break;
	}
	return copy;
}

void merge_add(struct merge *merge, const struct event *event)
{
	const struct held *last =
		merge->held.count ? &merge->held.items[merge->held.count - 1] : NULL;

	if (event->time_ns < merge->flushed_ns)
		merge->late++;
	if (last && event->time_ns < last->time_ns)
		merge->is_sorted = false;
	*vec_add(&merge->held) = (struct held){event->time_ns, merge->sequence++,
					       copy_event(&merge->arenas[merge->current], event)};
}

static int by_time(const void *a, const void *b)
{
	const struct held *left = a, *right = b;

	if (left->time_ns != right->time_ns)
		return left->time_ns < right->time_ns ? -1 : 1;
	return left->sequence < right->sequence ? -1 : 1;
}

void merge_flush(struct merge *merge, uint64_t horizon_ns, merge_sink sink, void *context)
{
	size_t count = merge->held.count, flushed = 0;
	struct arena *next = &merge->arenas[merge->current ^ 1];

	if (!merge->is_sorted)
		qsort(merge->held.items, count, sizeof(struct held), by_time);
	merge->is_sorted = true;
	while (flushed < count && (merge->held.items[flushed].time_ns <= horizon_ns ||
				   count - flushed > MERGE_HELD_MAX)) {
		struct held *held = &merge->held.items[flushed++];

		if (held->time_ns > merge->flushed_ns)
			merge->flushed_ns = held->time_ns;
		sink(context, held->event);
	}
	if (!flushed)
		return;
	for (size_t i = flushed; i < count; i++) {
		merge->held.items[i - flushed] = merge->held.items[i];
		merge->held.items[i - flushed].event = copy_event(next, merge->held.items[i].event);
	}
	merge->held.count = count - flushed;
	arena_reset(&merge->arenas[merge->current]);
	merge->current ^= 1;
}

size_t merge_held(const struct merge *merge)
{
	return merge->held.count;
}

uint64_t merge_late(const struct merge *merge)
{
	return merge->late;
}
