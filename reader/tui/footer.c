#include "reader/tui/footer.h"

#include <string.h>

#include "reader/tui/keys.h"
#include "reader/util/own.h"
#include "reader/view/cell.h"

static const struct style key_style = {.ink = INK_ACCENT, .ground = GROUND_BAR, .face = FACE_BOLD};
static const struct style word_style = {.ink = INK_ON_BAR, .ground = GROUND_BAR};
static const struct style note_style = {.ink = INK_DIM, .ground = GROUND_BAR};
static const struct style message_style = {
	.ink = INK_WARN, .ground = GROUND_BAR, .face = FACE_BOLD};

/* "[ ] range": the keys, then what they do. False where there is no room. */
static bool put_words(struct canvas *canvas, struct area area, int *x, const char *words)
{
	const char *what = strrchr(words, ' ');
	OWN(str_done) struct str keys = {0};
	int gap = *x > 1 ? 2 : 0;

	if (*x + gap + (int)str_width(words) > area.width - 1)
		return false;
	what = what ? what : words;
	str_add_bytes(&keys, words, (size_t)(what - words));
	*x += gap;
	*x += canvas_put(canvas, area, *x, 0, key_style, str_text(&keys));
	*x += canvas_put(canvas, area, *x, 0, word_style, what);
	return true;
}

static void draw_keys(const struct footer *footer, struct canvas *canvas, struct area area)
{
	int x = 1;

	for (const struct key_help *help = key_helps; help->keys; help++) {
		if (!help->footer)
			continue;
		/* A pane's own words stand for what only tables do. */
		if (footer->is_overlay && help->action != ACTION_QUIT &&
		    help->action != ACTION_HELP)
			break;
		if (!put_words(canvas, area, &x, help->footer))
			break;
	}
	if (!footer->is_overlay)
		return;
	put_words(canvas, area, &x, "Esc back");
	if (footer->is_search)
		put_words(canvas, area, &x, "/ search");
	if (footer->pane_words)
		canvas_put(canvas, area, x + 2, 0, word_style, footer->pane_words);
}

/* The end of what is typed is where it goes on. */
static void draw_prompt(const struct footer *footer, struct canvas *canvas, struct area area)
{
	static const char hint[] = "   Enter keeps  Esc clears";
	OWN(str_done) struct str clean = {0}, typed = {0};
	int x = 1;

	cell_add_clean(&clean, footer->typed);
	cell_add_path(&typed, str_text(&clean),
		      (size_t)(area.width > 50 ? area.width - 50 : area.width / 2));
	x += canvas_put(canvas, area, x, 0, key_style, footer->is_search ? "search /" : "filter /");
	x += canvas_put(canvas, area, x, 0, word_style, str_text(&typed));
	x += canvas_put(canvas, area, x, 0, key_style, canvas->is_unicode ? "▏" : "_");
	canvas_put(canvas, area, x, 0, note_style, hint);
}

void footer_draw(const struct footer *footer, struct canvas *canvas, struct area area)
{
	canvas_paint(canvas, area, GROUND_BAR, 0);
	if (footer->typed)
		draw_prompt(footer, canvas, area);
	else if (*footer->message)
		canvas_put(canvas, area, 1, 0, message_style, footer->message);
	else
		draw_keys(footer, canvas, area);
}
