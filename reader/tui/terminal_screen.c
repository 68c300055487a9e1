#include "reader/tui/terminal_screen.h"

#include <string.h>

void terminal_screen_done(struct terminal_screen *screen)
{
	canvas_done(&screen->shown);
	screen->is_known = false;
}

static void put_colour(const struct terminal_screen *screen, struct str *to, int32_t colour,
		       bool is_ground)
{
	if (colour == PALETTE_DEFAULT)
		return;
	if (screen->depth == PALETTE_TRUE)
		str_addf(to, "\033[%d;2;%d;%d;%dm", is_ground ? 48 : 38, colour >> 16 & 255,
			 colour >> 8 & 255, colour & 255);
	else
		terminal_info_put_colour(to, is_ground ? screen->info->ground : screen->info->ink,
					 colour);
}

static void put_style(const struct terminal_screen *screen, struct str *to, struct style style)
{
	struct palette_look look = palette_look(screen->depth, screen->is_light, style);

	terminal_info_put(to, screen->info->plain);
	if (look.face & FACE_BOLD)
		terminal_info_put(to, screen->info->bold);
	if (look.face & FACE_UNDERLINE)
		terminal_info_put(to, screen->info->underline);
	if (look.face & FACE_REVERSE)
		terminal_info_put(to, screen->info->reverse);
	put_colour(screen, to, look.foreground, false);
	put_colour(screen, to, look.background, true);
}

static bool is_same_style(struct style a, struct style b)
{
	return a.ink == b.ink && a.ground == b.ground && a.face == b.face;
}

static bool is_same(const struct cell *a, const struct cell *b)
{
	return a->columns == b->columns && is_same_style(a->style, b->style) &&
	       !strcmp(a->text, b->text);
}

/* Is it sure to take the columns that we think it takes? */
static bool is_sure(const struct cell *cell)
{
	return cell->columns == 1 && cell->text[1] == '\0';
}

/* Where the cursor is, and what it writes in. */
struct pen {
	int x, y; /* x -1: not known */
	bool has_style;
	struct style style;
};

static void move(const struct terminal_screen *screen, struct pen *pen, struct str *to, int x,
		 int y)
{
	if (pen->x != x || pen->y != y)
		terminal_info_put_move(to, screen->info, x, y);
	pen->x = x;
	pen->y = y;
}

static void put_cell(const struct terminal_screen *screen, struct str *to, struct pen *pen,
		     const struct cell *cell)
{
	if (!pen->has_style || !is_same_style(pen->style, cell->style)) {
		put_style(screen, to, cell->style);
		pen->style = cell->style;
		pen->has_style = true;
	}
	str_add(to, cell->text);
	pen->x = is_sure(cell) ? pen->x + 1 : -1;
}

/* Characters of the last column leave the cursor where terminals disagree. */
static void put_row(const struct terminal_screen *screen, const struct canvas *canvas,
		    struct str *to, struct pen *pen, int y)
{
	const struct cell *row = &canvas->cells[y * canvas->width];
	const struct cell *shown = &screen->shown.cells[y * canvas->width];
	bool is_scrolling = screen->info->is_scrolled_by_last_cell && y == canvas->height - 1;
	int end = canvas->width - is_scrolling;

	for (int x = 0; x < end; x++) {
		bool is_changed = !screen->is_known || !is_same(&row[x], &shown[x]);

		if (!row[x].columns)
			continue;
		/* Its right half may have been something else. */
		if (row[x].columns == 2 && x + 1 < end)
			is_changed |= !screen->is_known || !is_same(&row[x + 1], &shown[x + 1]);
		if (!is_changed)
			continue;
		move(screen, pen, to, x, y);
		put_cell(screen, to, pen, &row[x]);
		if (pen->x >= canvas->width)
			pen->x = -1;
	}
}

void terminal_screen_change(struct terminal_screen *screen, const struct canvas *canvas,
			    struct str *to)
{
	struct pen pen = {.x = -1};
	size_t count = (size_t)canvas->width * (size_t)canvas->height;

	if (screen->shown.width != canvas->width || screen->shown.height != canvas->height) {
		canvas_done(&screen->shown);
		canvas_init(&screen->shown, canvas->width, canvas->height, canvas->is_unicode);
		screen->is_known = false;
	}
	if (!screen->is_known) {
		terminal_info_put(to, screen->info->plain);
		terminal_info_put(to, screen->info->clear);
	}
	for (int y = 0; y < canvas->height; y++)
		put_row(screen, canvas, to, &pen, y);
	if (pen.has_style)
		terminal_info_put(to, screen->info->plain);
	memcpy(screen->shown.cells, canvas->cells, count * sizeof(*canvas->cells));
	screen->is_known = true;
}
