/* rsprof annotate FILE LOCATION|FUNCTION: source with what its lines cost. */
#include "reader/verb.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "reader/reading.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "reader/view/annotate_page.h"

struct annotate_options {
	uint64_t context;
	uint64_t since, until;
	const char *window, *thread, *event;
	struct opt_list sources;
	bool include_internal, no_inline, json, csv;
};

enum { CONTEXT_MAX = SOURCE_LINES_MAX };

/* No context is asked for. */
#define CONTEXT_UNSET UINT64_MAX

#define MEMBER(name) offsetof(struct annotate_options, name)

static const struct opt annotate_options[] = {
	{.letter = 'n',
	 .name = "context",
	 .value_name = "N",
	 .type = OPT_COUNT,
	 .offset = MEMBER(context),
	 .min = 0,
	 .max = CONTEXT_MAX,
	 .shown_default = "3, around a LOCATION's line 10",
	 .help = "lines shown around those that have anything"},
	{.name = "source",
	 .value_name = "DIR",
	 .type = OPT_LIST,
	 .offset = MEMBER(sources),
	 .complete = OPT_COMPLETE_FOLDER,
	 .help = "folder to look for the source in, if it is not where it was compiled; may be "
		 "repeated"},
	READING_WINDOW_OPTIONS(struct annotate_options),
	{.name = "thread",
	 .value_name = "NAME|TID",
	 .type = OPT_TEXT,
	 .offset = MEMBER(thread),
	 .help = "only samples and waits of this thread; the heap, which is not kept by thread, is "
		 "left out"},
	{.name = "event",
	 .value_name = "NAME",
	 .type = OPT_TEXT,
	 .offset = MEMBER(event),
	 .shown_default = "the CPU event",
	 .help = "which of the recorded events"},
	READING_CHARGE_OPTIONS(struct annotate_options),
	READING_PRINT_OPTIONS(struct annotate_options),
	{0},
};

static int check_arguments(int count, char **operands, const struct annotate_options *options,
			   struct err *err)
{
	OWN(str_done) struct str given = {0};

	if (count == 2)
		return reading_check_print(options->json, options->csv, err);
	if (!count) {
		err_set(err, ERR_USAGE, -EINVAL, "annotate needs a profile to read.");
	} else if (count == 1) {
		err_set(err, ERR_USAGE, -EINVAL, "annotate needs a place of the source.");
	} else {
		str_add_scrubbed(&given, operands[2]);
		err_set(err, ERR_USAGE, -EINVAL,
			"annotate shows one place; \"%.200s\" is one too many.", str_text(&given));
	}
	err_remedy(err, "Type: rsprof annotate FILE src/parser.rs:142, or a function's name "
			"(rsprof top cpu FILE shows the hottest)");
	return -EINVAL;
}

/* Folders that are not there are a slip of the hand, not a source that is missing. */
static int check_sources(const struct opt_list *sources, struct err *err)
{
	for (size_t i = 0; i < sources->count; i++) {
		OWN(str_done) struct str given = {0};

		if (access(sources->values[i], X_OK) == 0)
			continue;
		str_add_scrubbed(&given, sources->values[i]);
		return err_set(err, ERR_USAGE, -EINVAL, "--source %.400s cannot be entered: %s.",
			       str_text(&given), strerror(errno));
	}
	return 0;
}

/* A line that neither the text nor the profile has. */
static int check_line(const struct annotate_page *page, struct err *err)
{
	const struct source_text *source = page->source;
	uint32_t line = page->target->line;
	OWN(str_done) struct str file = {0};

	if (!source->path || line <= source->line_count || annotate_line_at(page->annotation, line))
		return 0;
	str_add_scrubbed(&file, page->target->file);
	err_set(err, ERR_USAGE, -EINVAL, "%.400s has %zu lines, and no line %u.", str_text(&file),
		source->line_count, line);
	err_remedy(err, "Leave out the line to see all of the file that was sampled.");
	return -EINVAL;
}

static int show(const struct annotate_page *page, const struct annotate_options *options,
		struct err *err)
{
	struct view_print print = reading_terminal();
	int r = check_line(page, err);

	if (r < 0)
		return r;
	if (options->json)
		annotate_print_json(stdout, page);
	else if (options->csv)
		annotate_print_csv(stdout, page);
	else
		annotate_print_text(stdout, page, &print);
	return 0;
}

static int annotate(struct snapshot *snapshot, const struct annotate_options *options,
		    const char *wanted, struct err *err)
{
	const struct annotate_request request = {.event = options->event,
						 .thread = options->thread,
						 .include_internal = options->include_internal,
						 .no_inline = options->no_inline};
	OWN(annotate_target_done) struct annotate_target target = {0};
	OWN(source_text_done) struct source_text source = {0};
	struct annotation *annotation;
	struct annotate_page page;
	int r;

	r = annotate_find(snapshot, &request, wanted, &target, err);
	if (r == 0)
		r = annotate_build(snapshot, &request, &target, &annotation, err);
	if (r < 0)
		return r;
	source_text_read(
		&(struct source_request){
			.file = target.file,
			.path = target.path,
			.start_unix_ns = annotation->start_unix_ns,
			.folders = options->sources.values,
			.folder_count = options->sources.count,
		},
		&source);
	page = (struct annotate_page){
		.snapshot = snapshot,
		.annotation = annotation,
		.source = &source,
		.target = &target,
		.context = (uint32_t)options->context,
	};
	if (options->context == CONTEXT_UNSET)
		page.context = target.line ? ANNOTATE_CONTEXT_LINE : ANNOTATE_CONTEXT;
	r = show(&page, options, err);
	annotate_free(annotation);
	return r;
}

static int run(int argc, char **argv, struct err *err)
{
	struct annotate_options options = {.context = CONTEXT_UNSET};
	struct snapshot *snapshot;
	struct window_request window;
	bool help = false;
	int operands = 0, r;

	r = opt_parse(annotate_options, argc - 1, argv + 1, false, &options, &operands, &help, err);
	if (r < 0)
		return r;
	if (help) {
		verb_print_help(&verb_annotate);
		return 0;
	}
	r = check_arguments(operands, argv + 1, &options, err);
	if (r == 0)
		r = check_sources(&options.sources, err);
	if (r < 0)
		return r;
	window = READING_WINDOW(&options);
	r = reading_open(argv[1], &window, &snapshot, err);
	if (r < 0)
		return r;
	reading_resolve(snapshot);
	r = annotate(snapshot, &options, argv[2], err);
	snapshot_free(snapshot);
	return r;
}

const struct verb verb_annotate = {
	.name = "annotate",
	.operands = "FILE LOCATION|FUNCTION",
	.summary = "source with CPU % and live bytes per line",
	.description =
		"Shows the source of a file, of the lines around a LOCATION (src/parser.rs:142; "
		"the "
		"end of the path is enough where only one file has it), or of a FUNCTION, and "
		"beside "
		"each line the share of all samples that it took itself (CPU%), or that were spent "
		"in "
		"it and in all that it called (Incl%), the memory that it holds at the end of the "
		"time that is read (Live), and how long threads waited in it (Wait). Lines of an "
		"inlined helper are those of its own file.\n"
		"\n"
		"The source is read where it was compiled; else below the current directory, below "
		"each --source DIR and each folder of RSPROF_SOURCE_PATH, by the end of its path. "
		"It is said when it was written after the recording began, and when it is not "
		"found; "
		"then the lines that have numbers are shown by their numbers.",
	.options = annotate_options,
	.operand_complete = OPT_COMPLETE_FILE,
	.run = run,
};
