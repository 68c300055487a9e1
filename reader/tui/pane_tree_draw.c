/* How callers and callees look. */
#include <string.h>

#include "reader/tui/pane_tree.h"
#include "reader/tui/pane_words.h"
#include "reader/util/fmt.h"
#include "reader/util/own.h"
#include "reader/view/number.h"
#include "reader/view/rows.h"

/* Columns of a tree in the width there is; each from its left to the next one's. */
struct columns {
	int share, bar, bar_width, whole, value, value_width, function, place, place_width;
};

enum {
	CURSOR_WIDTH = 1,
	SHARE_WIDTH = 6, /* "100.0%" */
	GAP = 2,
	INDENT = 2,
	INDENT_MAX = 40, /* deeper is shown no further to the right */
	WIDE = 100,	 /* columns, from which on there is room for values */
};

static struct columns columns_of(const struct pane_tree *pane, int width)
{
	bool is_wide = width >= WIDE;
	struct columns at = {.share = CURSOR_WIDTH + SHARE_WIDTH};
	char text[WEIGH_TEXT_MAX];

	at.bar = at.share + 1;
	at.bar_width = is_wide ? 16 : 8;
	at.whole = at.bar + at.bar_width + 1 + SHARE_WIDTH + 1;
	at.value = at.whole;
	if (is_wide) {
		at.value_width = (int)str_width(
			weighing_text(&pane->callers.calls.weighing, text, pane_tree_total(pane)));
		at.value = at.whole + GAP + at.value_width;
	}
	at.function = at.value + GAP;
	at.place_width = width / 4;
	at.place = width - at.place_width;
	return at;
}

static void put_share(struct canvas *canvas, struct area inside, int right, int y,
		      struct style style, double share_pct)
{
	char text[FMT_MAX + 1];

	number_decimal(text, share_pct, 1);
	strcat(text, "%");
	canvas_put_right(canvas, inside, right, y, style, text);
}

static void put_bar(struct canvas *canvas, struct area inside, const struct columns *at, int y,
		    struct style style, double share_pct)
{
	int length = (int)(share_pct * at->bar_width / 100 + 0.5);

	for (int i = 0; i < length && i < at->bar_width; i++)
		canvas_put(canvas, inside, at->bar + i, y, style, canvas_spark(canvas, 4));
}

static void draw_head(struct canvas *canvas, struct area inside, const struct columns *at)
{
	struct style style = {.ink = INK_DIM};

	canvas_put_right(canvas, inside, at->share, 0, style, "Share");
	canvas_put_right(canvas, inside, at->whole, 0, style, "Of all");
	canvas_put(canvas, inside, at->function, 0, style, "Function");
	canvas_put(canvas, inside, at->place, 0, style, "Location");
}

static const char *marker(const struct canvas *canvas, const struct tree_row *row)
{
	if (!row->has_children)
		return " ";
	return canvas_glyph(canvas, row->is_open ? GLYPH_OPEN : GLYPH_RIGHT);
}

/* A section's head stands for the row itself: beside callees, what it does alone. */
static void draw_section(struct pane_tree *pane, struct canvas *canvas, struct area inside,
			 const struct columns *at, int x, int y, const struct tree_row *row,
			 struct style style)
{
	const struct call_node *node = calls_node(&pane->callers.calls, row->node);
	const char *name = row->is_down ? "Callees" : "Callers";
	char text[FMT_MAX];

	style.face |= FACE_BOLD;
	canvas_putf(canvas, inside, x, y, style, "%s%s", name, row->has_children ? "" : " (none)");
	if (!row->is_down || !node->self)
		return;
	style.face = 0;
	number_decimal(text, number_share(node->self, pane_tree_total(pane)), 1);
	canvas_putf(canvas, inside, at->place, y, style, "in itself: %s%%", text);
}

static void draw_name(struct pane_tree *pane, struct canvas *canvas, struct area inside,
		      const struct columns *at, int y, const struct tree_row *row,
		      struct style style)
{
	const struct calls *calls = &pane->callers.calls;
	int depth = row->depth * INDENT < INDENT_MAX ? row->depth * INDENT : INDENT_MAX;
	int x = at->function + depth, room;
	OWN(str_done) struct str place = {0};

	/* In a narrow pane names are worth more than how deep they are. */
	if (x > at->place - at->place_width / 2)
		x = at->place - at->place_width / 2;
	canvas_put(canvas, inside, x, y, style, marker(canvas, row));
	x += 2;
	room = at->place - GAP - x;
	if (!row->depth) {
		draw_section(pane, canvas, inside, at, x, y, row, style);
		return;
	}
	canvas_put_name(canvas, inside, x, y, room, style, calls_name(calls, row->node));
	pane_words_add_place(&place, calls_location(calls, row->node));
	style.ink = style.ground == GROUND_NORMAL ? INK_DIM : style.ink;
	style.face = 0;
	canvas_put_path(canvas, inside, at->place, y, at->place_width, style, str_text(&place));
}

static bool is_matched(const struct calls *calls, uint32_t node, const char *filter)
{
	const struct snapshot_location *location = calls_location(calls, node);

	return filter && *filter &&
	       (filter_matches(filter, calls_name(calls, node)) ||
		(location && filter_matches(filter, location->file)));
}

static void draw_row(struct pane_tree *pane, const struct pane_context *context,
		     struct canvas *canvas, struct area inside, const struct columns *at, int y,
		     const struct tree_row *row, bool is_selected)
{
	const struct calls *calls = &pane->callers.calls;
	const struct call_node *node = calls_node(calls, row->node);
	double share = number_share(node->total, pane_tree_total(pane));
	bool found = row->depth && is_matched(calls, row->node, context->filter);
	enum ground ground = is_selected ? GROUND_SELECTED : found ? GROUND_MATCH : GROUND_NORMAL;
	struct style style = {.ground = ground, .face = found ? FACE_UNDERLINE : 0}, warm = style;
	struct style dim = {.ink = is_selected ? INK_NORMAL : INK_DIM, .ground = ground};
	struct area line = {inside.left, inside.top + y, inside.width, 1};
	char text[WEIGH_TEXT_MAX];

	warm.face = 0;
	warm.ink = ink_of_share(share);
	canvas_paint(canvas, line, ground, 0);
	if (is_selected)
		canvas_put(canvas, inside, 0, y, (struct style){INK_ACCENT, ground, 0},
			   canvas_glyph(canvas, GLYPH_CURSOR));
	put_share(canvas, inside, at->share, y, warm, share);
	put_bar(canvas, inside, at, y, warm, share);
	put_share(canvas, inside, at->whole, y, dim,
		  number_share(node->total, calls->weighing.whole));
	if (at->value_width)
		canvas_put_right(canvas, inside, at->value, y, dim,
				 weighing_text(&calls->weighing, text, node->total));
	if (row->depth && (node->is_internal || node->kind != CALL_FUNCTION))
		style.ink = is_selected ? INK_NORMAL : INK_DIM;
	draw_name(pane, canvas, inside, at, y, row, style);
}

/* "parse_header  src/parser.rs:142  my-app  2m00s–3m30s". */
static void add_title(const struct pane_tree *pane, const struct pane_context *context,
		      struct str *to, bool is_unicode)
{
	str_add(to, row_key_is_set(&pane->of) ? pane->of.function : "no row");
	if (row_key_is_set(&pane->of) && *pane->of.file) {
		str_addf(to, "  %s", pane->of.file);
		if (pane->of.line)
			str_addf(to, ":%u", pane->of.line);
	}
	if (context->model)
		pane_words_add_range(to, context, is_unicode);
}

/* What the whole is, for those who read the shares. */
static void add_sum(const struct pane_tree *pane, const struct pane_context *context,
		    struct str *to)
{
	const struct weighing *weighing = &pane->callers.calls.weighing;
	char text[WEIGH_TEXT_MAX];

	str_add(to, weighing_text(weighing, text, pane_tree_total(pane)));
	if (context->table == MODEL_HEAP)
		str_add(to, pane->is_allocated ? " allocated" : " live");
	else if (context->table == MODEL_WAIT)
		str_add(to, " waited");
}

static const char *empty_words(const struct pane_tree *pane, const struct pane_context *context)
{
	if (!context->model || !pane->is_there || !pane->callers.calls.weighing.total)
		return pane_words_empty(context);
	if (!row_key_is_set(&pane->of))
		return "No row is selected.";
	if (pane->model->request.by_thread)
		return "A thread has no callers: press t for places.";
	return context->table == MODEL_HEAP ? "It holds nothing here."
					    : "It is on no stack of this range and view.";
}

static void draw_rows(struct pane_tree *pane, const struct pane_context *context,
		      struct canvas *canvas, struct area area)
{
	struct area inside = area_inside(area);
	struct columns at = columns_of(pane, inside.width);
	int height = pane_tree_height(area);
	size_t top = pane_tree_top(pane, height);

	draw_head(canvas, inside, &at);
	for (size_t i = top; i < pane->rows.count && i < top + (size_t)height; i++)
		draw_row(pane, context, canvas, inside, &at, (int)(i - top) + 1,
			 &pane->rows.items[i], i == pane->selected);
}

void pane_tree_draw(struct pane *base, const struct pane_context *context, struct canvas *canvas,
		    struct area area)
{
	struct pane_tree *pane = (struct pane_tree *)base;
	OWN(str_done) struct str title = {0}, sum = {0}, rank = {0};
	char at[FMT_MAX], of[FMT_MAX];

	pane_tree_refresh(pane, context);
	add_title(pane, context, &title, canvas->is_unicode);
	if (pane_tree_total(pane)) {
		add_sum(pane, context, &sum);
		str_addf(&rank, "%s/%s", fmt_count(at, pane->selected + 1),
			 fmt_count(of, pane->rows.count));
	}
	canvas_frame(canvas, area, str_text(&title), sum.length ? str_text(&sum) : NULL,
		     rank.length ? str_text(&rank) : NULL, context->is_focused);
	if (pane_tree_total(pane))
		draw_rows(pane, context, canvas, area);
	else
		pane_words_put(canvas, area_inside(area), empty_words(pane, context));
}
