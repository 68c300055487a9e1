/* rsprof completions: what bash, zsh and fish need to offer commands, options and values, out of
 * the tables that parse them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "reader/util/opt.h"
#include "reader/util/str.h"
#include "reader/verb.h"

/* The tables are ours, but help texts hold apostrophes: text within '…' of a shell. */
static void print_quoted(const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	}
}

/* "auto|perf" as "auto perf"; operands such as "cpu|heap|wait FILE" give their first word's. */
static void print_choices(const char *choices)
{
	for (; *choices && *choices != ' '; choices++)
		putchar(*choices == '|' ? ' ' : *choices);
}

/* The first operand's choices: lower-case words with bars between them; NULL where it has none. */
static const char *operand_choices(const struct verb *verb)
{
	size_t word = strcspn(verb->operands, " ");

	if (strspn(verb->operands, "abcdefghijklmnopqrstuvwxyz|") == word &&
	    memchr(verb->operands, '|', word))
		return verb->operands;
	return NULL;
}

static const struct opt no_options[] = {{.name = NULL}};

static const struct opt *options_of(const struct verb *verb)
{
	return verb->options ? verb->options : no_options;
}

/* --- bash --- */

static const char bash_head[] =
	"# bash completion of rsprof, made by `rsprof completions bash`\n"
	"_rsprof_values()\n"
	"{\n"
	"\tcase $1 in\n"
	"\tfile) compopt -o filenames; COMPREPLY=($(compgen -f -- \"$current\")) ;;\n"
	"\tfolder) compopt -o filenames; COMPREPLY=($(compgen -d -- \"$current\")) ;;\n"
	"\tpid) COMPREPLY=($(cd /proc && compgen -W \"$(echo [0-9]*)\" -- \"$current\")) ;;\n"
	"\tprocess) COMPREPLY=($(compgen -W \"$(cat /proc/[0-9]*/comm 2>/dev/null)\" -- "
	"\"$current\")) ;;\n"
	"\twords) COMPREPLY=($(compgen -W \"$2\" -- \"$current\")) ;;\n"
	"\tesac\n"
	"}\n"
	"\n"
	"_rsprof()\n"
	"{\n"
	"\tlocal IFS=$' \\t\\n' current=${COMP_WORDS[COMP_CWORD]} "
	"previous=${COMP_WORDS[COMP_CWORD-1]}\n"
	"\tlocal verb=${COMP_WORDS[1]}\n"
	"\n"
	"\tCOMPREPLY=()\n"
	"\t# --name=value comes as three words.\n"
	"\tif [[ $current == = ]]; then\n"
	"\t\tcurrent=\n"
	"\telif [[ $previous == = ]]; then\n"
	"\t\tprevious=${COMP_WORDS[COMP_CWORD-2]}\n"
	"\tfi\n";

static const char *complete_word(enum opt_complete complete)
{
	static const char *const words[] = {
		[OPT_COMPLETE_NONE] = "none",	    [OPT_COMPLETE_FILE] = "file",
		[OPT_COMPLETE_FOLDER] = "folder",   [OPT_COMPLETE_PID] = "pid",
		[OPT_COMPLETE_PROCESS] = "process",
	};

	return words[complete];
}

static void bash_verb(const struct verb *verb)
{
	const struct opt *options = options_of(verb);

	printf("\t%s)\n\t\tcase $previous in\n", verb->name);
	for (const struct opt *opt = options; opt->name; opt++) {
		if (opt->type == OPT_FLAG)
			continue;
		printf("\t\t");
		if (opt->letter)
			printf("-%c | ", opt->letter);
		printf("--%s)\n\t\t\t", opt->name);
		if (opt->choices) {
			printf("_rsprof_values words '");
			print_choices(opt->choices);
			printf("'");
		} else {
			printf("_rsprof_values %s", complete_word(opt->complete));
		}
		printf("\n\t\t\treturn\n\t\t\t;;\n");
	}
	printf("\t\tesac\n\t\tif [[ $current == -* ]]; then\n\t\t\t_rsprof_values words '");
	for (const struct opt *opt = options; opt->name; opt++) {
		printf("--%s ", opt->name);
		if (opt->letter)
			printf("-%c ", opt->letter);
	}
	printf("--help -h'\n");
	if (operand_choices(verb)) {
		printf("\t\telif ((COMP_CWORD == 2)); then\n\t\t\t_rsprof_values words '");
		print_choices(operand_choices(verb));
		printf("'\n");
	}
	printf("\t\telse\n\t\t\t_rsprof_values %s\n\t\tfi\n\t\t;;\n",
	       complete_word(verb->operand_complete));
}

static void print_bash(void)
{
	fputs(bash_head, stdout);
	printf("\tif ((COMP_CWORD == 1)) && [[ $current != -* ]]; then\n\t\t_rsprof_values words "
	       "'");
	for (size_t i = 0; verbs[i]; i++) {
		if (!verbs[i]->is_hidden)
			printf("%s ", verbs[i]->name);
	}
	printf("help'\n\t\treturn\n\tfi\n");
	printf("\tif [[ $verb == -* ]]; then\n\t\tverb=attach\n\tfi\n");
	printf("\tcase $verb in\n");
	for (size_t i = 0; verbs[i]; i++) {
		if (!verbs[i]->is_hidden)
			bash_verb(verbs[i]);
	}
	printf("\thelp)\n\t\t_rsprof_values words '");
	for (size_t i = 0; verbs[i]; i++) {
		if (!verbs[i]->is_hidden)
			printf("%s ", verbs[i]->name);
	}
	printf("'\n\t\t;;\n\tesac\n");
	/* The first word may be any option of attach, or one of these two. */
	printf("\tif ((COMP_CWORD == 1)) && [[ $current == --v* || $current == -V ]]; then\n"
	       "\t\t_rsprof_values words '--version -V'\n\tfi\n}\n\ncomplete -F _rsprof rsprof\n");
}

/* --- zsh --- */

/* Help inside a spec of _arguments: brackets and colons have a meaning there. */
static void print_zsh_text(const char *text)
{
	for (; *text; text++) {
		if (strchr("[]:\\", *text))
			putchar('\\');
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	}
}

static void print_zsh_action(enum opt_complete complete)
{
	static const char *const actions[] = {
		[OPT_COMPLETE_NONE] = " ",
		[OPT_COMPLETE_FILE] = "_files",
		[OPT_COMPLETE_FOLDER] = "_files -/",
		[OPT_COMPLETE_PID] = "_pids",
		[OPT_COMPLETE_PROCESS] = "_rsprof_processes",
	};

	fputs(actions[complete], stdout);
}

static void zsh_option(const struct opt *opt, const char *name)
{
	printf("\t\t\t'%s%s[", opt->type == OPT_LIST ? "*" : "", name);
	print_zsh_text(opt->help ? opt->help : "");
	printf("]");
	if (opt->type != OPT_FLAG) {
		printf(":");
		print_zsh_text(opt->value_name ? opt->value_name : opt->name);
		printf(":");
		if (opt->choices) {
			printf("(");
			print_choices(opt->choices);
			printf(")");
		} else {
			print_zsh_action(opt->complete);
		}
	}
	printf("' \\\n");
}

static void zsh_verb(const struct verb *verb)
{
	printf("\t%s)\n\t\t_arguments -s -S \\\n", verb->name);
	for (const struct opt *opt = options_of(verb); opt->name; opt++) {
		char name[128];

		if (opt->letter) {
			snprintf(name, sizeof(name), "-%c%s", opt->letter,
				 opt->type == OPT_FLAG ? "" : "+");
			zsh_option(opt, name);
		}
		snprintf(name, sizeof(name), "--%s%s", opt->name, opt->type == OPT_FLAG ? "" : "=");
		zsh_option(opt, name);
	}
	printf("\t\t\t'(- *)'{-h,--help}'[show this help]' \\\n");
	if (operand_choices(verb)) {
		printf("\t\t\t'1:what:(");
		print_choices(operand_choices(verb));
		printf(")' \\\n");
	}
	printf("\t\t\t'*:operand:");
	print_zsh_action(verb->operand_complete);
	printf("'\n\t\t;;\n");
}

static void print_zsh(void)
{
	printf("#compdef rsprof\n# zsh completion of rsprof, made by `rsprof completions zsh`\n\n"
	       "_rsprof_processes()\n{\n"
	       "\tlocal -a names=(${(fu)\"$(cat /proc/<->/comm 2>/dev/null)\"})\n"
	       "\tcompadd -a names\n}\n\n"
	       "_rsprof_commands()\n{\n\tlocal -a commands=(\n");
	for (size_t i = 0; verbs[i]; i++) {
		if (verbs[i]->is_hidden)
			continue;
		printf("\t\t'%s:", verbs[i]->name);
		print_zsh_text(verbs[i]->summary);
		printf("'\n");
	}
	printf("\t\t'help:what a command does, and its options'\n\t)\n"
	       "\t_describe command commands\n}\n\n_rsprof()\n{\n"
	       "\tlocal verb=$words[2]\n\n"
	       "\tif ((CURRENT == 2)) && [[ $verb != -* ]]; then\n\t\t_rsprof_commands\n"
	       "\t\treturn\n\tfi\n"
	       "\tif [[ $verb == -* ]]; then\n\t\tverb=attach\n"
	       "\telse\n\t\tshift words\n\t\t((CURRENT--))\n\tfi\n"
	       "\tcase $verb in\n");
	for (size_t i = 0; verbs[i]; i++) {
		if (!verbs[i]->is_hidden)
			zsh_verb(verbs[i]);
	}
	printf("\thelp)\n\t\t_rsprof_commands\n\t\t;;\n\tesac\n}\n\n"
	       "if [[ $funcstack[1] == _rsprof ]]; then\n\t_rsprof \"$@\"\nelse\n"
	       "\tcompdef _rsprof rsprof\nfi\n");
}

/* --- fish --- */

static void fish_values(enum opt_complete complete)
{
	switch (complete) {
	case OPT_COMPLETE_NONE:
		printf(" -f");
		break;
	case OPT_COMPLETE_FILE:
		printf(" -F");
		break;
	case OPT_COMPLETE_FOLDER:
		printf(" -f -a '(__fish_complete_directories)'");
		break;
	case OPT_COMPLETE_PID:
		printf(" -f -a '(__fish_complete_pids)'");
		break;
	case OPT_COMPLETE_PROCESS:
		printf(" -f -a '(cat /proc/*/comm 2>/dev/null)'");
		break;
	}
}

static void fish_verb(const struct verb *verb)
{
	printf("\n");
	for (const struct opt *opt = options_of(verb); opt->name; opt++) {
		printf("complete -c rsprof -n '__rsprof_is %s'", verb->name);
		if (opt->letter)
			printf(" -s %c", opt->letter);
		printf(" -l %s", opt->name);
		if (opt->choices) {
			printf(" -x -a '");
			print_choices(opt->choices);
			printf("'");
		} else if (opt->type != OPT_FLAG) {
			printf(" -r");
			fish_values(opt->complete);
		}
		printf(" -d '");
		print_quoted(opt->help ? opt->help : "");
		printf("'\n");
	}
	printf("complete -c rsprof -n '__rsprof_is %s' -s h -l help -d 'show this help'\n",
	       verb->name);
	if (operand_choices(verb)) {
		printf("complete -c rsprof -n '__rsprof_is %s; and __rsprof_words 2' -f -a '",
		       verb->name);
		print_choices(operand_choices(verb));
		printf("'\n");
	}
	printf("complete -c rsprof -n '__rsprof_is %s'", verb->name);
	fish_values(verb->operand_complete);
	printf("\n");
}

static void print_fish(void)
{
	printf("# fish completion of rsprof, made by `rsprof completions fish`\n"
	       "function __rsprof_is\n"
	       "\tset -l words (commandline -opc)\n"
	       "\tset -l verb $words[2]\n"
	       "\tif test (count $words) -lt 2; and string match -q -- '-*' (commandline -ct)\n"
	       "\t\tset verb attach\n"
	       "\telse if string match -q -- '-*' \"$verb\"\n"
	       "\t\tset verb attach\n"
	       "\tend\n"
	       "\ttest \"$verb\" = $argv[1]\n"
	       "end\n\n"
	       "function __rsprof_words\n\ttest (count (commandline -opc)) -eq $argv[1]\nend\n\n");
	printf("complete -c rsprof -f\n");
	for (size_t i = 0; verbs[i]; i++) {
		if (verbs[i]->is_hidden)
			continue;
		printf("complete -c rsprof -n '__rsprof_words 1' -a %s -d '", verbs[i]->name);
		print_quoted(verbs[i]->summary);
		printf("'\n");
	}
	printf("complete -c rsprof -n '__rsprof_words 1' -a help -d "
	       "'what a command does, and its options'\n");
	for (size_t i = 0; verbs[i]; i++) {
		if (!verbs[i]->is_hidden)
			fish_verb(verbs[i]);
	}
}

static const struct {
	const char *name;
	void (*print)(void);
} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

static int run(int argc, char **argv, struct err *err)
{
	struct str shown = {0};
	int operands, ret;
	bool help;

	ret = opt_parse(NULL, argc - 1, argv + 1, false, NULL, &operands, &help, err);
	if (ret)
		return ret;
	if (help) {
		verb_print_help(&verb_completions);
		return 0;
	}
	if (operands != 1)
		return err_set(err, ERR_USAGE, -EINVAL,
			       "completions takes one shell: bash, zsh or fish.");
	for (size_t i = 0; i < sizeof(shells) / sizeof(*shells); i++) {
		if (!strcmp(argv[1], shells[i].name)) {
			shells[i].print();
			return 0;
		}
	}
	str_add_scrubbed(&shown, argv[1]);
	ret = err_set(err, ERR_USAGE, -EINVAL,
		      "There are completions for bash, zsh and fish, not for \"%s\".",
		      str_text(&shown));
	str_done(&shown);
	return ret;
}

const struct verb verb_completions = {
	.name = "completions",
	.operands = "bash|zsh|fish",
	.summary = "print the completions of a shell",
	.description =
		"The packages and `make install` put them where the shell looks. By hand, for "
		"this shell alone:\n\n"
		"  source <(rsprof completions bash)\n"
		"  source <(rsprof completions zsh)\n"
		"  rsprof completions fish | source",
	.run = run,
};
