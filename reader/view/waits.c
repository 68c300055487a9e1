#include "reader/view/waits.h"

#include <string.h>

#include "reader/core/event_kind.h"
#include "reader/view/number.h"

void wait_tally_add(struct wait_tally *tally, const struct snapshot_row *row)
{
	/* A snapshot built by hand could hold any number. */
	unsigned int kind = row->kind < WAIT_KINDS ? row->kind : WAIT_OTHER;

	number_add(&tally->run_ns, row->run_ns);
	number_add(&tally->kind_ns[kind], row->value);
}

void wait_tally_join(struct wait_tally *tally, const struct wait_tally *more)
{
	number_add(&tally->run_ns, more->run_ns);
	for (int kind = 0; kind < WAIT_KINDS; kind++)
		number_add(&tally->kind_ns[kind], more->kind_ns[kind]);
}

void wait_tally_fill(const struct wait_tally *tally, struct arena *arena, struct view_row *row)
{
	int most = WAIT_NONE;

	for (int kind = 0; kind < WAIT_KINDS; kind++) {
		if (tally->kind_ns[kind] > tally->kind_ns[most])
			most = kind;
	}
	row->run_ns = tally->run_ns;
	row->kind = (enum wait_kind)most;
	row->kind_ns = arena_copy(arena, tally->kind_ns, sizeof(tally->kind_ns));
}

uint64_t wait_weight(const struct snapshot_row *row)
{
	if (row->kind == WAIT_NONE)
		return 0;
	return row->count ? row->count : 1;
}

static bool is_wait_event(const struct snapshot_event *event)
{
	const struct event_kind *kind = event_kind_by_name(event->name, strlen(event->name));

	return kind && kind->unit == EVENT_UNIT_TIME;
}

const char *view_wait_event(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->event_count; i++) {
		if (is_wait_event(&snapshot->events[i]))
			return snapshot->events[i].name;
	}
	return NULL;
}

bool view_has_samples(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->event_count; i++) {
		if (!is_wait_event(&snapshot->events[i]))
			return true;
	}
	return false;
}
