/* The terminal that rsprof runs in: its modes, what it shows and what is pressed. There is one, so
 * that all of this is of one thread's; only terminal_restore is everybody's.
 *
 * Of ncurses it uses the half that knows terminals (terminfo), not the half that draws: the drawing
 * one shows 24-bit colours only where terminfo tells of them, which it does for almost no terminal
 * that has them, or by changing the user's own palette; and it does not tell when writing failed,
 * which is how a terminal that is gone shows. */
#ifndef RSPROF_TUI_TERMINAL_H
#define RSPROF_TUI_TERMINAL_H

#include <stdbool.h>

#include "reader/tui/canvas.h"
#include "reader/tui/keys.h"
#include "reader/util/err.h"

enum {
	TERMINAL_COLUMNS_MIN = 80,
	TERMINAL_LINES_MIN = 24,
};

/* What signals told since it was last asked. */
struct terminal_news {
	bool is_resized, is_suspended, is_continued;
	int ending; /* SIGINT, SIGTERM or SIGHUP; 0: none */
};

/* Can it be opened? Else one line on why not. */
bool terminal_is_possible(char why[128]);
/* SIGINT, SIGTERM and SIGHUP are taken where nobody else waits for them (they are not blocked). */
int terminal_open(struct err *err);
/* As it was before, signals too. Nothing where it is not open. */
void terminal_close(void);
/* As it was before. Safe in signal handlers and threads, any number of times; for those who end the
 * process without returning. */
void terminal_restore(void);

void terminal_size(int *ret_width, int *ret_height);
/* UTF-8, by the locale? */
bool terminal_is_unicode(void);
/* Writes what has changed since the last one. -EIO or so: the terminal is gone. */
int terminal_show(const struct canvas *canvas);
/* Shows everything anew next time. */
void terminal_forget(void);

/* What is shown goes out as fast as the terminal takes it. While it is behind nothing new should be
 * shown, and the descriptor be waited for until it can be written to. */
bool terminal_is_behind(void);
int terminal_output_fd(void);
/* -EIO or so: the terminal is gone. */
int terminal_flush(void);

/* Reads what is there. -EIO or so: the terminal is gone. */
int terminal_read(void);
/* The next key that was read. is_late as of terminal_input_next. */
bool terminal_next(bool is_late, struct input *ret_input);
/* What was read is no whole key: how long to wait for the rest; -1: it is. */
int terminal_patience_ms(void);

/* Readable when a signal came. */
int terminal_signal_fd(void);
struct terminal_news terminal_take_news(void);
/* Gives the terminal back and stops, as SIGTSTP would have; returns when it goes on. */
void terminal_suspend(void);
/* It went on after a stop that nobody told us of. */
void terminal_resume(void);

#endif
