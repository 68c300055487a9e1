/* The parts of JSON documents, for those who print one. */
#include "reader/view/json_parts.h"

#include <inttypes.h>
#include <string.h>

#include "reader/util/utf8.h"
#include "reader/view/head.h"
#include "reader/view/number.h"

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

void json_share(FILE *to, const char *key, double share)
{
	char number[FMT_MAX];

	fprintf(to, "\"%s\": %s", key, number_decimal(number, share, NUMBER_SHARE_DECIMALS));
}

void json_text(FILE *to, const char *key, const char *text)
{
	fprintf(to, "\"%s\": ", key);
	json_print_string(to, text);
}

void json_head(FILE *to, const struct snapshot *snapshot)
{
	uint64_t from, end;

	head_window(snapshot, &from, &end);
	fputs("{\n  ", to);
	json_text(to, "file", snapshot->file);
	fprintf(to, ",\n  \"duration_ms\": %" PRIu64 ",\n", (end - from) / 1000000);
}

void json_sources(FILE *to, const struct snapshot *snapshot)
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
		json_text(to, sources[i].signal, source);
		separator = ", ";
	}
	fputs("},\n", to);
}

void json_losses(FILE *to, const struct losses *losses)
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

void json_status(FILE *to, const uint64_t counts[STACK_STATUSES])
{
	fputs("  \"stack_status\": {", to);
	for (int status = 0; status < STACK_STATUSES; status++)
		fprintf(to, "%s\"%s\": %" PRIu64, status ? ", " : "", stack_status_names[status],
			counts[status]);
	fputs("},\n", to);
}

void json_steps(FILE *to, const struct snapshot *snapshot, const char *signal)
{
	const char *separator = "";

	fputs("  \"steps\": [", to);
	for (size_t i = 0; i < snapshot->step_count; i++) {
		const struct snapshot_step *step = &snapshot->steps[i];

		if (strcmp(step->signal, signal))
			continue;
		fprintf(to, "%s{\"time_ms\": %" PRIu64 ", ", separator, step->time_ns / 1000000);
		json_text(to, "mode", step->mode);
		fputs(", ", to);
		json_text(to, "reason", step->reason);
		putc('}', to);
		separator = ", ";
	}
	fputs("],\n", to);
}

void json_place(FILE *to, const struct row_place *place)
{
	json_text(to, "file", place->file);
	fprintf(to, ", \"line\": %" PRIu32 ", ", place->line);
	json_text(to, "function", place->function);
	fputs(", ", to);
	json_text(to, "module", place->module);
	putc('}', to);
}
