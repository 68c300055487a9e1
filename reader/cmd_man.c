/* rsprof man: the manual page in roff, out of the tables that parse the options. Hidden: `make
 * install` calls it. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "reader/tui/keys.h"
#include "reader/util/opt_help.h"
#include "reader/util/str.h"
#include "reader/util/wrap.h"
#include "reader/verb.h"

/* Text as roff wants it: nothing in it is a request, a dash stays a dash, no byte above ASCII. */
static void print_roff(const char *text, size_t length)
{
	const char *end = text + length;
	bool is_line_start = true;

	while (text < end) {
		unsigned char byte = (unsigned char)*text++;
		uint32_t point;
		int more;

		if (is_line_start && (byte == '.' || byte == '\''))
			fputs("\\&", stdout);
		is_line_start = byte == '\n';
		if (byte == '\\') {
			fputs("\\e", stdout);
		} else if (byte == '-') {
			fputs("\\-", stdout);
		} else if (byte == '`') {
			fputs("\\(ga", stdout);
		} else if (byte < 0x80) {
			putchar(byte);
		} else if (byte >= 0xc2 && byte < 0xf5) {
			more = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
			point = byte & (0x3fu >> more);
			for (; more && text < end; more--)
				point = point << 6 | ((unsigned char)*text++ & 0x3f);
			printf("\\[u%04X]", point);
		}
	}
}

static void print_roff_text(const char *text)
{
	print_roff(text, strlen(text));
}

static void print_paragraphs(const char *text)
{
	const char *start;
	size_t length;
	bool is_first = true;

	while ((text = wrap_paragraph(text, &start, &length))) {
		bool is_kept = *start == ' ' || *start == '\t';

		if (!is_first)
			printf(".PP\n");
		is_first = false;
		if (is_kept)
			printf(".nf\n");
		print_roff(start, length);
		printf("\n");
		if (is_kept)
			printf(".fi\n");
	}
}

static void print_options(const struct opt *table)
{
	for (const struct opt *opt = table; opt && opt->name; opt++) {
		struct str notes = {0};

		printf(".TP\n");
		if (opt->letter)
			printf("\\fB\\-%c\\fR, ", opt->letter);
		printf("\\fB\\-\\-");
		print_roff_text(opt->name);
		printf("\\fR");
		if (opt->value_name) {
			printf(" \\fI");
			print_roff_text(opt->value_name);
			printf("\\fR");
		}
		printf("\n");
		opt_add_notes(&notes, opt);
		print_roff_text(str_text(&notes));
		printf("\n");
		str_done(&notes);
	}
}

static void print_verb(const struct verb *verb)
{
	printf(".SS rsprof %s\n.B rsprof ", verb->name);
	print_roff_text(verb->name);
	printf("\n[\\fIOPTIONS\\fR]");
	if (*verb->operands) {
		printf(" \\fI");
		print_roff_text(verb->operands);
		printf("\\fR");
	}
	printf("\n.PP\n");
	print_roff_text(verb->summary);
	printf(".\n");
	if (verb->description) {
		printf(".PP\n");
		print_paragraphs(verb->description);
	}
	print_options(verb->options);
}

static bool is_told_before(const struct verb *const *to, const struct opt *to_opt)
{
	for (size_t i = 0; verbs[i]; i++) {
		for (const struct opt *opt = verbs[i]->options; opt && opt->name; opt++) {
			if (&verbs[i] == to && opt == to_opt)
				return false;
			if (opt->environment && !strcmp(opt->environment, to_opt->environment))
				return true;
		}
	}
	return false;
}

static void print_environment(void)
{
	printf(".SH ENVIRONMENT\n");
	for (size_t i = 0; verbs[i]; i++) {
		for (const struct opt *opt = verbs[i]->options; opt && opt->name; opt++) {
			if (!opt->environment || is_told_before(&verbs[i], opt))
				continue;
			printf(".TP\n.B %s\nDefault of \\fB\\-\\-", opt->environment);
			print_roff_text(opt->name);
			printf("\\fR.\n");
		}
	}
	printf(".TP\n.B RSPROF_OUTPUT_DIR\nFolder of new databases that \\fB\\-\\-output\\fR does "
	       "not name.\n");
	printf(".TP\n.B RSPROF_AGENT_LIB\nThe agent's library, where it is neither beside rsprof "
	       "nor in ../lib from there.\n");
	printf(".TP\n.B RSPROF_SOURCE_PATH\nFolders that source is looked for in, separated by "
	       "colons.\n");
	printf(".TP\n.B NO_COLOR\nIf set, tables and the terminal have no colours.\n");
	printf(".TP\n.B COLORTERM\n\\fItruecolor\\fR or \\fI24bit\\fR: the terminal shows 24-bit "
	       "colours.\n");
}

/* The table that the terminal looks keys up in. */
static void print_keys(void)
{
	printf(".SH KEYS\nOf the terminal that \\fBrsprof view\\fR shows.\n");
	for (const struct key_help *help = key_helps; help->keys; help++) {
		if (help->group)
			printf(".SS %s\n", help->group);
		printf(".TP\n.B ");
		print_roff_text(help->keys);
		printf("\n");
		print_roff_text(help->does);
		printf("\n");
	}
}

static void print_agent(void)
{
	printf(".SH AGENT\n"
	       "\\fBrsprof run\\fR loads \\fIlibrsprof_agent.so\\fR into its command: it counts "
	       "every\n"
	       "allocation with its whole stack, in memory that it shares with rsprof, and needs "
	       "no\n"
	       "privilege. A program can also be started with it, to be recorded later:\n"
	       ".PP\n.nf\nLD_PRELOAD=librsprof_agent.so CMD\n.fi\n"
	       ".PP\n\\fB\\-\\-inject\\fR puts it into a running process. It stays there until "
	       "that ends.\n"
	       "CPU and waiting are recorded by BPF or perf beside it, where these are allowed, so "
	       "that\n"
	       "nothing else runs in the process then.\n"
	       ".PP\nThe agent itself reads, when its process begins:\n"
	       ".TP\n.B RSPROF_AGENT\n\\fIon\\fR (default), \\fIdormant\\fR (nearly free until a "
	       "recording begins) or \\fIoff\\fR.\n"
	       ".TP\n.B RSPROF_HEAP\n\\fIexact\\fR (default), \\fIsampled\\fR, \\fItrace\\fR or "
	       "\\fIoff\\fR; \\fBrsprof run\\fR sets it by \\fB\\-\\-heap\\fR.\n"
	       ".TP\n.B RSPROF_HEAP_SAMPLE\nMean bytes between two samples of \\fIsampled\\fR.\n"
	       ".TP\n.B RSPROF_CPU_FREQ\nTimers that sample CPU time in the process, in Hz; none "
	       "where it is not set.\n"
	       ".TP\n.B RSPROF_VERBOSE\n1: one line on standard error where it cannot work.\n");
}

static int run(int argc, char **argv, struct err *err)
{
	int operands, ret;
	bool help;

	ret = opt_parse(NULL, argc - 1, argv + 1, false, NULL, &operands, &help, err);
	if (ret)
		return ret;
	if (help) {
		verb_print_help(&verb_man);
		return 0;
	}
	if (operands)
		return err_set(err, ERR_USAGE, -EINVAL, "man takes no operands.");
	printf(".\\\" made by `rsprof man`\n"
	       ".TH RSPROF 1 \"\" \"rsprof %s\" \"User Commands\"\n"
	       ".SH NAME\nrsprof \\- shows where a running process spends its CPU, line by line\n"
	       ".SH SYNOPSIS\n"
	       ".B rsprof \\-p\n.I PID\n|\n.B \\-P\n.I NAME\n[\\fIOPTIONS\\fR]\n.br\n"
	       ".B rsprof run\n[\\fIOPTIONS\\fR] \\-\\- \\fICMD\\fR [\\fIARGS\\fR...]\n.br\n"
	       ".B rsprof\n\\fICOMMAND\\fR [\\fIOPTIONS\\fR] [\\fIOPERANDS\\fR]\n"
	       ".SH DESCRIPTION\n"
	       "rsprof attaches to a running Linux process, samples what its threads do, and\n"
	       "stores whole stacks with files, lines and inlined calls in one SQLite database.\n"
	       "Nothing has to be rebuilt or restarted.\n"
	       ".PP\nWithout a command, \\fBrsprof \\-p\\fR \\fIPID\\fR is the same as "
	       "\\fBrsprof attach\\fR \\fIPID\\fR.\n"
	       ".SH COMMANDS\n",
	       RSPROF_VERSION);
	for (size_t i = 0; verbs[i]; i++) {
		if (!verbs[i]->is_hidden)
			print_verb(verbs[i]);
	}
	print_keys();
	print_environment();
	print_agent();
	printf(".SH EXIT STATUS\n"
	       ".TP\n.B 0\nSuccess.\n.TP\n.B 1\nA failure without a code of its own.\n"
	       ".TP\n.B 2\nBad arguments.\n.TP\n.B 3\nThere is no such process.\n"
	       ".TP\n.B 4\nPermission denied.\n.TP\n.B 5\nDebug information is missing.\n"
	       ".TP\n.B 6\nThe database cannot be used.\n"
	       ".PP\n\\fBrsprof run\\fR ends with the status of its command, 128+N for signal N;\n"
	       "125 where it fails before the command starts, 126 where the command cannot be\n"
	       "executed, 127 where it is not found.\n"
	       ".SH EXAMPLES\n"
	       ".TP\n.B rsprof \\-p 1234 \\-d 30s \\-o app.db\nRecord process 1234 for 30 "
	       "seconds.\n"
	       ".TP\n.B rsprof top cpu app.db\nThe lines that cost most.\n"
	       ".TP\n.B rsprof annotate app.db parse_header\nIts source, with what each line "
	       "cost.\n"
	       ".TP\n.B rsprof query app.db \\(aqSELECT * FROM meta\\(aq\nRead it with SQL.\n"
	       ".SH SEE ALSO\n.BR perf (1),\n.BR sqlite3 (1),\n.BR perf_event_open (2)\n");
	return 0;
}

const struct verb verb_man = {
	.name = "man",
	.operands = "",
	.summary = "print the manual page in roff",
	.is_hidden = true,
	.run = run,
};
