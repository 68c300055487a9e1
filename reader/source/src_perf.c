/* The perf source: perf_event_open on every thread of the target, stacks from the kernel's walk
 * along frame pointers. perf_open.c opens, perf_ring.c reads, perf_record.c decodes; here they
 * are joined to the ops of a source. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "reader/source/perf_open.h"
#include "reader/util/clock.h"

struct src_perf {
	struct source base;
	struct source_config config;
	struct perf_set set;
	struct perf_decoder decoder;
	struct pollfd *polls; /* wake_fd, then the rings' leaders */
	bool is_stopped;
	bool told_start, told_end; /* the losses known only then */
};

static struct src_perf *src_perf_of(struct source *source)
{
	return (struct src_perf *)source;
}

static void src_perf_close(struct source *source)
{
	struct src_perf *perf = src_perf_of(source);

	if (!perf)
		return;
	perf_set_close(&perf->set);
	perf_decoder_done(&perf->decoder);
	free(perf->polls);
	free(perf);
}

static int src_perf_open(const struct source_config *config, struct source **ret_source,
			 struct err *err)
{
	struct src_perf *perf = mem_zalloc(sizeof(*perf));
	int failed;

	perf->base.ops = &source_perf;
	perf->config = *config;
	failed = perf_set_open(&perf->set, &perf->decoder, &perf->config, err);
	if (failed) {
		src_perf_close(&perf->base);
		return failed;
	}
	perf->polls = mem_array(1 + perf->set.cpus.list.count, sizeof(*perf->polls));
	for (size_t i = 0; i < perf->set.cpus.list.count; i++)
		perf->polls[1 + i] = (struct pollfd){.fd = perf->set.cpus.list.items[i].leader_fd,
						     .events = POLLIN};
	*ret_source = &perf->base;
	return 0;
}

/* Of all events and of those inherited from them. */
static void set_all(struct src_perf *perf, unsigned long request)
{
	for (size_t i = 0; i < perf->set.counters.count; i++)
		ioctl(perf->set.counters.items[i].fd, request, 0);
}

static int src_perf_start(struct source *source, struct err *err)
{
	struct src_perf *perf = src_perf_of(source);

	if (!perf->config.start_on_exec)
		set_all(perf, PERF_EVENT_IOC_ENABLE);
	return 0;
}

static void src_perf_stop(struct source *source)
{
	struct src_perf *perf = src_perf_of(source);

	if (!perf->is_stopped)
		set_all(perf, PERF_EVENT_IOC_DISABLE);
	perf->is_stopped = true;
}

/* What the kernel counted, against what has come through the rings. Records that find no room
 * are told by the next record of that ring; after the last one only read(2) tells. */
static void tell_end(struct src_perf *perf)
{
	uint64_t counted[SOURCE_EVENTS_MAX] = {0}, lost[SOURCE_EVENTS_MAX] = {0}, lost_total = 0;
	bool reads_lost = perf->set.plan.reads_lost;
	struct perf_decoder *decoder = &perf->decoder;
	uint64_t now = clock_now_ns();

	for (size_t i = 0; i < perf->set.counters.count; i++) {
		const struct perf_counter *counter = &perf->set.counters.items[i];
		struct perf_reading reading = {0};

		if (read(counter->fd, &reading, sizeof(reading)) <= 0)
			continue;
		counted[counter->event_index] += reading.value;
		lost[counter->event_index] += reading.lost;
		lost_total += reading.lost;
	}
	if (lost_total > decoder->told_lost)
		perf_decoder_lost(decoder, now, LOSS_RING_FULL, lost_total - decoder->told_lost);
	for (size_t i = 0; i < perf->config.event_count; i++) {
		uint64_t known = decoder->sampled[i] + (reads_lost ? lost[i] : decoder->told_lost);

		if (perf->config.events[i]->unit == EVENT_UNIT_OCCURRENCES && counted[i] > known)
			perf_decoder_lost(decoder, now, LOSS_EVENTS_UNSAMPLED, counted[i] - known);
	}
}

static int src_perf_drain(struct source *source, source_sink sink, void *context)
{
	struct src_perf *perf = src_perf_of(source);
	struct perf_decoder *decoder = &perf->decoder;

	decoder->sink = sink;
	decoder->context = context;
	if (!perf->told_start && perf->set.threads_not_opened)
		perf_decoder_lost(decoder, clock_now_ns(), LOSS_THREADS_NOT_OPENED,
				  perf->set.threads_not_opened);
	perf->told_start = true;
	for (size_t i = 0; i < perf->set.cpus.list.count; i++) {
		struct perf_ring *ring = &perf->set.cpus.list.items[i].ring;

		if (!perf_ring_read(ring, perf_record_decode, decoder))
			perf_decoder_lost(decoder, clock_now_ns(), LOSS_BAD_RECORD, 1);
	}
	if (perf->is_stopped && !perf->told_end) {
		tell_end(perf);
		perf->told_end = true;
	}
	return 0;
}

static void src_perf_wait(struct source *source, int wake_fd, int timeout_ms)
{
	struct src_perf *perf = src_perf_of(source);

	/* A negative descriptor is passed over by poll. */
	perf->polls[0] = (struct pollfd){.fd = wake_fd, .events = POLLIN};
	poll(perf->polls, 1 + perf->set.cpus.list.count, timeout_ms);
}

static void src_perf_describe(const struct source *source, struct arena *arena,
			      struct source_facts *ret_facts)
{
	const struct src_perf *perf = (const struct src_perf *)source;

	*ret_facts = (struct source_facts){
		.name = "perf",
		.stacks = perf->config.stack_bytes ? "unwind tables" : "frame pointers",
		.user_time_only = !perf->set.plan.with_kernel,
		.buffer_bytes = perf->set.cpus.got_bytes,
		.copy_bytes = perf->config.stack_bytes,
		.threads_opened = perf->set.threads_opened,
	};
	perf_notes_copy(&perf->set.notes, arena, ret_facts);
}

const struct source_ops source_perf = {
	.name = "perf",
	.open = src_perf_open,
	.start = src_perf_start,
	.drain = src_perf_drain,
	.wait = src_perf_wait,
	.stop = src_perf_stop,
	.describe = src_perf_describe,
	.close = src_perf_close,
};
