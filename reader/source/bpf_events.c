#include "reader/source/bpf_events.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct opening {
	struct bpf_events *events;
	struct bpf_loaded *loaded;
};

static bool is_perf_event(const struct event_kind *kind)
{
	return kind->unit != EVENT_UNIT_TIME;
}

int bpf_events_check(const struct source_config *config, const struct permit *permit,
		     struct err *err)
{
	const struct event_kind *kinds[SOURCE_EVENTS_MAX];
	size_t count = 0;
	int failed;

	for (size_t i = 0; i < config->event_count; i++) {
		if (is_perf_event(config->events[i]))
			kinds[count++] = config->events[i];
	}
	failed = perf_check_kinds(kinds, count, err);
	return failed ? failed : perf_check_frequency(config, permit, err);
}

static void close_event(const struct bpf_event *event)
{
	if (event->link_fd)
		close(event->link_fd);
	close(event->fd);
}

static int open_event(struct opening *opening, const struct source_config *config, pid_t tid,
		      bool is_late, size_t index)
{
	struct perf_event_attr attr;
	struct bpf_event event = {.event_index = (uint32_t)index};
	int attached;

	perf_fill_attr(&attr, &opening->events->plan, config->events[index], false);
	event.fd = perf_open_event(&attr, tid, -1);
	if (event.fd < 0)
		return event.fd;
	attached = bpf_attach_event(opening->loaded, index, event.fd, is_late ? (uint32_t)tid : 0);
	if (attached < 0) {
		close(event.fd);
		return attached;
	}
	event.link_fd = attached;
	*vec_add(&opening->events->list) = event;
	return 0;
}

/* All events or none. A late thread is known as such before it has an event. */
static int open_thread(struct perf_threads *threads, pid_t tid, bool is_late, struct err *err)
{
	struct opening *opening = threads->context;
	struct bpf_events *events = opening->events;
	const struct source_config *config = threads->config;
	size_t first = events->list.count;
	int failed = is_late ? bpf_add_late_thread(opening->loaded, (uint32_t)tid) : 0;

	for (size_t i = 0; i < config->event_count && !failed; i++) {
		if (is_perf_event(config->events[i]))
			failed = open_event(opening, config, tid, is_late, i);
	}
	if (!failed) {
		events->late_count += is_late;
		return 0;
	}
	while (events->list.count > first)
		close_event(&events->list.items[--events->list.count]);
	if (is_late)
		bpf_remove_late_thread(opening->loaded, (uint32_t)tid);
	return failed;
}

int bpf_events_open(struct bpf_events *events, struct bpf_loaded *loaded,
		    const struct source_config *config, const struct permit *permit,
		    struct perf_notes *notes, struct err *err)
{
	struct opening opening = {.events = events, .loaded = loaded};
	struct perf_threads threads = {
		.config = config,
		.permit = permit,
		.notes = notes,
		.open = open_thread,
		.context = &opening,
	};
	int failed;

	for (size_t i = 0; i < config->event_count; i++)
		threads.descriptors_each += is_perf_event(config->events[i]);
	if (!threads.descriptors_each)
		return 0;
	events->plan = (struct perf_plan){
		.frequency = config->frequency,
		.for_programs = true,
		.with_kernel = true,
		.start_on_exec = config->start_on_exec,
	};
	perf_probe_kernel(&events->plan);
	failed = perf_threads_open(&threads, err);
	events->threads_opened = threads.opened;
	events->threads_not_opened = perf_threads_not_opened(&threads);
	perf_threads_done(&threads);
	return failed;
}

void bpf_events_set(struct bpf_events *events, unsigned long request)
{
	for (size_t i = 0; i < events->list.count; i++)
		ioctl(events->list.items[i].fd, request, 0);
}

uint64_t bpf_events_count(const struct bpf_events *events, uint32_t event_index)
{
	uint64_t count = 0;

	for (size_t i = 0; i < events->list.count; i++) {
		struct perf_reading reading = {0};

		if (events->list.items[i].event_index == event_index &&
		    read(events->list.items[i].fd, &reading, sizeof(reading)) > 0)
			count += reading.value;
	}
	return count;
}

void bpf_events_close(struct bpf_events *events)
{
	for (size_t i = 0; i < events->list.count; i++)
		close_event(&events->list.items[i]);
	vec_done(&events->list);
}
