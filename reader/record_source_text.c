/* What is said of the sources that were chosen. */
#include "reader/record_source.h"

#include <ctype.h>
#include <string.h>

static const char NOT_TOLD[] = "the source counts no allocations";

void record_source_add_sentence(struct str *to, const char *sentence)
{
	size_t length = strlen(sentence);
	char first = sentence[0];

	while (length > 1 && strchr(" .", sentence[length - 1]))
		length--;
	if (length > 1 && (islower((unsigned char)sentence[1]) || sentence[1] == ' '))
		first = (char)tolower((unsigned char)first);
	if (length) {
		str_add_bytes(to, &first, 1);
		str_add_bytes(to, sentence + 1, length - 1);
	}
}

static bool is_wait(const struct event_kind *kind)
{
	return kind->unit == EVENT_UNIT_TIME;
}

/* Once each: events that stand for CPU time are all "cpu". */
static void add_signals(const struct source_choice *choice, struct str *line)
{
	const char *names[SOURCE_EVENTS_MAX];
	size_t count = 0;
	bool has_cpu = false;

	for (size_t i = 0; i < choice->event_count; i++) {
		const struct event_kind *kind = choice->events[i];

		if (kind->is_cpu && has_cpu)
			continue;
		has_cpu |= kind->is_cpu;
		names[count++] = kind->is_cpu ? "cpu" : is_wait(kind) ? "wait" : kind->name;
	}
	for (size_t i = 0; i < count; i++)
		str_addf(line, "%s%s", i == 0 ? "" : i + 1 == count ? " and " : ", ", names[i]);
}

static bool records_waits(const struct source_choice *choice)
{
	for (size_t i = 0; i < choice->event_count; i++) {
		if (is_wait(choice->events[i]))
			return true;
	}
	return false;
}

void record_source_describe(const struct source_choice *choice, const struct source_facts *facts,
			    struct str *line)
{
	const struct source_ops *events = choice->beside ? choice->beside : choice->ops;

	if (choice->event_count) {
		add_signals(choice, line);
		str_addf(line, " by %s", events->name);
		if (choice->is_forced || events != &source_bpf)
			str_addf(line, " (%s)", choice->reason);
	}
	if (facts->heap != HEAP_MODE_OFF)
		str_addf(line, "%sheap by %s (%s)", line->length ? ", " : "", choice->ops->name,
			 heap_mode_names[facts->heap]);
	if (!choice->event_count)
		str_addf(line, "%sCPU and waiting are not recorded (%s)", line->length ? "; " : "",
			 choice->reason);
	else if (!choice->has_asked_events && !records_waits(choice))
		str_add(line, "; waiting is not recorded");
}

void record_source_describe_totals(const struct source_choice *choice,
				   const struct source_facts *facts, enum heap_mode wanted,
				   struct str *line)
{
	const char *reason = choice->heap_reason;

	if (wanted == HEAP_MODE_OFF || facts->heap != HEAP_MODE_OFF)
		return;
	if (!*reason)
		reason = facts->heap_reason ? facts->heap_reason : NOT_TOLD;
	str_add(line, "heap: totals from /proc only: ");
	record_source_add_sentence(line, reason);
}
