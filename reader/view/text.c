/* The table for people: what is said before and after its rows. */
#include "reader/view/view.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/fmt.h"
#include "reader/util/hash.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "reader/view/cell.h"
#include "reader/view/completeness.h"
#include "reader/view/head.h"
#include "reader/view/number.h"
#include "reader/view/text_table.h"

enum {
	NOTED_MODULES_MAX = 8, /* named in the note on line numbers; a line, not a list */
};

static const char *const group_nouns[] = {
	[VIEW_BY_LINE] = "locations", [VIEW_BY_FUNCTION] = "functions", [VIEW_BY_FILE] = "files",
	[VIEW_BY_MODULE] = "modules", [VIEW_BY_THREAD] = "threads",
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* A share in words; one that is not whole never reads as 100.0. */
static const char *format_share(char buffer[FMT_MAX], double share)
{
	return number_decimal(buffer, share < 100 && share > 99.9 ? 99.9 : share, 1);
}

static void add_process(struct str *line, const struct snapshot *snapshot)
{
	const char *name = snapshot_meta_get(snapshot, "process_name");
	const char *pid = snapshot_meta_get(snapshot, "pid");

	if (snapshot->recording_count) {
		cell_add_clean(line, snapshot->recordings[0].process_name);
		str_addf(line, " (%u)", snapshot->recordings[0].pid);
		if (snapshot->recording_count > 1)
			str_addf(line, " and %zu more", snapshot->recording_count - 1);
		return;
	}
	cell_add_clean(line, name ? name : "?");
	str_add(line, " (");
	cell_add_clean(line, pid ? pid : "?");
	str_add(line, ")");
}

static void add_length(struct str *line, const struct snapshot *snapshot)
{
	char number[FMT_MAX];
	uint64_t from, to;

	head_window(snapshot, &from, &to);
	if (from || to < snapshot->duration_ns) {
		str_addf(line, "%s%s", fmt_duration(number, from), cell_dash());
		str_addf(line, "%s of ", fmt_duration(number, to));
	}
	str_add(line, fmt_duration(number, snapshot->duration_ns));
}

/* Occurrences are each recorded, at no frequency, and are called by their own name. */
static void add_samples(struct str *line, const struct snapshot *snapshot, const struct view *view)
{
	const struct event_kind *kind = head_event_kind(view);
	bool is_each = kind && kind->unit == EVENT_UNIT_OCCURRENCES;
	const char *unit = kind ? kind->unit_name : "";
	const char *frequency = snapshot_meta_get(snapshot, "cpu_freq_hz");
	const char *noun = view->total_samples == 1 ? "sample" : "samples";
	char number[FMT_MAX];

	if (view->is_wait) {
		is_each = true;
		unit = view->total_samples == 1 ? "wait" : "waits";
	}
	if (frequency && !is_each) {
		str_add(line, " at ");
		cell_add_clean(line, frequency);
		str_add(line, " Hz");
	}
	str_addf(line, "   %s %s\n", fmt_count(number, view->total_samples), is_each ? unit : noun);
}

/* " · waited 12.3s, ran 4.10s", and how stacks were thinned out. */
static void add_wait_times(struct str *line, const struct snapshot *snapshot,
			   const struct view *view)
{
	char waited[FMT_MAX], ran[FMT_MAX], since[FMT_MAX];
	uint64_t since_ns;
	const char *step = head_wait_step(snapshot, &since_ns);

	str_addf(line, " %s waited %s, ran %s", cell_dot(), fmt_span(waited, view->total_wait_ns),
		 fmt_span(ran, view->total_run_ns));
	if (!step)
		return;
	str_addf(line, " %s ", cell_dot());
	cell_add_clean(line, step);
	str_addf(line, " since %s", fmt_duration(since, since_ns));
}

/* "cpu: perf, 99.9 % complete stacks (0.1 % truncated) · lost: 0" */
static void add_quality(struct str *line, const struct snapshot *snapshot, const struct view *view)
{
	const struct event_kind *kind = head_event_kind(view);
	uint64_t unsampled;
	char number[FMT_MAX];

	if (!view->event || view->event->is_cpu)
		str_add(line, "cpu");
	else if (view->is_wait)
		str_add(line, "wait");
	else
		cell_add_clean(line, view->event->name);
	str_add(line, ": ");
	cell_add_clean(line, head_source(snapshot, view));
	if (kind && kind->is_cpu && kind->unit == EVENT_UNIT_PERIOD)
		str_addf(line, " %s", kind->name);
	str_addf(line, ", %s %% complete stacks", format_share(number, view->complete_pct));
	completeness_add_reasons(line, view);
	if (view->is_wait)
		add_wait_times(line, snapshot, view);
	str_addf(line, " %s lost: ", cell_dot());
	str_add(line, fmt_count(number, losses_total(&snapshot->losses)));
	if (!view->is_wait && head_unsampled_ms(snapshot, &unsampled) && unsampled)
		str_addf(line, " %s system time not sampled: %s", cell_dot(),
			 fmt_duration(number, unsampled > UINT64_MAX / 1000000
						      ? UINT64_MAX
						      : unsampled * 1000000));
	str_add(line, "\n");
}

/* The best that is known of any frame of the modules of this name. */
static enum symbol_quality best_quality(const struct snapshot *snapshot, const char *name)
{
	OWN(own_free) bool *is_named = mem_array(snapshot->module_count, sizeof(*is_named));
	enum symbol_quality best = SYMBOL_NONE;

	for (size_t i = 0; i < snapshot->module_count; i++)
		is_named[i] = !strcmp(snapshot->modules[i].name, name);
	for (size_t i = 0; i < snapshot->frame_count; i++) {
		const struct snapshot_frame *frame = &snapshot->frames[i];

		if (frame->is_resolved && frame->quality > best &&
		    frame->module < snapshot->module_count && is_named[frame->module])
			best = frame->quality;
	}
	return best;
}

/* Names of modules that are files, which could have line numbers. */
static void find_file_modules(const struct snapshot *snapshot, struct str_map *names)
{
	for (size_t i = 0; i < snapshot->module_count; i++) {
		if (snapshot->modules[i].kind == MODULE_FILE)
			str_map_put(names, snapshot->modules[i].name, 0);
	}
}

/* Says in which files the lines of the rows shown could not be found. */
static void add_missing_lines(struct str *line, const struct snapshot *snapshot,
			      const struct view *view)
{
	struct str_map files = {0}, seen = {0};
	size_t named = 0, more = 0;

	find_file_modules(snapshot, &files);
	for (size_t i = 0; i < view->row_count; i++) {
		const struct view_row *row = &view->rows[i];
		enum symbol_quality best;

		if (row->line || *row->file != '[' ||
		    str_map_get(&files, row->module) == UINT32_MAX ||
		    str_map_get(&seen, row->module) != UINT32_MAX)
			continue;
		str_map_put(&seen, row->module, 0);
		best = best_quality(snapshot, row->module);
		/* Code without lines in a file that has them: the start of a program, say. */
		if (best == SYMBOL_LINE)
			continue;
		if (named == NOTED_MODULES_MAX) {
			more++;
			continue;
		}
		str_add(line, named++ ? ", " : "no line numbers for: ");
		cell_add_clean(line, row->module);
		str_add(line, best == SYMBOL_FUNCTION ? " (no debug info)" : " (stripped)");
	}
	if (more)
		str_addf(line, " and %zu more", more);
	if (named)
		str_add(line, "\n");
	str_map_done(&files);
	str_map_done(&seen);
}

static void print_losses(FILE *to, const struct snapshot *snapshot, bool colour)
{
	if (!losses_total(&snapshot->losses))
		colour = false;
	if (colour)
		fputs(SGR_WARM, to);
	view_print_losses(to, &snapshot->losses);
	if (colour)
		fputs(SGR_END, to);
}

void view_print_text(FILE *to, const struct snapshot *snapshot, const struct view *view,
		     const struct view_request *request, const struct view_print *print)
{
	const struct event_kind *kind = head_event_kind(view);
	char shown[FMT_MAX], all[FMT_MAX], share[FMT_MAX];
	OWN(str_done) struct str head = {0}, note = {0};

	cell_add_clean(&head, base_name(snapshot->file));
	str_add(&head, "   ");
	add_process(&head, snapshot);
	str_add(&head, "   ");
	add_length(&head, snapshot);
	add_samples(&head, snapshot, view);
	add_quality(&head, snapshot, view);
	fputs(str_text(&head), to);
	print_losses(to, snapshot, print->colour);
	add_missing_lines(&note, snapshot, view);
	fputs(str_text(&note), to);
	putc('\n', to);
	/* A wait that goes on is none yet. */
	if (!view->total_samples && !view->total_wait_ns) {
		fputs(view->is_wait ? "no waits\n" : "no samples\n", to);
		return;
	}
	text_print_table(to, view, request->group, print);
	fprintf(to, "%s of %s %s, %s %% of %s\n", fmt_count(shown, view->row_count),
		fmt_count(all, view->location_count), group_nouns[request->group],
		format_share(share, view->shown_pct),
		view->is_wait ? "the time waited"
		: kind	      ? kind->unit_name
			      : "samples");
}
