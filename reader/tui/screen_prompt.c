/* The line that a filter or a search is typed at. */
#include "reader/tui/screen_state.h"
#include "reader/util/utf8.h"

#define CONTROL(letter) ((unsigned int)(letter)&0x1f)

static struct overlay *searched(struct screen *screen)
{
	struct overlay *top = screen_top(screen);

	return top && top->pane->ops->has_search ? top : NULL;
}

struct str *screen_typed(struct screen *screen)
{
	struct overlay *overlay = searched(screen);

	return overlay ? &overlay->search : &screen->filter;
}

static void typed_has_changed(struct screen *screen)
{
	struct overlay *overlay = searched(screen);

	if (overlay) {
		overlay->is_searched = overlay->search.length > 0;
		overlay->is_stale = true;
	} else {
		screen_spoil(screen);
	}
}

void screen_clear_typed(struct screen *screen)
{
	str_clear(screen_typed(screen));
	typed_has_changed(screen);
}

void screen_prompt_open(struct screen *screen)
{
	screen->is_prompt_open = true;
}

static void add_character(struct str *typed, uint32_t point)
{
	char bytes[5] = "";

	if (point < 0x80) {
		bytes[0] = (char)point;
	} else if (point < 0x800) {
		bytes[0] = (char)(0xc0 | point >> 6);
		bytes[1] = (char)(0x80 | (point & 0x3f));
	} else if (point < 0x10000) {
		bytes[0] = (char)(0xe0 | point >> 12);
		bytes[1] = (char)(0x80 | (point >> 6 & 0x3f));
		bytes[2] = (char)(0x80 | (point & 0x3f));
	} else {
		bytes[0] = (char)(0xf0 | point >> 18);
		bytes[1] = (char)(0x80 | (point >> 12 & 0x3f));
		bytes[2] = (char)(0x80 | (point >> 6 & 0x3f));
		bytes[3] = (char)(0x80 | (point & 0x3f));
	}
	if (typed->length + sizeof(bytes) <= FILTER_MAX)
		str_add(typed, bytes);
}

static void erase_character(struct str *typed)
{
	while (typed->length && ((unsigned char)typed->text[typed->length - 1] & 0xc0) == 0x80)
		typed->length--;
	if (typed->length)
		typed->length--;
	if (typed->text)
		typed->text[typed->length] = '\0';
}

/* Text, or what edits it. */
static void edit(struct screen *screen, unsigned int key)
{
	struct str *typed = screen_typed(screen);

	if (key == KEY_IS_BACKSPACE && !typed->length)
		screen->is_prompt_open = false;
	else if (key == KEY_IS_BACKSPACE)
		erase_character(typed);
	else if (key == CONTROL('U'))
		str_clear(typed);
	else if (key < KEYS_SPECIAL && !utf8_is_harmful(key))
		add_character(typed, key);
	else
		return;
	typed_has_changed(screen);
}

bool screen_prompt_act(struct screen *screen, const struct input *input)
{
	if (!screen->is_prompt_open)
		return false;
	switch (input->key) {
	case 0:
	case KEY_IS_RESIZE:
	case KEY_IS_MOUSE:
	case KEY_IS_UP:
	case KEY_IS_DOWN:
	case KEY_IS_PAGE_UP:
	case KEY_IS_PAGE_DOWN:
		return false;
	case KEY_IS_ENTER:
	case '\n':
		screen->is_prompt_open = false;
		return true;
	case KEY_IS_ESCAPE:
		screen->is_prompt_open = false;
		screen_clear_typed(screen);
		return true;
	}
	edit(screen, input->key);
	return true;
}
