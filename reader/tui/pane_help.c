/* Every key, out of the table that they are looked up in. */
#include "reader/tui/pane.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/mem.h"

enum { KEY_COLUMNS = 12, COLUMN_MIN = 88, LINES_MAX = 128, WHEEL_LINES = 3 };

struct pane_help {
	struct pane pane;
	int top;
};

/* A key, a group's heading, or an empty line before it. */
struct line {
	const struct key_help *help;
	bool is_heading;
};

static int gather(struct line lines[LINES_MAX])
{
	int count = 0;

	for (const struct key_help *help = key_helps; help->keys && count + 3 < LINES_MAX; help++) {
		if (help->group) {
			if (count)
				lines[count++] = (struct line){NULL, false};
			lines[count++] = (struct line){help, true};
		}
		lines[count++] = (struct line){help, false};
	}
	return count;
}

static int columns_in(struct area inside)
{
	return inside.width >= 2 * COLUMN_MIN ? 2 : 1;
}

/* Where the second column begins, so that groups stay whole; count where there is one column. */
static int split_of(const struct line lines[LINES_MAX], int count, int columns)
{
	int split = count;

	for (int i = 1; columns > 1 && i < count; i++) {
		if (lines[i].is_heading && abs(count - 2 * i) < abs(count - 2 * split))
			split = i;
	}
	return split;
}

/* Lines that are above what is shown, at most. */
static int top_max(struct area area)
{
	struct line lines[LINES_MAX];
	struct area inside = area_inside(area);
	int count = gather(lines), split = split_of(lines, count, columns_in(inside));
	int rows = split > count - split ? split : count - split;

	return rows > inside.height ? rows - inside.height : 0;
}

static void help_free(struct pane *pane)
{
	free(pane);
}

static void update(struct pane *pane, const struct pane_context *context)
{
}

static void draw_line(struct canvas *canvas, struct area area, int y, const struct line *line)
{
	static const struct style heading = {.ink = INK_NORMAL, .face = FACE_BOLD};
	static const struct style key = {.ink = INK_ACCENT, .face = FACE_BOLD};
	static const struct style plain = {0};

	if (line->is_heading) {
		canvas_put(canvas, area, 1, y, heading, line->help->group);
	} else if (line->help) {
		canvas_put(canvas, area, 3, y, key, line->help->keys);
		canvas_put(canvas, area, 3 + KEY_COLUMNS, y, plain, line->help->does);
	}
}

static void draw(struct pane *pane, const struct pane_context *context, struct canvas *canvas,
		 struct area area)
{
	const struct pane_help *self = (const struct pane_help *)pane;
	struct area inside = area_inside(area);
	int columns = columns_in(inside), top = self->top, most = top_max(area);
	struct line lines[LINES_MAX];
	int count = gather(lines), split = split_of(lines, count, columns);

	if (top > most)
		top = most;
	canvas_frame(canvas, area, "Keys", NULL,
		     most ? (top < most ? "Down: more" : "Up: more") : NULL, true);
	for (int column = 0; column < columns; column++) {
		int at = (column ? split : 0) + top, end = column ? count : split;
		struct area part = inside;

		part.left += column * (inside.width / columns);
		part.width = inside.width / columns;
		for (int y = 0; y < inside.height && at < end; y++)
			draw_line(canvas, part, y, &lines[at++]);
	}
}

static struct pane_answer act(struct pane *pane, const struct pane_context *context,
			      const struct input *input, struct area area)
{
	struct pane_help *self = (struct pane_help *)pane;
	int most = top_max(area), page = area_inside(area).height;

	if (self->top > most)
		self->top = most;
	switch (input->action) {
	case ACTION_UP:
		self->top -= 1;
		break;
	case ACTION_DOWN:
		self->top += 1;
		break;
	case ACTION_WHEEL_UP:
		self->top -= WHEEL_LINES;
		break;
	case ACTION_WHEEL_DOWN:
		self->top += WHEEL_LINES;
		break;
	case ACTION_PAGE_UP:
		self->top -= page;
		break;
	case ACTION_PAGE_DOWN:
		self->top += page;
		break;
	case ACTION_FIRST:
		self->top = 0;
		break;
	case ACTION_LAST:
		self->top = most;
		break;
	case ACTION_ENTER:
		return (struct pane_answer){.wish = PANE_CLOSE};
	default:
		return (struct pane_answer){.wish = PANE_IGNORED};
	}
	if (self->top > most)
		self->top = most;
	if (self->top < 0)
		self->top = 0;
	return (struct pane_answer){.wish = PANE_NOTHING};
}

static const struct pane_ops ops = {
	.name = "help",
	.free = help_free,
	.update = update,
	.draw = draw,
	.act = act,
	.footer = "Up Down scroll",
};

struct pane *pane_help_new(void)
{
	struct pane_help *self = mem_zalloc(sizeof(*self));

	self->pane.ops = &ops;
	return &self->pane;
}
