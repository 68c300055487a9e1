/* The heap as a table for people. */
#include "reader/view/heap.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/own.h"
#include "reader/util/mem.h"
#include "reader/view/cell.h"
#include "reader/view/completeness.h"
#include "reader/view/heap_facts.h"
#include "reader/view/number.h"
#include "reader/view/text_head.h"
#include "reader/view/text_table.h"

/* What stands before a number that is no exact one. */
static const char *least_sign(void)
{
	return cell_is_unicode() ? "≥" : ">=";
}

static const char *most_sign(void)
{
	return cell_is_unicode() ? "≤" : "<=";
}

static void add_bytes(struct str *to, bool is_estimate, uint64_t bytes)
{
	char number[FMT_MAX];

	str_addf(to, "%s%s", is_estimate ? "~" : "", fmt_bytes(number, bytes));
}

/* What is or was live. */
static void add_held(struct str *to, bool is_least, bool is_estimate, uint64_t bytes)
{
	str_add(to, is_least ? least_sign() : "");
	add_bytes(to, is_estimate, bytes);
}

static void add_count(struct str *to, bool is_estimate, uint64_t count)
{
	char number[FMT_MAX];

	str_addf(to, "%s%s", is_estimate ? "~" : "", fmt_count(number, count));
}

/* " · live ≥~48.3 MB in ~3,125 blocks as of 12s · peak 51.0 MB at 3m12s" */
static void add_live(struct str *line, const struct heap_view *view)
{
	char number[FMT_MAX];

	str_addf(line, " %s live ", cell_dot());
	add_held(line, view->is_least, view->is_estimate, view->live_bytes);
	str_add(line, " in ");
	add_count(line, view->is_estimate, view->live_blocks);
	str_add(line, view->live_blocks == 1 ? " block" : " blocks");
	if (view->frees_until_ns != UINT64_MAX)
		str_addf(line, " as of %s", fmt_duration(number, view->frees_until_ns));
	if (!view->peak_bytes)
		return;
	str_addf(line, " %s peak ", cell_dot());
	add_held(line, view->is_least, view->is_estimate, view->peak_bytes);
	str_addf(line, " at %s", fmt_duration(number, view->peak_ns));
}

static void add_process(struct str *line, const struct snapshot *snapshot,
			const struct heap_view *view)
{
	char number[FMT_MAX];
	uint64_t before = 0;

	if (view->rss.end_bytes)
		str_addf(line, " %s RSS %s", cell_dot(), fmt_bytes(number, view->rss.end_bytes));
	if (heap_facts_meta(snapshot, "heap_anonymous_bytes_at_attach", &before) && before)
		str_addf(line, " %s before attach: %s %s unknown", cell_dot(), most_sign(),
			 fmt_bytes(number, before));
	if (view->state.unknown_frees)
		str_addf(line, " %s %s %s of blocks from before%s", cell_dot(),
			 fmt_count(number, view->state.unknown_frees),
			 view->state.unknown_frees == 1 ? "free" : "frees",
			 view->is_least ? ", or not tracked" : "");
}

static void add_lost(struct str *line, const struct snapshot *snapshot)
{
	char number[FMT_MAX];

	str_addf(line, " %s lost: %s\n", cell_dot(),
		 fmt_count(number, losses_total(&snapshot->losses)));
}

/* "heap: bpf, exact · live … · lost: 0" */
static void add_head(struct str *line, const struct snapshot *snapshot,
		     const struct heap_view *view)
{
	char number[FMT_MAX];

	str_add(line, "heap: ");
	heap_facts_add_source(line, snapshot);
	str_addf(line, ", %s", heap_mode_names[view->mode]);
	if (view->judged > view->status_allocs[STACK_COMPLETE]) {
		str_addf(line, ", %s %% complete stacks", text_share(number, view->complete_pct));
		completeness_add_reasons(line, view->status_allocs);
	}
	if (view->last)
		add_live(line, view);
	else
		str_addf(line, " %s not looked at in this time", cell_dot());
	add_process(line, snapshot, view);
	add_lost(line, snapshot);
}

/* "sampled since 12s: Counting each block cost 23 % of …", a line a step. One that changes no mode
 * only tells what is watched. */
static void add_step(struct str *line, const struct snapshot_step *step, enum heap_mode before)
{
	enum heap_mode mode = heap_facts_step_mode(step, before);
	char number[FMT_MAX];

	if (mode == before)
		str_addf(line, "at %s", fmt_duration(number, step->time_ns));
	else
		str_addf(line, "%s since %s", heap_mode_names[mode],
			 fmt_duration(number, step->time_ns));
	str_add(line, *step->reason ? ": " : "");
	cell_add_clean(line, step->reason);
	str_add(line, "\n");
}

static void add_steps(struct str *warnings, struct str *notes, const struct snapshot *snapshot,
		      const struct heap_view *view)
{
	enum heap_mode mode = heap_facts_first_mode(snapshot);
	bool is_first = true;

	for (size_t i = 0; i < snapshot->step_count; i++) {
		const struct snapshot_step *step = &snapshot->steps[i];

		if (!heap_facts_has_step(snapshot, step))
			continue;
		/* The first names the source. */
		if (!is_first)
			add_step(heap_facts_step_mode(step, mode) == mode ? notes : warnings, step,
				 mode);
		is_first = false;
		mode = heap_facts_step_mode(step, mode);
	}
	if (view->is_estimate)
		str_add(warnings,
			"~ estimated: not each block was counted, but a sample by bytes\n");
}

/* "not counted by the agent: ./app is statically linked" */
static void add_agent(struct str *notes, const struct snapshot *snapshot)
{
	const char *reason = heap_facts_agent_reason(snapshot);

	if (!*reason)
		return;
	str_add(notes, "not counted by the agent: ");
	cell_add_clean(notes, reason);
	str_add(notes, "\n");
}

static void print_warm(FILE *to, const struct str *lines, bool colour)
{
	if (!lines->length)
		return;
	fprintf(to, "%s%s%s", colour ? SGR_WARM : "", str_text(lines), colour ? SGR_END : "");
}

enum { COLUMN_LIVE, COLUMN_PEAK, COLUMN_TOTAL, COLUMN_ALLOCS, COLUMN_TEMPORARY };

static const struct text_column columns[] = {
	[COLUMN_LIVE] = {.heading = "Live"},	   [COLUMN_PEAK] = {.heading = "Peak"},
	[COLUMN_TOTAL] = {.heading = "Total"},	   [COLUMN_ALLOCS] = {.heading = "Allocs"},
	[COLUMN_TEMPORARY] = {.heading = "Temp%"},
};

static void add_temporary(struct str *to, const struct heap_row *row, const struct heap_view *view)
{
	double share = heap_row_temporary_pct(row, view);
	char number[FMT_MAX];

	if (share < 0)
		str_add(to, cell_dash());
	else
		str_addf(to, "%s%%", number_decimal(number, share, 0));
}

static void fill_cells(struct text_cells *cells, const struct heap_row *row,
		       const struct heap_view *view, enum view_group group)
{
	add_held(&cells->columns[COLUMN_LIVE], row->is_least, row->is_estimate, row->live_bytes);
	if (view->live_bytes)
		cells->colours[COLUMN_LIVE] =
			text_heat(number_share(row->live_bytes, view->live_bytes));
	add_held(&cells->columns[COLUMN_PEAK], row->is_least, row->is_estimate, row->peak_bytes);
	add_bytes(&cells->columns[COLUMN_TOTAL], row->is_estimate, row->totals.alloc_bytes);
	add_count(&cells->columns[COLUMN_ALLOCS], row->is_estimate, row->totals.allocs);
	add_temporary(&cells->columns[COLUMN_TEMPORARY], row, view);
	text_cells_place(cells, &ROW_PLACE(row), group);
}

static void print_rows(FILE *to, const struct heap_view *view, enum view_group group,
		       const struct view_print *print)
{
	struct text_table table;

	text_table_init(&table, group, view->row_count);
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
		text_table_add_column(&table, columns[i]);
	for (size_t i = 0; i < view->row_count; i++)
		fill_cells(&table.rows[i], &view->rows[i], view, group);
	text_table_print(to, &table, print);
	text_table_done(&table);
}

static void print_memory(FILE *to, const char *name, const struct heap_memory *memory)
{
	char begin[FMT_MAX], max[FMT_MAX], at[FMT_MAX], end[FMT_MAX];

	if (!memory->max_bytes) {
		fprintf(to, "%s: not known\n", name);
		return;
	}
	fprintf(to, "%s: %s at the beginning, at most %s (at %s), %s at the end\n", name,
		fmt_bytes(begin, memory->begin_bytes), fmt_bytes(max, memory->max_bytes),
		fmt_duration(at, memory->max_ns), fmt_bytes(end, memory->end_bytes));
}

static void print_totals_only(FILE *to, const struct snapshot *snapshot,
			      const struct heap_view *view, const struct view_print *print)
{
	OWN(str_done) struct str head = {0}, reason = {0};

	str_addf(&head, "heap: totals only");
	add_lost(&head, snapshot);
	fputs(str_text(&head), to);
	text_print_losses(to, snapshot, print->colour);
	if (*heap_facts_reason(snapshot)) {
		str_add(&reason, "not counted by line: ");
		cell_add_clean(&reason, heap_facts_reason(snapshot));
		str_add(&reason, "\n");
	}
	print_warm(to, &reason, print->colour);
	putc('\n', to);
	print_memory(to, "RSS", &view->rss);
	print_memory(to, "anonymous RSS", &view->rss_anonymous);
}

static void print_counted(FILE *to, const struct snapshot *snapshot, const struct heap_view *view,
			  const struct view_request *request, const struct view_print *print)
{
	OWN(own_free)
	struct row_place *places = mem_array(view->row_count, sizeof(*places));
	OWN(str_done) struct str head = {0}, warnings = {0}, note = {0};

	add_head(&head, snapshot, view);
	fputs(str_text(&head), to);
	text_print_losses(to, snapshot, print->colour);
	add_steps(&warnings, &note, snapshot, view);
	print_warm(to, &warnings, print->colour);
	for (size_t i = 0; i < view->row_count; i++)
		places[i] = ROW_PLACE(&view->rows[i]);
	add_agent(&note, snapshot);
	text_add_missing_lines(&note, snapshot, places, view->row_count);
	fprintf(to, "%s\n", str_text(&note));
	if (!view->location_count) {
		fputs(view->last ? "nothing was allocated\n" : "", to);
		return;
	}
	print_rows(to, view, request->group, print);
	text_print_shown(to, request->group, view->row_count, view->location_count, view->shown_pct,
			 view->live_bytes ? "live bytes" : "all bytes allocated");
}

void heap_view_print_text(FILE *to, const struct snapshot *snapshot, const struct heap_view *view,
			  const struct view_request *request, const struct view_print *print)
{
	OWN(str_done) struct str title = {0};

	text_add_title(&title, snapshot);
	fprintf(to, "%s\n", str_text(&title));
	if (view->is_totals_only)
		print_totals_only(to, snapshot, view, print);
	else
		print_counted(to, snapshot, view, request, print);
}
