#include "reader/view/annotate_page.h"

#include <string.h>

#include "reader/core/event_kind.h"
#include "reader/util/fmt.h"
#include "reader/view/cell.h"
#include "reader/view/number.h"

/* The first of the annotation's lines that is behind the text; 0 is behind all. */
static size_t first_behind(const struct annotation *annotation, const struct source_text *source)
{
	size_t low = 0, high = annotation->line_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		uint32_t line = annotation->lines[middle].line;

		if (line && line <= source->line_count)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t annotate_row_count(const struct annotation *annotation, const struct source_text *source)
{
	return source->line_count + annotation->line_count - first_behind(annotation, source);
}

uint32_t annotate_row_line(const struct annotation *annotation, const struct source_text *source,
			   size_t row)
{
	if (row < source->line_count)
		return (uint32_t)row + 1;
	return annotation->lines[first_behind(annotation, source) + row - source->line_count].line;
}

size_t annotate_row_of(const struct annotation *annotation, const struct source_text *source,
		       uint32_t line)
{
	size_t behind = first_behind(annotation, source), at = behind;

	if (line && line <= source->line_count)
		return line - 1;
	while (at < annotation->line_count && annotation->lines[at].line - 1 < line - 1)
		at++;
	at += source->line_count - behind;
	if (at && at >= annotate_row_count(annotation, source))
		at--;
	return at;
}

static void add_share(struct str *cell, double share)
{
	char number[FMT_MAX];

	str_addf(cell, "%s%%", number_decimal(number, share, 1));
}

void annotate_add_self(struct str *cell, const struct annotate_line *line)
{
	if (line && line->samples)
		add_share(cell, line->self_pct);
}

void annotate_add_incl(struct str *cell, const struct annotate_line *line)
{
	if (line && line->incl_samples)
		add_share(cell, line->incl_pct);
}

void annotate_add_live(struct str *cell, const struct annotate_line *line)
{
	char number[FMT_MAX];

	if (line && (line->live_bytes || line->is_least))
		str_addf(cell, "%s%s%s", line->is_least ? (cell_is_unicode() ? "≥" : ">=") : "",
			 line->is_estimate ? "~" : "", fmt_bytes(number, line->live_bytes));
	else
		str_add(cell, cell_dash());
}

void annotate_add_wait(struct str *cell, const struct annotate_line *line)
{
	char number[FMT_MAX];

	if (line && line->wait_ns)
		str_add(cell, fmt_span(number, line->wait_ns));
	else
		str_add(cell, cell_dash());
}

const char *annotate_state(const struct source_text *source)
{
	static const char *const words[] = {
		[SOURCE_UNCHANGED] = "unchanged since recording",
		[SOURCE_CHANGED] = "changed since recording",
		[SOURCE_MISSING] = "source not found",
	};

	return words[source->state];
}

const char *annotate_heading(const struct annotation *annotation)
{
	const struct event_kind *kind = NULL;

	if (annotation->event)
		kind = event_kind_by_name(annotation->event, strlen(annotation->event));
	if (kind)
		return kind->column;
	return annotation->event ? "Self%" : "CPU%";
}

/* Adds from..to as far as they are there and not yet in the list, which is in order. */
static void add_range(const struct annotate_page *page, uint64_t from, uint64_t to,
		      annotate_numbers *numbers)
{
	uint64_t last = numbers->count ? numbers->items[numbers->count - 1] : 0;

	if (from <= last)
		from = last + 1;
	for (uint64_t line = from; line <= to && line <= page->source->line_count; line++)
		*vec_add(numbers) = (uint32_t)line;
	if (to <= page->source->line_count)
		return;
	last = numbers->count ? numbers->items[numbers->count - 1] : 0;
	for (size_t i = 0; i < page->annotation->line_count; i++) {
		uint32_t line = page->annotation->lines[i].line;

		if (line > last && line >= from && line <= to)
			*vec_add(numbers) = line;
	}
}

static void add_around(const struct annotate_page *page, uint64_t from, uint64_t to,
		       annotate_numbers *numbers)
{
	add_range(page, from > page->context ? from - page->context : 1, to + page->context,
		  numbers);
}

void annotate_page_lines(const struct annotate_page *page, annotate_numbers *numbers)
{
	const struct annotation *annotation = page->annotation;

	if (page->target->line) {
		add_around(page, page->target->line, page->target->line, numbers);
		return;
	}
	if (page->target->function) {
		if (annotation->function_from)
			add_around(page, annotation->function_from, annotation->function_to,
				   numbers);
		return;
	}
	for (size_t i = 0; i < annotation->line_count; i++) {
		uint32_t line = annotation->lines[i].line;
		uint32_t last = numbers->count ? numbers->items[numbers->count - 1] : 0;

		if (line && line <= page->source->line_count)
			add_around(page, line, line, numbers);
		else if (!line || line > last)
			*vec_add(numbers) = line;
	}
}
