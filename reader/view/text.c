/* The table for people: what is said before and after its rows. */
#include "reader/view/view.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/fmt.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "reader/view/cell.h"
#include "reader/view/completeness.h"
#include "reader/view/head.h"
#include "reader/view/text_head.h"
#include "reader/view/text_table.h"

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
	str_addf(line, ", %s %% complete stacks", text_share(number, view->complete_pct));
	completeness_add_reasons(line, view->status_samples);
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

static struct row_place *view_places(const struct view *view)
{
	struct row_place *places = mem_array(view->row_count, sizeof(*places));

	for (size_t i = 0; i < view->row_count; i++)
		places[i] = ROW_PLACE(&view->rows[i]);
	return places;
}

void view_print_text(FILE *to, const struct snapshot *snapshot, const struct view *view,
		     const struct view_request *request, const struct view_print *print)
{
	const struct event_kind *kind = head_event_kind(view);
	OWN(str_done) struct str head = {0}, note = {0};
	OWN(own_free) struct row_place *places = NULL;

	text_add_title(&head, snapshot);
	add_samples(&head, snapshot, view);
	add_quality(&head, snapshot, view);
	fputs(str_text(&head), to);
	text_print_losses(to, snapshot, print->colour);
	places = view_places(view);
	text_add_missing_lines(&note, snapshot, places, view->row_count);
	fputs(str_text(&note), to);
	putc('\n', to);
	/* A wait that goes on is none yet. */
	if (!view->total_samples && !view->total_wait_ns) {
		fputs(view->is_wait ? "no waits\n" : "no samples\n", to);
		return;
	}
	text_print_rows(to, view, request->group, print);
	text_print_shown(to, request->group, view->row_count, view->location_count, view->shown_pct,
			 view->is_wait ? "the time waited"
			 : kind	       ? kind->unit_name
				       : "samples");
}
