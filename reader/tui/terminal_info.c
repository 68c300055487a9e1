#include "reader/tui/terminal_info.h"

#include <curses.h>
#include <string.h>
#include <term.h>

static struct str *put_to; /* of tputs, which knows no context; the terminal is one thread's */

static int put_byte(int byte)
{
	char character = (char)byte;

	str_add_bytes(put_to, &character, 1);
	return byte;
}

void terminal_info_put(struct str *to, const char *capability)
{
	if (!capability)
		return;
	put_to = to;
	tputs(capability, 1, put_byte);
}

void terminal_info_put_colour(struct str *to, const char *capability, int colour)
{
	if (capability)
		terminal_info_put(to,
				  tparm(capability, (long)colour, 0L, 0L, 0L, 0L, 0L, 0L, 0L, 0L));
}

void terminal_info_put_move(struct str *to, const struct terminal_info *info, int x, int y)
{
	terminal_info_put(to, tparm(info->move, (long)y, (long)x, 0L, 0L, 0L, 0L, 0L, 0L, 0L));
}

static const char *capability_of(const char *name)
{
	const char *text = tigetstr(name);

	return text && text != (char *)-1 && *text ? text : NULL;
}

static void read_capabilities(struct terminal_info *info)
{
	*info = (struct terminal_info){
		.clear = capability_of("clear"),
		.move = capability_of("cup"),
		.enter = capability_of("smcup"),
		.leave = capability_of("rmcup"),
		.cursor_hide = capability_of("civis"),
		.cursor_show = capability_of("cnorm"),
		.keypad_on = capability_of("smkx"),
		.keypad_off = capability_of("rmkx"),
		.plain = capability_of("sgr0"),
		.bold = capability_of("bold"),
		.underline = capability_of("smul"),
		.reverse = capability_of("rev"),
		.ink = capability_of("setaf"),
		.ground = capability_of("setab"),
		.default_colours = capability_of("op"),
		/* The string is what one sends. */
		.has_mouse = capability_of("kmous") != NULL,
		.is_scrolled_by_last_cell = tigetflag("am") > 0 && tigetflag("xenl") <= 0,
		.colours = tigetnum("colors"),
	};
}

/* Asked for the same one again, curses would forget where it has the first one. */
bool terminal_info_find(const char *term, int fd, struct terminal_info *ret_info)
{
	static struct str known_term;
	static struct terminal_info known;
	int told = 0;

	if (!known_term.length || strcmp(str_text(&known_term), term) != 0) {
		if (setupterm(term, fd, &told) != OK)
			return false;
		read_capabilities(&known);
		str_clear(&known_term);
		str_add(&known_term, term);
	}
	*ret_info = known;
	return true;
}
