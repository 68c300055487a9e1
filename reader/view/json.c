/* One document a profile, one entry a line. A key is there or it is not; only "event" of an empty
 * profile is null. A "line" of 0 means that no line is known. */
#include "reader/view/view.h"

#include <inttypes.h>
#include <string.h>

#include "reader/view/head.h"
#include "reader/view/json_parts.h"

static void print_kinds(FILE *to, const uint64_t kind_ns[WAIT_KINDS])
{
	const char *separator = "";

	fputs("\"kinds\": {", to);
	for (int kind = 0; kind < WAIT_KINDS; kind++) {
		if (!kind_ns[kind])
			continue;
		fprintf(to, "%s\"%s\": %" PRIu64, separator, wait_kind_names[kind], kind_ns[kind]);
		separator = ", ";
	}
	fputs("}", to);
}

static void print_wait_totals(FILE *to, const struct snapshot *snapshot, const struct view *view)
{
	fprintf(to, "  \"total_wait_ns\": %" PRIu64 ",\n  \"total_run_ns\": %" PRIu64 ",\n  ",
		view->total_wait_ns, view->total_run_ns);
	print_kinds(to, view->kind_ns);
	fputs(",\n", to);
	json_steps(to, snapshot, "wait");
}

static void print_wait(FILE *to, const struct view_row *row)
{
	fputs("    {", to);
	json_share(to, "wait_pct", row->self_pct);
	fputs(", ", to);
	json_share(to, "incl_pct", row->incl_pct);
	fprintf(to,
		", \"wait_ns\": %" PRIu64 ", \"incl_wait_ns\": %" PRIu64 ", \"run_ns\": %" PRIu64
		", \"waits\": %" PRIu64 ", ",
		row->self_value, row->incl_value, row->run_ns, row->self);
	json_text(to, "kind", wait_kind_names[row->kind]);
	fputs(", ", to);
	print_kinds(to, row->kind_ns);
	fputs(", ", to);
	json_place(to, &ROW_PLACE(row));
}

static void print_entry(FILE *to, const struct view_row *row, bool by_value)
{
	fputs("    {", to);
	json_share(to, "cpu_pct", row->self_pct);
	fputs(", ", to);
	json_share(to, "incl_pct", row->incl_pct);
	fprintf(to,
		", \"samples\": %" PRIu64 ", \"incl_samples\": %" PRIu64
		", \"kernel_samples\": %" PRIu64 ", ",
		row->self, row->incl, row->kernel);
	if (by_value)
		fprintf(to, "\"value\": %" PRIu64 ", ", row->self_value);
	json_place(to, &ROW_PLACE(row));
}

void view_print_json(FILE *to, const struct snapshot *snapshot, const struct view *view)
{
	uint64_t unsampled;
	bool by_value = head_is_by_value(view);

	json_head(to, snapshot);
	fprintf(to, "  \"total_samples\": %" PRIu64 ",\n", view->total_samples);
	if (view->is_wait)
		print_wait_totals(to, snapshot, view);
	json_sources(to, snapshot);
	fputs("  ", to);
	json_share(to, "complete_stacks_pct", view->complete_pct);
	fputs(",\n", to);
	json_losses(to, &snapshot->losses);
	if (head_unsampled_ms(snapshot, &unsampled))
		fprintf(to, "  \"cpu_time_unsampled_ms\": %" PRIu64 ",\n", unsampled);
	fputs("  \"event\": ", to);
	if (view->event)
		json_print_string(to, view->event->name);
	else
		fputs("null", to);
	fputs(",\n", to);
	json_status(to, view->status_samples);
	fputs("  \"entries\": [", to);
	for (size_t i = 0; i < view->row_count; i++) {
		fputs(i ? ",\n" : "\n", to);
		if (view->is_wait)
			print_wait(to, &view->rows[i]);
		else
			print_entry(to, &view->rows[i], by_value);
	}
	fputs(view->row_count ? "\n  ]\n}\n" : "]\n}\n", to);
}
