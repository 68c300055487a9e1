/* rsprof view [FILE]: a profile in the terminal. */
#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/feed.h"
#include "reader/reading.h"
#include "reader/store/schema.h"
#include "reader/store/store.h"
#include "reader/tui/tui.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "reader/verb.h"
#include "reader/view/heap.h"
#include "reader/view/view.h"
#include "reader/view/window.h"

#define CHART_LAST_NS UINT64_C(60000000000)

struct view_options {
	uint64_t since, until;
	const char *window, *filter, *thread;
	bool include_internal, no_inline;
};

#define MEMBER(name) offsetof(struct view_options, name)

static const struct opt view_options[] = {
	READING_WINDOW_OPTIONS(struct view_options),
	READING_FILTER_OPTION(struct view_options),
	{.name = "thread",
	 .value_name = "NAME|TID",
	 .type = OPT_TEXT,
	 .offset = MEMBER(thread),
	 .help = "only samples of this thread; shares stay those of all samples (not of memory)"},
	READING_CHARGE_OPTIONS(struct view_options),
	{0},
};

/* ---- which file */

/* When its recording began; false where it is no profile that can be read. */
static bool read_start(const char *path, uint64_t *ret_start_ns)
{
	struct store_summary summary;
	struct store_reader *reader;
	struct err err = {0};
	int r;

	if (!schema_is_own_file(path) || store_reader_open(path, &reader, &err) < 0)
		return false;
	r = store_reader_summary(reader, &summary, &err);
	store_reader_close(reader);
	*ret_start_ns = summary.start_unix_ns;
	return r == 0;
}

static int refuse_folder(const char *folder, int error, struct err *err)
{
	OWN(str_done) struct str shown = {0};

	str_add_scrubbed(&shown, folder);
	if (error)
		err_set(err, ERR_GENERAL, -error, "The folder %.400s cannot be read: %s.",
			str_text(&shown), strerror(error));
	else
		err_set(err, ERR_GENERAL, -ENOENT, "There is no profile in %.400s.",
			strcmp(folder, ".") ? str_text(&shown) : "this folder");
	err_remedy(err, "Type: rsprof view FILE    (rsprof list -d DIR shows the profiles there)");
	return error ? -error : -ENOENT;
}

/* The profile in the folder whose recording began last. */
static int find_newest(const char *folder, struct str *ret_path, struct err *err)
{
	DIR *open_folder = opendir(folder);
	OWN(str_done) struct str path = {0};
	struct dirent *entry;
	uint64_t newest_ns = 0, start_ns;

	if (!open_folder)
		return refuse_folder(folder, errno, err);
	while ((entry = readdir(open_folder))) {
		str_clear(&path);
		str_addf(&path, "%s/%s", folder, entry->d_name);
		if (!str_ends(entry->d_name, ".db") || !read_start(str_text(&path), &start_ns) ||
		    (ret_path->length && start_ns <= newest_ns))
			continue;
		newest_ns = start_ns;
		str_clear(ret_path);
		str_add(ret_path,
			str_starts(str_text(&path), "./") ? str_text(&path) + 2 : str_text(&path));
	}
	closedir(open_folder);
	return ret_path->length ? 0 : refuse_folder(folder, 0, err);
}

static int choose_file(int count, char **operands, struct str *ret_path, struct err *err)
{
	const char *folder = getenv("RSPROF_OUTPUT_DIR");
	OWN(str_done) struct str given = {0};

	if (!count)
		return find_newest(folder && *folder ? folder : ".", ret_path, err);
	if (count == 1) {
		str_add(ret_path, operands[0]);
		return 0;
	}
	str_add_scrubbed(&given, operands[1]);
	err_set(err, ERR_USAGE, -EINVAL, "view reads one profile; \"%.200s\" is one too many.",
		str_text(&given));
	err_remedy(err, "Type: rsprof view FILE    (rsprof list shows the profiles here)");
	return -EINVAL;
}

/* ---- in the terminal */

static int make_request(const char *path, const struct view_options *options,
			struct model_request *ret_request, enum model_table *ret_first,
			struct err *err)
{
	const struct window_request window = READING_WINDOW(options);
	struct store_summary summary;
	struct store_reader *reader;
	int r = store_reader_open(path, &reader, err);

	if (r < 0)
		return r;
	r = window_resolve(&window, store_reader_duration_ns(reader), &ret_request->from_ns,
			   &ret_request->to_ns, err);
	if (r == 0)
		r = store_reader_summary(reader, &summary, err);
	store_reader_close(reader);
	if (r < 0)
		return r;
	/* A chart of what grows shows its end, one of what is over all of it. */
	ret_request->chart_to_ns = UINT64_MAX;
	if (ret_request->from_ns || ret_request->to_ns != UINT64_MAX) {
		ret_request->chart_from_ns = ret_request->from_ns;
		ret_request->chart_to_ns = ret_request->to_ns;
	} else if (!summary.is_finished) {
		ret_request->chart_last_ns = CHART_LAST_NS;
	}
	*ret_first = summary.samples ? MODEL_CPU : MODEL_HEAP;
	return 0;
}

static int check_thread(const struct view_options *options, struct err *err)
{
	if (!options->thread || strlen(options->thread) < MODEL_THREAD_MAX)
		return 0;
	err_set(err, ERR_USAGE, -EINVAL, "No thread has a name of %zu bytes.",
		strlen(options->thread));
	err_remedy(err, "Take its number.");
	return -EINVAL;
}

static int show(const char *path, const struct view_options *options, struct err *err)
{
	struct feed_options feed_options = {.path = path};
	struct model_request *request = &feed_options.request;
	struct tui_options tui_options = {.request = request, .filter = options->filter};
	int r;

	request->include_internal = options->include_internal;
	request->no_inline = options->no_inline;
	if (options->thread)
		strcpy(request->thread, options->thread);
	r = make_request(path, options, request, &tui_options.first, err);
	if (r == 0)
		r = feed_open(&feed_options, &tui_options.feed, err);
	if (r < 0)
		return r;
	r = tui_run(&tui_options, err);
	feed_close(tui_options.feed);
	return r;
}

/* ---- without one */

/* What `rsprof top` ranks of this profile. */
static int choose_kind(const char *path, const char **ret_kind, struct err *err)
{
	const struct window_request whole = {0};
	struct snapshot *snapshot;
	int r = reading_open(path, &whole, &snapshot, err);

	if (r < 0)
		return r;
	if (view_has_samples(snapshot))
		*ret_kind = "cpu";
	else if (heap_view_is_there(snapshot))
		*ret_kind = "heap";
	else
		*ret_kind = view_wait_event(snapshot) ? "wait" : "cpu";
	snapshot_free(snapshot);
	return 0;
}

/* Options of both verbs have the same names: the words of this one, behind top's. */
static int print_top(const char *path, const char *why, bool is_named, int argc, char **argv,
		     struct err *err)
{
	OWN(own_free) char **words = mem_array((size_t)argc + 2, sizeof(*words));
	const char *kind;
	int r = choose_kind(path, &kind, err), count = 0;

	if (r < 0)
		return r;
	fprintf(stderr, "rsprof: %s\n", why);
	words[count++] = (char *)"top";
	words[count++] = (char *)kind;
	for (int i = 1; i < argc; i++)
		words[count++] = argv[i];
	if (!is_named)
		words[count++] = (char *)path;
	return verb_top.run(count, words, err);
}

static int run(int argc, char **argv, struct err *err)
{
	/* Parsing writes operands to the front. */
	OWN(own_free) char **words = mem_array((size_t)argc, sizeof(*words));
	OWN(str_done) struct str path = {0};
	struct view_options options = {0};
	bool help = false;
	int operands = 0, r;
	char why[128];

	memcpy(words, argv + 1, (size_t)(argc - 1) * sizeof(*words));
	r = opt_parse(view_options, argc - 1, words, false, &options, &operands, &help, err);
	if (r < 0)
		return r;
	if (help) {
		verb_print_help(&verb_view);
		return 0;
	}
	r = check_thread(&options, err);
	if (r == 0)
		r = choose_file(operands, words, &path, err);
	if (r < 0)
		return r;
	if (tui_is_possible(why))
		return show(str_text(&path), &options, err);
	return print_top(str_text(&path), why, operands > 0, argc, argv, err);
}

const struct verb verb_view = {
	.name = "view",
	.operands = "[FILE]",
	.summary = "a profile in the terminal",
	.description =
		"Shows tables of CPU, memory and waiting, the chart of a line over time, its "
		"callers, flame graphs and the source, by keys and mouse; ? lists the keys. "
		"Without FILE it is the newest profile in $RSPROF_OUTPUT_DIR, or here. One that "
		"another rsprof records is followed.\n"
		"\n"
		"Where there is no terminal that can show it, view says so, and prints what "
		"rsprof top does.",
	.options = view_options,
	.operand_complete = OPT_COMPLETE_FILE,
	.run = run,
};
