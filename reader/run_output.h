/* What the command of `rsprof run` reads and writes while the screens have its terminal: nothing,
 * and a file without a name, which is shown when they close. The file is the command's own:
 * whatever becomes of rsprof, it can be written. */
#ifndef RSPROF_RUN_OUTPUT_H
#define RSPROF_RUN_OUTPUT_H

#include <sys/types.h>

#include "reader/util/err.h"

struct run_output {
	int fd; /* -1: the command has the terminal */
	off_t shown;
};

int run_output_open(struct run_output *output, struct err *err);
void run_output_close(struct run_output *output);
/* In the command's process: what is the terminal there is so no more. */
void run_output_enter(const struct run_output *output);
/* Writes to standard output what was not shown yet. */
void run_output_show(struct run_output *output);
/* Waits until the process is over and shows what it writes; its status as waitpid has it. */
int run_output_wait(struct run_output *output, pid_t pid);

#endif
