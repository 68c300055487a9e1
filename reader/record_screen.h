/* A recording under the terminal's screens. */
#ifndef RSPROF_RECORD_SCREEN_H
#define RSPROF_RECORD_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "reader/record/session.h"
#include "reader/record_options.h"

struct record_screen {
	const struct record_run *run;
	struct session *session; /* NULL as soon as it is finished */
	const char *output;
	uint64_t start_ns;
	bool target_ended;
	bool is_terminal_gone; /* nobody is left to tell */
};

/* Screens are wanted, and there is a terminal for them; else one line says why not. */
bool record_has_screen(const struct record_options *options);

/* Shows it until it is quit. Where it ends before that (the target is gone, the time is up), it is
 * finished then, and shown on. 0, or what went wrong with the recording or the screens; session is
 * then still to be finished, where it is not NULL. */
int record_on_screen(struct record_screen *screen, struct err *err);

#endif
