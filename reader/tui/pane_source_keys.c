/* What keys do in the source pane. */
#include "reader/tui/pane_source.h"

enum {
	PAN = 8, /* columns a key scrolls sideways */
	WHEEL = 3,
};

static void move_to(struct source_pane *source, size_t row, size_t row_count)
{
	source->cursor = row_count && row >= row_count ? row_count - 1 : row;
	if (row_count)
		source->line =
			annotate_row_line(source->annotation, &source->source, source->cursor);
}

static void move_by(struct source_pane *source, int64_t rows, size_t row_count)
{
	if (rows < 0 && (size_t)-rows > source->cursor)
		move_to(source, 0, row_count);
	else
		move_to(source, source->cursor + (size_t)rows, row_count);
}

/* The next line, or the one before, that the view has something of; around the ends. */
static void move_to_hot(struct source_pane *source, enum model_table table, bool is_forward,
			size_t row_count)
{
	const struct annotation *annotation = source->annotation;
	size_t count = annotation->line_count, first = 0;
	/* 0, the line that is not known, is the last. */
	uint32_t at = source->line - 1;

	if (!row_count || !count)
		return;
	while (first < count && (is_forward ? annotation->lines[first].line - 1 <= at
					    : annotation->lines[first].line - 1 < at))
		first++;
	for (size_t i = 0; i < count; i++) {
		size_t index = is_forward ? (first + i) % count : (first + count - 1 - i) % count;
		const struct annotate_line *line = &annotation->lines[index];

		if (source_pane_share(line, table) <= 0)
			continue;
		move_to(source, annotate_row_of(annotation, &source->source, line->line),
			row_count);
		return;
	}
}

static void pan(struct source_pane *source, int64_t columns)
{
	int64_t left = (int64_t)source->left + columns;

	if (left < 0)
		left = 0;
	if (left > SOURCE_COLUMNS_MAX)
		left = SOURCE_COLUMNS_MAX;
	source->left = (size_t)left;
}

/* The row that is shown there; false: none is. */
static bool row_at(const struct source_layout *layout, const struct input *input, size_t *ret_row)
{
	int y = input->y - layout->body.top;

	if (y < 0 || y >= layout->body.height || input->x < layout->body.left ||
	    input->x >= layout->body.left + layout->body.width ||
	    layout->top + (size_t)y >= layout->row_count)
		return false;
	*ret_row = layout->top + (size_t)y;
	return true;
}

static bool move(struct source_pane *source, const struct source_layout *layout,
		 enum model_table table, const struct input *input)
{
	int64_t page = layout->body.height > 1 ? layout->body.height - 1 : 1;
	size_t count = layout->row_count, row;

	switch (input->action) {
	case ACTION_UP:
		move_by(source, -1, count);
		return true;
	case ACTION_DOWN:
		move_by(source, 1, count);
		return true;
	case ACTION_PAGE_UP:
		move_by(source, -page, count);
		return true;
	case ACTION_PAGE_DOWN:
		move_by(source, page, count);
		return true;
	case ACTION_WHEEL_UP:
		move_by(source, -WHEEL, count);
		return true;
	case ACTION_WHEEL_DOWN:
		move_by(source, WHEEL, count);
		return true;
	case ACTION_FIRST:
		move_to(source, 0, count);
		return true;
	case ACTION_LAST:
		move_to(source, count ? count - 1 : 0, count);
		return true;
	case ACTION_ENTER:
	case ACTION_ZOOM_IN:
		move_to_hot(source, table, true, count);
		return true;
	case ACTION_ZOOM_OUT:
		move_to_hot(source, table, false, count);
		return true;
	case ACTION_LEFT:
		pan(source, -PAN);
		return true;
	case ACTION_RIGHT:
		pan(source, PAN);
		return true;
	case ACTION_CLICK:
		if (!row_at(layout, input, &row))
			return false;
		move_to(source, row, count);
		return true;
	default:
		return false;
	}
}

struct pane_answer source_pane_act(struct pane *pane, const struct pane_context *context,
				   const struct input *input, struct area area)
{
	struct source_pane *source = source_pane_of(pane);
	struct source_layout layout = source_pane_lay_out(source, context->table, area);

	if (input->action == ACTION_BACK || input->action == ACTION_SOURCE)
		return (struct pane_answer){.wish = PANE_CLOSE};
	if (!source->annotation)
		return (struct pane_answer){.wish = PANE_IGNORED};
	source->top = layout.top;
	source->is_placed = true;
	if (!move(source, &layout, context->table, input))
		return (struct pane_answer){.wish = PANE_IGNORED};
	source->top = source_pane_top(source, layout.row_count, (size_t)layout.body.height);
	return (struct pane_answer){.wish = PANE_NOTHING};
}
