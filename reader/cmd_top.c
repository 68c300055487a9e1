/* rsprof top cpu|heap|wait FILE: a ranked table. */
#include "reader/verb.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "reader/core/event_kind.h"
#include "reader/reading.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "reader/view/heap.h"
#include "reader/view/view.h"

struct top_options {
	uint64_t top;
	double threshold;
	uint64_t since, until;
	const char *window, *filter, *by, *sort, *thread, *event;
	bool include_internal, no_inline, json, csv;
};

#define MEMBER(name) offsetof(struct top_options, name)

static const struct opt top_options[] = {
	{.letter = 'n',
	 .name = "top",
	 .value_name = "N",
	 .type = OPT_COUNT,
	 .offset = MEMBER(top),
	 .shown_default = "20",
	 .help = "rows shown, 0 for all of them"},
	{.letter = 't',
	 .name = "threshold",
	 .value_name = "PCT",
	 .type = OPT_PERCENT,
	 .offset = MEMBER(threshold),
	 .shown_default = "0",
	 .help = "leave out rows with a smaller inclusive share"},
	READING_WINDOW_OPTIONS(struct top_options),
	READING_FILTER_OPTION(struct top_options),
	{.name = "by",
	 .value_name = "GROUP",
	 .type = OPT_CHOICE,
	 .offset = MEMBER(by),
	 .choices = "line|function|file|module|thread",
	 .shown_default = "line",
	 .help = "what a row is"},
	{.name = "sort",
	 .value_name = "KEY",
	 .type = OPT_TEXT,
	 .offset = MEMBER(sort),
	 .shown_default = "cpu_pct, bytes, wait_pct",
	 .help = "order by a key of the JSON output"},
	{.name = "thread",
	 .value_name = "NAME|TID",
	 .type = OPT_TEXT,
	 .offset = MEMBER(thread),
	 .help = "only samples of this thread; shares stay those of all samples (not top heap)"},
	{.name = "event",
	 .value_name = "NAME",
	 .type = OPT_TEXT,
	 .offset = MEMBER(event),
	 .shown_default = "the CPU event",
	 .help = "which of the recorded events (top cpu)"},
	READING_CHARGE_OPTIONS(struct top_options),
	READING_PRINT_OPTIONS(struct top_options),
	{0},
};

/* The words of --by, in the order of enum view_group. */
static enum view_group group_by_name(const char *name)
{
	static const char *const names[] = {"line", "function", "file", "module", "thread"};

	for (size_t i = 0; name && i < sizeof(names) / sizeof(*names); i++) {
		if (!strcmp(name, names[i]))
			return (enum view_group)i;
	}
	return VIEW_BY_LINE;
}

static int check_operands(int count, char **operands, struct err *err)
{
	static const char *const kinds[] = {"cpu", "heap", "wait"};
	OWN(str_done) struct str given = {0};
	bool is_kind = false;

	for (size_t i = 0; count && i < sizeof(kinds) / sizeof(*kinds); i++)
		is_kind |= !strcmp(operands[0], kinds[i]);
	if (count == 2 && is_kind)
		return 0;
	if (!count) {
		err_set(err, ERR_USAGE, -EINVAL, "top does not know what to rank, nor where.");
	} else if (!is_kind) {
		str_add_scrubbed(&given, operands[0]);
		err_set(err, ERR_USAGE, -EINVAL, "top ranks cpu, heap or wait, not \"%.200s\".",
			str_text(&given));
	} else if (count == 1) {
		err_set(err, ERR_USAGE, -EINVAL, "top %s needs a profile to read.", operands[0]);
	} else {
		str_add_scrubbed(&given, operands[2]);
		err_set(err, ERR_USAGE, -EINVAL,
			"top reads one profile; \"%.200s\" is one too many.", str_text(&given));
	}
	err_remedy(err, "Type: rsprof top %s FILE    (rsprof list shows the profiles here)",
		   is_kind ? operands[0] : "cpu");
	return -EINVAL;
}

/* Is the word, as --event takes it, that event? */
static bool is_name_of(const char *word, const char *event)
{
	const struct event_kind *kind = event_kind_by_name(word, strlen(word));

	return kind && !strcmp(kind->name, event);
}

/* What was not recorded cannot be ranked; says what was. */
static int refuse_kind(const char *kind, const struct snapshot *snapshot, struct err *err)
{
	OWN(str_done) struct str events = {0}, file = {0};

	err_set(err, ERR_USAGE, -EINVAL, "This profile holds no %s.",
		strcmp(kind, "wait") ? "cpu samples" : "waits");
	for (size_t i = 0; i < snapshot->event_count; i++) {
		str_add(&events, i ? ", " : "");
		str_add_scrubbed(&events, snapshot->events[i].name);
	}
	str_add_scrubbed(&file, snapshot->file);
	if (snapshot->event_count)
		err_remedy(err, "It holds %.400s; type: rsprof top %s %.400s", str_text(&events),
			   view_has_samples(snapshot) ? "cpu" : "wait", str_text(&file));
	else
		err_remedy(err, "It holds no samples of any kind: record again.");
	return -EINVAL;
}

/* Each event has its table: waits theirs, all others top cpu. */
static int choose_event(const char *kind, const struct snapshot *snapshot,
			struct view_request *request, struct err *err)
{
	const char *wait = view_wait_event(snapshot);
	OWN(str_done) struct str file = {0};

	str_add_scrubbed(&file, snapshot->file);
	if (!strcmp(kind, "wait")) {
		request->event = wait;
		return wait ? 0 : refuse_kind(kind, snapshot, err);
	}
	if (!request->event && wait && !view_has_samples(snapshot))
		return refuse_kind(kind, snapshot, err);
	if (!wait || !request->event || !is_name_of(request->event, wait))
		return 0;
	err_set(err, ERR_USAGE, -EINVAL, "top cpu ranks samples, and %s is no sampled event.",
		wait);
	err_remedy(err, "Type: rsprof top wait %.400s", str_text(&file));
	return -EINVAL;
}

static int show_samples(const char *kind, const struct top_options *options,
			struct snapshot *snapshot, struct view_request *request, struct err *err)
{
	struct view_print print = reading_terminal();
	struct view *view;
	int r = choose_event(kind, snapshot, request, err);

	if (r < 0)
		return r;
	reading_resolve(snapshot);
	r = view_build(snapshot, request, &view, err);
	if (r < 0)
		return r;
	if (options->json)
		view_print_json(stdout, snapshot, view);
	else if (options->csv)
		view_print_csv(stdout, view);
	else
		view_print_text(stdout, snapshot, view, request, &print);
	view_free(view);
	return 0;
}

static int show_heap(const struct top_options *options, struct snapshot *snapshot,
		     const struct view_request *request, struct err *err)
{
	struct view_print print = reading_terminal();
	struct heap_view *view;
	int r;

	if (heap_view_is_there(snapshot))
		reading_resolve(snapshot);
	r = heap_view_build(snapshot, request, &view, err);
	if (r < 0)
		return r;
	if (options->json)
		heap_view_print_json(stdout, snapshot, view);
	else if (options->csv)
		heap_view_print_csv(stdout, view);
	else
		heap_view_print_text(stdout, snapshot, view, request, &print);
	heap_view_free(view);
	return 0;
}

/* What cannot be right whatever the profile holds. */
static int check_options(const char *kind, const struct top_options *options, struct err *err)
{
	if (options->event && strcmp(kind, "cpu")) {
		if (!strcmp(kind, "wait"))
			err_set(err, ERR_USAGE, -EINVAL,
				"top wait has but one event and takes no --event.");
		else
			err_set(err, ERR_USAGE, -EINVAL,
				"top heap ranks no events and takes no --event.");
		err_remedy(err, "Leave it out; type: rsprof top %s FILE", kind);
		return -EINVAL;
	}
	return reading_check_print(options->json, options->csv, err);
}

static int run(int argc, char **argv, struct err *err)
{
	struct top_options options = {.top = 20};
	struct snapshot *snapshot = NULL;
	struct view_request request;
	struct window_request window;
	bool help = false;
	int operands = 0, r;

	r = opt_parse(top_options, argc - 1, argv + 1, false, &options, &operands, &help, err);
	if (r < 0)
		return r;
	if (help) {
		verb_print_help(&verb_top);
		return 0;
	}
	r = check_operands(operands, argv + 1, err);
	if (r == 0)
		r = check_options(argv[1], &options, err);
	if (r < 0)
		return r;
	request = (struct view_request){
		.group = group_by_name(options.by),
		.event = options.event,
		.filter = options.filter,
		.thread = options.thread,
		.sort = options.sort,
		.threshold_pct = options.threshold,
		.top = options.top,
		.include_internal = options.include_internal,
		.no_inline = options.no_inline,
	};
	window = READING_WINDOW(&options);
	r = reading_open(argv[2], &window, &snapshot, err);
	if (r < 0)
		return r;
	if (!strcmp(argv[1], "heap"))
		r = show_heap(&options, snapshot, &request, err);
	else
		r = show_samples(argv[1], &options, snapshot, &request, err);
	snapshot_free(snapshot);
	return r;
}

const struct verb verb_top = {
	.name = "top",
	.operands = "cpu|heap|wait FILE",
	.summary = "ranked table of a saved profile",
	.description =
		"Shows the lines of source that took the most samples. CPU% is what a line used "
		"itself, Incl% what was spent in it and in all that it called; both are shares of "
		"all samples in the time that is read.\n"
		"\n"
		"Time in libc, the standard library or an allocator is charged to the line of the "
		"program that called it, and time in the kernel to the line that entered the "
		"kernel.\n"
		"\n"
		"top wait shows the lines in which threads waited the longest, over all threads: "
		"how "
		"long, how often, and for what (lock, sleep, io, poll, fault, child, the run queue "
		"of "
		"a CPU that was busy, other). Its shares are of all the time waited, so that "
		"threads "
		"that idle by design come first; --thread and --filter pick others.\n"
		"\n"
		"top heap shows the lines that hold memory at the end of the time that is read: "
		"what is "
		"live, its peak at a look within that time (about one a second), what was "
		"allocated in "
		"it, how often, and how much of that was temporary: freed before the same thread "
		"allocated again. Bytes are those that were asked for. ~ marks estimates, which a "
		"recording steps down to where counting each block cost too much; what was "
		"allocated "
		"before it began is not known and told apart. The heap is not kept by thread.",
	.options = top_options,
	.operand_complete = OPT_COMPLETE_FILE,
	.run = run,
};
