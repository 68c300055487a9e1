/* Annotated source for people. */
#include "reader/view/annotate_page.h"

#include <string.h>

#include "reader/util/fmt.h"
#include "reader/util/own.h"
#include "reader/view/cell.h"
#include "reader/view/text_head.h"
#include "reader/view/text_table.h"

enum {
	COLUMNS_MAX = 4,
	GAP = 2,
	SOURCE_COLUMNS_MIN = 20, /* a line of source is not cut to less: the terminal wraps it */
	WIDE_COLUMNS = 100,	 /* of a terminal that has room for Incl% */
};

struct column {
	const char *heading;
	void (*add)(struct str *cell, const struct annotate_line *line);
	size_t width;
};

struct printing {
	const struct annotate_page *page;
	annotate_numbers numbers;
	struct column columns[COLUMNS_MAX];
	size_t column_count;
	size_t line_width, source_width;
	bool colour;
};

static void add_column(struct printing *printing, const char *heading,
		       void (*add)(struct str *cell, const struct annotate_line *line))
{
	const struct annotation *annotation = printing->page->annotation;
	struct column column = {.heading = heading, .add = add, .width = TEXT_SHARE_WIDTH};

	if (strlen(heading) > column.width)
		column.width = strlen(heading);
	for (size_t i = 0; i < annotation->line_count; i++) {
		OWN(str_done) struct str cell = {0};

		add(&cell, &annotation->lines[i]);
		if (str_width(str_text(&cell)) > column.width)
			column.width = str_width(str_text(&cell));
	}
	printing->columns[printing->column_count++] = column;
}

static void choose_columns(struct printing *printing, const struct view_print *print)
{
	const struct annotation *annotation = printing->page->annotation;
	size_t taken = 0;
	uint32_t last = 0;
	char number[FMT_MAX];

	add_column(printing, annotate_heading(annotation), annotate_add_self);
	if (!print->columns || print->columns >= WIDE_COLUMNS)
		add_column(printing, "Incl%", annotate_add_incl);
	if (annotation->has_heap)
		add_column(printing, "Live", annotate_add_live);
	if (annotation->has_wait)
		add_column(printing, "Wait", annotate_add_wait);
	for (size_t i = 0; i < printing->numbers.count; i++) {
		if (printing->numbers.items[i] > last)
			last = printing->numbers.items[i];
	}
	snprintf(number, sizeof(number), "%u", last);
	printing->line_width = strlen(number) > strlen("line") ? strlen(number) : strlen("line");
	for (size_t i = 0; i < printing->column_count; i++)
		taken += printing->columns[i].width + GAP;
	taken += 1 + GAP + printing->line_width + GAP;
	printing->source_width = SOURCE_COLUMNS_MAX;
	if (print->columns)
		printing->source_width = print->columns > taken + SOURCE_COLUMNS_MIN
						 ? print->columns - taken
						 : SOURCE_COLUMNS_MIN;
}

static void add_right(struct str *line, const char *text, size_t width)
{
	size_t used = str_width(text);

	if (used < width)
		str_addf(line, "%*s", (int)(width - used), "");
	str_add(line, text);
}

static void end_line(FILE *to, struct str *line)
{
	while (line->length && line->text[line->length - 1] == ' ')
		line->text[--line->length] = '\0';
	fprintf(to, "%s\n", str_text(line));
	str_clear(line);
}

static const char *colour_of(const struct printing *printing, const struct column *column,
			     const struct annotate_line *line)
{
	if (!printing->colour || !line)
		return NULL;
	if (column->add == annotate_add_live)
		return text_heat(line->live_pct);
	if (column->add == annotate_add_wait)
		return text_heat(line->wait_pct);
	return text_heat(column->add == annotate_add_incl ? line->incl_pct : line->self_pct);
}

/* A line that is cut says so at its end. */
static void add_source(struct str *to, const struct printing *printing, uint32_t line)
{
	const struct source_text *source = printing->page->source;
	size_t width = printing->source_width;
	OWN(str_done) struct str text = {0};

	if (source_text_add(source, line, 0, width, &text)) {
		str_clear(&text);
		source_text_add(source, line, 0, width - str_width(cell_ellipsis()), &text);
		cell_add_clean(to, str_text(&text));
		str_add(to, cell_ellipsis());
		return;
	}
	cell_add_clean(to, str_text(&text));
}

static void print_line(FILE *to, const struct printing *printing, uint32_t number)
{
	const struct annotate_page *page = printing->page;
	const struct annotate_line *cost = annotate_line_at(page->annotation, number);
	bool is_asked = number && number == page->target->line;
	OWN(str_done) struct str line = {0};
	char text[FMT_MAX];

	for (size_t i = 0; i < printing->column_count; i++) {
		const struct column *column = &printing->columns[i];
		const char *colour = colour_of(printing, column, cost);
		OWN(str_done) struct str cell = {0};

		column->add(&cell, cost);
		str_add(&line, colour ? colour : "");
		add_right(&line, str_text(&cell), column->width);
		str_add(&line, colour ? SGR_END : "");
		str_addf(&line, "%*s", GAP, "");
	}
	str_add(&line, is_asked ? (cell_is_unicode() ? "▌" : ">") : " ");
	str_addf(&line, "%*s", GAP, "");
	snprintf(text, sizeof(text), "%u", number);
	add_right(&line, number ? text : "?", printing->line_width);
	str_addf(&line, "%*s", GAP, "");
	add_source(&line, printing, number);
	end_line(to, &line);
}

static void print_headings(FILE *to, const struct printing *printing)
{
	OWN(str_done) struct str line = {0};

	str_add(&line, printing->colour ? SGR_BOLD : "");
	for (size_t i = 0; i < printing->column_count; i++) {
		add_right(&line, printing->columns[i].heading, printing->columns[i].width);
		str_addf(&line, "%*s", GAP, "");
	}
	str_addf(&line, " %*s", GAP, "");
	add_right(&line, "line", printing->line_width);
	str_addf(&line, "%*ssource", GAP, "");
	str_add(&line, printing->colour ? SGR_END : "");
	end_line(to, &line);
}

static void add_file(struct str *line, const struct annotate_page *page)
{
	const struct annotation *annotation = page->annotation;

	cell_add_clean(line, annotation->file);
	if (page->target->function) {
		str_add(line, "  ");
		cell_add_clean(line, page->target->function);
	}
	str_addf(line, "  (%s)", annotate_state(page->source));
}

/* "24.1 % of samples · 2.1 MB live · 310ms waited", of the file. */
static void add_sum(struct str *line, const struct annotation *annotation)
{
	const struct annotate_line *sum = &annotation->sum;
	char number[FMT_MAX];

	if (annotation->event)
		str_addf(line, "   %s %% of samples", text_share(number, sum->self_pct));
	if (annotation->has_heap)
		str_addf(line, " %s %s%s live", cell_dot(), sum->is_estimate ? "~" : "",
			 fmt_bytes(number, sum->live_bytes));
	if (annotation->has_wait)
		str_addf(line, " %s %s waited", cell_dot(), fmt_span(number, sum->wait_ns));
}

static void add_notes(struct str *head, const struct annotate_page *page)
{
	const struct source_text *source = page->source;

	if (source->state == SOURCE_MISSING) {
		str_add(head, "source ");
		cell_add_clean(head, str_text(&source->why));
		str_add(head, ": say where it is with --source DIR");
		if (source->tried.length) {
			str_add(head, "; tried ");
			cell_add_clean(head, str_text(&source->tried));
		}
		str_add(head, "\n");
		return;
	}
	if (source->is_moved) {
		str_add(head, "read from ");
		cell_add_clean(head, source->path);
		str_add(head, "\n");
	}
	if (source->state == SOURCE_CHANGED)
		str_add(head, "warning: it was written after the recording began, its lines may "
			      "have moved\n");
}

static void print_head(FILE *to, const struct annotate_page *page)
{
	OWN(str_done) struct str head = {0};
	char number[FMT_MAX];

	text_add_title(&head, page->snapshot);
	if (page->annotation->event)
		str_addf(&head, "   %s samples",
			 fmt_count(number, page->annotation->total_samples));
	str_add(&head, "\n");
	add_file(&head, page);
	if (!page->target->function && !page->target->line)
		add_sum(&head, page->annotation);
	str_add(&head, "\n");
	add_notes(&head, page);
	fputs(str_text(&head), to);
}

void annotate_print_text(FILE *to, const struct annotate_page *page, const struct view_print *print)
{
	struct printing printing = {.page = page, .colour = print->colour};
	uint32_t last = 0;

	print_head(to, page);
	text_print_losses(to, page->snapshot, print->colour);
	putc('\n', to);
	annotate_page_lines(page, &printing.numbers);
	choose_columns(&printing, print);
	if (!printing.numbers.count)
		fputs("nothing of it in the time that is read\n", to);
	else
		print_headings(to, &printing);
	for (size_t i = 0; i < printing.numbers.count; i++) {
		uint32_t line = printing.numbers.items[i];

		/* Without the text every line stands for itself. */
		if (i && line != last + 1 && page->source->line_count)
			fprintf(to, "%*s\n", TEXT_SHARE_WIDTH, cell_ellipsis());
		print_line(to, &printing, line);
		last = line;
	}
	vec_done(&printing.numbers);
}
