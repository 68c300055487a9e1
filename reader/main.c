/* argv → the table of verbs. The only place that prints errors and picks exit codes. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reader/util/near.h"
#include "reader/util/str.h"
#include "reader/verb.h"

static const char usage[] = "Usage: rsprof -p PID | -P NAME [OPTIONS]\n"
			    "       rsprof run [OPTIONS] -- CMD [ARGS...]\n"
			    "       rsprof COMMAND [OPTIONS] [OPERANDS]\n";

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; verbs[i]; i++) {
		if (!strcmp(verbs[i]->name, name))
			return verbs[i];
	}
	return NULL;
}

static void print_help(void)
{
	printf("rsprof shows where a running process spends its CPU, line by "
	       "line.\n\n%s\nCommands:\n",
	       usage);
	for (size_t i = 0; verbs[i]; i++) {
		if (!verbs[i]->is_hidden)
			printf("  %-12s %s\n", verbs[i]->name, verbs[i]->summary);
	}
	printf("  %-12s %s\n\n", "help", "what a command does, and its options");
	printf("Type `rsprof help COMMAND` for its options; `rsprof --version` tells the "
	       "version.\n");
}

static int refuse_verb(const char *name, struct err *err)
{
	size_t best = NEAR_EDITS_MAX + 1;
	const char *nearest = NULL;
	struct str shown = {0};

	for (size_t i = 0; verbs[i]; i++) {
		if (!verbs[i]->is_hidden && near_is_better(name, verbs[i]->name, &best))
			nearest = verbs[i]->name;
	}
	str_add_scrubbed(&shown, name);
	err_set(err, ERR_USAGE, -EINVAL, "There is no command \"%s\".", str_text(&shown));
	if (nearest)
		err_remedy(err, "Did you mean `rsprof %s`?", nearest);
	else if (*name && name[strspn(name, "0123456789")] == '\0')
		err_remedy(err, "To record process %s, type `rsprof -p %s`.", name, name);
	else
		err_remedy(err, "Type `rsprof --help`.");
	str_done(&shown);
	return -EINVAL;
}

static int run_help(int argc, char **argv, struct err *err)
{
	const struct verb *verb;

	if (argc > 2) {
		err_set(err, ERR_USAGE, -EINVAL, "help takes one command.");
		err_remedy(err, "Type `rsprof help top`, for example.");
		return -EINVAL;
	}
	if (argc < 2) {
		print_help();
		return 0;
	}
	verb = find_verb(argv[1]);
	if (!verb)
		return refuse_verb(argv[1], err);
	verb_print_help(verb);
	return 0;
}

static int run_verb(const struct verb *verb, int argc, char **argv, struct err *err)
{
	int ret = verb->run(argc, argv, err);

	if (ret && err->kind == ERR_USAGE && !err->remedy[0])
		err_remedy(err, "Type `rsprof %s --help`.", verb->name);
	return ret;
}

static int run(int argc, char **argv, struct err *err)
{
	static char attach[] = "attach";
	const struct verb *verb;

	if (argc < 2) {
		fprintf(stderr, "%sType `rsprof --help` for the commands.\n", usage);
		return ERR_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_help();
		return 0;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("rsprof %s\n", RSPROF_VERSION);
		return 0;
	}
	if (argv[1][0] == '-') {
		argv[0] = attach;
		return run_verb(&verb_attach, argc, argv, err);
	}
	if (!strcmp(argv[1], "help"))
		return run_help(argc - 1, argv + 1, err);
	verb = find_verb(argv[1]);
	if (!verb)
		return refuse_verb(argv[1], err);
	return run_verb(verb, argc - 1, argv + 1, err);
}

/* A database opened as descriptor 1 would be written to by printf. */
static void open_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static void pass_over(int signal)
{
}

/* A reader that goes away (`rsprof top … | head`) must not end a recording. A handler instead of
 * SIG_IGN: exec sets it back, so that the command of `rsprof run` starts as it would alone. */
static void ignore_broken_pipes(void)
{
	struct sigaction action = {.sa_handler = pass_over, .sa_flags = SA_RESTART}, old;

	sigemptyset(&action.sa_mask);
	if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
		sigaction(SIGPIPE, &action, NULL);
}

/* What was printed must have arrived, or be wanted by nobody any more. */
static bool output_failed(void)
{
	struct pollfd output = {.fd = STDOUT_FILENO};
	int failed = fflush(stdout) | ferror(stdout);

	return failed && !(poll(&output, 1, 0) == 1 && output.revents & (POLLERR | POLLHUP));
}

int main(int argc, char **argv)
{
	struct err err = {0};
	int ret;

	open_standard_files();
	ignore_broken_pipes();
	setlocale(LC_ALL, "");
	/* JSON, CSV and options have a decimal point everywhere. */
	setlocale(LC_NUMERIC, "C");
	ret = run(argc, argv, &err);
	if (ret < 0 && err.kind == ERR_NONE)
		err_set(&err, ERR_GENERAL, ret, "%s.", strerror(-ret));
	if (ret && err.kind != ERR_NONE) {
		fflush(stdout);
		fprintf(stderr, "rsprof: %s\n", err.sentence);
		if (err.remedy[0])
			fprintf(stderr, "%s\n", err.remedy);
	}
	if (ret < 0)
		ret = (int)err.kind;
	if (output_failed()) {
		fprintf(stderr, "rsprof: Standard output could not be written.\n");
		ret = ret ? ret : ERR_GENERAL;
	}
	return ret;
}
