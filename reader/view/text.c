/* The table for people. */
#include "reader/view/view.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/fmt.h"
#include "reader/util/hash.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "reader/view/cell.h"
#include "reader/view/head.h"
#include "reader/view/number.h"

enum {
	SHARE_WIDTH = 6, /* "100.0%" */
	GAP = 2,         /* between columns */
	TEXT_MIN = 8,    /* a text column is not made narrower: the line wraps instead */
	/* Where the width is not known, a place longer than this does not widen the column for all
	 * the other rows. */
	PLACE_ALIGNED_MAX = 64,
	NOTED_MODULES_MAX = 8, /* named in the note on line numbers; a line, not a list */
};

/* Shares from which a row is warm and hot; what is below the first hardly matters and is dim. */
static const double heat_some = 1, heat_warm = 5, heat_hot = 15;

static const char sgr_dim[] = "\033[2m", sgr_bold[] = "\033[1m", sgr_warm[] = "\033[33m",
		  sgr_hot[] = "\033[31m", sgr_end[] = "\033[0m";

static const char *const group_nouns[] = {
	[VIEW_BY_LINE] = "locations", [VIEW_BY_FUNCTION] = "functions", [VIEW_BY_FILE] = "files",
	[VIEW_BY_MODULE] = "modules", [VIEW_BY_THREAD] = "threads",
};

/* The two text columns: what a row is, and a name. Wider groups show their hottest line beside. */
static const struct {
	const char *place, *name; /* name NULL: one column */
} headings[] = {
	[VIEW_BY_LINE] = {"Location", "Function"},
	[VIEW_BY_FUNCTION] = {"Location", "Function"},
	[VIEW_BY_FILE] = {"File", "Hottest line"},
	[VIEW_BY_MODULE] = {"Module", "Hottest line"},
	[VIEW_BY_THREAD] = {"Thread", NULL},
};

/* A row's two text cells, clean and not yet cut. */
struct cells {
	struct str place, name;
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
	const char *frequency = snapshot_meta_get(snapshot, "cpu_freq_hz");
	const char *noun = view->total_samples == 1 ? "sample" : "samples";
	char number[FMT_MAX];

	if (frequency && !is_each) {
		str_add(line, " at ");
		cell_add_clean(line, frequency);
		str_add(line, " Hz");
	}
	str_addf(line, "   %s %s\n", fmt_count(number, view->total_samples),
		 is_each ? kind->unit_name : noun);
}

/* "cpu: perf, 99.9 % complete stacks · lost: 0" */
static void add_quality(struct str *line, const struct snapshot *snapshot, const struct view *view)
{
	const struct event_kind *kind = head_event_kind(view);
	const char *source = snapshot_meta_get(snapshot, "cpu_source");
	uint64_t unsampled;
	char number[FMT_MAX];

	if (!view->event || view->event->is_cpu)
		str_add(line, "cpu");
	else
		cell_add_clean(line, view->event->name);
	str_add(line, ": ");
	cell_add_clean(line, source ? source : "unknown source");
	if (kind && kind->is_cpu && kind->unit == EVENT_UNIT_PERIOD)
		str_addf(line, " %s", kind->name);
	str_addf(line, ", %s %% complete stacks %s lost: ",
		 format_share(number, view->complete_pct), cell_dot());
	str_add(line, fmt_count(number, losses_total(&snapshot->losses)));
	if (head_unsampled_ms(snapshot, &unsampled) && unsampled)
		str_addf(line, " %s system time not sampled: %s", cell_dot(),
			 fmt_duration(number, unsampled > UINT64_MAX / 1000000
						      ? UINT64_MAX
						      : unsampled * 1000000));
	str_add(line, "\n");
}

/* Has any frame of the modules of this name a function from a symbol table? */
static bool has_symbols(const struct snapshot *snapshot, const char *name)
{
	OWN(own_free) bool *is_named = mem_array(snapshot->module_count, sizeof(*is_named));

	for (size_t i = 0; i < snapshot->module_count; i++)
		is_named[i] = !strcmp(snapshot->modules[i].name, name);
	for (size_t i = 0; i < snapshot->frame_count; i++) {
		const struct snapshot_frame *frame = &snapshot->frames[i];

		if (frame->is_resolved && frame->quality != SYMBOL_NONE &&
		    frame->module < snapshot->module_count && is_named[frame->module])
			return true;
	}
	return false;
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

		if (row->line || *row->file != '[' ||
		    str_map_get(&files, row->module) == UINT32_MAX ||
		    str_map_get(&seen, row->module) != UINT32_MAX)
			continue;
		str_map_put(&seen, row->module, 0);
		if (named == NOTED_MODULES_MAX) {
			more++;
			continue;
		}
		str_add(line, named++ ? ", " : "no line numbers for: ");
		cell_add_clean(line, row->module);
		str_add(line,
			has_symbols(snapshot, row->module) ? " (no debug info)" : " (stripped)");
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
		fputs(sgr_warm, to);
	view_print_losses(to, &snapshot->losses);
	if (colour)
		fputs(sgr_end, to);
}

static void add_place(struct str *to, const struct view_row *row)
{
	cell_add_clean(to, row->file);
	if (row->line)
		str_addf(to, ":%u", row->line);
}

static void fill_cells(struct cells *cells, const struct view_row *row, enum view_group group)
{
	switch (group) {
	case VIEW_BY_LINE:
	case VIEW_BY_FUNCTION:
		add_place(&cells->place, row);
		cell_add_clean(&cells->name, row->function);
		break;
	case VIEW_BY_FILE:
	case VIEW_BY_MODULE:
		cell_add_clean(&cells->place, group == VIEW_BY_FILE ? row->file : row->module);
		add_place(&cells->name, row);
		str_add(&cells->name, " ");
		cell_add_clean(&cells->name, row->function);
		break;
	case VIEW_BY_THREAD:
		cell_add_clean(&cells->place, row->function);
		break;
	}
}

struct widths {
	size_t self, place, name;
	bool is_cut; /* to the terminal's width */
};

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* What is left of the terminal is shared by the two text columns: half each, but what one does not
 * need is the other's. */
static struct widths fit(const struct view *view, const struct cells *cells,
			 const char *self_heading, enum view_group group, size_t columns)
{
	struct widths widths = {
		.self = larger(SHARE_WIDTH, strlen(self_heading)),
		.place = strlen(headings[group].place),
		.name = headings[group].name ? strlen(headings[group].name) : 0,
		.is_cut = columns > 0,
	};
	size_t taken = widths.self + SHARE_WIDTH + 2 * GAP, room, half;

	for (size_t i = 0; i < view->row_count; i++) {
		size_t place = str_width(str_text(&cells[i].place));

		if (columns || place <= PLACE_ALIGNED_MAX)
			widths.place = larger(widths.place, place);
		widths.name = larger(widths.name, str_width(str_text(&cells[i].name)));
	}
	if (!columns)
		return widths;
	if (widths.name)
		taken += GAP;
	room = columns > taken ? columns - taken : 0;
	if (widths.place + widths.name <= room)
		return widths;
	half = widths.name ? room / 2 : room;
	if (widths.place <= half)
		widths.name = room - widths.place;
	else if (widths.name <= room - half)
		widths.place = room - widths.name;
	else {
		widths.place = half;
		widths.name = room - half;
	}
	widths.place = larger(widths.place, TEXT_MIN);
	widths.name = larger(widths.name, TEXT_MIN);
	return widths;
}

static void add_share(struct str *line, double share, size_t width, bool colour)
{
	char number[FMT_MAX];
	const char *heat = NULL;

	if (colour && share < heat_some)
		heat = sgr_dim;
	else if (colour && share >= heat_hot)
		heat = sgr_hot;
	else if (colour && share >= heat_warm)
		heat = sgr_warm;
	str_add(line, heat ? heat : "");
	str_addf(line, "%*s%%", (int)width - 1, number_decimal(number, share, 1));
	str_add(line, heat ? sgr_end : "");
}

static void add_row(struct str *line, const struct view_row *row, const struct cells *cells,
		    const struct widths *widths, bool has_name, bool colour)
{
	size_t place_width = widths->is_cut ? widths->place : SIZE_MAX;
	size_t name_width = widths->is_cut ? widths->name : SIZE_MAX;
	size_t from;

	add_share(line, row->self_pct, widths->self, colour);
	str_addf(line, "%*s", GAP, "");
	add_share(line, row->incl_pct, SHARE_WIDTH, colour);
	str_addf(line, "%*s", GAP, "");
	from = line->length;
	cell_add_path(line, str_text(&cells->place), place_width);
	if (has_name) {
		cell_pad(line, from, widths->place);
		str_addf(line, "%*s", GAP, "");
		cell_add_name(line, str_text(&cells->name), name_width);
	}
	str_add(line, "\n");
}

static void add_headings(struct str *line, const struct widths *widths, const char *self_heading,
			 enum view_group group, bool colour)
{
	size_t from;

	str_add(line, colour ? sgr_bold : "");
	str_addf(line, "%*s%*s%*s%*s", (int)widths->self, self_heading, GAP, "", SHARE_WIDTH,
		 "Incl%", GAP, "");
	from = line->length;
	str_add(line, headings[group].place);
	if (headings[group].name) {
		cell_pad(line, from, widths->place);
		str_addf(line, "%*s%s", GAP, "", headings[group].name);
	}
	str_addf(line, "%s\n", colour ? sgr_end : "");
}

static void print_table(FILE *to, const struct view *view, enum view_group group,
			const struct view_print *print)
{
	struct cells *cells = mem_array(view->row_count, sizeof(*cells));
	const struct event_kind *kind = head_event_kind(view);
	const char *self_heading = kind ? kind->column : "Self%";
	OWN(str_done) struct str line = {0};
	struct widths widths;

	for (size_t i = 0; i < view->row_count; i++)
		fill_cells(&cells[i], &view->rows[i], group);
	widths = fit(view, cells, self_heading, group, print->columns);
	add_headings(&line, &widths, self_heading, group, print->colour);
	for (size_t i = 0; i < view->row_count; i++) {
		add_row(&line, &view->rows[i], &cells[i], &widths, headings[group].name != NULL,
			print->colour);
		fputs(str_text(&line), to);
		str_clear(&line);
		str_done(&cells[i].place);
		str_done(&cells[i].name);
	}
	fputs(str_text(&line), to);
	free(cells);
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
	if (!view->total_samples) {
		fputs("no samples\n", to);
		return;
	}
	print_table(to, view, request->group, print);
	fprintf(to, "%s of %s %s, %s %% of %s\n", fmt_count(shown, view->row_count),
		fmt_count(all, view->location_count), group_nouns[request->group],
		format_share(share, view->shown_pct), kind ? kind->unit_name : "samples");
}
