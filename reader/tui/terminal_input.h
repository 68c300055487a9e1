/* Bytes that a terminal sends, as keys. No terminal is needed: tests feed it.
 *
 * Sequences that mean nothing here are passed over whole: half of one would be a key. Own code
 * because curses takes what it does not know apart into Esc and letters, and Esc can quit. */
#ifndef RSPROF_TUI_TERMINAL_INPUT_H
#define RSPROF_TUI_TERMINAL_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "reader/tui/keys.h"

enum {
	TERMINAL_INPUT_MAX = 512, /* a sequence that is longer is none */
	TERMINAL_ESCAPE_MS = 50,  /* after which a lone Esc is the key */
};

/* Zero-initialised has nothing. */
struct terminal_input {
	unsigned char bytes[TERMINAL_INPUT_MAX];
	size_t length;
	bool is_unicode;
	bool is_background_told, is_background_light; /* its answer to OSC 11 */
};

/* As much as there is room for; returns what it took. */
size_t terminal_input_add(struct terminal_input *input, const void *bytes, size_t count);
/* The next key; false where there is none, or not all of it. is_late: nothing more came for a
 * while, so that what is there is all there is. */
bool terminal_input_next(struct terminal_input *input, bool is_late, struct input *ret_input);

#endif
