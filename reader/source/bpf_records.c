#include "reader/source/bpf_records.h"

#include <string.h>

_Static_assert((int)BPF_WAIT_CHILD + 1 == (int)WAIT_KINDS, "kinds have the same numbers");
_Static_assert((int)BPF_WAIT_OTHER == (int)WAIT_OTHER && (int)BPF_WAIT_LOCK == (int)WAIT_LOCK &&
		       (int)BPF_WAIT_FAULT == (int)WAIT_FAULT,
	       "kinds have the same numbers");
_Static_assert((int)BPF_REGISTERS == (int)EVENT_REGISTERS, "registers have the same numbers");
_Static_assert((int)BPF_FRAMES_MAX == (int)EVENT_FRAMES_MAX, "stacks are as deep");
_Static_assert((int)BPF_EVENTS_MAX == (int)SOURCE_EVENTS_MAX, "as many events");

enum stack_status bpf_stack_status(uint32_t end, uint32_t flags)
{
	switch ((enum walk_end)end) {
	case WALK_COMPLETE:
		return flags & WALK_USED_FRAME_POINTERS ? STACK_USED_FRAME_POINTERS
							: STACK_COMPLETE;
	case WALK_TRUNCATED:
		return STACK_TRUNCATED;
	case WALK_NO_MAPPING:
		return STACK_NO_MAPPING;
	case WALK_NO_TABLE:
	case WALK_STALE:
		return STACK_NO_TABLE;
	case WALK_READ_ERROR:
		return STACK_READ_ERROR;
	case WALK_UNSUPPORTED:
		return STACK_BROKEN;
	case WALK_EMPTY:
		return STACK_EMPTY;
	}
	return STACK_STATUSES;
}

static void hand_over(struct bpf_decoder *decoder, const struct bpf_record *record,
		      struct event *event)
{
	event->time_ns = record->time_ns;
	event->type = EVENT_SAMPLE;
	event->pid = decoder->target_pid;
	event->tid = record->tid;
	decoder->sink(decoder->context, event);
}

/* The stack of a key of heap_sites. What is counted of it is told from now on. */
static void hand_over_site(struct bpf_decoder *decoder, const struct bpf_record *record,
			   struct event *event)
{
	event->time_ns = record->time_ns;
	event->type = EVENT_HEAP_STACK;
	event->pid = decoder->target_pid;
	event->tid = record->tid;
	decoder->sink(decoder->context, event);
	heap_books_stack_told(decoder->heap, event->heap_stack.site);
}

static bool is_site(const struct bpf_decoder *decoder, uint64_t key)
{
	return decoder->heap && key >= HEAP_SITES_FIRST;
}

static bool decode_walked(struct bpf_decoder *decoder, const struct bpf_sample *sample, size_t size)
{
	bool is_stack = sample->record.type == BPF_RECORD_STACK;
	const uint64_t *pcs = (const uint64_t *)sample->pcs;
	enum stack_status status;
	struct event event = {0};

	if (size < sizeof(*sample) || sample->pc_count > BPF_FRAMES_MAX ||
	    size - sizeof(*sample) < sample->pc_count * sizeof(*pcs))
		return false;
	status = bpf_stack_status(sample->end, sample->flags);
	if (status == STACK_STATUSES)
		return false;
	if (is_stack) {
		if (!decoder->waits || !sample->stack)
			return false;
		decoder->stacks_told++;
		/* Waits in a stack without room are told, and counted, without it. */
		bpf_stacks_put_pcs(&decoder->waits->stacks, sample->stack, status, pcs,
				   sample->pc_count);
		return true;
	}
	if (sample->record.type == BPF_RECORD_HEAP_STACK) {
		if (!is_site(decoder, sample->stack))
			return false;
		event.heap_stack.site = sample->stack;
		event.heap_stack.pcs = pcs;
		event.heap_stack.pc_count = sample->pc_count;
		event.heap_stack.status = sample->pc_count ? status : STACK_EMPTY;
		hand_over_site(decoder, &sample->record, &event);
		return true;
	}
	if (sample->event >= decoder->event_count)
		return false;
	event.sample.pcs = pcs;
	event.sample.pc_count = sample->pc_count;
	event.sample.event_index = sample->event;
	event.sample.value = sample->value;
	event.sample.status = sample->pc_count ? status : STACK_EMPTY;
	event.sample.in_kernel = sample->flags & WALK_IN_KERNEL;
	hand_over(decoder, &sample->record, &event);
	return true;
}

static bool decode_copy(struct bpf_decoder *decoder, const struct bpf_copy *copy, size_t size)
{
	struct event_registers registers = {.known = (1u << BPF_REGISTERS) - 1};
	enum stack_status status;
	struct event event = {0};

	if (size < offsetof(struct bpf_copy, bytes) || copy->size > BPF_COPY_BYTES ||
	    size - offsetof(struct bpf_copy, bytes) < copy->size)
		return false;
	status = bpf_stack_status(copy->end, copy->flags);
	if (status == STACK_STATUSES)
		return false;
	registers.rip = copy->rip;
	memcpy(registers.general, copy->general, sizeof(registers.general));
	if (copy->record.type == BPF_RECORD_HEAP_COPY) {
		if (!is_site(decoder, copy->stack))
			return false;
		event.heap_stack.site = copy->stack;
		event.heap_stack.pcs = &registers.rip;
		event.heap_stack.pc_count = 1;
		event.heap_stack.status = status;
		event.heap_stack.registers = &registers;
		event.heap_stack.stack = copy->bytes;
		event.heap_stack.stack_bytes = copy->size;
		hand_over_site(decoder, &copy->record, &event);
		return true;
	}
	if (copy->stack) {
		if (!decoder->waits)
			return false;
		decoder->stacks_told++;
		bpf_stacks_put_copy(&decoder->waits->stacks, copy->stack, &registers, copy->bytes,
				    copy->size);
		return true;
	}
	if (copy->event >= decoder->event_count)
		return false;
	event.sample.pcs = &registers.rip;
	event.sample.pc_count = 1;
	event.sample.event_index = copy->event;
	event.sample.value = copy->value;
	event.sample.status = status;
	event.sample.in_kernel = copy->flags & WALK_IN_KERNEL;
	event.sample.registers = &registers;
	event.sample.stack = copy->bytes;
	event.sample.stack_bytes = copy->size;
	hand_over(decoder, &copy->record, &event);
	return true;
}

static bool decode_wait(struct bpf_decoder *decoder, const struct bpf_wait *wait, size_t size)
{
	/* That it ends before it begins can be: the clock of programs may differ between CPUs by a
	 * little. It is then no time at all. */
	if (size < sizeof(*wait) || !decoder->waits || wait->kind >= WAIT_KINDS)
		return false;
	bpf_waits_add(decoder->waits, wait);
	return true;
}

static bool decode(struct bpf_decoder *decoder, const void *bytes, size_t size)
{
	const struct bpf_record *record = bytes;

	if (size < sizeof(*record))
		return false;
	switch ((enum bpf_record_type)record->type) {
	case BPF_RECORD_SAMPLE:
	case BPF_RECORD_STACK:
	case BPF_RECORD_HEAP_STACK:
		return decode_walked(decoder, bytes, size);
	case BPF_RECORD_COPY:
	case BPF_RECORD_HEAP_COPY:
		return decode_copy(decoder, bytes, size);
	case BPF_RECORD_WAIT:
		return decode_wait(decoder, bytes, size);
	}
	return false;
}

int bpf_record_decode(void *context, void *record, size_t size)
{
	struct bpf_decoder *decoder = context;

	/* Records lie in the ring at 8 bytes. */
	decoder->bad_count += !decode(decoder, record, size);
	return 0;
}
