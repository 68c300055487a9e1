/* Annotated source for programs: the same lines as for people. What the profile does not hold is
 * null in JSON, empty in CSV. */
#include "reader/view/annotate_page.h"

#include <inttypes.h>

#include "reader/view/head.h"
#include "reader/view/json_parts.h"
#include "reader/view/number.h"

static const struct annotate_line nothing;

static void print_text_or_null(FILE *to, const char *key, const char *text)
{
	if (text)
		json_text(to, key, text);
	else
		fprintf(to, "\"%s\": null", key);
}

static void print_number(FILE *to, const char *key, bool is_there, uint64_t number)
{
	if (is_there)
		fprintf(to, ", \"%s\": %" PRIu64, key, number);
	else
		fprintf(to, ", \"%s\": null", key);
}

/* The text of a line with its tabs, bounded; NULL where there is none. */
static const char *text_of(const struct annotate_page *page, uint32_t line, struct str *buffer)
{
	size_t length;
	const char *text = source_text_line(page->source, line, &length);

	str_clear(buffer);
	if (!text)
		return NULL;
	str_add_bytes(buffer, text, length < SOURCE_COLUMNS_MAX ? length : SOURCE_COLUMNS_MAX);
	return str_text(buffer);
}

static void print_entry(FILE *to, const struct annotate_page *page, uint32_t line, const char *text)
{
	const struct annotation *annotation = page->annotation;
	const struct annotate_line *cost = annotate_line_at(annotation, line);

	if (!cost)
		cost = &nothing;
	fprintf(to, "    {\"line\": %" PRIu32 ", ", line);
	json_share(to, "cpu_pct", cost->self_pct);
	fputs(", ", to);
	json_share(to, "incl_pct", cost->incl_pct);
	print_number(to, "samples", true, cost->samples);
	print_number(to, "incl_samples", true, cost->incl_samples);
	print_number(to, "live_bytes", annotation->has_heap, cost->live_bytes);
	print_number(to, "total_alloc_bytes", annotation->has_heap, cost->total_alloc_bytes);
	print_number(to, "wait_ns", annotation->has_wait, cost->wait_ns);
	fputs(", ", to);
	print_text_or_null(to, "text", text);
	putc('}', to);
}

static void print_file(FILE *to, const struct annotate_page *page)
{
	const struct annotation *annotation = page->annotation;

	fputs("{\n  ", to);
	json_text(to, "file", annotation->file);
	fputs(",\n  ", to);
	print_text_or_null(to, "path", annotation->path);
	fputs(",\n  ", to);
	json_text(to, "source", source_state_names[page->source->state]);
	fputs(",\n  ", to);
	print_text_or_null(to, "source_path", page->source->path);
	fputs(",\n  ", to);
	print_text_or_null(to, "function", page->target->function);
	fputs(",\n  ", to);
}

void annotate_print_json(FILE *to, const struct annotate_page *page)
{
	const struct annotation *annotation = page->annotation;
	annotate_numbers numbers = {0};
	struct str text = {0};
	uint64_t from, end;

	head_window(page->snapshot, &from, &end);
	print_file(to, page);
	json_text(to, "profile", page->snapshot->file);
	fprintf(to, ",\n  \"duration_ms\": %" PRIu64 ",\n  ", (end - from) / 1000000);
	print_text_or_null(to, "event", annotation->event);
	fprintf(to, ",\n  \"total_samples\": %" PRIu64 ",\n", annotation->total_samples);
	json_losses(to, &page->snapshot->losses);
	fputs("  \"lines\": [", to);
	annotate_page_lines(page, &numbers);
	for (size_t i = 0; i < numbers.count; i++) {
		fputs(i ? ",\n" : "\n", to);
		print_entry(to, page, numbers.items[i], text_of(page, numbers.items[i], &text));
	}
	fputs(numbers.count ? "\n  ]\n}\n" : "]\n}\n", to);
	str_done(&text);
	vec_done(&numbers);
}

static void print_csv_share(FILE *to, double share)
{
	char number[FMT_MAX];

	fprintf(to, "%s,", number_decimal(number, share, NUMBER_SHARE_DECIMALS));
}

static void print_csv_number(FILE *to, bool is_there, uint64_t number)
{
	if (is_there)
		fprintf(to, "%" PRIu64, number);
	putc(',', to);
}

void annotate_print_csv(FILE *to, const struct annotate_page *page)
{
	const struct annotation *annotation = page->annotation;
	annotate_numbers numbers = {0};
	struct str buffer = {0};

	fputs("cpu_pct,file,line,incl_pct,samples,incl_samples,live_bytes,total_alloc_bytes,"
	      "wait_ns,text\n",
	      to);
	annotate_page_lines(page, &numbers);
	for (size_t i = 0; i < numbers.count; i++) {
		uint32_t line = numbers.items[i];
		const struct annotate_line *cost = annotate_line_at(annotation, line);
		const char *text = text_of(page, line, &buffer);

		if (!cost)
			cost = &nothing;
		print_csv_share(to, cost->self_pct);
		csv_print_string(to, annotation->file);
		fprintf(to, ",%" PRIu32 ",", line);
		print_csv_share(to, cost->incl_pct);
		print_csv_number(to, true, cost->samples);
		print_csv_number(to, true, cost->incl_samples);
		print_csv_number(to, annotation->has_heap, cost->live_bytes);
		print_csv_number(to, annotation->has_heap, cost->total_alloc_bytes);
		print_csv_number(to, annotation->has_wait, cost->wait_ns);
		csv_print_string(to, text ? text : "");
		putc('\n', to);
	}
	str_done(&buffer);
	vec_done(&numbers);
}
