/* How a flame graph looks. */
#include <string.h>

#include "reader/tui/pane_flame.h"
#include "reader/tui/pane_words.h"
#include "reader/util/fmt.h"
#include "reader/util/hash.h"
#include "reader/util/own.h"
#include "reader/view/number.h"

enum {
	FLAME_GROUNDS = GROUND_FLAME_5 - GROUND_FLAME_0 + 1,
	NAME_MIN = 3, /* columns; less of a name tells nothing */
};

static enum ground ground_of(const struct pane_flame *pane, uint32_t node, bool is_selected)
{
	const struct calls *calls = &pane->flame.calls;
	const struct call_node *at = calls_node(calls, node);
	const char *name;

	if (is_selected)
		return GROUND_SELECTED;
	if (flame_is_matched(&pane->flame, node))
		return GROUND_MATCH;
	switch ((enum call_kind)at->kind) {
	case CALL_KERNEL:
		return GROUND_FLAME_KERNEL;
	case CALL_FUNCTION:
		if (at->is_internal)
			return GROUND_FLAME_LIBRARY;
		name = calls_name(calls, node);
		return GROUND_FLAME_0 + hash_bytes(name, strlen(name)) % FLAME_GROUNDS;
	default:
		return GROUND_FLAME_LIBRARY;
	}
}

static void draw_box(struct pane_flame *pane, struct canvas *canvas, struct area inside, int y,
		     const struct flame_box *box)
{
	bool is_selected = box->node == flame_selected(pane);
	enum ground ground = ground_of(pane, box->node, is_selected);
	bool is_warm = ground >= GROUND_FLAME_0 && ground <= GROUND_FLAME_KERNEL;
	struct style style = {.ink = is_warm ? INK_ON_FLAME : INK_NORMAL, .ground = ground};
	struct style edge = style;
	int left = box->left, right = box->right, room;
	struct area cells = {inside.left + left, inside.top + y, right - left, 1};

	if (is_selected)
		style.face |= FACE_BOLD;
	if (flame_is_matched(&pane->flame, box->node))
		style.face |= FACE_BOLD | FACE_UNDERLINE;
	canvas_paint(canvas, cells, ground, 0);
	if (left > 0)
		canvas_put(canvas, inside, left++, y, edge, canvas_glyph(canvas, GLYPH_VERTICAL));
	if (is_selected) {
		/* A box of one column has room for the mark alone. */
		left -= left == right;
		canvas_put(canvas, inside, left, y, style, canvas_glyph(canvas, GLYPH_CURSOR));
	}
	room = right - ++left;
	if (room >= NAME_MIN)
		canvas_put_name(canvas, inside, left, y, room, style,
				calls_name(&pane->flame.calls, box->node));
}

static void draw_level(struct pane_flame *pane, struct canvas *canvas, struct area inside, int y,
		       int level)
{
	size_t end = pane->boxes.levels.items[level + 1];

	for (size_t i = pane->boxes.levels.items[level]; i < end; i++) {
		const struct flame_box *box = &pane->boxes.boxes.items[i];
		bool is_last = i + 1 == end || box[1].left > box->right;

		draw_box(pane, canvas, inside, y, box);
		if (is_last && box->right < inside.width)
			canvas_put(canvas, inside, box->right, y, (struct style){.ink = INK_BORDER},
				   canvas_glyph(canvas, GLYPH_VERTICAL));
	}
}

static void add_share(const struct pane_flame *pane, struct str *to, uint64_t value)
{
	const struct weighing *weighing = &pane->flame.calls.weighing;
	char share[FMT_MAX], text[WEIGH_TEXT_MAX];

	str_addf(to, "%s %%  %s", number_decimal(share, number_share(value, weighing->whole), 1),
		 weighing_text(weighing, text, value));
}

/* "▌parse_header  24.1 %  2,893 samples  src/parser.rs:142". */
static void draw_words(struct pane_flame *pane, struct canvas *canvas, struct area inside)
{
	uint32_t node = flame_selected(pane);
	const struct snapshot_location *location = calls_location(&pane->flame.calls, node);
	const char *name = calls_name(&pane->flame.calls, node);
	OWN(str_done) struct str numbers = {0}, place = {0};
	struct style plain = {.face = FACE_BOLD};
	int y = inside.height - 1, x, room, place_room;

	add_share(pane, &numbers, calls_node(&pane->flame.calls, node)->total);
	pane_words_add_place(&place, location);
	place_room = (int)str_width(str_text(&place));
	if (place_room > inside.width / 3)
		place_room = inside.width / 3;
	x = canvas_put(canvas, inside, 0, y, (struct style){.ink = INK_ACCENT},
		       canvas_glyph(canvas, GLYPH_CURSOR));
	room = inside.width - x - place_room - 4 - (int)numbers.length;
	x += canvas_put_name(canvas, inside, x, y, room, plain, name);
	x += 2;
	x += canvas_put(canvas, inside, x, y, (struct style){0}, str_text(&numbers));
	x += 2;
	canvas_put_path(canvas, inside, x, y, inside.width - x, (struct style){.ink = INK_DIM},
			str_text(&place));
}

static void add_title(const struct pane_flame *pane, const struct pane_context *context,
		      struct str *to, bool is_unicode)
{
	static const char *const names[MODEL_TABLES] = {
		[MODEL_CPU] = "CPU", [MODEL_HEAP] = "Memory", [MODEL_WAIT] = "Wait"};
	char text[WEIGH_TEXT_MAX];

	str_addf(to, "%s flame graph", names[context->table]);
	if (!context->model)
		return;
	pane_words_add_range(to, context, is_unicode);
	if (pane_flame_is_empty(pane))
		return;
	str_add(to, "  ");
	str_add(to,
		weighing_text(&pane->flame.calls.weighing, text, pane->flame.calls.weighing.total));
	if (context->table == MODEL_HEAP)
		str_add(to, pane->is_allocated ? " allocated" : " live");
	else if (context->table == MODEL_WAIT)
		str_add(to, " waited");
}

/* What does not fit lies above, or below. */
static void add_more(const struct canvas *canvas, struct str *to, bool is_above, bool is_below)
{
	if (is_above)
		str_add(to, canvas_glyph(canvas, GLYPH_UP));
	if (is_below)
		str_add(to, canvas_glyph(canvas, GLYPH_DOWN));
}

static void draw_graph(struct pane_flame *pane, struct canvas *canvas, struct area inside, int top,
		       int rows)
{
	int levels = flame_boxes_levels(&pane->boxes);

	for (int y = 0; y < rows && top + y < levels; y++)
		draw_level(pane, canvas, inside, y, top + y);
	draw_words(pane, canvas, inside);
}

/* "matches 24.1 %, 2,893 samples". */
static void add_matches(const struct pane_flame *pane, struct str *to)
{
	const struct weighing *weighing = &pane->flame.calls.weighing;
	char share[FMT_MAX], text[WEIGH_TEXT_MAX];

	if (!pane->flame.has_search)
		return;
	str_addf(to, "matches %s %%, %s",
		 number_decimal(share, number_share(pane->flame.matched, weighing->whole), 1),
		 weighing_text(weighing, text, pane->flame.matched));
}

void pane_flame_draw(struct pane *base, const struct pane_context *context, struct canvas *canvas,
		     struct area area)
{
	struct pane_flame *pane = (struct pane_flame *)base;
	OWN(str_done) struct str title = {0}, more = {0}, matches = {0};
	int rows = pane_flame_rows(area), top = 0;
	bool is_empty;

	pane_flame_refresh(pane, context);
	is_empty = pane_flame_is_empty(pane);
	add_title(pane, context, &title, canvas->is_unicode);
	if (!is_empty) {
		top = pane_flame_lay(pane, area);
		add_more(canvas, &more, top > 0, flame_boxes_levels(&pane->boxes) > top + rows);
		add_matches(pane, &matches);
	}
	canvas_frame(canvas, area, str_text(&title), more.length ? str_text(&more) : NULL,
		     matches.length ? str_text(&matches) : NULL, context->is_focused);
	if (is_empty)
		pane_words_put(canvas, area_inside(area), pane_words_empty(context));
	else
		draw_graph(pane, canvas, area_inside(area), top, rows);
}
