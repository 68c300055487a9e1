#include "reader/view/head.h"

#include <string.h>

#include "reader/util/fmt.h"

const struct event_kind *head_event_kind(const struct view *view)
{
	return view->event ? event_kind_by_name(view->event->name, strlen(view->event->name))
			   : NULL;
}

bool head_is_by_value(const struct view *view)
{
	const struct event_kind *kind = head_event_kind(view);

	return kind && (kind->unit == EVENT_UNIT_PERIOD || kind->unit == EVENT_UNIT_TIME);
}

void head_window(const struct snapshot *snapshot, uint64_t *ret_from_ns, uint64_t *ret_to_ns)
{
	uint64_t to = snapshot->window_to_ns;

	if (to > snapshot->duration_ns)
		to = snapshot->duration_ns;
	*ret_to_ns = to;
	*ret_from_ns = snapshot->window_from_ns < to ? snapshot->window_from_ns : to;
}

const char *head_source(const struct snapshot *snapshot, const struct view *view)
{
	const char *source = NULL;

	if (view->is_wait)
		source = snapshot_meta_get(snapshot, "wait_source");
	/* One that only replays waits has but one source. */
	if (!source || !strcmp(source, "off"))
		source = snapshot_meta_get(snapshot, "cpu_source");
	return source ? source : "unknown source";
}

const char *head_wait_step(const struct snapshot *snapshot, uint64_t *ret_since_ns)
{
	const struct snapshot_step *first = NULL, *last = NULL;
	size_t length;

	for (size_t i = 0; i < snapshot->step_count; i++) {
		const struct snapshot_step *step = &snapshot->steps[i];

		if (strcmp(step->signal, "wait") || step->time_ns >= snapshot->window_to_ns)
			continue;
		if (!first || first->recording != step->recording)
			first = step;
		last = step;
	}
	if (!last || !strcmp(first->mode, last->mode))
		return NULL;
	*ret_since_ns = last->time_ns;
	length = strlen(first->mode);
	if (!strncmp(first->mode, last->mode, length) && !strncmp(last->mode + length, ", ", 2))
		return last->mode + length + 2;
	return last->mode;
}

/* meta has it from the end of a recording; one that did not end cleanly has the loss counter. */
bool head_unsampled_ms(const struct snapshot *snapshot, uint64_t *ret_ms)
{
	const char *text = snapshot_meta_get(snapshot, "cpu_time_unsampled_ms");

	if (text && parse_count(text, ret_ms) == 0)
		return true;
	if (!snapshot->losses.count[LOSS_SYSTEM_TIME_MS])
		return false;
	*ret_ms = snapshot->losses.count[LOSS_SYSTEM_TIME_MS];
	return true;
}
