/* A verb: one cmd_*.c file, ending in one of these. main.c has the table. */
#ifndef RSPROF_VERB_H
#define RSPROF_VERB_H

#include <stdbool.h>

#include "reader/util/err.h"
#include "reader/util/opt.h"

struct verb {
	const char *name;
	const char *operands;	   /* "FILE SQL", "" where there are none */
	const char *summary;	   /* one line */
	const char *description;   /* paragraphs for --help and the man page; may be NULL */
	const struct opt *options; /* ends with a NULL name; NULL where there are none */
	enum opt_complete operand_complete;
	bool is_hidden; /* not in help */
	/* argv[0] is the verb's name. 0, the exit code of a child (run), or negative with *err
	 * filled: main prints it and exits with its kind. */
	int (*run)(int argc, char **argv, struct err *err);
};

extern const struct verb verb_attach, verb_run, verb_top, verb_annotate, verb_view, verb_list,
	verb_query, verb_doctor, verb_completions, verb_man;

/* All verbs, ends with NULL. */
extern const struct verb *const verbs[];

/* Usage and option table of one verb, on stdout. */
void verb_print_help(const struct verb *verb);

#endif
