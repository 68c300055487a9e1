/* The annotated source of a row: its file, with what each line costs. */
#include "reader/tui/pane_source.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/fmt.h"
#include "reader/util/mem.h"

enum {
	SHARE_WIDTH = 6,
	BYTES_WIDTH = 8,
	NUMBER_WIDTH_MIN = 4, /* of "line" */
	NARROW = 56,	      /* from here on there is room for one column of numbers alone */
	WIDE = 98,	      /* from here on there is room for Incl% */
};

double source_pane_share(const struct annotate_line *line, enum model_table table)
{
	switch (table) {
	case MODEL_HEAP:
		return line->live_pct;
	case MODEL_WAIT:
		return line->wait_pct;
	default:
		return line->self_pct;
	}
}

static size_t count_rows(const struct source_pane *source)
{
	return source->annotation ? annotate_row_count(source->annotation, &source->source) : 0;
}

static void read_file(struct source_pane *pane)
{
	const struct annotation *annotation = pane->annotation;

	source_text_read(
		&(struct source_request){
			.file = annotation->file,
			.path = annotation->path,
			.start_unix_ns = annotation->start_unix_ns,
		},
		&pane->source);
	pane->is_read = true;
}

static int annotate(struct source_pane *pane, const struct model *model)
{
	const struct annotate_request request = {
		.thread = *model->request.thread ? model->request.thread : NULL,
		.include_internal = model->request.include_internal,
		.no_inline = model->request.no_inline,
		.without_sum = true,
	};
	const struct annotate_target target = {.file = pane->of.file, .path = pane->of.path};
	struct annotation *annotation;
	struct err err = {0};
	int r = annotate_build(model->snapshot, &request, &target, &annotation, &err);

	annotate_free(pane->annotation);
	pane->annotation = NULL;
	if (r < 0) {
		snprintf(pane->message, sizeof(pane->message), "%.*s",
			 (int)sizeof(pane->message) - 1, err.sentence);
		return r;
	}
	pane->annotation = annotation;
	*pane->message = '\0';
	return 0;
}

static void update(struct pane *pane, const struct pane_context *context)
{
	struct source_pane *source = source_pane_of(pane);

	if (!context->model || (source->serial && source->serial == context->model->serial))
		return;
	source->serial = context->model->serial;
	if (*source->of.file == '\0' || *source->of.file == '[' ||
	    annotate(source, context->model) < 0)
		return;
	if (!source->is_read)
		read_file(source);
	source->cursor = annotate_row_of(source->annotation, &source->source, source->line);
}

static void add_column(struct source_layout *layout, struct source_column column)
{
	layout->columns[layout->column_count++] = column;
}

static void choose_columns(const struct source_pane *source, enum model_table table,
			   struct source_layout *layout)
{
	const struct annotation *annotation = source->annotation;
	bool is_narrow = layout->inside.width < NARROW;

	if (!is_narrow || table == MODEL_CPU || table >= MODEL_TABLES)
		add_column(layout, (struct source_column){annotate_heading(annotation), SHARE_WIDTH,
							  annotate_add_self});
	if (layout->inside.width >= WIDE)
		add_column(layout, (struct source_column){"Incl%", SHARE_WIDTH, annotate_add_incl});
	if (annotation->has_heap && (!is_narrow || table == MODEL_HEAP))
		add_column(layout, (struct source_column){"Live", BYTES_WIDTH, annotate_add_live});
	if (annotation->has_wait && table == MODEL_WAIT)
		add_column(layout, (struct source_column){"Wait", BYTES_WIDTH, annotate_add_wait});
}

size_t source_pane_top(const struct source_pane *source, size_t row_count, size_t height)
{
	size_t top = source->top, cursor = source->cursor;

	if (!height)
		return cursor;
	if (!source->is_placed)
		top = cursor > height / 2 ? cursor - height / 2 : 0;
	if (top + height > row_count)
		top = row_count > height ? row_count - height : 0;
	if (cursor < top)
		top = cursor;
	if (cursor >= top + height)
		top = cursor - height + 1;
	return top;
}

struct source_layout source_pane_lay_out(const struct source_pane *source, enum model_table table,
					 struct area area)
{
	struct source_layout layout = {.inside = area_inside(area),
				       .row_count = count_rows(source)};
	int x = 1, above = 1;
	uint32_t last = 0;
	char number[FMT_MAX];

	layout.body = layout.inside;
	if (!source->annotation)
		return layout;
	choose_columns(source, table, &layout);
	for (size_t i = 0; i < layout.column_count; i++)
		x += layout.columns[i].width + SOURCE_GAP;
	if (layout.row_count)
		last = annotate_row_line(source->annotation, &source->source, layout.row_count - 1);
	if (!last && layout.row_count > 1)
		last = annotate_row_line(source->annotation, &source->source, layout.row_count - 2);
	layout.mark = x;
	layout.number = x + 1;
	layout.number_width = snprintf(number, sizeof(number), "%u", last);
	if (layout.number_width < NUMBER_WIDTH_MIN)
		layout.number_width = NUMBER_WIDTH_MIN;
	layout.text = layout.number + layout.number_width + SOURCE_GAP;
	layout.has_note = source->source.state != SOURCE_UNCHANGED || source->source.is_moved;
	above += layout.has_note;
	layout.body.top += above;
	layout.body.height = layout.body.height > above ? layout.body.height - above : 0;
	layout.top = source_pane_top(source, layout.row_count, (size_t)layout.body.height);
	return layout;
}

static void free_pane(struct pane *pane)
{
	struct source_pane *source = source_pane_of(pane);

	row_key_done(&source->of);
	annotate_free(source->annotation);
	source_text_done(&source->source);
	free(source);
}

static const struct pane_ops source_ops = {
	.name = "source",
	.free = free_pane,
	.update = update,
	.draw = source_pane_draw,
	.act = source_pane_act,
	.footer = "Enter next hot line",
	.is_of_calls = true,
};

struct pane *pane_source_new(const struct row_key *of)
{
	struct source_pane *source = mem_zalloc(sizeof(*source));

	source->pane.ops = &source_ops;
	row_key_set(&source->of, of->function ? of->function : "", of->file ? of->file : "",
		    of->path, of->line);
	source->line = source->of.line;
	source->source.state = SOURCE_MISSING;
	return &source->pane;
}
