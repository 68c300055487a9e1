/* Signals while the terminal is taken: those that end rsprof give it back first, the others wait in
 * a pipe. */
#ifndef RSPROF_TUI_TERMINAL_SIGNALS_H
#define RSPROF_TUI_TERMINAL_SIGNALS_H

#include "reader/tui/terminal.h"

/* restore is called in handlers, and at exit. -errno on failure. */
int terminal_signals_open(void (*restore)(void));
void terminal_signals_close(void);
int terminal_signals_fd(void);
struct terminal_news terminal_signals_take(void);
/* Stops this process as SIGTSTP does when nobody takes it; returns when it goes on. */
void terminal_signals_stop(void);

#endif
