/* One document a profile, one entry a line. A key is there or it is not; only "event" of an empty
 * profile is null. A "line" of 0 means that no line is known. */
#include "reader/view/view.h"

#include <inttypes.h>
#include <string.h>

#include "reader/view/head.h"
#include "reader/view/number.h"
#include "reader/util/utf8.h"

static void print_point(FILE *to, uint32_t point)
{
	switch (point) {
	case '\n':
		fputs("\\n", to);
		break;
	case '\r':
		fputs("\\r", to);
		break;
	case '\t':
		fputs("\\t", to);
		break;
	case '"':
	case '\\':
		fprintf(to, "\\%c", (int)point);
		break;
	default:
		fprintf(to, "\\u%04" PRIx32, point);
	}
}

/* What a terminal would obey is escaped too: JSON is looked at as often as it is parsed. */
void json_print_string(FILE *to, const char *text)
{
	putc('"', to);
	while (*text) {
		uint32_t point;
		size_t bytes = utf8_decode(text, &point);

		if (!bytes) {
			fputs("\\ufffd", to);
			bytes = 1;
		} else if (point == '"' || point == '\\' || utf8_is_harmful(point)) {
			print_point(to, point);
		} else {
			fwrite(text, 1, bytes, to);
		}
		text += bytes;
	}
	putc('"', to);
}

static void print_share(FILE *to, const char *key, double share)
{
	char number[FMT_MAX];

	fprintf(to, "\"%s\": %s", key, number_decimal(number, share, NUMBER_SHARE_DECIMALS));
}

static void print_text(FILE *to, const char *key, const char *text)
{
	fprintf(to, "\"%s\": ", key);
	json_print_string(to, text);
}

/* Which source each signal had; a signal that the file does not speak of is left out. */
static void print_sources(FILE *to, const struct snapshot *snapshot)
{
	static const struct {
		const char *signal, *key;
	} sources[] = {{"cpu", "cpu_source"}, {"heap", "heap_source"}, {"wait", "wait_source"}};
	const char *separator = "";

	fputs("  \"source\": {", to);
	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
		const char *source = snapshot_meta_get(snapshot, sources[i].key);

		if (!source)
			continue;
		fputs(separator, to);
		print_text(to, sources[i].signal, source);
		separator = ", ";
	}
	fputs("},\n", to);
}

static void print_losses(FILE *to, const struct losses *losses)
{
	const char *separator = "";

	fputs("  \"losses\": {", to);
	for (int cause = 0; cause < LOSS_CAUSES; cause++) {
		if (!losses->count[cause])
			continue;
		fprintf(to, "%s\"%s\": %" PRIu64, separator, loss_texts[cause].name,
			losses->count[cause]);
		separator = ", ";
	}
	fputs("},\n", to);
}

static void print_status(FILE *to, const struct view *view)
{
	fputs("  \"stack_status\": {", to);
	for (int status = 0; status < STACK_STATUSES; status++)
		fprintf(to, "%s\"%s\": %" PRIu64, status ? ", " : "", stack_status_names[status],
			view->status_samples[status]);
	fputs("},\n", to);
}

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

/* From when on waits came how. */
static void print_wait_steps(FILE *to, const struct snapshot *snapshot)
{
	const char *separator = "";

	fputs("  \"steps\": [", to);
	for (size_t i = 0; i < snapshot->step_count; i++) {
		const struct snapshot_step *step = &snapshot->steps[i];

		if (strcmp(step->signal, "wait"))
			continue;
		fprintf(to, "%s{\"time_ms\": %" PRIu64 ", ", separator, step->time_ns / 1000000);
		print_text(to, "mode", step->mode);
		fputs(", ", to);
		print_text(to, "reason", step->reason);
		putc('}', to);
		separator = ", ";
	}
	fputs("],\n", to);
}

static void print_wait_totals(FILE *to, const struct snapshot *snapshot, const struct view *view)
{
	fprintf(to, "  \"total_wait_ns\": %" PRIu64 ",\n  \"total_run_ns\": %" PRIu64 ",\n  ",
		view->total_wait_ns, view->total_run_ns);
	print_kinds(to, view->kind_ns);
	fputs(",\n", to);
	print_wait_steps(to, snapshot);
}

static void print_place(FILE *to, const struct view_row *row)
{
	print_text(to, "file", row->file);
	fprintf(to, ", \"line\": %" PRIu32 ", ", row->line);
	print_text(to, "function", row->function);
	fputs(", ", to);
	print_text(to, "module", row->module);
	putc('}', to);
}

static void print_wait(FILE *to, const struct view_row *row)
{
	fputs("    {", to);
	print_share(to, "wait_pct", row->self_pct);
	fputs(", ", to);
	print_share(to, "incl_pct", row->incl_pct);
	fprintf(to,
		", \"wait_ns\": %" PRIu64 ", \"incl_wait_ns\": %" PRIu64 ", \"run_ns\": %" PRIu64
		", \"waits\": %" PRIu64 ", ",
		row->self_value, row->incl_value, row->run_ns, row->self);
	print_text(to, "kind", wait_kind_names[row->kind]);
	fputs(", ", to);
	print_kinds(to, row->kind_ns);
	fputs(", ", to);
	print_place(to, row);
}

static void print_entry(FILE *to, const struct view_row *row, bool by_value)
{
	fputs("    {", to);
	print_share(to, "cpu_pct", row->self_pct);
	fputs(", ", to);
	print_share(to, "incl_pct", row->incl_pct);
	fprintf(to,
		", \"samples\": %" PRIu64 ", \"incl_samples\": %" PRIu64
		", \"kernel_samples\": %" PRIu64 ", ",
		row->self, row->incl, row->kernel);
	if (by_value)
		fprintf(to, "\"value\": %" PRIu64 ", ", row->self_value);
	print_place(to, row);
}

void view_print_json(FILE *to, const struct snapshot *snapshot, const struct view *view)
{
	uint64_t from, end, unsampled;
	bool by_value = head_is_by_value(view);

	head_window(snapshot, &from, &end);
	fputs("{\n  ", to);
	print_text(to, "file", snapshot->file);
	fprintf(to, ",\n  \"duration_ms\": %" PRIu64 ",\n", (end - from) / 1000000);
	fprintf(to, "  \"total_samples\": %" PRIu64 ",\n", view->total_samples);
	if (view->is_wait)
		print_wait_totals(to, snapshot, view);
	print_sources(to, snapshot);
	fputs("  ", to);
	print_share(to, "complete_stacks_pct", view->complete_pct);
	fputs(",\n", to);
	print_losses(to, &snapshot->losses);
	if (head_unsampled_ms(snapshot, &unsampled))
		fprintf(to, "  \"cpu_time_unsampled_ms\": %" PRIu64 ",\n", unsampled);
	fputs("  \"event\": ", to);
	if (view->event)
		json_print_string(to, view->event->name);
	else
		fputs("null", to);
	fputs(",\n", to);
	print_status(to, view);
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
