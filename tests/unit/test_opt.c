/* Options: every way to write one, every way to write it wrong. */
#include "tests/lib/kit.h"

#include <errno.h>
#include <stdlib.h>

#include "reader/util/near.h"
#include "reader/util/opt.h"
#include "reader/util/opt_help.h"

struct values {
	bool quiet, append;
	const char *output;
	uint64_t top, frequency, any, interval, buffer;
	double threshold;
	const char *source;
	struct opt_list events;
};

#define AT(member) offsetof(struct values, member)

static const struct opt table[] = {
	{'q', "quiet", NULL, OPT_FLAG, AT(quiet), .environment = "TEST_OPT_QUIET",
	 .help = "no screen"},
	{'a', "append", NULL, OPT_FLAG, AT(append), .help = "go on"},
	{'o', "output", "FILE", OPT_TEXT, AT(output), .help = "where to"},
	{'n', "top", "N", OPT_COUNT, AT(top), .min = 1, .shown_default = "20", .help = "rows"},
	{0, "cpu-freq", "HZ", OPT_COUNT, AT(frequency), 1, 10000, .environment = "TEST_OPT_FREQ",
	 .shown_default = "99", .help = "samples a second"},
	{0, "any", "N", OPT_COUNT, AT(any), .help = "any number"},
	{'i', "interval", "DUR", OPT_DURATION, AT(interval), UINT64_C(100000000),
	 UINT64_C(3600000000000), .help = "checkpoint"},
	{0, "buffer", "SIZE", OPT_SIZE, AT(buffer), 65536, 1 << 30, .help = "ring"},
	{'t', "threshold", "PCT", OPT_PERCENT, AT(threshold), .help = "share"},
	{0, "source", "SOURCE", OPT_CHOICE, AT(source), .choices = "auto|perf|replay",
	 .help = "where events come from"},
	{'e', "event", "EVENT", OPT_LIST, AT(events), .environment = "TEST_OPT_EVENTS",
	 .choices = "cpu-clock|page-faults", .help = "what is sampled"},
	{.name = NULL},
};

static struct values values;
static char *arguments[64];
static int operands;
static bool help;
static struct err err;

/* Parses a line split at blanks; "''" is an empty argument. */
static int parse_with(const char *line, bool stop_at_operand)
{
	static char copy[4096];
	int count = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		arguments[count++] = strcmp(word, "''") ? word : word + 2;
	memset(&values, 0, sizeof(values));
	memset(&err, 0, sizeof(err));
	operands = -1;
	help = false;
	return opt_parse(table, count, arguments, stop_at_operand, &values, &operands, &help, &err);
}

static int parse(const char *line)
{
	return parse_with(line, false);
}

static void check_refused(const char *line, const char *sentence, const char *remedy)
{
	CHECK_EQ_I64(parse(line), -EINVAL);
	CHECK_EQ_STR(err.sentence, sentence);
	CHECK_EQ_STR(err.remedy, remedy);
	CHECK_EQ_U64(err.kind, ERR_USAGE);
	/* Outputs are untouched. */
	CHECK_EQ_I64(operands, -1);
}

TEST(every_type_is_stored)
{
	CHECK_EQ_I64(parse("-q --output f.db --top 5 --cpu-freq=999 -i 250ms --buffer 16MiB -t 2.5 "
			   "--source perf -e a,b -e c FILE"),
		     0);
	CHECK(values.quiet);
	CHECK(!values.append);
	CHECK_EQ_STR(values.output, "f.db");
	CHECK_EQ_U64(values.top, 5);
	CHECK_EQ_U64(values.frequency, 999);
	CHECK_EQ_U64(values.interval, 250000000);
	CHECK_EQ_U64(values.buffer, 16 << 20);
	CHECK_BETWEEN(values.threshold, 2.5, 2.5);
	CHECK_EQ_STR(values.source, "perf");
	CHECK_EQ_U64(values.events.count, 2);
	CHECK_EQ_STR(values.events.values[0], "a,b");
	CHECK_EQ_STR(values.events.values[1], "c");
	CHECK_EQ_I64(operands, 1);
	CHECK_EQ_STR(arguments[0], "FILE");
	CHECK(!help);
}

TEST(values_may_touch_their_letter)
{
	CHECK_EQ_I64(parse("-n5"), 0);
	CHECK_EQ_U64(values.top, 5);
	CHECK_EQ_I64(parse("-n 6"), 0);
	CHECK_EQ_U64(values.top, 6);
	CHECK_EQ_I64(parse("-qan7"), 0);
	CHECK(values.quiet && values.append);
	CHECK_EQ_U64(values.top, 7);
	CHECK_EQ_I64(parse("-qn 8 x"), 0);
	CHECK_EQ_U64(values.top, 8);
	CHECK_EQ_I64(operands, 1);
}

TEST(the_last_one_wins)
{
	CHECK_EQ_I64(parse("-n5 --top 6 -n 7"), 0);
	CHECK_EQ_U64(values.top, 7);
}

TEST(operands_are_gathered_in_order)
{
	CHECK_EQ_I64(parse("cpu -q FILE --top 3 - last"), 0);
	CHECK_EQ_I64(operands, 4);
	CHECK_EQ_STR(arguments[0], "cpu");
	CHECK_EQ_STR(arguments[1], "FILE");
	CHECK_EQ_STR(arguments[2], "-");
	CHECK_EQ_STR(arguments[3], "last");
}

TEST(two_dashes_end_the_options)
{
	CHECK_EQ_I64(parse("x -q -- -n --top"), 0);
	CHECK(values.quiet);
	CHECK_EQ_I64(operands, 3);
	CHECK_EQ_STR(arguments[0], "x");
	CHECK_EQ_STR(arguments[1], "-n");
	CHECK_EQ_STR(arguments[2], "--top");
	/* The first ends them, the second is an operand. */
	CHECK_EQ_I64(parse("-- --"), 0);
	CHECK_EQ_I64(operands, 1);
	CHECK_EQ_STR(arguments[0], "--");
	/* As a value it is a value. */
	CHECK_EQ_I64(parse("-o -- x"), 0);
	CHECK_EQ_STR(values.output, "--");
	CHECK_EQ_I64(operands, 1);
}

TEST(stop_at_the_first_operand)
{
	CHECK_EQ_I64(parse_with("-q ls -a --top 5 -- x", true), 0);
	CHECK(values.quiet);
	CHECK(!values.append);
	CHECK_EQ_I64(operands, 6);
	CHECK_EQ_STR(arguments[0], "ls");
	CHECK_EQ_STR(arguments[1], "-a");
	CHECK_EQ_STR(arguments[4], "--");
	CHECK_EQ_I64(parse_with("-q -- -odd -a", true), 0);
	CHECK_EQ_I64(operands, 2);
	CHECK_EQ_STR(arguments[0], "-odd");
}

TEST(help_is_asked_for)
{
	CHECK_EQ_I64(parse("-h"), 0);
	CHECK(help);
	CHECK_EQ_I64(parse("x -q --help --nonsense"), 0);
	CHECK(help);
	CHECK_EQ_I64(parse("-qh"), 0);
	CHECK(help);
	/* As a value it is a value; behind -- an operand. */
	CHECK_EQ_I64(parse("-o -h"), 0);
	CHECK(!help);
	CHECK_EQ_I64(parse("-- --help"), 0);
	CHECK(!help);
}

TEST(no_table_has_only_help)
{
	static char name[] = "--help", other[] = "--other";
	char *argv[] = {name, other};

	CHECK_EQ_I64(opt_parse(NULL, 1, argv, false, NULL, &operands, &help, NULL), 0);
	CHECK(help);
	CHECK_EQ_I64(opt_parse(NULL, 1, argv + 1, false, NULL, &operands, &help, NULL), -EINVAL);
	CHECK_EQ_I64(opt_parse(NULL, 0, argv, false, NULL, &operands, &help, NULL), 0);
	CHECK_EQ_I64(operands, 0);
}

TEST(unknown_names_are_refused)
{
	check_refused("--tpo 5", "There is no option \"--tpo\".", "Did you mean --top?");
	check_refused("--cpu_freq=5", "There is no option \"--cpu_freq\".",
		      "Did you mean --cpu-freq?");
	check_refused("--hepl", "There is no option \"--hepl\".", "Did you mean --help?");
	check_refused("--frobnicate", "There is no option \"--frobnicate\".", "");
	check_refused("-z", "There is no option \"-z\".", "");
	check_refused("-qz", "There is no option \"-z\".", "");
	check_refused("-\xc3\xa9", "There is an unknown option in \"-\xc3\xa9\".", "");
	check_refused("--=5", "There is no option \"--\".", "");
}

/* A prefix that is clear today names two options tomorrow. */
TEST(abbreviations_are_refused)
{
	check_refused("--thresh 5", "There is no option \"--thresh\".", "");
	check_refused("--outpu x", "There is no option \"--outpu\".", "Did you mean --output?");
}

TEST(missing_and_superfluous_values_are_refused)
{
	check_refused("--top", "--top needs a value: --top N.", "");
	check_refused("-q -n", "-n needs a value: -n N.", "");
	check_refused("--quiet=yes", "--quiet takes no value, but was given \"yes\".", "");
	check_refused("--quiet=", "--quiet takes no value, but was given \"\".", "");
}

TEST(counts_out_of_range_are_refused)
{
	check_refused("--cpu-freq 0", "--cpu-freq takes a whole number from 1 to 10000, not \"0\".",
		      "");
	check_refused("--cpu-freq=10001",
		      "--cpu-freq takes a whole number from 1 to 10000, not \"10001\".", "");
	check_refused("--cpu-freq -5",
		      "--cpu-freq takes a whole number from 1 to 10000, not \"-5\".", "");
	check_refused("--cpu-freq 9x",
		      "--cpu-freq takes a whole number from 1 to 10000, not \"9x\".", "");
	check_refused("--cpu-freq 18446744073709551617",
		      "--cpu-freq takes a whole number from 1 to 10000, not "
		      "\"18446744073709551617\".",
		      "");
	check_refused("--cpu-freq=", "--cpu-freq takes a whole number from 1 to 10000, not \"\".",
		      "");
	check_refused("-n 0", "-n takes a whole number of at least 1, not \"0\".", "");
	check_refused("-n=5", "-n takes a whole number of at least 1, not \"=5\".", "");
	check_refused("--any many", "--any takes a whole number, not \"many\".", "");
	CHECK_EQ_I64(parse("--any 18446744073709551615"), 0);
	CHECK_EQ_U64(values.any, UINT64_MAX);
	CHECK_EQ_I64(parse("--cpu-freq 10000 -n 1"), 0);
	CHECK_EQ_U64(values.frequency, 10000);
}

TEST(durations_and_sizes_out_of_range_are_refused)
{
	check_refused("-i 1ms",
		      "-i takes a duration such as 30s, 5m, 1h30m or 250ms from 100ms to 1h, not "
		      "\"1ms\".",
		      "");
	check_refused("-i soon",
		      "-i takes a duration such as 30s, 5m, 1h30m or 250ms from 100ms to 1h, not "
		      "\"soon\".",
		      "");
	check_refused("--buffer 1",
		      "--buffer takes a size such as 512, 64K or 16M from 64K to 1G, not \"1\".",
		      "");
	CHECK_EQ_I64(parse("--buffer 64K -i 1h"), 0);
	CHECK_EQ_U64(values.buffer, 65536);
	CHECK_EQ_U64(values.interval, UINT64_C(3600000000000));
}

TEST(percentages)
{
	static const char *const wrong[] = {
		"nan", "inf",	"0x10", "1e1", "-1",  "100.1", "",
		"5,5", "1.2.3", ".",	"%",   "5%%", "101",   "99999999999999999999999999"};
	static const struct {
		const char *line;
		double value;
	} right[] = {{"-t 0", 0},  {"-t 100", 100}, {"-t 12.25", 12.25}, {"-t .5", 0.5},
		     {"-t 5%", 5}, {"-t 5.", 5},    {"-t 007", 7},	 {"-t 100.000", 100}};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		static char option[] = "-t";
		char *argv[] = {option, (char *)wrong[i]};

		if (opt_parse(table, 2, argv, false, &values, &operands, &help, &err) != -EINVAL)
			FAIL("\"%s\" was taken for a percentage", wrong[i]);
	}
	for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++) {
		CHECK_EQ_I64(parse(right[i].line), 0);
		CHECK_BETWEEN(values.threshold, right[i].value, right[i].value);
	}
}

TEST(choices_are_listed)
{
	check_refused("--source gdb", "--source takes auto, perf or replay, not \"gdb\".", "");
	check_refused("--source per", "--source takes auto, perf or replay, not \"per\".", "");
	check_refused("--source auto|perf",
		      "--source takes auto, perf or replay, not \"auto|perf\".", "");
	check_refused("--source=", "--source takes auto, perf or replay, not \"\".", "");
	CHECK_EQ_I64(parse("--source replay"), 0);
	CHECK_EQ_STR(values.source, "replay");
}

TEST(lists_have_an_end)
{
	char line[512] = "";

	for (int i = 0; i < OPT_LIST_MAX; i++)
		strcat(line, "-e x ");
	CHECK_EQ_I64(parse(line), 0);
	CHECK_EQ_U64(values.events.count, OPT_LIST_MAX);
	strcat(line, "-e y");
	check_refused(line, "-e may be given 16 times at most.", "");
}

/* The choices of a list are what a shell offers, no bound. */
TEST(a_list_takes_any_text)
{
	CHECK_EQ_I64(parse("-e something-else"), 0);
	CHECK_EQ_STR(values.events.values[0], "something-else");
}

TEST(a_list_replaces_its_default)
{
	static char option[] = "-e", value[] = "mine";
	char *argv[] = {option, value};

	memset(&values, 0, sizeof(values));
	values.events.values[0] = "default";
	values.events.count = 1;
	CHECK_EQ_I64(opt_parse(table, 2, argv, false, &values, &operands, &help, &err), 0);
	CHECK_EQ_U64(values.events.count, 1);
	CHECK_EQ_STR(values.events.values[0], "mine");
}

TEST(the_environment_gives_defaults)
{
	setenv("TEST_OPT_FREQ", "250", 1);
	setenv("TEST_OPT_QUIET", "1", 1);
	setenv("TEST_OPT_EVENTS", "page-faults", 1);
	CHECK_EQ_I64(parse(""), 0);
	CHECK_EQ_U64(values.frequency, 250);
	CHECK(values.quiet);
	CHECK_EQ_U64(values.events.count, 1);
	CHECK_EQ_I64(parse("--cpu-freq 5 -e a"), 0);
	CHECK_EQ_U64(values.frequency, 5);
	CHECK_EQ_U64(values.events.count, 1);
	CHECK_EQ_STR(values.events.values[0], "a");

	setenv("TEST_OPT_QUIET", "0", 1);
	CHECK_EQ_I64(parse(""), 0);
	CHECK(!values.quiet);

	setenv("TEST_OPT_FREQ", "", 1);
	CHECK_EQ_I64(parse(""), 0);
	CHECK_EQ_U64(values.frequency, 0);

	setenv("TEST_OPT_FREQ", "fast", 1);
	check_refused("", "$TEST_OPT_FREQ takes a whole number from 1 to 10000, not \"fast\".", "");
	/* What is overridden, and what is only explained, need not be right. */
	CHECK_EQ_I64(parse("--cpu-freq 7"), 0);
	CHECK_EQ_U64(values.frequency, 7);
	CHECK_EQ_I64(parse("--help"), 0);
	CHECK(help);
}

TEST(errors_repeat_no_control_characters)
{
	check_refused("--any \x1b[31m", "--any takes a whole number, not \"?[31m\".", "");
	check_refused("--a\x1b]0;x\x07", "There is no option \"--a?]0;x?\".", "");
}

TEST(errors_cut_long_values)
{
	char line[3000] = "--any ", want[256];

	/* Two-byte characters, so that a careless cut leaves half of one. */
	for (int i = 0; i < 1000; i++)
		strcat(line, "\xc3\xa9");
	CHECK_EQ_I64(parse(line), -EINVAL);
	strcpy(want, "--any takes a whole number, not \"");
	for (int i = 0; i < 62; i++)
		strcat(want, "\xc3\xa9");
	strcat(want, "...\".");
	CHECK_EQ_STR(err.sentence, want);
}

TEST(names_of_any_length_are_refused)
{
	char line[4000] = "--";

	memset(line + 2, 'x', sizeof(line) - 3);
	line[sizeof(line) - 1] = '\0';
	CHECK_EQ_I64(parse(line), -EINVAL);
	CHECK_EQ_STR(err.remedy, "");
}

TEST(distances)
{
	CHECK_EQ_U64(near_distance("", ""), 0);
	CHECK_EQ_U64(near_distance("abc", ""), 3);
	CHECK_EQ_U64(near_distance("kitten", "sitting"), 3);
	CHECK_EQ_U64(near_distance("top", "tpo"), 2);
	CHECK_EQ_U64(near_distance("flaw", "lawn"), 2);
	CHECK_EQ_U64(near_distance("same", "same"), 0);
}

TEST(help_shows_each_option)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	opt_print_help(to, table);
	fclose(to);
	CHECK_EQ_STR(
		text,
		"  -q, --quiet               no screen (default: $TEST_OPT_QUIET)\n"
		"  -a, --append              go on\n"
		"  -o, --output FILE         where to\n"
		"  -n, --top N               rows (default: 20)\n"
		"      --cpu-freq HZ         samples a second (default: 99, or $TEST_OPT_FREQ)\n"
		"      --any N               any number\n"
		"  -i, --interval DUR        checkpoint\n"
		"      --buffer SIZE         ring\n"
		"  -t, --threshold PCT       share\n"
		"      --source SOURCE       where events come from: auto, perf, replay\n"
		"  -e, --event EVENT         what is sampled: cpu-clock, page-faults (default:\n"
		"                            $TEST_OPT_EVENTS)\n"
		"  -h, --help                show this help\n");
	free(text);
}

KIT_MAIN
