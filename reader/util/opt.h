/* Options as tables: one table parses them and prints --help, the man page and the completions. */
#ifndef RSPROF_UTIL_OPT_H
#define RSPROF_UTIL_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/util/err.h"

enum opt_type {
	OPT_FLAG,     /* bool */
	OPT_TEXT,     /* const char *: points into argv or the environment */
	OPT_COUNT,    /* uint64_t, min..max */
	OPT_PERCENT,  /* double, 0..100 */
	OPT_DURATION, /* uint64_t ns, min..max */
	OPT_SIZE,     /* uint64_t bytes, min..max */
	OPT_CHOICE,   /* const char *: one of `choices` */
	OPT_LIST,     /* struct opt_list: repeatable, each value kept as given */
};

/* What a shell may offer for the value. */
enum opt_complete {
	OPT_COMPLETE_NONE,
	OPT_COMPLETE_FILE,
	OPT_COMPLETE_FOLDER,
	OPT_COMPLETE_PID,
	OPT_COMPLETE_PROCESS,
};

enum { OPT_LIST_MAX = 16 };

struct opt_list {
	const char *values[OPT_LIST_MAX];
	size_t count;
};

struct opt {
	char letter;		/* 0: none */
	const char *name;	/* "duration", without dashes */
	const char *value_name; /* "DUR"; NULL for a flag */
	enum opt_type type;
	size_t offset;		   /* of the member in the caller's struct */
	uint64_t min, max;	   /* where the type has a range; 0,0: any */
	const char *choices;	   /* "auto|perf", for OPT_CHOICE; also offered for OPT_LIST */
	const char *environment;   /* variable that gives the default, or NULL */
	const char *shown_default; /* text for help, or NULL */
	const char *help;	   /* one line, lower case, no full stop */
	enum opt_complete complete;
};

/* Parses argv[0..argc) (options only: no program or verb name in front) into *into, which the
 * caller has filled with defaults; environment defaults are applied first. Operands are gathered in
 * argv order at the front of argv and counted in *ret_operands; `--` ends the options. With
 * stop_at_operand, parsing ends at the first operand (rsprof run CMD …). `-h`/`--help` sets
 * *ret_help (which may not be NULL). ERR_USAGE with the option's name, the value and what would be
 * right. */
int opt_parse(const struct opt *table, int argc, char **argv, bool stop_at_operand, void *into,
	      int *ret_operands, bool *ret_help, struct err *err);

#endif
