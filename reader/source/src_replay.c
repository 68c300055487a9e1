/* The replay source: events from a file (event_text.c), for tests and bug reports. Nothing is
 * asked of the machine or of a process: modules are those of the file's mmap lines. The whole
 * file is checked before the first event is handed over. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>

#include "reader/source/event_text.h"
#include "reader/source/source.h"
#include "reader/util/mem.h"
#include "reader/util/str.h"

enum {
	/* A drain, so that the pump gets to its checkpoints between them. */
	EVENTS_PER_DRAIN = 4096,
	NOT_WANTED = -1,
};

struct src_replay {
	struct source base;
	struct event_text_reader *reader;
	int wanted[SOURCE_EVENTS_MAX]; /* number of an event in the file → in the recording */
	uint32_t frequency;	       /* that the recording is told to have */
	bool wants_heap;
	bool is_over;
};

static struct src_replay *src_replay_of(struct source *source)
{
	return (struct src_replay *)source;
}

static void src_replay_close(struct source *source)
{
	struct src_replay *replay = src_replay_of(source);

	if (!replay)
		return;
	event_text_close(replay->reader);
	free(replay);
}

static int refuse_event(const struct src_replay *replay, const struct source_config *config,
			const struct event_kind *kind, struct err *err)
{
	const struct event_text_header *header = event_text_header(replay->reader);
	struct str list = {0};

	for (size_t i = 0; i < header->event_count; i++)
		str_addf(&list, "%s%s", i ? "," : "", header->events[i]->name);
	err_set(err, ERR_USAGE, 0, "%s has no %s events.", config->replay_path, kind->name);
	err_remedy(err, "Choose what it has: --event %s", str_text(&list));
	str_done(&list);
	return -EINVAL;
}

/* What is asked for must be in the file; what is in the file need not be asked for. */
static int match_events(struct src_replay *replay, const struct source_config *config,
			struct err *err)
{
	const struct event_text_header *header = event_text_header(replay->reader);

	for (size_t i = 0; i < SOURCE_EVENTS_MAX; i++)
		replay->wanted[i] = NOT_WANTED;
	for (size_t wanted = 0; wanted < config->event_count; wanted++) {
		size_t at = 0;

		while (at < header->event_count && header->events[at] != config->events[wanted])
			at++;
		if (at == header->event_count)
			return refuse_event(replay, config, config->events[wanted], err);
		replay->wanted[at] = (int)wanted;
	}
	replay->frequency = config->frequency;
	replay->wants_heap = config->heap != HEAP_MODE_OFF && header->heap != HEAP_MODE_OFF;
	return 0;
}

static bool is_of_heap(const struct event *event)
{
	return event->type == EVENT_HEAP_STACK || event->type == EVENT_HEAP_COUNTS ||
	       event->type == EVENT_HEAP_STATE;
}

static int check_file(struct src_replay *replay, struct err *err)
{
	struct event event;
	int got;

	do {
		got = event_text_next(replay->reader, &event, err);
	} while (got > 0);
	event_text_rewind(replay->reader);
	return got;
}

static int src_replay_open(const struct source_config *config, struct source **ret_source,
			   struct err *err)
{
	struct src_replay *replay = mem_zalloc(sizeof(*replay));
	int failed;

	replay->base.ops = &source_replay;
	failed = event_text_open(config->replay_path, &replay->reader, err);
	if (!failed)
		failed = match_events(replay, config, err);
	if (!failed)
		failed = check_file(replay, err);
	if (failed) {
		src_replay_close(&replay->base);
		return failed;
	}
	*ret_source = &replay->base;
	return 0;
}

static int src_replay_start(struct source *source, struct err *err)
{
	return 0;
}

static int src_replay_drain(struct source *source, source_sink sink, void *context)
{
	struct src_replay *replay = src_replay_of(source);
	struct event event = {0};

	for (int i = 0; i < EVENTS_PER_DRAIN && !replay->is_over; i++) {
		int got = event_text_next(replay->reader, &event, NULL);

		if (got < 0) {
			/* It was sound when it was opened: somebody writes to it. */
			event = (struct event){.time_ns = event.time_ns, .type = EVENT_LOST};
			event.lost.cause = LOSS_BAD_RECORD;
			event.lost.count = 1;
		}
		replay->is_over = got <= 0;
		if (!got)
			break;
		if (event.type == EVENT_SAMPLE) {
			int index = replay->wanted[event.sample.event_index];

			if (index == NOT_WANTED)
				continue;
			event.sample.event_index = (uint32_t)index;
		}
		if (is_of_heap(&event) && !replay->wants_heap)
			continue;
		sink(context, &event);
	}
	return 0;
}

static void src_replay_wait(struct source *source, int wake_fd, int timeout_ms)
{
	struct pollfd poll_wake = {.fd = wake_fd, .events = POLLIN};

	/* What is not over can be drained at once. */
	if (src_replay_of(source)->is_over)
		poll(&poll_wake, 1, timeout_ms);
}

static bool src_replay_is_over(const struct source *source)
{
	return ((const struct src_replay *)source)->is_over;
}

static void src_replay_stop(struct source *source)
{
	src_replay_of(source)->is_over = true;
}

static void src_replay_describe(const struct source *source, struct arena *arena,
				struct source_facts *ret_facts)
{
	const struct src_replay *replay = (const struct src_replay *)source;
	uint32_t frequency = event_text_header(replay->reader)->frequency;
	const char **note = arena_alloc(arena, sizeof(*note));

	*ret_facts = (struct source_facts){
		.name = "replay",
		.stacks = "as recorded",
		.heap = replay->wants_heap ? event_text_header(replay->reader)->heap
					   : HEAP_MODE_OFF,
		.heap_reason = replay->wants_heap ? "as recorded" : "the file has no heap",
	};
	if (frequency == replay->frequency)
		return;
	*note = arena_printf(arena,
			     "The events were recorded at %" PRIu32 " Hz, not at %" PRIu32
			     ": --cpu-freq %" PRIu32 " counts their time right.",
			     frequency, replay->frequency, frequency);
	ret_facts->notes = note;
	ret_facts->note_count = 1;
}

const struct source_ops source_replay = {
	.name = "replay",
	.open = src_replay_open,
	.start = src_replay_start,
	.drain = src_replay_drain,
	.wait = src_replay_wait,
	.is_over = src_replay_is_over,
	.stop = src_replay_stop,
	.describe = src_replay_describe,
	.close = src_replay_close,
};
