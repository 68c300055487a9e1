#include "reader/verb.h"

#include <stdio.h>

#include "reader/util/opt_help.h"
#include "reader/util/wrap.h"

const struct verb *const verbs[] = {
	&verb_attach, &verb_run,    &verb_top,	       &verb_annotate, &verb_view, &verb_list,
	&verb_query,  &verb_doctor, &verb_completions, &verb_man,      NULL,
};

void verb_print_help(const struct verb *verb)
{
	printf("Usage: rsprof %s [OPTIONS]%s%s\n\n", verb->name, *verb->operands ? " " : "",
	       verb->operands);
	wrap_print_paragraphs(stdout, verb->summary, 0);
	printf("\n");
	if (verb->description) {
		wrap_print_paragraphs(stdout, verb->description, 0);
		printf("\n");
	}
	printf("Options:\n");
	opt_print_help(stdout, verb->options);
}
