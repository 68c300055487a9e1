#include "reader/util/opt_help.h"

#include <string.h>

#include "reader/util/wrap.h"

/* Where the second column begins; a longer label has its line alone. */
enum { NOTES_COLUMN = 28 };

static const struct opt help_option = {
	.letter = 'h',
	.name = "help",
	.type = OPT_FLAG,
	.help = "show this help",
};

void opt_add_label(struct str *to, const struct opt *opt)
{
	if (opt->letter)
		str_addf(to, "-%c, ", opt->letter);
	str_addf(to, "--%s", opt->name);
	if (opt->value_name)
		str_addf(to, " %s", opt->value_name);
}

static void add_choices(struct str *to, const char *choices)
{
	while (*choices) {
		const char *end = strchrnul(choices, '|');

		str_add_bytes(to, choices, (size_t)(end - choices));
		if (*end)
			str_add(to, ", ");
		choices = *end ? end + 1 : end;
	}
}

void opt_add_notes(struct str *to, const struct opt *opt)
{
	str_add(to, opt->help ? opt->help : "");
	/* "auto|perf" as the name of the value has told them already. */
	if (opt->choices && !(opt->value_name && strchr(opt->value_name, '|'))) {
		str_add(to, ": ");
		add_choices(to, opt->choices);
	}
	if (opt->shown_default && opt->environment)
		str_addf(to, " (default: %s, or $%s)", opt->shown_default, opt->environment);
	else if (opt->shown_default)
		str_addf(to, " (default: %s)", opt->shown_default);
	else if (opt->environment)
		str_addf(to, " (default: $%s)", opt->environment);
}

static void print_option(FILE *to, const struct opt *opt)
{
	struct str label = {0}, notes = {0};

	str_add(&label, opt->letter ? "  " : "      ");
	opt_add_label(&label, opt);
	opt_add_notes(&notes, opt);
	fputs(str_text(&label), to);
	if (str_width(str_text(&label)) + 2 > NOTES_COLUMN)
		fprintf(to, "\n%*s", NOTES_COLUMN, "");
	else
		fprintf(to, "%*s", NOTES_COLUMN - (int)str_width(str_text(&label)), "");
	wrap_print(to, str_text(&notes), notes.length, NOTES_COLUMN, NOTES_COLUMN);
	str_done(&label);
	str_done(&notes);
}

void opt_print_help(FILE *to, const struct opt *table)
{
	for (const struct opt *opt = table; opt && opt->name; opt++)
		print_option(to, opt);
	print_option(to, &help_option);
}
