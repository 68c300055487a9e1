/* What is on the screen, whatever the terminal: takes inputs and a feed's models, draws on a
 * canvas. Panes are its parts; this is which of them are there, which has the keys, and what is
 * asked. */
#ifndef RSPROF_TUI_SCREEN_H
#define RSPROF_TUI_SCREEN_H

#include <stdbool.h>

#include "reader/tui/canvas.h"
#include "reader/tui/keys.h"
#include "reader/tui/tui.h"
#include "reader/view/model.h"

struct screen;

/* The feed is asked at once. */
struct screen *screen_new(const struct tui_options *options);
void screen_free(struct screen *screen); /* NULL allowed */

/* False: quit. */
bool screen_act(struct screen *screen, const struct input *input);
/* Takes what the feed has; true: something is to be drawn anew. */
bool screen_tick(struct screen *screen);
/* As large as the canvas is. */
void screen_draw(struct screen *screen, struct canvas *canvas);
/* What was drawn only says that more is to come: drawn again, it is there. */
bool screen_has_more(const struct screen *screen);
/* As large as it will be drawn next, for what depends on it before. */
void screen_resize(struct screen *screen, int width, int height);

#endif
