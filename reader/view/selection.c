/* Which samples a request is about: of one event, of some threads. */
#include "reader/view/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reader/core/event_kind.h"
#include "reader/util/fmt.h"
#include "reader/util/hash.h"
#include "reader/util/own.h"
#include "reader/util/str.h"

enum {
	/* Names listed in an error; more would hide the sentence they belong to. */
	LISTED_MAX = 20,
};

static bool event_has_unit(const struct snapshot_event *event, enum event_unit unit)
{
	const struct event_kind *kind = event_kind_by_name(event->name, strlen(event->name));

	return kind && kind->unit == unit;
}

static uint32_t default_event(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->event_count; i++) {
		if (snapshot->events[i].is_cpu)
			return (uint32_t)i;
	}
	for (size_t i = 0; i < snapshot->event_count; i++) {
		if (!event_has_unit(&snapshot->events[i], EVENT_UNIT_TIME))
			return (uint32_t)i;
	}
	return snapshot->event_count ? 0 : SNAPSHOT_NONE;
}

static int refuse_event(const struct snapshot *snapshot, const char *name, struct err *err)
{
	OWN(str_done) struct str list = {0}, given = {0};

	str_add_scrubbed(&given, name);
	for (size_t i = 0; i < snapshot->event_count && i < LISTED_MAX; i++) {
		str_add(&list, i ? ", " : "");
		str_add_scrubbed(&list, snapshot->events[i].name);
	}
	err_set(err, ERR_USAGE, -EINVAL, "This profile has no event \"%.200s\".", str_text(&given));
	if (snapshot->event_count)
		err_remedy(err, "Use --event with one of: %s.", str_text(&list));
	else
		err_remedy(err, "It has no events at all: record again with -e %.200s.",
			   str_text(&given));
	return -EINVAL;
}

static int choose_event(const struct snapshot *snapshot, const char *name, uint32_t *ret_event,
			struct err *err)
{
	const struct event_kind *kind;

	if (!name) {
		*ret_event = default_event(snapshot);
		return 0;
	}
	/* A name that this version does not know may still be in the file. */
	kind = event_kind_by_name(name, strlen(name));
	for (size_t i = 0; i < snapshot->event_count; i++) {
		if (!strcmp(snapshot->events[i].name, kind ? kind->name : name)) {
			*ret_event = (uint32_t)i;
			return 0;
		}
	}
	return refuse_event(snapshot, name, err);
}

static int refuse_thread(const struct snapshot *snapshot, const char *wanted, struct err *err)
{
	OWN(str_done) struct str list = {0}, given = {0};
	struct str_map seen = {0};

	str_add_scrubbed(&given, wanted);
	for (size_t i = 0; i < snapshot->thread_count && seen.count < LISTED_MAX; i++) {
		const struct snapshot_thread *thread = &snapshot->threads[i];

		/* Pools have many threads of one name. */
		if (str_map_get(&seen, thread->comm) != UINT32_MAX)
			continue;
		str_map_put(&seen, thread->comm, 0);
		str_add(&list, seen.count > 1 ? ", " : "");
		str_add_scrubbed(&list, thread->comm);
		str_addf(&list, " (%u)", thread->tid);
	}
	str_map_done(&seen);
	err_set(err, ERR_USAGE, -EINVAL, "This profile has no thread \"%.200s\".",
		str_text(&given));
	if (snapshot->thread_count)
		err_remedy(err, "Use --thread with a name or a number of: %s.", str_text(&list));
	return -EINVAL;
}

static int choose_threads(const struct snapshot *snapshot, const char *wanted, bool **ret_kept,
			  struct err *err)
{
	OWN(own_free) bool *kept = mem_array(snapshot->thread_count, sizeof(*kept));
	bool is_found = false;
	uint64_t tid = 0;
	bool is_number = parse_count(wanted, &tid) == 0;

	for (size_t i = 0; i < snapshot->thread_count; i++) {
		const struct snapshot_thread *thread = &snapshot->threads[i];

		kept[i] = !strcmp(thread->comm, wanted) || (is_number && thread->tid == tid);
		is_found |= kept[i];
	}
	if (!is_found)
		return refuse_thread(snapshot, wanted, err);
	*ret_kept = own_take(kept);
	return 0;
}

int selection_init(struct selection *selection, const struct snapshot *snapshot,
		   const struct view_request *request, struct err *err)
{
	struct selection made = {.snapshot = snapshot, .request = request};
	int r = choose_event(snapshot, request->event, &made.event, err);

	if (r < 0)
		return r;
	if (request->thread) {
		r = choose_threads(snapshot, request->thread, &made.is_thread_kept, err);
		if (r < 0)
			return r;
	}
	if (made.event != SNAPSHOT_NONE) {
		made.is_wait = event_has_unit(&snapshot->events[made.event], EVENT_UNIT_TIME);
		made.by_value = made.is_wait ||
				event_has_unit(&snapshot->events[made.event], EVENT_UNIT_PERIOD);
	}
	*selection = made;
	return 0;
}

void selection_done(struct selection *selection)
{
	free(selection->is_thread_kept);
	memset(selection, 0, sizeof(*selection));
}

bool selection_has_event(const struct selection *selection, const struct snapshot_row *row)
{
	return selection->event != SNAPSHOT_NONE && row->event == selection->event;
}

bool selection_has_thread(const struct selection *selection, const struct snapshot_row *row)
{
	return !selection->is_thread_kept || (row->thread < selection->snapshot->thread_count &&
					      selection->is_thread_kept[row->thread]);
}
