#include "reader/record_source.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "reader/source/bpf_check.h"
#include "reader/target/permit.h"

static const char WAIT_TIME[] = "wait-time";
static const char CPU_CLOCK[] = "cpu-clock";
static const char NOT_TOLD[] = "the source counts no allocations";

static const struct event_kind *kind_named(const char *name)
{
	return event_kind_by_name(name, strlen(name));
}

static bool is_wait(const struct event_kind *kind)
{
	return kind->unit == EVENT_UNIT_TIME;
}

static bool has_wait(const struct event_kind *const *events, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (is_wait(events[i]))
			return true;
	}
	return false;
}

/* A sentence as it goes behind a colon: "The kernel is too old." becomes "the kernel is too old".
 * Names in capitals stay as they are. */
static void add_sentence(struct str *to, const char *sentence)
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

static void add_missing(struct str *to, const struct source_verdict *verdict)
{
	if (verdict->missing)
		str_add(to, verdict->missing);
	else
		add_sentence(to, verdict->err.sentence);
}

static void take_events(struct source_choice *choice, const struct source_wish *wish)
{
	choice->has_asked_events = wish->event_count > 0;
	choice->event_count = 0;
	for (size_t i = 0; i < wish->event_count; i++)
		choice->events[choice->event_count++] = wish->events[i];
	if (choice->has_asked_events)
		return;
	choice->events[choice->event_count++] = kind_named(CPU_CLOCK);
	if (choice->ops == &source_bpf)
		choice->events[choice->event_count++] = kind_named(WAIT_TIME);
}

static void explain_wait(struct source_choice *choice)
{
	const char *reason = "perf records no waiting in this version";

	if (choice->has_asked_events)
		reason = has_wait(choice->events, choice->event_count) ? "asked for by --event"
								       : "not asked for by --event";
	else if (choice->ops == &source_bpf || !choice->is_forced)
		reason = choice->reason;
	snprintf(choice->wait_reason, sizeof(choice->wait_reason), "%s", reason);
}

static void explain_heap(struct source_choice *choice, enum heap_mode wanted)
{
	const char *reason = "";

	if (wanted == HEAP_MODE_OFF)
		reason = "asked for by --heap off";
	else if (choice->ops == &source_perf)
		reason = choice->is_forced ? "perf counts no allocations" : choice->reason;
	snprintf(choice->heap_reason, sizeof(choice->heap_reason), "%s", reason);
}

static int refuse_unknown(const char *source, struct err *err)
{
	err_set(err, ERR_PERMISSION, -EOPNOTSUPP, "This version of rsprof has no source \"%s\".",
		source);
	err_remedy(err, "Use --source bpf or --source perf, or leave the option out.");
	return -EOPNOTSUPP;
}

static int refuse_wait_by_perf(struct err *err)
{
	err_set(err, ERR_PERMISSION, -EOPNOTSUPP,
		"The event wait-time needs the source bpf: perf records no waiting.");
	err_remedy(err, "Use --source bpf, or leave wait-time out of --event.");
	return -EOPNOTSUPP;
}

static int refuse_heap_by_perf(struct err *err)
{
	err_set(err, ERR_PERMISSION, -EOPNOTSUPP,
		"Counting the heap needs the source bpf: perf counts no allocations.");
	err_remedy(err, "Use --source bpf, or leave --heap out.");
	return -EOPNOTSUPP;
}

/* what: "The event wait-time". */
static int refuse_without_bpf(const char *what, const struct source_verdict *bpf, struct err *err)
{
	struct str missing = {0};

	add_missing(&missing, bpf);
	err_set(err, ERR_PERMISSION, -EPERM, "%s needs the source bpf, which cannot be used: %s.",
		what, str_text(&missing));
	err_remedy(err, "%s", bpf->err.remedy);
	str_done(&missing);
	return -EPERM;
}

/* What was asked for by name and cannot be had is a refusal, whatever the reason; a target that is
 * gone or a wrong option is what it is. */
static int refuse_bpf(const struct source_verdict *bpf, struct err *err)
{
	*err = bpf->err;
	if (err->kind != ERR_USAGE && err->kind != ERR_NOT_FOUND)
		err->kind = ERR_PERMISSION;
	return -EPERM;
}

static void take_perf(struct source_choice *choice, const struct str *why_not_bpf)
{
	choice->ops = &source_perf;
	snprintf(choice->reason, sizeof(choice->reason), "bpf: %s", str_text(why_not_bpf));
}

static int choose_forced(const struct source_wish *wish, const struct source_verdict *bpf,
			 struct source_choice *choice, struct err *err)
{
	choice->is_forced = true;
	snprintf(choice->reason, sizeof(choice->reason), "asked for by --source");
	if (strcmp(wish->source, "bpf") == 0) {
		choice->ops = &source_bpf;
		return bpf->is_allowed ? 0 : refuse_bpf(bpf, err);
	}
	if (strcmp(wish->source, "perf"))
		return refuse_unknown(wish->source, err);
	choice->ops = &source_perf;
	if (has_wait(wish->events, wish->event_count))
		return refuse_wait_by_perf(err);
	return wish->is_heap_asked ? refuse_heap_by_perf(err) : 0;
}

static int choose_best(const struct source_wish *wish, const struct source_verdict *bpf,
		       struct source_choice *choice, struct err *err)
{
	struct str missing = {0};

	if (bpf->is_allowed) {
		choice->ops = &source_bpf;
		snprintf(choice->reason, sizeof(choice->reason), "bpf is allowed");
		return 0;
	}
	if (bpf->err.kind == ERR_NOT_FOUND) {
		*err = bpf->err;
		return -ESRCH;
	}
	if (has_wait(wish->events, wish->event_count))
		return refuse_without_bpf("The event wait-time", bpf, err);
	if (wish->is_heap_asked)
		return refuse_without_bpf("Counting the heap", bpf, err);
	add_missing(&missing, bpf);
	take_perf(choice, &missing);
	str_done(&missing);
	return 0;
}

int record_source_choose(const struct source_wish *wish, const struct source_verdict *bpf,
			 struct source_choice *ret_choice, struct err *err)
{
	struct source_choice choice = {0};
	int result = strcmp(wish->source, "auto") ? choose_forced(wish, bpf, &choice, err)
						  : choose_best(wish, bpf, &choice, err);

	if (result < 0)
		return result;
	choice.is_heap_asked = wish->is_heap_asked;
	take_events(&choice, wish);
	explain_wait(&choice);
	explain_heap(&choice, wish->heap);
	*ret_choice = choice;
	return 0;
}

static void pick_replay(const struct source_config *asked, bool is_heap_asked,
			struct source_choice *choice)
{
	*choice = (struct source_choice){
		.ops = &source_replay, .is_forced = true, .is_heap_asked = is_heap_asked};
	memcpy(choice->events, asked->events, sizeof(choice->events));
	choice->event_count = asked->event_count;
	choice->has_asked_events = true;
	snprintf(choice->reason, sizeof(choice->reason), "asked for by --replay");
	explain_wait(choice);
	explain_heap(choice, asked->heap);
}

int record_source_pick(const struct record_options *options, const struct target *target,
		       const struct source_config *asked, struct source_choice *ret_choice,
		       struct err *err)
{
	struct source_wish wish = {
		.source = options->source,
		.events = asked->events,
		.event_count = asked->event_count,
		.heap = asked->heap,
		.is_heap_asked = asked->heap != HEAP_MODE_OFF && strcmp(options->heap, "auto"),
	};
	struct source_verdict bpf = {0};

	if (options->replay) {
		pick_replay(asked, wish.is_heap_asked, ret_choice);
		return 0;
	}
	if (strcmp(options->source, "auto") == 0 || strcmp(options->source, "bpf") == 0) {
		struct permit permit;

		bpf.is_allowed = bpf_check(target, &bpf.err) >= 0;
		if (!bpf.is_allowed) {
			permit_read(&permit);
			bpf.missing = permit_bpf_missing(&permit);
		}
	}
	return record_source_choose(&wish, &bpf, ret_choice, err);
}

bool record_source_fall_back(struct source_choice *choice, const struct err *why)
{
	struct source_wish wish = {.source = "auto"};
	struct str sentence = {0};

	if (choice->ops != &source_bpf || choice->is_forced)
		return false;
	if (why->kind != ERR_PERMISSION && why->kind != ERR_GENERAL)
		return false;
	if (choice->is_heap_asked)
		return false;
	if (choice->has_asked_events) {
		if (has_wait(choice->events, choice->event_count))
			return false;
		wish.event_count = choice->event_count;
	}
	add_sentence(&sentence, why->sentence);
	take_perf(choice, &sentence);
	str_done(&sentence);
	/* What was asked for stays; of the default, what perf has. */
	if (!wish.event_count)
		take_events(choice, &wish);
	explain_wait(choice);
	/* Where it is not wanted, that is the reason. */
	if (!choice->heap_reason[0])
		snprintf(choice->heap_reason, sizeof(choice->heap_reason), "%s", choice->reason);
	return true;
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

void record_source_describe(const struct source_choice *choice, const struct source_facts *facts,
			    struct str *line)
{
	add_signals(choice, line);
	str_addf(line, " by %s", choice->ops->name);
	if (choice->is_forced || choice->ops != &source_bpf)
		str_addf(line, " (%s)", choice->reason);
	if (!choice->has_asked_events && !has_wait(choice->events, choice->event_count))
		str_add(line, "; waiting is not recorded");
	if (facts->heap != HEAP_MODE_OFF)
		str_addf(line, ", heap by %s (%s)", choice->ops->name,
			 heap_mode_names[facts->heap]);
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
	add_sentence(line, reason);
}
